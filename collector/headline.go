package collector

import (
	"cmp"
	"slices"
)

// Headline is the sum of a gauge, for the landing page.
type Headline struct {
	Title string
	Total int64
	Parts []HeadlinePart // none of 0, the largest first; empty if it is not split
}

// HeadlinePart is the sum of the series with one value of the label that splits a headline.
type HeadlinePart struct {
	Name string
	N    int64
}

// Headlines are the headlines of what the accumulator shows, as of its last commit. They
// are empty until the source has ended its first poll.
func (a *Accumulator) Headlines() []Headline {
	var list []Headline
	for m, exposed := range a.published() {
		if m.Headline != "" {
			list = append(list, headlineOf(m, exposed))
		}
	}
	slices.SortFunc(list, func(a, b Headline) int { return cmp.Compare(a.Title, b.Title) })
	return list
}

func headlineOf(m *Metric, exposed []*part) Headline {
	h := Headline{Title: m.Headline}
	parts := map[string]int64{}
	by := slices.Index(m.Labels, m.HeadlineBy)
	for _, p := range exposed {
		for i, s := range p.series {
			n := int64(p.values[i].number)
			h.Total += n
			if by >= 0 {
				parts[s.values[by]] += n
			}
		}
	}
	for name, n := range parts {
		if n == 0 {
			continue
		}
		h.Parts = append(h.Parts, HeadlinePart{name, n})
	}
	slices.SortFunc(h.Parts, func(a, b HeadlinePart) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Name, b.Name)) })
	return h
}
