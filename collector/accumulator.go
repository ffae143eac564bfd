package collector

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
	"github.com/workspace-exporter/workspace_exporter/internal/tasknotes"
)

// Storage keeps the rows of one accumulator. A commit is whole or not at all.
type Storage interface {
	Load(row func(table string, key, value []byte) error) error
	Commit(changes *store.Changes) error
}

// Options of an accumulator.
type Options struct {
	// Kind says what the source tells of.
	Kind Kind
	// Project, Product and Source are label values.
	Project, Product, Source string
	// ProjectID tells one project from another of the same name; empty if it does not matter.
	ProjectID      string
	ConstantLabels map[string]string
	Rules          ledger.Rules
	// Lookback is how far behind the cursor records are read again.
	Lookback time.Duration
	// NewSeriesHold is how long a new cumulative series is shown as 0.
	NewSeriesHold time.Duration
	UserWindows   []Window
	Limits        *Limits
	// Trace is told of every event before it is committed. May be nil.
	Trace func(*ledger.Event)
	// Failed is told of all failures of a batch, once it is committed. May be nil.
	Failed func([]ledger.Event)
	// Committed is told how long a commit took. May be nil.
	Committed func(time.Duration)
	// Now is the clock by which holds end. Nil is time.Now.
	Now func() time.Time
	// Logger is told what becomes of an accumulator that another release wrote. Nil logs nothing.
	Logger log.Logger
}

// Accumulator is everything of one source of one project: ledger, series and cursor.
// Its methods may be called concurrently.
type Accumulator struct {
	options Options
	storage Storage

	mu        sync.Mutex
	state     *state // nil after a failed commit: it is to be loaded again
	snapshot  atomic.Pointer[snapshot]
	heldUntil atomic.Pointer[time.Time] // when the first hold ends; zero if nothing is held
}

// published is what an accumulator shows, all of it as of one commit.
type snapshot struct {
	metrics map[*Metric]*part
	day     []Quarter
}

// page is the content of an accumulator in memory.
type state struct {
	families    *families
	ledger      *ledger.Ledger
	aggregators []aggregator
	position    cursor.Position
	// What loading has found to be changed in the store, with the next commit; and what
	// only a commit of records of another project may change.
	stale, another store.Changes
}

// tables are the families of a page.
type families struct {
	list    []*family
	options *Options
	start   seriesStart
}

func (t *families) family(m *Metric) *family {
	f := newFamily(m, t.scope(m), &t.start, t.options.Limits)
	t.list = append(t.list, f)
	return f
}

// latestHold is until when a series made now is held.
func (t *families) latestHold() time.Time { return t.options.Now().Add(t.options.NewSeriesHold) }

func (t *families) volatileFamily(m *Metric) *family {
	f := t.family(m)
	f.volatile = true
	return f
}

func (t *families) scope(m *Metric) []*dto.LabelPair {
	labels := map[string]string{"project": t.options.Project, "product": t.options.Product}
	if m.AboutSource {
		labels = map[string]string{"project": t.options.Project, "source": t.options.Source}
	}
	var pairs []*dto.LabelPair
	for _, set := range []map[string]string{labels, t.options.ConstantLabels} {
		for name, value := range set {
			pairs = append(pairs, &dto.LabelPair{Name: proto.String(name), Value: proto.String(value)})
		}
	}
	return pairs
}

// Open loads an accumulator. What it showed before, it shows at once.
func Open(storage Storage, o Options) (*Accumulator, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = log.NewNopLogger()
	}
	b := &Accumulator{options: o, storage: storage}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b, b.load()
}

const (
	positionTable = "position"
	positionKey   = "position"
)

var (
	errKey    = errors.New("a key has the wrong length")
	errBlocks = errors.New("a row has too few pseudonyms")
)

// load reads the page from the store, in place of what is in memory.
func (b *Accumulator) load() error {
	p := &state{families: &families{options: &b.options}, ledger: ledger.New(b.options.Rules)}
	p.aggregators = aggregators[b.options.Kind](p.families, b.options)
	l := newLoading(p)
	if err := b.storage.Load(l.row); err != nil {
		p.release()
		return err
	}
	l.finish()
	l.report()
	if !p.position.Cursor.IsZero() {
		p.families.start = seriesStart{created: p.position.Cursor}
		p.refresh(p.position.Cursor)
	}
	b.state = p
	b.publish()
	return nil
}

