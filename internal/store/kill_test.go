package store

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/pgtest"
)

// childVariable makes the test binary a process that commits until it is killed.
const childVariable = "STORE_TEST_COMMIT_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		if err := commitForever(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(pgtest.Main(m))
}

// commitForever makes numbered commits, each of which replaces, adds and deletes rows,
// and prints a number when its commit has returned.
func commitForever(dir string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	partition := s.Partition("p", "s", nil)
	held, err := load(partition)
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(held["position/position"])
	for {
		n++
		if err := partition.Commit(numbered(n)); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

func ledgerKey(n, i int) []byte { return fmt.Appendf(nil, "%08d-%d", n, i) }

// keptCommits is how many commits' rows rows are in the store at a time.
const keptCommits = 3

func numbered(n int) *Changes {
	var b Changes
	b.Put("position", []byte("position"), fmt.Append(nil, n))
	b.Put("series", []byte("attempts"), fmt.Append(nil, 10*n))
	for i := range 10 {
		b.Put("rows", ledgerKey(n, i), make([]byte, 300))
		b.Delete("rows", ledgerKey(n-keptCommits, i))
	}
	return &b
}

// content is what the store holds after commit n, and after all before it.
func content(n int) rows {
	all := rows{}
	if n == 0 {
		return all
	}
	all["position/position"], all["series/attempts"] = fmt.Sprint(n), fmt.Sprint(10*n)
	for c := max(1, n-keptCommits+1); c <= n; c++ {
		for i := range 10 {
			all["rows/"+string(ledgerKey(c, i))] = string(make([]byte, 300))
		}
	}
	return all
}

// A process that is killed at any moment leaves the last commit that it acknowledged,
// or the one after it, whole.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	acknowledged := 0
	for range 12 {
		acknowledged = max(acknowledged, commitAndKill(t, dir, time.Duration(random.IntN(120))*time.Millisecond))
		s, err := Open(dir)
		require.NoError(t, err)
		got, err := load(s.Partition("p", "s", nil))
		require.NoError(t, err)
		require.NoError(t, s.Close())

		held, _ := strconv.Atoi(got["position/position"])
		require.Contains(t, []int{acknowledged, acknowledged + 1}, held)
		require.Equal(t, content(held), got)
		acknowledged = held
	}
	require.Positive(t, acknowledged, "no process lived long enough to commit")
}

// commitAndKill runs a process that commits, kills it some time after its first commit
// and says which commit it acknowledged last.
func commitAndKill(t *testing.T, dir string, after time.Duration) (last int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	kill := time.AfterFunc(time.Minute, func() { _ = child.Process.Kill() })
	defer kill.Stop()

	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			assert.ErrorIs(t, err, io.EOF)
			break // a line without its end was never printed
		}
		if last == 0 {
			kill.Reset(after)
		}
		last, err = strconv.Atoi(line[:len(line)-1])
		require.NoError(t, err)
	}
	require.ErrorContains(t, child.Wait(), "signal: killed")
	return last
}
