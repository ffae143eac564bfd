package fetcher

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// login is the life of one record: what happens when, and when the API shows it.
// Times are from the beginning of the history.
type login struct {
	id, group        int
	code             string // empty for a success
	asked            time.Duration
	start, end       time.Duration // 0 if it never comes to that
	shown            time.Duration // when the record appears
	settled          time.Duration // when it tells its outcome; 0 if never
	ended            time.Duration // when it tells its end
	nameless         bool          // it has no id
	update1, update2 time.Duration // what update_time says from settled on, from ended on
}

// api is the API over a history.
type api struct {
	*rand.Rand // used by the requests that are made at once, too
	mu         sync.Mutex
	begin      time.Time
	logins     []login
	by         string // the time that a window selects by
	descending bool
	exclusive  bool // the ends of a window are
	size       int
	faults     bool
}

var errFault = errors.New("no network")

// answer is a record as the API shows it at a moment, and the time it is sorted by.
func (a *api) answer(l *login, at time.Duration) (c record.UserConnection, key time.Duration, there bool) {
	if at < l.shown {
		return c, 0, false
	}
	set := func(name string, d time.Duration) {
		c.Set(name, a.begin.Add(d).UTC().Format(time.RFC3339))
	}
	if !l.nameless {
		c.Set("id", strconv.Itoa(l.id))
	}
	c.Set("user_name", "user"+strconv.Itoa(l.id))
	c.Set("desktop_group_name", "g"+strconv.Itoa(l.group))
	set("pre_conn_time", l.asked)
	key, updated, start := l.asked, l.asked, time.Duration(0)
	if l.settled > 0 && at >= l.settled {
		c.Set("failed_code", l.code)
		start, updated = l.start, l.update1
		if l.start > 0 {
			set("start_time", l.start)
		}
		if l.ended > 0 && at >= l.ended {
			set("end_time", l.end)
			updated = l.update2
		}
	}
	set("update_time", updated)
	switch a.by {
	case "start or pre-connect":
		key = cmp.Or(start, l.asked)
	case "start":
		return c, start, start > 0
	case "update":
		key = updated
	}
	return c, key, true
}

func (a *api) ListUserConnections(_ context.Context, q workspace.PageQuery) (*workspace.Page[record.UserConnection], error) {
	time.Sleep(time.Duration(20+q.Offset%7) * time.Millisecond)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.faults && a.IntN(40) == 0 {
		return nil, errFault
	}
	type row struct {
		key    time.Duration
		record record.UserConnection
	}
	var rows []row
	now, from, to := time.Since(a.begin), q.From.Sub(a.begin), q.To.Sub(a.begin)
	for i := range a.logins {
		c, key, there := a.answer(&a.logins[i], now)
		if there && from <= key && key <= to && !(a.exclusive && (key == from || key == to)) {
			rows = append(rows, row{key, c})
		}
	}
	slices.SortStableFunc(rows, func(x, y row) int { return cmp.Compare(x.key, y.key) })
	if a.descending {
		slices.Reverse(rows)
	}
	page := &workspace.Page[record.UserConnection]{Count: len(rows)}
	for _, r := range rows[min(q.Offset, len(rows)):min(q.Offset+a.size, len(rows))] {
		page.Items = append(page.Items, r.record)
	}
	return page, nil
}

// truth is what the metrics must say when all is over.
func (a *api) truth() map[string]float64 {
	sum := map[string]float64{}
	for _, l := range a.logins {
		if l.settled == 0 {
			continue
		}
		group := "g" + strconv.Itoa(l.group)
		sum["workspace_login_attempts_total "+group]++
		switch {
		case l.code != "":
			sum["workspace_login_failures_total "+group+" "+l.code]++
			continue
		case l.ended == 0:
			sum["workspace_server_open_connections "+group]++
		default:
			sum["workspace_session_duration_seconds "+group]++
		}
		sum["workspace_login_duration_seconds "+group]++
	}
	return sum
}

// counted is what the metrics do say, without what is 0.
func counted(t *testing.T, accumulator *collector.Accumulator) map[string]float64 {
	e := collector.NewExposition(prometheus.NewRegistry())
	e.Publish([]*collector.Accumulator{accumulator}, nil)
	families, err := e.Gather()
	require.NoError(t, err)
	sum := map[string]float64{}
	for _, f := range families {
		switch f.GetName() {
		case "workspace_login_attempts_total", "workspace_login_failures_total", "workspace_server_open_connections",
			"workspace_session_duration_seconds", "workspace_login_duration_seconds":
		default:
			continue
		}
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				if l.GetName() == "desktop_group" || l.GetName() == "failed_code" {
					name += " " + l.GetValue()
				}
			}
			if v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()); v != 0 {
				sum[name] += v
			}
		}
	}
	return sum
}

// faulty is storage that now and then has no space left.
type faulty struct {
	collector.Storage
	fails func() bool
}

func (f faulty) Commit(b *store.Changes) error {
	if f.fails() {
		return errFault
	}
	return f.Storage.Commit(b)
}