// EndHolds shows the series whose hold is over with their values, once that is on disk.
// It is to be called often; it costs next to nothing while no hold ends.
func (b *Accumulator) EndHolds() error {
	if until := b.heldUntil.Load(); until == nil || until.IsZero() || b.options.Now().Before(*until) {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.ready(); err != nil {
		return err
	}
	p := b.state
	b.state = nil // until it is known to be what the store holds
	if err := b.saveHolds(p); err != nil {
		p.release()
		return err
	}
	b.state = p
	b.publish()
	return nil
}

// saveHolds ends the holds that are over, and makes durable what that, the configuration
// or a clock that was set back has changed in them.
func (b *Accumulator) saveHolds(p *state) error {
	for _, f := range p.families.list {
		f.release(b.options.Now())
	}
	changes := &store.Changes{}
	p.saveSeries(changes)
	if changes.Empty() {
		return nil
	}
	return b.storage.Commit(changes)
}

// saveSeries writes what has changed in the series, after what loading has found.
func (p *state) saveSeries(changes *store.Changes) {
	changes.Append(&p.stale)
	p.stale = store.Changes{}
	for _, f := range p.families.list {
		f.save(changes)
	}
}

// row takes one stored row that is of no series, or reports that it does not know the table.
func (p *state) row(table string, key, value []byte) (known bool, err error) {
	switch table {
	case positionTable:
		return true, loadPosition(&p.position, value)
	case tasknotes.Table:
		return true, nil // which its own package reads
	case ledger.Table:
		return true, p.ledger.Load(key, value)
	}
	for _, a := range p.aggregators {
		if k, ok := a.(keeper); ok && k.table() == table {
			return true, k.load(key, value)
		}
	}
	return false, nil
}

func (p *state) refresh(now time.Time) {
	for _, a := range p.aggregators {
		if r, ok := a.(refresher); ok {
			r.refresh(now, p.ledger)
		}
	}
}

// release gives the room of the page's series back.
func (p *state) release() {
	for _, f := range p.families.list {
		f.limits.add(f.Name, -f.size())
	}
}

// Position says how far the accumulator has come.
func (b *Accumulator) Position() (cursor.Position, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.ready(); err != nil {
		return cursor.Position{}, err
	}
	return b.state.position, nil
}

// Unfinished lists, in order, the times at which the API may find the records that
// are pending or open and that a window from t on may not show any more.
func (b *Accumulator) Unfinished(t time.Time) ([]time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.ready(); err != nil {
		return nil, err
	}
	return b.state.ledger.Unfinished(t), nil
}

// CountUnfinished is how many records are pending or open.
func (b *Accumulator) CountUnfinished() (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.ready(); err != nil {
		return 0, err
	}
	return b.state.ledger.Unsettled(), nil
}

// ready loads the page again if a commit has failed, so that memory is never ahead
// of the store.
func (b *Accumulator) ready() error {
	if b.state != nil {
		return nil
	}
	return b.load()
}

// Commit counts a whole batch: ledger, counters and cursor go to the store
// together, and only then /metrics shows the new values. If it fails, nothing is
// counted, and the batch must be read again.
func (b *Accumulator) Commit(r *record.Batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.ready(); err != nil {
		return err
	}
	p := b.state
	b.state = nil // until it is known to be what the store holds
	p.families.start = b.startOf(&p.position, r)
	for _, a := range p.aggregators {
		if w, ok := a.(batchReader); ok {
			w.read(r)
		}
	}
	var failures []ledger.Event
	p.ledger.Apply(r, func(e *ledger.Event) {
		if e.FailedCode != "" && b.options.Failed != nil {
			failures = append(failures, *e)
		}
		for _, a := range p.aggregators {
			a.observe(e)
		}
		if b.options.Trace != nil {
			b.options.Trace(e)
		}
	})
	if !r.Reread {
		p.advance(r, b.options.Lookback)
	}
	p.refresh(r.Now)
	for _, f := range p.families.list {
		f.release(b.options.Now())
	}
	begun := time.Now()
	if err := b.storage.Commit(p.changes()); err != nil {
		p.release()
		return err
	}
	if b.options.Committed != nil {
		b.options.Committed(time.Since(begun))
	}
	b.state = p
	b.publish()
	if n := p.ledger.GaveUp(); n > 0 {
		level.Warn(b.options.Logger).Log("msg", "too many records are open or pending: the oldest stay counted, and their ends are not looked for any more. "+
			"Compare them with the vendor's console: if they have ended, report it to the vendor; if endpoints were changed, check that they are the vendor's", "project", b.options.Project, "source", b.options.Source, "given_up", n, "limit", ledger.MaxUnfinished)
	}
	if len(failures) > 0 {
		b.options.Failed(failures)
	}
	return nil
}

// births says how series that this batch makes begin. History that is read at the
// start counts from the start of the history, and is shown at once: a scrape that
// sees it grow from 0 would take it for a spike.
func (b *Accumulator) startOf(p *cursor.Position, r *record.Batch) seriesStart {
	if !p.Complete {
		begin := r.From
		if !p.Cursor.IsZero() {
			begin = p.Horizon
		}
		return seriesStart{created: begin}
	}
	return seriesStart{created: r.Now, heldUntil: b.options.Now().Add(b.options.NewSeriesHold)}
}

// advance moves the position to the end of the batch, and forgets what no later window
// can show.
func (p *state) advance(r *record.Batch, lookback time.Duration) {
	pos := &p.position
	pos.Advance(cursor.Window{From: r.From, To: r.To}, r.Now, r.Newest(), lookback)
	p.ledger.Forget(cursor.Forgettable(pos.Horizon))
	if r.UpToDate {
		pos.Complete, pos.LastSuccess = true, r.Now
		if r.Late {
			pos.LastSuccess = r.To
		}
	}
}

func (p *state) changes() *store.Changes {
	changes := &store.Changes{}
	p.saveSeries(changes)
	changes.Append(&p.another)
	p.another = store.Changes{}
	p.ledger.Save(changes)
	for _, a := range p.aggregators {
		if k, ok := a.(keeper); ok {
			k.save(changes)
		}
	}
	changes.Put(positionTable, []byte(positionKey), positionRow(&p.position))
	return changes
}

func positionRow(p *cursor.Position) []byte {
	var r store.Row
	for _, t := range []time.Time{p.Cursor, p.Horizon, p.LastSuccess} {
		r.Int(t.UnixMilli())
	}
	r.Bool(p.Complete)
	r.Int(p.Newest.UnixMilli())
	return r
}

func loadPosition(p *cursor.Position, value []byte) error {
	r := store.ReadRow(value)
	for _, t := range []*time.Time{&p.Cursor, &p.Horizon, &p.LastSuccess} {
		*t = time.UnixMilli(r.Int()).UTC()
	}
	p.Complete = r.Bool()
	if !r.End() { // which earlier rows have not
		p.Newest = time.UnixMilli(r.Int()).UTC()
	}
	return r.Err()
}

// show publishes the page. A source of which nothing is known yet shows nothing.
func (b *Accumulator) publish() {
	if !b.state.position.Complete {
		return
	}
	shown := &snapshot{metrics: make(map[*Metric]*part, len(b.state.families.list))}
	var heldUntil time.Time
	for _, f := range b.state.families.list {
		shown.metrics[f.Metric] = f.expose()
		if until := f.heldUntil(); heldUntil.IsZero() || !until.IsZero() && until.Before(heldUntil) {
			heldUntil = until
		}
	}
	b.heldUntil.Store(&heldUntil)
	for _, a := range b.state.aggregators {
		if d, ok := a.(*day); ok {
			shown.day = d.list()
		}
	}
	b.snapshot.Store(shown)
}

// exposition is what the accumulator shows, as of its last commit.
func (b *Accumulator) exposition() map[*Metric]*part {
	if shown := b.snapshot.Load(); shown != nil {
		return shown.metrics
	}
	return nil
}

// Day is what was counted of the last day, in the order of time, as of the last commit:
// a quarter of an hour that is not there was not read. It is nil for a source that has
// no logins, or has not ended its first poll.
func (b *Accumulator) Day() []Quarter {
	if shown := b.snapshot.Load(); shown != nil {
		return shown.day
	}
	return nil
}

// compare orders accumulators by their labels.
func (b *Accumulator) compare(o *Accumulator) int {
	if c := strings.Compare(b.options.Project, o.options.Project); c != 0 {
		return c
	}
	return strings.Compare(b.options.Source, o.options.Source)
}
