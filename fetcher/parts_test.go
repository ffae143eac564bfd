package fetcher

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// part is what HandlePart is called with.
type part struct {
	upTo   time.Time
	logins []record.Login
}

// smallParts makes few records enough for a test.
func smallParts(t *testing.T) {
	t.Helper()
	before := partSize
	partSize = 200
	t.Cleanup(func() { partSize = before })
}

func partsOf(t *testing.T, w cursor.Window, logins []record.Login) (parts []part) {
	t.Helper()
	err := InParts(t.Context(), func(add func(*record.Login) error) error {
		for i := range logins {
			if err := add(&logins[i]); err != nil {
				return err
			}
		}
		return nil
	}, w.Bounds, func(upTo time.Time, logins []record.Login) error {
		parts = append(parts, part{upTo, slices.Clone(logins)})
		return nil
	})
	require.NoError(t, err)
	return parts
}

// What is set aside comes back as it was: every field, and a zero that was measured is
// not one that is missing.
func TestRecordsComeBackAsTheyWere(t *testing.T) {
	zero, some := time.Duration(0), 21*time.Millisecond
	full := record.Login{App: "app", ConnectType: record.ToApplication,
		ID: record.Identity{1, 2, 255}, Invariant: record.Identity{3}, Who: record.Identity{4}, Legacy: record.Identity{5}, LegacyPending: record.Identity{6}, Group: "g", Machine: "m\u2028<&>\"", ClientType: "c", ClientVersion: "v",
		AgentVersion: "a", FailedCode: "f", FailedReason: "r", TransactionID: "t", User: 1<<63 | 1, ClientIP: 1,
		PreConnect: noon, Start: noon.Add(time.Millisecond), End: noon.Add(2), Updated: noon.Add(3), Setup: noon.Add(4),
		Started: true, Reconnect: true, NetworkRTT: &zero, EndToEndRTT: &some, Invalid: []string{"end_time"}, Malformed: true,
	}
	for i, v := 0, reflect.ValueOf(full); i < v.NumField(); i++ {
		require.False(t, v.Field(i).IsZero(), "%s is not tested", v.Type().Field(i).Name)
	}
	parts := partsOf(t, cursor.Window{From: noon, To: noon.Add(time.Hour)}, []record.Login{full, {}})
	require.Len(t, parts, 1)
	assert.Equal(t, []record.Login{{}, full}, parts[0].logins)
}

// A temporary file that was changed under its reader is an error, wherever it ends.
func TestRecordsThatEndEarly(t *testing.T) {
	var c loginCoder
	whole := bytes.Clone(c.encode(&record.Login{Group: "g", Start: noon, NetworkRTT: new(time.Duration), Invalid: []string{"end_time"}}))
	for end := range whole {
		_, err := c.decode(whole[:end])
		require.ErrorIs(t, err, errShort, end)
	}
	_, err := c.decode(append(whole, 0))
	require.ErrorIs(t, err, errShort)
}

// Parts are in the order of time, never cut a second, and end where the next begins.
func TestPartsFollowTime(t *testing.T) {
	smallParts(t)
	w := cursor.Window{From: noon, To: noon.Add(time.Hour)}
	random := rand.New(rand.NewPCG(1, 2))
	logins := make([]record.Login, 10*partSize)
	for i := range logins {
		logins[i] = record.Login{ID: record.Identity{byte(i), byte(i >> 8)}, Start: noon.Add(time.Duration(random.IntN(900)-300) * 5 * time.Second)}
	}
	parts := partsOf(t, w, logins)
	require.Greater(t, len(parts), 2)
	from, seen := time.Time{}, map[record.Identity]bool{}
	for i, p := range parts {
		assert.Equal(t, i == len(parts)-1, p.upTo.Equal(w.To), "only the last part ends with the window")
		assert.True(t, p.upTo.After(w.From))
		for _, l := range p.logins {
			assert.False(t, l.Earliest().Before(from))
			assert.True(t, l.Earliest().Before(p.upTo) || p.upTo.Equal(w.To))
			assert.False(t, seen[l.ID])
			seen[l.ID] = true
		}
		from = p.upTo
	}
	assert.Len(t, seen, len(logins))

	for i := range logins {
		logins[i].Start = noon.Add(time.Minute + time.Duration(i)*time.Microsecond)
	}
	require.Len(t, partsOf(t, w, logins), 1, "one second is one part")
	require.Len(t, partsOf(t, w, nil), 1, "a window without records is done, too")
}

// Nothing is taken of what cannot be read to its end.
func TestHalfReadIsNotTaken(t *testing.T) {
	err := InParts(t.Context(), func(add func(*record.Login) error) error {
		require.NoError(t, add(&record.Login{Start: noon}))
		return errFault
	}, cursor.Window{From: noon, To: noon.Add(time.Hour)}.Bounds, func(time.Time, []record.Login) error {
		t.Error("taken")
		return nil
	})
	require.ErrorIs(t, err, errFault)
}

