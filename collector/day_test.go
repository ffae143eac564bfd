package collector

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

func TestTheDayHasEveryRecordInItsQuarter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, nil)
		cursor := t0.Add(-time.Hour)
		first := cursor.Truncate(QuarterLength)
		want := map[time.Time]Quarter{}
		var attempts, failures float64
		number := 0
		for now := t0; now.Before(t0.Add(50 * time.Hour)); {
			batch := &record.Batch{From: cursor.Add(-b.options.Lookback), To: now, Now: now, UpToDate: true}
			if cursor.Before(t0) {
				batch.From = cursor
			}
			var added []Quarter
			for range rapid.IntRange(0, 4).Draw(rt, "records") {
				number++
				age := rapid.Int64Range(0, int64(now.Sub(batch.From))).Draw(rt, "age")
				at := now.Add(-time.Duration(age)).Truncate(time.Second)
				l, q := login(number, at), Quarter{Start: at.Truncate(QuarterLength), Attempts: 1}
				if rapid.Bool().Draw(rt, "fails") {
					l = login(number, at, func(l *record.Login) { l.FailedCode = "7" })
					q.Failures = 1
				}
				batch.Logins, added = append(batch.Logins, l, l), append(added, q) // each is read twice
			}
			if rapid.Bool().Draw(rt, "fails to commit") {
				before := b.options.Day.Quarters()
				b.storage.fail = errors.New("no space left on device")
				require.Error(rt, b.accumulator.Commit(batch))
				require.Equal(rt, before, b.options.Day.Quarters())
				b.storage.fail = nil
			}
			b.clock = now
			require.NoError(rt, b.accumulator.Commit(batch))
			for _, q := range added {
				sum := want[q.Start]
				want[q.Start] = Quarter{q.Start, sum.Attempts + q.Attempts, sum.Failures + q.Failures}
				attempts += float64(q.Attempts)
				failures += float64(q.Failures)
			}
			if rapid.Bool().Draw(rt, "restarts") {
				b.restart()
			}
			from := now.Truncate(QuarterLength).Add(-24*time.Hour + QuarterLength)
			if from.Before(first) {
				from = first
			}
			var expected []Quarter
			for q := from; !q.After(now); q = q.Add(QuarterLength) {
				expected = append(expected, Quarter{q, want[q].Attempts, want[q].Failures})
			}
			require.Equal(rt, expected, b.options.Day.Quarters())
			cursor, now = now, now.Add(time.Duration(rapid.IntRange(10, 900).Draw(rt, "minutes"))*time.Minute)
		}
		// All that ever was counted, the counters have.
		assert.Equal(rt, attempts, total(b.values(loginAttempts)))
		assert.Equal(rt, failures, total(b.values(loginFailures)))
		assert.LessOrEqual(rt, rowsOf(b.storage, "quarters"), int(DayQuarters), "what is older than a day is not kept")
	})
}

func total(values map[string]float64) float64 {
	var sum float64
	for v := range maps.Values(values) {
		sum += v
	}
	return sum
}

func rowsOf(m *memory, table string) int {
	n := 0
	for key := range maps.Keys(m.rows) {
		if strings.HasPrefix(key, table+"\x00") {
			n++
		}
	}
	return n
}

func TestTheDayOfWhatIsNotKnownYet(t *testing.T) {
	b := newBench(t, nil)
	half := &record.Batch{From: t0.Add(-time.Hour), To: t0.Add(-time.Minute), Now: t0}
	require.NoError(t, b.accumulator.Commit(half))
	assert.Nil(t, b.options.Day.Quarters(), "a backlog that is half read")
	require.NoError(t, b.read(t0))
	assert.Len(t, b.options.Day.Quarters(), 5, "of quarters that were read and had nothing in them, that is known")

	// A record without any time, or one from the future, counts where it was read.
	require.NoError(t, b.read(t0.Add(time.Minute),
		login(1, time.Time{}, func(l *record.Login) {
			l.PreConnect, l.Start, l.Updated, l.FailedCode = time.Time{}, time.Time{}, time.Time{}, "7"
		}),
		login(2, t0.Add(time.Hour))))
	last := b.options.Day.Quarters()[4]
	assert.Equal(t, Quarter{t0, 2, 1}, last)

	// A success that turns into a failure fails when it began, and is no second attempt.
	require.NoError(t, b.read(t0.Add(20*time.Minute), login(3, t0.Add(-time.Minute))))
	require.NoError(t, b.read(t0.Add(21*time.Minute), login(3, t0.Add(-time.Minute), func(l *record.Login) { l.FailedCode = "7" })))
	assert.Equal(t, Quarter{t0.Add(-QuarterLength), 1, 1}, b.options.Day.Quarters()[3])

	// A review is of single records: it does not make time known.
	review := &record.Batch{From: t0.Add(-20 * time.Hour), To: t0.Add(-19 * time.Hour), Now: t0.Add(22 * time.Minute), Reread: true}
	require.NoError(t, b.accumulator.Commit(review))
	assert.Len(t, b.options.Day.Quarters(), 6)
}

// TestAStoreWithoutADayLoads: one that an older version of the exporter wrote.
func TestAStoreWithoutADayLoads(t *testing.T) {
	b := newBench(t, nil)
	require.NoError(t, b.read(t0, login(1, t0)))
	maps.DeleteFunc(b.storage.rows, func(key, _ string) bool { return strings.HasPrefix(key, "quarters\x00") })
	b.restart()
	assert.Empty(t, b.options.Day.Quarters())
	assert.Equal(t, map[string]float64{"g": 1}, b.values(loginAttempts, "desktop_group"))
	require.NoError(t, b.read(t0.Add(time.Minute), login(1, t0), login(2, t0.Add(time.Minute))))
	day := b.options.Day.Quarters()
	assert.Equal(t, Quarter{t0, 1, 0}, day[len(day)-1])
	assert.True(t, slices.IsSortedFunc(day, func(a, b Quarter) int { return a.Start.Compare(b.Start) }))
}
