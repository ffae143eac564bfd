package ledger

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// everyState is a ledger with a record in every state that a row can describe.
func everyState(t testing.TB) (*Ledger, map[string][]byte) {
	l := New(defaultRules)
	began := login{n: 1, pre: -5, updated: -5}.record()
	began.ClientType, began.ClientVersion, began.AgentVersion, began.User, began.ClientIP = "Mac", "1", "2", 3, 4
	invalid := login{n: 2, start: -4}.record()
	launch, waiting := login{n: 9, start: -3}.record(), login{n: 10, updated: -3}.record()
	launch.App, waiting.App = "Calc", "SAP"
	invalid.Invalid = []string{"end_time", "pre_conn_time"}
	bare := record.Login{ID: identity('v', 7), Invariant: identity('v', 7)}
	malformed := record.Login{ID: identity('x', 8), Invariant: identity('x', 8), Malformed: true}
	applyAll(l, batch(0, began, invalid,
		login{n: 3, pre: -6, start: -5}.record(),
		login{n: 4, pre: -6, start: -5, end: -4, updated: -4}.record(),
		login{n: 5, pre: -6, code: "7"}.record(),
		login{n: 6, pre: 9000, code: "7"}.record(),
		bare, malformed, launch, waiting))
	return l, saved(t, l, map[string][]byte{})
}

// entries are all that a ledger remembers.
func entries(l *Ledger) (all []entry) {
	for r := ref(1); r <= l.memory.used; r++ {
		if l.memory.at(r).id != (record.Identity{}) {
			all = append(all, *l.memory.get(r))
		}
	}
	return all
}

func TestSaveAndLoad(t *testing.T) {
	l, rows := everyState(t)
	again := New(defaultRules)
	for key, value := range rows {
		require.NoError(t, again.Load([]byte(key), value))
	}
	require.Equal(t, l.Len(), again.Len())
	for _, want := range entries(l) {
		got := *again.memory.withID(want.id)
		assert.Contains(t, slices.Collect(again.memory.withForm(want.invariant)), got.ref)
		want.batch, want.ref = 0, got.ref // which are forgotten
		require.Equal(t, want, got)
	}
	assert.Equal(t, l.OpenConnections(), again.OpenConnections())
	assert.Equal(t, l.Unfinished(at(1e5)), again.Unfinished(at(1e5)))

	var changes store.Changes
	again.Save(&changes)
	l.Save(&changes)
	assert.Equal(t, store.Changes{}, changes, "nothing has changed")
}

func TestRowsStandInTheOrderOfTime(t *testing.T) {
	old, young := entry{keep: 1, id: identity('z', 1)}, entry{keep: 256, id: identity('a', 1)}
	a, b := old.rowKey(), young.rowKey()
	assert.Negative(t, bytes.Compare(a[:], b[:]))
}

func TestLoadRefuses(t *testing.T) {
	_, rows := everyState(t)
	for key, value := range rows {
		refused := func(key string, value []byte, what string) {
			l := New(defaultRules)
			require.Error(t, l.Load([]byte(key), value), what)
			require.Zero(t, l.Len())
		}
		refused(key[1:], value, "a short key")
		refused(key+"x", value, "a long key")
		refused("", value, "no key")
		refused(key, append(bytes.Clone(value), 0), "a byte more")
		for n := range value {
			refused(key, value[:n], "bytes less")
		}
		var short store.Row
		short.Blocks(identity('s', 1))
		refused(key, append(short, value[1+value[0]*16:]...), "too few identities")
	}
}

// rowOfFormat1 is how a row was written then.
func rowOfFormat1(e *entry) []byte {
	var r store.Row
	r.Bytes(e.invariant[:])
	for _, t := range [...]int64{e.preConnect, e.start, e.setup, e.end, e.updated, e.firstSeen} {
		r.Int(t)
	}
	r.Uint(uint64(e.is &^ nameless))
	r.String(e.invalid)
	if e.has(isOpen) {
		r.String(e.place.Group)
		r.String(e.place.Machine)
	}
	if l := e.login; l != nil {
		for _, s := range [...]string{l.Group, l.Machine, l.ClientType, l.ClientVersion, l.AgentVersion} {
			r.String(s)
		}
		r.Uint(uint64(l.User))
		r.Uint(uint64(l.ClientIP))
	}
	return r
}

// Every state of a record is read from format 1 as it was, but for what it did not have.
func TestRowsOfFormat1(t *testing.T) {
	l, _ := everyState(t)
	for _, e := range entries(l) {
		if e.app() != "" {
			continue // that format had no applications
		}
		want := e
		want.user, want.machine, want.forms, want.batch = 0, 0, "", 0
		want.ref = 0
		key := e.rowKey()
		k, v, err := FromFormat1(key[:], rowOfFormat1(&e))
		require.NoError(t, err)
		got, err := entryOf(k, v)
		require.NoError(t, err)
		require.Equal(t, &want, got)
		for n := range v {
			_, _, err := FromFormat1(key[:], rowOfFormat1(&e)[:min(n, len(rowOfFormat1(&e))-1)])
			require.Error(t, err)
		}
	}
}

// A row of format 1 has neither the user nor the machine, and an invariant with the machine
// in it, by which the record is found all the same, and then by the new one too.
func TestRowOfFormat1(t *testing.T) {
	rows := map[string][]byte{}
	was := login{n: 1, pre: -5, start: -4}.record()
	was.Legacy, was.Invariant, was.ID = was.Invariant, identity('w', 1), identity('w', 1)
	old := was
	old.ID, old.Invariant = was.Legacy, was.Legacy
	l := New(defaultRules)
	applyAll(l, batch(0, old))
	for _, e := range entries(l) {
		key := e.rowKey()
		k, v, err := FromFormat1(key[:], rowOfFormat1(&e))
		require.NoError(t, err)
		rows[string(k)] = v
	}
	for _, restart := range []bool{false, true} {
		again := New(defaultRules)
		for key, value := range rows {
			require.NoError(t, again.Load([]byte(key), value))
		}
		assert.Equal(t, []Disposition{Duplicate}, applyAll(again, batch(1, was)).Dispositions)
		if restart {
			again = restarted(t, again, maps.Clone(rows))
		}
		was.Legacy = record.Identity{}
		assert.Equal(t, []Disposition{Duplicate}, applyAll(again, batch(2, was)).Dispositions)
		was.ID = identity('i', 1)
		assert.Equal(t, []Disposition{Duplicate}, applyAll(again, batch(3, was)).Dispositions)
		was.ID, was.Legacy = was.Invariant, old.ID
	}
}

// Whatever a row holds, it is refused or it can be worked with and saved again.
func FuzzLoad(f *testing.F) {
	_, rows := everyState(f)
	for key, value := range rows {
		f.Add([]byte(key), value)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		l := New(defaultRules)
		if l.Load(key, value) != nil {
			require.Zero(t, l.Len())
			return
		}
		id := record.Identity(key[8:])
		e := *l.memory.withID(id)
		again, err := entryOf(key, e.appendRow(nil))
		require.NoError(t, err)
		e.ref = 0
		again.firstSeen = e.firstSeen // which matters only while it is pending
		require.Equal(t, &e, again)

		l.Unfinished(at(1))
		l.OpenConnections()
		got := applyAll(l, batch(1, record.Login{ID: id, Invariant: e.invariant, Start: at(-1)}), batch(2))
		require.LessOrEqual(t, got.Attempts, 1)
		l.Forget(at(1e6))
		saved(t, l, map[string][]byte{string(key): value})
	})
}
