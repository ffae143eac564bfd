package lease

import (
	"cmp"
	"maps"
	"slices"
)

// Assign says which replica is to have which project, from what all replicas see: the projects
// that each replica knows by its configuration, and who holds which. Every replica comes to
// the same answer, and acts on its own part of it.
//
// A project stays where it is, unless its holder has more than its share. Shares differ by at
// most one where all know the same projects.
func Assign(knows map[string][]string, holders map[string]string) map[string]string {
	a := newAssignment(knows, holders)
	a.keep()
	a.spread()
	return a.owners
}

type assignment struct {
	replicas []string            // in the order in which larger shares go to them
	projects []string            // all, sorted
	may      map[string][]string // who knows a project
	holders  map[string]string
	share    map[string]int
	owners   map[string]string
	count    map[string]int
}

func newAssignment(knows map[string][]string, holders map[string]string) *assignment {
	a := &assignment{may: map[string][]string{}, holders: map[string]string{}, share: map[string]int{}, owners: map[string]string{}, count: map[string]int{}}
	a.replicas = slices.Sorted(maps.Keys(knows))
	for _, replica := range a.replicas {
		for _, project := range knows[replica] {
			a.may[project] = append(a.may[project], replica)
		}
	}
	a.projects = slices.Sorted(maps.Keys(a.may))
	held := map[string]int{}
	for _, project := range a.projects {
		if holder := holders[project]; slices.Contains(a.may[project], holder) {
			a.holders[project] = holder
			held[holder]++
		}
	}
	// Who has most keeps most: fewer projects move.
	slices.SortStableFunc(a.replicas, func(x, y string) int { return cmp.Compare(held[y], held[x]) })
	for i, replica := range a.replicas {
		a.share[replica] = len(a.projects) / len(a.replicas)
		if i < len(a.projects)%len(a.replicas) {
			a.share[replica]++
		}
	}
	return a
}

func (a *assignment) give(project, replica string) {
	a.owners[project] = replica
	a.count[replica]++
}

// keep leaves each replica what it has, up to its share.
func (a *assignment) keep() {
	for _, project := range a.projects {
		if holder, ok := a.holders[project]; ok && a.count[holder] < a.share[holder] {
			a.give(project, holder)
		}
	}
}

// spread gives what is left to those who have least of their share.
func (a *assignment) spread() {
	for _, project := range a.projects {
		if a.owners[project] != "" {
			continue
		}
		a.give(project, slices.MinFunc(a.may[project], func(x, y string) int {
			return cmp.Or(cmp.Compare(a.count[x]-a.share[x], a.count[y]-a.share[y]), a.prefer(project, x, y), cmp.Compare(x, y))
		}))
	}
}

// prefer leaves a project with its holder, if nothing else decides.
func (a *assignment) prefer(project, x, y string) int {
	switch a.holders[project] {
	case x:
		return -1
	case y:
		return 1
	}
	return 0
}
