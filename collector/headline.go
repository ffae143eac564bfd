package collector

import (
	"cmp"
	"slices"

	dto "github.com/prometheus/client_model/go"
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
	published := a.published()
	for m := range published {
		if m.Headline != "" {
			list = append(list, headlineOf(m, gather(m, []map[*Metric][]*part{published}).Metric))
		}
	}
	slices.SortFunc(list, func(a, b Headline) int { return cmp.Compare(a.Title, b.Title) })
	return list
}

func headlineOf(m *Metric, series []*dto.Metric) Headline {
	h := Headline{Title: m.Headline}
	parts := map[string]int64{}
	for _, s := range series {
		n := int64(s.GetGauge().GetValue())
		h.Total += n
		for _, l := range s.GetLabel() {
			if l.GetName() == string(m.HeadlineBy) {
				parts[l.GetValue()] += n
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
