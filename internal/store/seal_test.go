package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	somebody  = [16]byte([]byte("who was here,  1"))
	somewhere = [16]byte([]byte("where they were1"))
	aRecord   = []byte("\x00\x00\x00\x00\x00\x00\x00\x07a record of them")
)

// person is a row that stands for persons.
func person(more string) []byte {
	var r Row
	r.Blocks(somebody, somewhere)
	r.String(more)
	return r
}

func commitPerson(t *testing.T, partition Partition, more string) {
	var b Changes
	b.Put("people", aRecord, person(more))
	b.Put("series", []byte("not a person"), []byte("1"))
	require.NoError(t, partition.Commit(&b))
}

func requirePerson(t *testing.T, partition Partition, more string) {
	t.Helper()
	requireRows(t, rows{"people/" + string(aRecord): string(person(more)), "series/not a person": "1"}, partition)
}

func bytesOf(t *testing.T, dir string) []byte {
	file, err := os.ReadFile(filepath.Join(dir, fileName))
	require.NoError(t, err)
	return file
}

func TestPersonsAreSealed(t *testing.T) {
	for name, key := range map[string][]string{"by its own key": nil, "by a key that is given": {"secret"}} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, p place) {
				for _, more := range []string{"first", "second"} {
					s := openAt(t, p, key...)
					partition := p.partition(s, "p", "s")
					commitPerson(t, partition, more)
					requirePerson(t, partition, more)
					require.NoError(t, s.Close())
				}
				assert.True(t, p.holds(t, []byte("not a person")))
				for _, clear := range [][]byte{somebody[:], somewhere[:], aRecord[8:]} {
					assert.False(t, p.holds(t, clear), "%s", clear)
				}
				var b Changes
				b.Delete("people", aRecord)
				partition := p.partition(openAt(t, p, key...), "p", "s")
				require.NoError(t, partition.Commit(&b))
				requireRows(t, rows{"series/not a person": "1"}, partition)
			})
		})
	}
}

// A key that is given later takes over what the store's own key has sealed.
func TestAKeyCanBeGivenLater(t *testing.T) { everywhere(t, testAKeyCanBeGivenLater) }

func testAKeyCanBeGivenLater(t *testing.T, p place) {
	s := openAt(t, p)
	commitPerson(t, p.partition(s, "p", "s"), "first")
	own := sealsOf(s)[0]
	require.NoError(t, s.Close())
	s = openAt(t, p, "secret")
	partition := p.partition(s, "p", "s")
	requirePerson(t, partition, "first")
	require.NoError(t, s.Close())
	hidden, _, err := own.hide("people", aRecord, person(""))
	require.NoError(t, err)
	assert.False(t, p.holds(t, hidden[8:]), "what its own key has sealed, in free pages")
	s = openAt(t, p, "secret")
	partition = p.partition(s, "p", "s")
	requirePerson(t, partition, "first")
	put(t, partition, "t", "k", "v")
	require.NoError(t, s.Close())

	for name, key := range map[string][]string{"without": nil, "another": {"Secret"}} {
		s := openAt(t, p, key...)
		partition := p.partition(s, "p", "s")
		err = partition.Load(func(string, []byte, []byte) error { return nil })
		require.ErrorIs(t, err, ErrRefused, name)
		require.NotErrorIs(t, err, ErrDamaged)
		require.ErrorContains(t, err, "give that key again")
		require.ErrorIs(t, partition.LoadTable("t", func([]byte, []byte) error { return nil }), ErrRefused)
		require.NoError(t, s.Close())
	}
}

func sealsOf(s Store) []*seal {
	if s, ok := s.(*Embedded); ok {
		return s.seals
	}
	return *s.(*Postgres).seals.Load()
}

func TestBlocks(t *testing.T) {
	var r Row
	r.Blocks(somebody, somewhere)
	r.Int(-7)
	got := ReadRow(r)
	require.Equal(t, [][16]byte{somebody, somewhere}, got.Blocks())
	require.Equal(t, int64(-7), got.Int())
	require.NoError(t, got.Err())
	for _, broken := range []string{"", "\x01", "\x02" + string(somebody[:]), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		got := ReadRow([]byte(broken))
		assert.Empty(t, got.Blocks())
		require.Error(t, got.Err(), "%q", broken)
		_, _, err := newSeal(nil).hide("people", aRecord, []byte(broken))
		require.Error(t, err, "%q", broken)
	}
	_, _, err := newSeal(nil).hide("people", []byte("short"), person(""))
	require.Error(t, err)
}

// A rewriting that was killed leaves a file behind, which the next start removes.
func TestLeftoversAreRemoved(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	left := filepath.Join(dir, fileName+".123"+rewriteSuffix)
	require.NoError(t, os.WriteFile(left, []byte("half"), 0o600))
	s, err = Open(dir)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	assert.NoFileExists(t, left)
}

// What cannot be rewritten is logged, and the store is used all the same.
func TestAStoreThatCannotBeRewritten(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	require.NoError(t, err)
	commitPerson(t, s.Partition("p", "s", nil), "first")
	require.NoError(t, s.Partition("p", "s", nil).Commit(&Changes{Scrub: true}))
	var logged bytes.Buffer
	s.logger = log.NewLogfmtLogger(&logged)
	s.path = filepath.Join(dir, "no such folder", fileName)
	s.rewrite()
	assert.Contains(t, logged.String(), "could not be rewritten")
	s.path = filepath.Join(dir, fileName)
	requirePerson(t, s.Partition("p", "s", nil), "first")
	logged.Reset()
	s.rewrite()
	assert.Empty(t, logged.String())
	requirePerson(t, s.Partition("p", "s", nil), "first")
	s.rewrite()
	require.NoError(t, s.Close())
}
