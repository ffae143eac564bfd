package collector

import (
	"cmp"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/failurecode"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// Storage keeps the rows of one accumulator. A commit is whole or not at all.
type Storage interface {
	Load(row func(table string, key, value []byte) error) error
	Commit(changes *store.Changes) error
}

// Options of an accumulator.
type Options struct {
	// Kind is the kind of the source's records.
	Kind Kind
	// Project, Product and Source are label values.
	Project, Product, Source string
	// ProjectID distinguishes projects of the same name; empty if it does not matter.
	ProjectID      string
	ConstantLabels map[string]string
	Rules          ledger.Rules
	// Lookback is how far behind the cursor records are read again.
	Lookback time.Duration
	// NewSeriesHold is how long a new cumulative series is shown as 0.
	NewSeriesHold time.Duration
	UserWindows   []Window
	Limits        *Limits
	// StageRoom is how many failed accesses may wait to have their stages asked for. 0: they
	// are not asked for.
	StageRoom int
	// Explanations say what failures mean.
	Explanations failurecode.Rules
	// Day gets the attempts and failures of the last day. May be nil.
	Day *Day
	// Trace is called with every event before it is committed. May be nil.
	Trace func(*ledger.Event)
	// Failed is called with all failures of a batch, once it is committed. May be nil.
	Failed func([]ledger.Event)
	// Committed is called with the duration of each commit. May be nil.
	Committed func(time.Duration)
	// Held is called when new series are shown as 0, which EndHolds is to end. May be nil.
	Held func()
	// Shown reports whether metrics may be shown at this moment. Nil is always.
	Shown func() bool
	// Now is the clock by which holds end. Nil is time.Now.
	Now func() time.Time
	// Logger reports what becomes of rows that another release wrote. Nil logs nothing.
	Logger log.Logger
}

// Accumulator is what one source of one project has counted: ledger, series and cursor.
// Its methods may be called concurrently.
type Accumulator struct {
	options Options
	storage Storage

	mu       sync.Mutex
	state    *state // nil after a failed commit: it must be loaded again
	closed   bool
	snapshot atomic.Pointer[snapshot]
	codes    atomic.Pointer[[]FailureCode] // as of the last commit
	// stagesWait has something in it when failed accesses may have begun to wait.
	stagesWait chan struct{}
	forgotten  int                  // records that are not counted, since that was last logged
	warned     map[string]time.Time // when a message was last logged
}

// snapshot is what an accumulator shows, all of it as of one commit.
type snapshot struct {
	metrics   map[*Metric][]*part
	heldUntil time.Time // when the first hold ends; zero if nothing is held
}

// Open loads an accumulator. What it showed before, it shows at once.
func Open(storage Storage, o Options) (*Accumulator, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = log.NewNopLogger()
	}
	a := &Accumulator{options: o, storage: storage, stagesWait: make(chan struct{}, 1), warned: map[string]time.Time{}}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a, a.load()
}

// load reads the state from the store, in place of what is in memory.
func (a *Accumulator) load() error {
	s := newState(&a.options)
	l := newLoading(s)
	if err := a.storage.Load(l.row); err != nil {
		s.release()
		return err
	}
	l.finish()
	l.report()
	s.ledger.KnownFrom(s.position.KnownFrom(a.options.Lookback))
	if !s.position.Cursor.IsZero() {
		s.families.start = seriesStart{created: s.position.Cursor}
		s.aggregators.refresh(s.position.Cursor, s.ledger)
	}
	a.state = s
	a.publish()
	return nil
}

// ready loads the state again if a commit has failed: memory must not be ahead of the
// store.
func (a *Accumulator) ready() error {
	if a.closed {
		return errClosed
	}
	if a.state != nil {
		return nil
	}
	return a.load()
}

var errClosed = errors.New("the accumulator is closed")

// Close forgets what is in memory: its series have no part in max_series any more.
func (a *Accumulator) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state != nil {
		a.state.release()
	}
	a.state, a.closed = nil, true
	a.snapshot.Store(nil)
}

// Position is how far the source has been counted.
func (a *Accumulator) Position() (cursor.Position, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(); err != nil {
		return cursor.Position{}, err
	}
	return a.state.position, nil
}

// Unfinished lists, in order, the times at which the API may find the records that
// are pending or open and that a window from t on may not show any more.
func (a *Accumulator) Unfinished(t time.Time) ([]time.Time, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(); err != nil {
		return nil, err
	}
	return a.state.ledger.Unfinished(t), nil
}

// CountUnfinished is how many records are pending or open.
func (a *Accumulator) CountUnfinished() (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(); err != nil {
		return 0, err
	}
	return a.state.ledger.CountUnfinished(), nil
}

