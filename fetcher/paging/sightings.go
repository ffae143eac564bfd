package paging

import (
	"slices"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// sightings is which passes have shown how many records, beside what they claim.
//
// What was shown can disprove claims, and a claim that is false agrees with some number sooner
// or later: of a list that is shuffled for each page, the more is known the longer it is read.
type sightings struct {
	passes []*pass
	// shown[first][last] is how many records were shown by these two passes, and by none
	// before and after.
	shown [][]int
	all   int
}

func (e *evidence) sightings() *sightings {
	first, last := map[record.Identity]int{}, map[record.Identity]int{}
	for i, p := range e.passes {
		for id := range p.ids {
			if _, ok := first[id]; !ok {
				first[id] = i
			}
			last[id] = i
		}
	}
	s := &sightings{passes: e.passes, all: len(first), shown: make([][]int, len(e.passes))}
	for i := range s.shown {
		s.shown[i] = make([]int, len(e.passes))
	}
	for id, i := range first {
		s.shown[i][last[id]]++
	}
	return s
}

// at is how many records were shown only by passes before the beginning of one, how many both
// before and after it, and how many only after it.
func (s *sightings) at(begun int) (before, there, after int) {
	for first, byLast := range s.shown {
		for last, n := range byLast {
			switch {
			case last < begun:
				before += n
			case first >= begun:
				after += n
			default:
				there += n
			}
		}
	}
	return before, there, after
}

// instant returns a pass at whose beginning there were, by its claim, just the records
// that were shown both before and after; or 0.
func (s *sightings) instant(additive bool) int {
	if s.areDisproved() {
		return 0
	}
	for begun := 1; begun < len(s.passes); begun++ {
		before, there, after := s.at(begun)
		p := s.passes[begun]
		if there != p.claim() || there == 0 && len(p.ids) > 0 {
			continue
		}
		// Records that were not there then have gone before, or have come since, and the list
		// was longer by as many. Additive items come and go at once, as versions of one row.
		if additive || there+before <= maxClaim(s.passes[:begun]) && there+after <= maxClaim(s.passes[begun:]) {
			return begun
		}
	}
	return 0
}

// areDisproved reports whether fewer records were claimed than certainly were there, or more
// than were shown at all.
func (s *sightings) areDisproved() bool {
	for begun, p := range s.passes {
		if _, there, _ := s.at(begun); p.disproved || p.claim() < there || p.claim() > s.all {
			return true
		}
	}
	return false
}

// isTotal reports whether as many records were shown as every pass has found, and none of them
// for the first time of late.
func (s *sightings) isTotal(trusted bool) bool {
	settled := len(s.passes) - settledPasses
	if settled < 1 || slices.ContainsFunc(s.passes, func(p *pass) bool { return !p.has(s.all, trusted) }) {
		return false
	}
	_, _, fresh := s.at(settled)
	return fresh == 0
}

// maxClaim is the largest claim of any page of some passes.
func maxClaim(passes []*pass) int {
	most := -1
	for _, p := range passes {
		for _, claim := range p.claims {
			most = max(most, claim)
		}
	}
	return most
}
