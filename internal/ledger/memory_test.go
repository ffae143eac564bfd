package ledger

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

func TestSlotsAreSmall(t *testing.T) { assert.EqualValues(t, 76, unsafe.Sizeof(slot{})) }

// drawEntry makes an entry with times as they are, and as only a wrong clock shows them.
func drawEntry(t *rapid.T) *entry {
	at := noon.UnixMilli()
	draw := func(what string) int64 {
		switch rapid.IntRange(0, 9).Draw(t, what) {
		case 0:
			return 0
		case 1:
			return rapid.Int64Range(-1<<45, 1<<45).Draw(t, "any")
		case 2:
			return at + rapid.SampledFrom([]int64{math.MinInt32 - 1, math.MinInt32, math.MinInt32 + 1, math.MaxInt32, math.MaxInt32 + 1}).Draw(t, "edge")
		}
		return at + rapid.Int64Range(-1e9, 1e9).Draw(t, "usual")
	}
	e := &entry{id: identity('i', rapid.IntRange(0, 999).Draw(t, "id")), invariant: identity('v', rapid.IntRange(0, 20).Draw(t, "invariant")),
		user: rapid.Uint32().Draw(t, "user"), machine: rapid.Uint32().Draw(t, "machine"),
		is: flags(rapid.Uint64Range(0, 1<<17).Draw(t, "flags")), batch: rapid.Uint32().Draw(t, "batch")}
	e.keep, e.preConnect, e.start, e.setup, e.end, e.updated = draw("keep"), draw("pre-connect"), draw("start"), draw("setup"), draw("end"), draw("updated")
	if rapid.IntRange(0, 5).Draw(t, "keep is an edge") == 0 {
		e.keep = rapid.SampledFrom([]int64{-1, 0, math.MaxUint32*1000 + 999, (math.MaxUint32 + 1) * 1000}).Draw(t, "edge")
	}
	if rapid.IntRange(0, 5).Draw(t, "has an invalid field") == 0 {
		e.invalid = "start_time,"
	}
	if rapid.IntRange(0, 5).Draw(t, "has another form") == 0 {
		e.forms = "0123456789abcdef"
	}
	return e
}

// What is put into memory comes out of it, be it in a slot or not.
func TestMemoryHoldsWhatFitsAndWhatDoesNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, e := newMemory(), drawEntry(t)
		want := *e
		m.add(e)
		m.put(e)
		got := *m.get(1)
		got.ref = 0
		require.Equal(t, want, got)
		ordinary := !want.isUnfinished() && !want.has(givenUp) && want.invalid == "" && want.forms == "" && want.is < 1<<16
		for _, d := range [...]int64{0, want.preConnect, want.start, want.setup, want.end, want.updated} {
			ordinary = ordinary && want.keep >= 0 && want.keep < 1<<32*1000 && (d == 0 || math.MinInt32 < d-want.keep && d-want.keep <= math.MaxInt32)
		}
		require.Equal(t, !ordinary, len(m.whole) == 1)
	})
}

// remembered is a record as a plain memory has it.
type remembered struct {
	entry
	filed bool
	at    int64 // the second that it is filed under
}