// Commit counts a whole batch: ledger, counters and cursor go to the store
// together, and only then /metrics shows the new values. If it fails, nothing is
// counted, and the batch must be read again.
func (a *Accumulator) Commit(b *record.Batch) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var failures []ledger.Event
	err := a.change(func(s *state) error {
		s.families.start = s.startOf(b)
		s.count(b, func(e *ledger.Event) {
			if e.FailedCode != "" && a.options.Failed != nil {
				failures = append(failures, *e)
			}
			if e.Disposition == ledger.Forgotten {
				a.forgotten++
			}
			if a.options.Trace != nil {
				a.options.Trace(e)
			}
		})
		s.endHolds()
		begun := time.Now()
		if err := a.storage.Commit(s.changes()); err != nil {
			return err
		}
		if a.options.Committed != nil {
			a.options.Committed(time.Since(begun))
		}
		return nil
	})
	if err != nil {
		return err
	}
	a.warnOfGivenUp()
	a.warnOfForgotten()
	a.afterStages()
	if len(failures) > 0 {
		a.options.Failed(failures)
	}
	return nil
}

// EndHolds shows the series whose hold is over with their values, once that is on disk.
// It costs next to nothing while no hold ends.
func (a *Accumulator) EndHolds() error {
	until := a.heldUntil()
	if until.IsZero() || a.options.Now().Before(until) || a.options.Shown != nil && !a.options.Shown() {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.change(func(s *state) error {
		s.endHolds()
		// With them goes what the configuration, or a clock that was set back, changes.
		changes := &store.Changes{}
		s.saveSeries(changes)
		if changes.Empty() {
			return nil
		}
		return a.storage.Commit(changes)
	})
}

// heldUntil is when the first hold ends; zero if nothing is held.
func (a *Accumulator) heldUntil() time.Time {
	if s := a.snapshot.Load(); s != nil {
		return s.heldUntil
	}
	return time.Time{}
}

// change changes the state and commits it, then publishes it. While that is not known to
// have succeeded, there is no state.
func (a *Accumulator) change(commit func(*state) error) error {
	if err := a.ready(); err != nil {
		return err
	}
	s := a.state
	a.state = nil
	if err := commit(s); err != nil {
		s.release()
		return err
	}
	a.state = s
	a.publish()
	return nil
}

// publish shows the state. A source of which nothing is known yet shows nothing.
func (a *Accumulator) publish() {
	codes := a.state.failureCodes()
	a.codes.Store(&codes)
	if !a.state.position.Complete {
		return
	}
	next := &snapshot{metrics: make(map[*Metric][]*part, len(a.state.families.list))}
	for _, f := range a.state.families.list {
		next.metrics[f.Metric] = f.expose()
		if until := f.heldUntil(); next.heldUntil.IsZero() || !until.IsZero() && until.Before(next.heldUntil) {
			next.heldUntil = until
		}
	}
	for _, p := range a.state.aggregators.publishers {
		p.publish()
	}
	a.snapshot.Store(next)
	if !next.heldUntil.IsZero() && a.options.Held != nil {
		a.options.Held()
	}
}

// published is what the accumulator shows, as of its last commit.
func (a *Accumulator) published() map[*Metric][]*part {
	if a.options.Shown != nil && !a.options.Shown() {
		return nil
	}
	if s := a.snapshot.Load(); s != nil {
		return s.metrics
	}
	return nil
}

// FailureCodes are the codes of all failures that are counted, as of the last commit. Those
// with most failures come first.
func (a *Accumulator) FailureCodes() []FailureCode {
	if codes := a.codes.Load(); codes != nil {
		return *codes
	}
	return nil
}

func (a *Accumulator) warnOfGivenUp() {
	if n := a.state.ledger.GaveUp(); n > 0 {
		level.Warn(a.options.Logger).Log("msg", "too many records are open or pending: the oldest stay counted, and their ends are not looked for any more. "+
			"Compare them with the vendor's console: if they have ended, report it to the vendor; if endpoints were changed, check that they are the vendor's",
			"project", a.options.Project, "source", a.options.Source, "given_up", n, "limit", ledger.MaxUnfinished)
	}
}

func (a *Accumulator) warnOfForgotten() {
	a.warnNowAndThen(&a.forgotten, "records", "records are not counted: they are older than the window that was asked for, so that they may have been counted and forgotten. "+
		"A file may be of another window, or have its times in another zone since time_zone was changed; or raise lookback, if records come so late")
}

// warnEvery is how often a message is logged at most.
const warnEvery = time.Hour

// warnNowAndThen logs a message about some records, unless that was done not long ago.
func (a *Accumulator) warnNowAndThen(n *int, of, msg string) {
	if *n == 0 {
		return
	}
	now := a.options.Now()
	if now.Sub(a.warned[msg]).Abs() < warnEvery {
		return
	}
	level.Warn(a.options.Logger).Log("msg", msg, "project", a.options.Project, "source", a.options.Source, of, *n)
	a.warned[msg], *n = now, 0
}

// compare orders accumulators by their labels.
func (a *Accumulator) compare(b *Accumulator) int {
	return cmp.Or(strings.Compare(a.options.Project, b.options.Project), strings.Compare(a.options.Source, b.options.Source))
}
