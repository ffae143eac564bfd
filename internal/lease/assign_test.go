package lease

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func names(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s%02d", prefix, i)
	}
	return list
}

// alike are replicas with the same configuration.
func alike(replicas, projects []string) map[string][]string {
	knows := map[string][]string{}
	for _, r := range replicas {
		knows[r] = projects
	}
	return knows
}

func counts(owners map[string]string, replicas []string) []int {
	held := map[string]int{}
	for _, owner := range owners {
		held[owner]++
	}
	list := make([]int, len(replicas))
	for i, r := range replicas {
		list[i] = held[r]
	}
	return list
}

func moved(before, after map[string]string) int {
	n := 0
	for project, owner := range before {
		if after[project] != owner {
			n++
		}
	}
	return n
}

// TestAssignmentsAreEvenAndMoveLittle: whoever comes and goes.
func TestAssignmentsAreEvenAndMoveLittle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		projects := names("p", rapid.IntRange(0, 60).Draw(t, "projects"))
		all := names("r", 8)
		var owners map[string]string
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			replicas := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, 8, rapid.ID).Draw(t, "replicas")
			slices.Sort(replicas)
			orphans, most := 0, 0
			for _, owner := range owners {
				if !slices.Contains(replicas, owner) {
					orphans++
				}
			}
			share := (len(projects) + len(replicas) - 1) / len(replicas)
			for _, n := range counts(owners, replicas) {
				most += max(0, n-share+1) // each gives away what is beyond the smaller share, at most
			}
			next := Assign(alike(replicas, projects), owners)
			if len(next) != len(projects) {
				t.Fatalf("%d of %d projects have an owner", len(next), len(projects))
			}
			if each := counts(next, replicas); slices.Max(each)-slices.Min(each) > 1 {
				t.Fatalf("not even: %v", each)
			}
			if n := moved(owners, next); n > orphans+most {
				t.Fatalf("%d projects move, %d have lost their owner, and at most %d are beyond a share", n, orphans, most)
			}
			if again := Assign(alike(replicas, projects), next); !maps.Equal(next, again) {
				t.Fatalf("it does not stay: %v, then %v", next, again)
			}
			owners = next
		}
	})
}

// TestOnlyWhoKnowsAProjectGetsIt: while a configuration is rolled out, replicas know
// different projects.
func TestOnlyWhoKnowsAProjectGetsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		projects, replicas := names("p", 20), names("r", rapid.IntRange(1, 5).Draw(t, "replicas"))
		knows := map[string][]string{}
		known := map[string]bool{}
		for _, r := range replicas {
			knows[r] = rapid.SliceOfNDistinct(rapid.SampledFrom(projects), 0, 20, rapid.ID).Draw(t, r)
			for _, p := range knows[r] {
				known[p] = true
			}
		}
		holders := rapid.MapOfN(rapid.SampledFrom(projects), rapid.SampledFrom(append(replicas, "gone")), 0, 20).Draw(t, "holders")
		owners := Assign(knows, holders)
		if len(owners) != len(known) {
			t.Fatalf("%d owned, %d known", len(owners), len(known))
		}
		for project, owner := range owners {
			if !slices.Contains(knows[owner], project) {
				t.Fatalf("%s does not know %s", owner, project)
			}
		}
		for range 10 {
			next := Assign(knows, owners)
			if maps.Equal(next, owners) {
				return
			}
			owners = next
		}
		t.Fatal("it does not come to rest")
	})
}

func TestAssignExamples(t *testing.T) {
	seven := names("p", 7)
	three := Assign(alike(names("r", 3), seven), nil)
	assert.Equal(t, []int{3, 2, 2}, counts(three, names("r", 3)))
	assert.Equal(t, 1, moved(three, Assign(alike(names("r", 4), seven), three)), "a fourth gets the one that is beyond a share of others")
	assert.Empty(t, Assign(nil, map[string]string{"p": "r"}))
	assert.Empty(t, Assign(alike(names("r", 2), nil), map[string]string{"p": "r00"}))
}