// bigFile holds, of a window, more than three parts' worth of records in no order, every
// tenth in two versions.
func bigFile(end time.Time, random *rand.Rand) func(cursor.Window) string {
	began := make([]time.Time, 3*partSize+100)
	for i := range began {
		began[i] = end.Add(-time.Duration(random.Int64N(int64(50 * time.Minute)))).Truncate(time.Second)
	}
	return func(w cursor.Window) string {
		var rows []string
		for id, start := range began {
			if start.Before(w.From) || start.After(w.To) {
				continue
			}
			row := func(end string) string {
				return fmt.Sprintf("%d,u%d,g%d,%s,%s,%s,%s,%s", id, id%97, id%3, start.Add(-2*time.Second).Format(time.RFC3339), start.Format(time.RFC3339), end,
					start.Format(time.RFC3339), map[bool]string{true: "1004"}[id%11 == 0])
			}
			rows = append(rows, row(""))
			if id%10 == 0 {
				rows = append(rows, row(start.Add(90*time.Second).Format(time.RFC3339)))
			}
		}
		random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		return loginHeader + strings.Join(rows, "\n") + "\n"
	}
}

// shownBy is what an accumulator shows, less what depends on how it was read.
func shownBy(t *testing.T, accumulator *collector.Accumulator) string {
	t.Helper()
	e := collector.NewExposition(prometheus.NewRegistry())
	e.Publish([]*collector.Accumulator{accumulator}, nil)
	families, err := e.Gather()
	require.NoError(t, err)
	var text bytes.Buffer
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "workspace_exporter_") {
			_, err := expfmt.MetricFamilyToText(&text, f)
			require.NoError(t, err)
		}
	}
	return text.String()
}

// A file that is counted in parts counts as one that is counted whole, also if the
// process ends between two parts.
func TestPartsCountAsTheWhole(t *testing.T) {
	smallParts(t)
	for failing := range 5 { // the commit that fails; 0: none
		t.Run(fmt.Sprint(failing), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(day) // no record is older than 2000
				random := rand.New(rand.NewPCG(7, uint64(failing)))
				c := newCloud(bigFile(time.Now(), random))

				whole := openAccumulator(t, newShelf(), collector.Logins, lookback)
				logins, err := gather(t.Context(), c.logins(), cursor.Window{From: time.Now().Add(-time.Hour), To: time.Now()}, 0)
				require.NoError(t, err)
				require.NoError(t, whole.Commit(&record.Batch{From: time.Now().Add(-time.Hour), To: time.Now(), Now: time.Now(), Logins: logins, UpToDate: true}))

				storage, commits := newShelf(), 0
				storage.fails = func() bool { commits++; return commits == failing }
				c.memory = map[string]string{}
				accumulator := openAccumulator(t, storage, collector.Logins, lookback)
				poll := func() error {
					p, err := NewPoller(incremental(c.logins(), &world{t: t}, lookback), accumulator, nothing{}, options())
					require.NoError(t, err)
					return p.Poll(t.Context())
				}
				err = poll()
				if failing > 0 {
					require.ErrorIs(t, err, errFault)
					accumulator = openAccumulator(t, storage, collector.Logins, lookback)
					require.NoError(t, poll())
				} else {
					require.NoError(t, err)
				}
				require.Greater(t, commits, 3)
				want := shownBy(t, whole)
				require.Contains(t, want, "workspace_login_attempts_total")
				assert.True(t, undated(want) == undated(shownBy(t, accumulator)), "other totals")
			})
		})
	}
}

// undated leaves out the gauges over windows that end with the last poll, which was at
// another time.
func undated(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.Contains(line, `window="`) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// A failure to commit is not one of the export: nothing is read by pages instead.
func TestFailedCommitIsNoFailedExport(t *testing.T) {
	inBoth(t, threshold+1, func(t *testing.T, b *both) {
		err := b.Auto.Read(t.Context(), noon, noon.Add(time.Hour), 0, func(time.Time, []record.Login) error { return io.ErrShortWrite })
		require.ErrorIs(t, err, io.ErrShortWrite)
		assert.Equal(t, 1, b.list.Requests)
		assert.Empty(t, b.log.String())
	})
}

// takesTwice is a source that hands over two parts, and does something between them.
type takesTwice struct {
	plain
	between func()
}

func (s takesTwice) Read(_ context.Context, from, to time.Time, _ int, handle HandlePart) error {
	if err := handle(from.Add(to.Sub(from)/2), nil); err != nil {
		return err
	}
	s.between()
	return handle(to, nil)
}

// Once a part is counted, the cursor is behind the gap: nobody would find it later.
func TestGapIsToldWithTheFirstPart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.position.Cursor = w.now().Add(-40 * day)
		p := w.from(takesTwice{between: func() { w.commitErr = errFault }})
		require.ErrorIs(t, p.Poll(t.Context()), errFault)
		assert.Equal(t, 1, w.gaps)
		assert.InDelta(t, (10 * day).Hours(), w.gap.Hours(), 1)
	})
}

// inThree is a source whose window comes in three parts.
type inThree struct {
	plain
	between func()
}

func (s inThree) Read(_ context.Context, from, to time.Time, _ int, handle HandlePart) error {
	for _, upTo := range []time.Time{from.Add(time.Minute), from.Add(2 * time.Minute), to} {
		if err := handle(upTo, nil); err != nil {
			return err
		}
		s.between()
	}
	return nil
}

// A read that is cancelled in the middle of a file commits no more of it.
func TestTheEndComesBetweenTwoParts(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		p := w.from(inThree{between: cancel})
		p.Run(ctx, nil)
		assert.Len(t, w.batches, 1)
		assert.Empty(t, w.polls, "that is no failure")
	})
}

// The last poll before a stop is finished.
func TestTheLastPollIsEnded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		last := make(chan struct{})
		told := false
		w.from(inThree{between: func() {
			if !told {
				told = true
				close(last)
			}
		}}).Run(t.Context(), last)
		assert.Len(t, w.batches, 3)
		assert.Equal(t, []error{nil}, w.polls)
	})
}
