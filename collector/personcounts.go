package collector

import "github.com/workspace-exporter/workspace_exporter/internal/record"

// counts are numbers of samples by user or by client.
type counts map[record.Person]int64

func (c counts) add(p record.Person, n int64) {
	if p == 0 {
		return
	}
	if c[p] += n; c[p] == 0 {
		delete(c, p)
	}
}

// ranked are counts that know the highest of them.
type ranked struct {
	counts
	persons map[int64]int // how many have a count
	highest int64
}

func newRanked() ranked { return ranked{counts: counts{}, persons: map[int64]int{}} }

func (r *ranked) add(p record.Person, n int64) {
	if p == 0 {
		return
	}
	if before := r.counts[p]; before != 0 {
		if r.persons[before]--; r.persons[before] == 0 {
			delete(r.persons, before)
		}
	}
	r.counts.add(p, n)
	if now := r.counts[p]; now != 0 {
		r.persons[now]++
		r.highest = max(r.highest, now)
	}
	for r.highest > 0 && r.persons[r.highest] == 0 {
		r.highest--
	}
}

// groups are counts by group, and what is new in the number of persons of each.
type groups struct {
	counts  map[string]counts
	told    map[string]int64 // the numbers as they were returned last
	changed map[string]bool  // the groups in which something has changed since
}

func newGroups() groups {
	return groups{map[string]counts{}, map[string]int64{}, map[string]bool{}}
}

func (g *groups) add(group string, p record.Person, n int64) {
	if g.counts[group] == nil {
		g.counts[group] = counts{}
	}
	g.counts[group].add(p, n)
	g.changed[group] = true
}

// changes calls f with how many persons more there are in a group, or fewer, than when it, or
// all, was last called.
func (g *groups) changes(f func(group string, n int64)) {
	for group := range g.changed {
		n := int64(len(g.counts[group]))
		f(group, n-g.told[group])
		g.told[group] = n
		if n == 0 {
			delete(g.counts, group)
			delete(g.told, group)
		}
	}
	clear(g.changed)
}

// all calls f with how many persons there are in each group.
func (g *groups) all(f func(group string, n int64)) {
	g.changes(func(string, int64) {})
	for group, n := range g.told {
		f(group, n)
	}
}
