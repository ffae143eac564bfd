package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// opens are connections that began a minute after each other, from the first on.
func opens(first, n int, minutes float64) (logins []record.Login) {
	for i := range n {
		logins = append(logins, login{n: first + i, start: minutes + float64(i)/60, updated: minutes + float64(i)/60}.record())
	}
	return logins
}

// limited is a ledger in which few records may be unfinished.
func limited() *Ledger {
	rules := defaultRules
	rules.MaxUnfinished = 100
	return New(rules)
}

// Connections that never end fill the memory up to a limit. The oldest are given up, and
// stay counted once, whether they are read again, end, or come back after a restart.
func TestMoreUnfinishedThanTheLimit(t *testing.T) {
	l, s := limited(), newTotals()
	minutes, n := -30.5, 0
	for range 200 {
		r := batch(minutes+1, opens(n, 30, minutes)...)
		r.UpToDate = false // what it does not show may be elsewhere
		l.Apply(r, s.add)
		l.Forget(noon.Add(time.Duration((minutes - 60) * float64(time.Minute))))
		n, minutes = n+30, minutes+10
		require.LessOrEqual(t, l.CountUnfinished(), 100)
		require.LessOrEqual(t, l.Len(), 100+8*30)
	}
	assert.Equal(t, n, s.Attempts)
	assert.Empty(t, s.Failures)
	given := 0
	for _, d := range s.Dispositions {
		if d == GivenUp {
			given++
		}
	}
	assert.Equal(t, n-l.CountUnfinished(), given)

	reread := func(l *Ledger) {
		// Their ends bring all of them into a window, long after they were forgotten.
		var ended []record.Login
		for i := range n - 30 { // the last ones began within the window
			began := -30.5 + 10*float64(i/30) + float64(i%30)/60
			ended = append(ended, login{n: i, start: began, end: minutes, updated: minutes}.record())
		}
		r := batch(minutes+1, ended...)
		r.From = r.To.Add(-5 * time.Minute)
		again := newTotals()
		l.Apply(r, again.add)
		assert.Zero(t, again.Attempts)
		// What began later than those is counted as ever.
		l.Apply(batch(minutes+2, opens(n, 10, minutes)...), again.add)
		assert.Equal(t, 10, again.Attempts)
	}
	stored := restarted(t, l, map[string][]byte{})
	reread(l)
	reread(stored)
}

// The same records again and again are given up once.
func TestGivenUpStaysGivenUp(t *testing.T) {
	l, s := limited(), newTotals()
	logins := opens(1, 250, -20)
	for i := range 5 {
		l.Apply(batch(float64(i), logins...), s.add)
		if i > 0 {
			assert.Zero(t, l.GaveUp())
		}
	}
	assert.Equal(t, 250, s.Attempts)
	assert.Equal(t, 95, l.CountUnfinished())
	open := int64(0)
	for _, n := range l.OpenConnections() {
		open += n
	}
	assert.Equal(t, int64(95), open)

	// Their ends are counted while they are still read.
	for i := range logins {
		logins[i].End, logins[i].Updated = at(5), at(5)
	}
	l.Apply(batch(6, logins...), s.add)
	assert.Equal(t, 250, s.Attempts)
	assert.Len(t, s.Sessions, 250)
	assert.Zero(t, l.CountUnfinished())
}

// Pending records that are too many are failures, once, whatever comes of them.
func TestPendingBeyondTheLimit(t *testing.T) {
	l, s := limited(), newTotals()
	var logins []record.Login
	for i := range 150 {
		logins = append(logins, login{n: i, pre: -20 + float64(i)/60, updated: -10}.record())
	}
	l.Apply(batch(1, logins...), s.add)
	assert.Equal(t, 55, l.GaveUp())
	for i := range logins {
		logins[i].Start, logins[i].Updated = at(1), at(1)
	}
	l.Apply(batch(2, logins...), s.add)
	assert.Equal(t, 150, s.Attempts)
	assert.Equal(t, map[string]int{CodePendingTimeout: 55}, s.Failures)
	assert.Equal(t, 95, l.CountUnfinished(), "of those that were given up none is followed")
}

// A connection that is given up ends then, and nothing that is read of it later opens or
// ends it again: what is open is what starts and ends say.
func TestConnectionsEndWhenTheyAreGivenUp(t *testing.T) {
	l := limited()
	var steps []int64 // ends
	open := int64(0)
	add := func(e *Event) {
		for n, span := range map[int64]Span{-1: e.OpenBefore, 1: e.OpenNow} {
			if span != (Span{}) && span.Open {
				open += n
			}
			if n == 1 && e.OpenBefore != e.OpenNow && !span.Open {
				steps = append(steps, span.End)
			}
		}
	}
	logins := opens(1, 250, -20)
	l.Apply(batch(1, logins...), add)
	require.Len(t, steps, 155)
	for _, end := range steps {
		assert.Equal(t, at(1).UnixMilli(), end)
	}
	for i := range logins {
		logins[i].End, logins[i].Updated = at(2), at(2)
	}
	assert.Equal(t, l.CountOpen(), open)
	l.Apply(batch(3, logins...), add)
	require.Len(t, steps, 250, "each ends once")
	assert.Zero(t, open)
	assert.Zero(t, l.CountOpen())
}
