package fetcher

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// distant is an API whose answers take a while, and that answers few at once.
type distant struct {
	*strict
	turns          chan struct{}
	inFlight, most atomic.Int32
	failing        atomic.Bool
}

const (
	roundTrip = 20 * time.Millisecond // strict's
	atOnce    = 8
)

func (d *distant) ListUserConnections(ctx context.Context, q workspace.PageQuery) (*workspace.Page[record.UserConnection], error) {
	d.turns <- struct{}{}
	defer func() { <-d.turns }()
	d.most.Store(max(d.most.Load(), d.inFlight.Add(1)))
	defer d.inFlight.Add(-1)
	if d.failing.Load() {
		return nil, errFault
	}
	return d.strict.ListUserConnections(ctx, q)
}

// slow is an accumulator whose commits take a while.
type slow struct{ *world }

func (s slow) Commit(b *record.Batch) error {
	time.Sleep(time.Duration(len(b.Logins)) * 15 * time.Microsecond)
	return s.world.Commit(b)
}

// distantPoller has a backlog to read.
func (w *world) distantPoller(t *testing.T, mode string, records int, back time.Duration) (*Poller, *distant) {
	d := &distant{strict: &strict{times: spreadOver(records, back)}, turns: make(chan struct{}, atOnce)}
	w.position.Cursor = time.Now().Add(-back)
	pages := loginPages(d, func() {})
	var source LoginSource = pages
	if mode == "auto" {
		source = &Auto{Pages: pages, Export: newCloud(d.file).logins(), Threshold: maxRecords}
	}
	o := options()
	o.ServerTime, o.Logger = w.serverTime, w.logger()
	p, err := NewPoller(incremental(source, pages, lookback), slow{w}, w, o)
	require.NoError(t, err)
	return p, d
}

func (w *world) requireAllInOrder(t *testing.T, records int) {
	seen := map[record.Identity]bool{}
	for i, b := range w.batches {
		if i > 0 && !b.Late {
			require.False(t, b.From.After(w.batches[i-1].To), "a hole")
		}
		for _, l := range b.Logins {
			seen[l.ID] = true
		}
	}
	require.Len(t, seen, records)
}

// catchUp reads a backlog, and returns how fast that was beside a client that does nothing
// but ask for all of its pages.
func (w *world) catchUp(t *testing.T, mode string, records int, back time.Duration) float64 {
	p, d := w.distantPoller(t, mode, records, back)
	begun := time.Now()
	require.NoError(t, p.Poll(t.Context()))
	took, bare := time.Since(begun), time.Duration(records)*roundTrip/pageLimit/atOnce
	w.requireAllInOrder(t, records)
	assert.EqualValues(t, atOnce, d.most.Load())
	t.Logf("%s: %d records of %s in %s, %d requests, %d commits: %.2f of a bare client", mode, records, back, took, d.requests, len(w.batches), bare.Seconds()/took.Seconds())
	return bare.Seconds() / took.Seconds()
}

// While pieces are read and counted, the API always has something to do, but for the first
// requests, which find out how long a piece can be, and the last commit.
func TestCatchesUpAsFastAsTheAPIAnswers(t *testing.T) {
	for _, c := range []struct {
		mode string
		back time.Duration
	}{{"query", 10 * time.Hour}, {"query", 15 * day}, {"auto", 15 * day}} {
		inWorld(t, func(t *testing.T, w *world) {
			assert.Greater(t, w.catchUp(t, c.mode, 30_000, c.back), 0.75)
		})
	}
}

// What is read ahead of a piece that fails, or cannot be committed, is given up with it: when
// a poll ends, so have its requests. The next one goes on behind what was committed.
func TestReadingAheadIsGivenUp(t *testing.T) {
	for name, fail := range map[string]func(w *world, d *distant){
		"commit":  func(w *world, _ *distant) { w.commitErr = errFault },
		"request": func(_ *world, d *distant) { d.failing.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				p, d := w.distantPoller(t, "query", 20_000, 20*day)
				once := sync.OnceFunc(func() { fail(w, d) })
				p.accumulator = committing{w, func() {
					if len(w.batches) == 5 {
						once()
					}
				}}
				err := p.Poll(t.Context())
				require.ErrorIs(t, err, errFault)
				assert.Zero(t, d.inFlight.Load(), "nothing goes on")
				failedAt := w.position.Cursor
				asked := d.requests
				time.Sleep(time.Minute)
				assert.Equal(t, asked, d.requests)

				w.commitErr = nil
				d.failing.Store(false)
				begun := len(w.batches)
				require.NoError(t, p.Poll(t.Context()))
				assert.Equal(t, failedAt.Add(-cursor.Seam), w.batches[begun].From)
				w.requireAllInOrder(t, 20_000)
			})
		})
	}
}

// committing is an accumulator that does something before each commit.
type committing struct {
	*world
	before func()
}

func (c committing) Commit(b *record.Batch) error {
	c.before()
	return c.world.Commit(b)
}

// Nothing is read ahead where it could do harm: under a quota.
func TestNothingIsReadAheadUnderAQuota(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, d := w.distantPoller(t, "query", 20_000, 20*day)
		incremental := p.strategy.(*Incremental)
		incremental.quota.refused()
		p.accumulator = committing{w, func() { assert.Empty(t, incremental.ahead.queue) }}
		require.NoError(t, p.Poll(t.Context()))
		assert.Zero(t, d.inFlight.Load())
		w.requireAllInOrder(t, 20_000)
	})
}