// A memory is what a list of records would be: it finds them by id and by every form, also as
// tables grow and shrink, and looks at each when its second has come.
func TestMemoryIsAPlainList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, plain, next := newMemory(), map[ref]*remembered{}, 0
		crowded := map[record.Identity]bool{} // forms that more records had than are found
		file := func(r *remembered) {
			if !r.isUnfinished() && !r.filed {
				r.filed, r.at = true, r.keep/1000
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				require.Equal(t, len(plain), m.n)
				ids, forms := map[record.Identity][]ref{}, map[record.Identity][]ref{}
				for r, e := range plain {
					if got := *m.get(r); got != e.entry { // many are compared
						require.Equal(t, e.entry, got)
					}
					ids[e.id] = append(ids[e.id], r)
					for form := range e.allForms() {
						forms[form] = append(forms[form], r)
					}
				}
				for id, refs := range ids {
					require.True(t, slices.Contains(refs, m.byID.find(id)))
				}
				for form, refs := range forms {
					if crowded[form] = crowded[form] || len(refs) > maxTwins; !crowded[form] {
						slices.Sort(refs)
						require.Equal(t, refs, slices.Sorted(m.withForm(form)))
					}
				}
				require.Nil(t, m.withID(identity('x', 1)))
				without := 0
				for _, e := range plain {
					if e.has(nameless) {
						without++
					}
				}
				require.Equal(t, without, m.nameless)
			},
			"add": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "how many") {
					e := drawEntry(t)
					e.id = identity('i', next)
					next++
					m.add(e)
					kept := &remembered{entry: *m.put(e)}
					kept.ref = e.ref
					file(kept)
					plain[e.ref] = kept
				}
			},
			"change": func(t *rapid.T) {
				for _, r := range slices.Sorted(maps.Keys(plain)) {
					e := plain[r]
					if rapid.IntRange(0, 3).Draw(t, "this one") > 0 {
						continue
					}
					change := drawEntry(t)
					got := m.get(r)
					got.keep, got.is, got.end, got.batch = change.keep, change.is&^nameless|got.is&nameless, change.end, change.batch
					if got.has(nameless) && rapid.Bool().Draw(t, "gets an id") {
						m.name(got, identity('r', next))
						next++
					}
					if got.forms == "" && change.forms != "" {
						got.forms = change.forms
						m.addLater(record.Identity([]byte(change.forms)), r)
					}
					e.entry = *m.put(got)
					file(e)
				}
			},
			"take": func(t *rapid.T) {
				at := noon.UnixMilli()/1000 + rapid.Int64Range(-1e6, 1e6).Draw(t, "second")
				var want []ref
				for r, e := range plain {
					if e.filed && e.at < at {
						want = append(want, r)
						e.filed = false
					}
				}
				taken := m.takeBefore(at)
				slices.Sort(want)
				slices.Sort(taken)
				require.Equal(t, want, taken)
				for _, r := range taken {
					e := m.get(r)
					if e.isUnfinished() {
						continue
					}
					if rapid.Bool().Draw(t, "stays") {
						m.file(r, e.keep)
						file(plain[r])
						continue
					}
					m.remove(e)
					delete(plain, r)
				}
			},
		})
	})
}

// Of records that all look alike, which only a malicious API would write, some are found, and
// adding them takes no longer and longer.
func TestManyTwins(t *testing.T) {
	l, all := New(defaultRules), sessions(0, 20_000)
	for i := range all.Logins {
		all.Logins[i].Invariant = record.Identity{1}
	}
	l.Apply(all, func(*Event) {})
	assert.Equal(t, 20_000, l.Len())
	assert.Len(t, slices.Collect(l.memory.withForm(record.Identity{1})), maxTwins)
	l.Forget(noon.Add(time.Hour))
	assert.Equal(t, 20_000, l.Len(), "they were in the last batch")
	l.Apply(sessions(0, 0), func(*Event) {})
	l.Forget(noon.Add(time.Hour))
	assert.Zero(t, l.Len())
	assert.Zero(t, l.memory.byID.n)
	assert.Zero(t, l.memory.byForm.n)
	for _, table := range [][]uint32{l.memory.byID.table, l.memory.byForm.table} {
		assert.NotContains(t, slices.Compact(slices.Clone(table)), uint32(1), "nothing is left")
		assert.Equal(t, []uint32{0}, slices.Compact(slices.Clone(table)))
	}
}

// A record that has changed after it was filed is forgotten when its newest time is due.
func TestForgetLooksAgain(t *testing.T) {
	l := New(defaultRules)
	version := login{n: 1, pre: -10, start: -9, end: -8, updated: -8}
	applyAll(l, batch(0, version.record()))
	version.end, version.updated = 30, 30
	applyAll(l, batch(31, version.record()), batch(32))
	l.Forget(at(29))
	assert.Equal(t, 1, l.Len())
	l.Forget(at(30))
	assert.Equal(t, 1, l.Len(), "it is not before")
	l.Forget(at(30).Add(time.Second))
	assert.Zero(t, l.Len())
}
