package collector

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever is new or changes, all series are exposed in order, in blocks that are neither empty
// nor too large. A block in which nothing has changed stays what it was, unless it is a part of one
// that was divided for a new series elsewhere in it.
func TestBlocks(t *testing.T) {
	m := &Metric{Name: "a_total", Type: Counter, Labels: []Label{"a"}}
	rapid.Check(t, func(t *rapid.T) {
		f := newFamily(m, nil, &seriesStart{created: t0}, NewLimits(1<<20, nil))
		for range rapid.IntRange(1, 8).Draw(t, "commits") {
			before := f.expose()
			untouched, home := map[*part][]value{}, map[*series]*part{}
			for _, p := range before {
				untouched[p] = slices.Clone(p.values)
				for _, s := range p.series {
					home[s] = p
				}
			}
			// New and known ones, in a stretch of names or all over them.
			from, span := rapid.IntRange(0, 9000).Draw(t, "from"), rapid.SampledFrom([]int{1, 10, 1000}).Draw(t, "span")
			f.start.created = f.start.created.Add(time.Minute)
			for i := range rapid.IntRange(0, 1500).Draw(t, "additions") {
				f.add(1, Label("a").is(fmt.Sprint((from+i*7919)%(9*span))))
			}
			touched := slices.Clone(f.stale)
			exposed := f.expose()

			var values []value
			var labels []string
			var created []time.Time
			for _, p := range exposed {
				require.NotEmpty(t, p.values)
				require.LessOrEqual(t, len(p.values), maxBlock)
				values, labels = append(values, p.values...), append(labels, p.labels...)
				for _, c := range p.created {
					created = append(created, c.AsTime())
				}
				switch old := slices.Contains(before, p); {
				case slices.ContainsFunc(touched, func(s *series) bool { return slices.Contains(p.series, s) }):
					require.False(t, old)
				case !old:
					require.Less(t, len(p.series), len(home[p.series[0]].series))
				}
			}
			for p, was := range untouched {
				require.Equal(t, was, p.values, "what is published does not change any more")
			}
			for i, s := range f.inOrder() {
				require.Equal(t, value{number: float64(s.count)}, values[i])
				require.Equal(t, labelText(s.Labels()), labels[i])
				require.Equal(t, s.start.created, created[i])
			}
			require.Len(t, values, len(f.series))
		}
	})
}

// Of a block that is divided for one new series, one half has nothing new. It is published all the
// same, and changes no more.
func TestAHalfWithoutChangesIsPublished(t *testing.T) {
	f := newFamily(&Metric{Name: "a_total", Type: Counter, Labels: []Label{"a"}}, nil, &seriesStart{created: t0}, NewLimits(1<<20, nil))
	add := func(i int) { f.add(1, Label("a").is(fmt.Sprintf("%04d", i))) }
	for i := range maxBlock {
		add(i)
	}
	f.expose()
	add(maxBlock)
	published := f.expose()
	require.Len(t, published, 2)
	was := slices.Clone(published[0].values)
	add(0)
	require.Equal(t, 2.0, f.expose()[0].values[0].number)
	require.Equal(t, was, published[0].values)
}