// drawLogin makes a record whose changes appear at most lookback after they happen.
func drawLogin(r *rand.Rand, id int, span, lookback time.Duration, by string) login {
	upTo := func(d time.Duration) time.Duration {
		return time.Duration(r.Int64N(int64(d/time.Second)+1)) * time.Second
	}
	l := login{id: id, group: r.IntN(3), asked: time.Second + upTo(span), nameless: r.IntN(8) == 0}
	if r.IntN(3) == 0 {
		l.asked = l.asked.Truncate(5 * time.Minute) // many in one second
	}
	l.asked = max(l.asked, time.Second)
	l.shown = l.asked + upTo(lookback)
	kind := r.IntN(10)
	if kind == 0 { // it stays pending
		return l
	}
	l.start = l.asked + upTo(10*time.Minute)
	l.settled = max(l.shown, l.start+upTo(lookback))
	if kind < 4 {
		l.code = []string{"1", "2", "timeout"}[r.IntN(3)]
		if by != "start" && r.IntN(2) == 0 {
			l.start = 0
		}
	}
	if by == "start or pre-connect" && l.start == 0 {
		l.settled = l.shown + upTo(lookback)
	}
	l.update1 = max(l.asked, l.settled-upTo(lookback))
	if kind > 5 {
		l.end = l.start + upTo(span)
		l.ended = max(l.settled, l.end) + upTo(lookback)
		l.update2 = max(l.update1, l.ended-upTo(lookback))
	}
	return l
}

// locked is a source of numbers for several goroutines.
type locked struct {
	mu sync.Mutex
	rand.Source
}

func (l *locked) Uint64() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Source.Uint64()
}

// readAhead has two of three seeds read windows in many pieces, most of them ahead.
func readAhead(t *testing.T, seed uint64) {
	if seed%3 == 0 {
		return
	}
	before := maxPiece
	t.Cleanup(func() { maxPiece = before })
	maxPiece = time.Duration(seed%3) * 2 * time.Minute
}

// Over any history, with records that come late, change and end, with faults and
// restarts, by whatever time the API selects and sorts: in the end every record has
// been counted once, and for what it was.
func FuzzHistory(f *testing.F) {
	for seed := range uint64(15) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		readAhead(t, seed)
		r := rand.New(&locked{Source: rand.NewPCG(seed, 0)})
		a := &api{Rand: r, size: 4 + r.IntN(9), by: [...]string{"start or pre-connect", "pre-connect", "start", "update"}[r.IntN(4)],
			descending: r.IntN(2) == 0, exclusive: r.IntN(2) == 0, faults: true}
		lookback := [...]time.Duration{0, time.Minute, 10 * time.Minute}[r.IntN(3)]
		for id := range r.IntN(41) {
			a.logins = append(a.logins, drawLogin(r, id, span, lookback, a.by))
		}
		st, err := store.Open(t.TempDir())
		require.NoError(t, err)
		defer func() { require.NoError(t, st.Close()) }()
		synctest.Test(t, func(t *testing.T) {
			require.Equal(t, a.truth(), counted(t, a.live(t, st.Partition("p", "s", nil), lookback)), "by %s, lookback %s", a.by, lookback)
		})
	})
}

const (
	step = 3 * time.Minute
	span = 45 * time.Minute
)

// live polls a history from its beginning until all of it can be known.
func (a *api) live(t *testing.T, storage collector.Storage, lookback time.Duration) *collector.Accumulator {
	a.begin = time.Now()
	limits := collector.NewLimits(20_000, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "limited"}, []string{"family"}))
	var accumulator *collector.Accumulator
	var p *Poller
	restart := func() {
		var err error
		accumulator, err = collector.Open(faulty{storage, func() bool { return a.faults && a.IntN(25) == 0 }}, collector.Options{
			Project: "p", Product: "app_streaming", Source: "s", Lookback: lookback, Limits: limits,
			Rules: ledger.Rules{SuccessCodes: []string{"", "0"}, PendingTimeout: 24 * time.Hour}})
		require.NoError(t, err)
		source := loginPages(a, func() {})
		p, err = NewPoller(&Incremental{Source: source, Reread: source, Lookback: lookback, InitialLookback: span}, accumulator, nothing{}, Options{Interval: step,
			ServerTime: func() (time.Time, bool) { return time.Now().UTC(), true }, Logger: log.NewNopLogger()})
		require.NoError(t, err)
	}
	restart()
	var last time.Duration
	for _, l := range a.logins {
		last = max(last, l.shown, l.settled, l.ended)
	}
	for time.Since(a.begin) < last+lookback {
		time.Sleep(time.Duration(a.Int64N(int64(2 * step))))
		if err := p.Poll(t.Context()); err != nil {
			require.ErrorIs(t, err, errFault)
		}
		if a.IntN(10) == 0 {
			restart()
		}
	}
	a.faults = false
	for range 2*rereadEvery + 1 {
		require.NoError(t, p.Poll(t.Context()))
		time.Sleep(step)
	}
	return accumulator
}

// nothing is metrics that nobody looks at.
type nothing struct{}

func (nothing) Polled(error, time.Duration)     {}
func (nothing) Failing(Reason)                  {}
func (nothing) At(cursor.Position)              {}
func (nothing) CatchingUp(bool)                 {}
func (nothing) ServerClock(time.Duration, bool) {}
func (nothing) Gap(time.Duration)               {}
func (nothing) ShowUnfinished(int)              {}
func (nothing) RereadFailed()                   {}
