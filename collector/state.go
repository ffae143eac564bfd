package collector

import (
	"errors"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// state is the content of an accumulator in memory.
type state struct {
	families    *families
	ledger      *ledger.Ledger
	aggregators *aggregatorSet
	position    cursor.Position
	failures    map[string]int64 // by code: the sums of all failure counters
	// stale is what loading found to be changed in the store, with the next commit, and
	// otherProject what only a commit of records of another project may change.
	stale, otherProject store.Changes
	next                store.Changes // of the commit under way, made of the same memory each time
}

func newState(o *Options) *state {
	f := &families{options: o}
	return &state{families: f, ledger: ledger.New(o.Rules), aggregators: f.aggregators(o.Kind), failures: map[string]int64{}}
}

// count applies a batch: to the ledger, and by way of its events to the aggregators.
func (s *state) count(b *record.Batch, observed func(*ledger.Event)) {
	for _, r := range s.aggregators.readers {
		r.read(b)
	}
	s.ledger.Apply(b, func(e *ledger.Event) {
		s.aggregators.observe(e)
		observed(e)
	})
	if !b.Reread {
		s.advance(b)
	}
	s.aggregators.refresh(b.Now, s.ledger)
}

// startOf is how series begin that a batch makes. History that is read at the start
// counts from the start of the history, and is shown at once: a scrape that sees it
// grow from 0 would take it for a spike.
func (s *state) startOf(b *record.Batch) seriesStart {
	if !s.position.Complete {
		begin := b.From
		if !s.position.Cursor.IsZero() {
			begin = s.position.Horizon
		}
		return seriesStart{created: begin}
	}
	return seriesStart{created: b.Now, heldUntil: s.families.latestHold()}
}

// advance moves the position to the end of the batch, and forgets what no later window
// can show.
func (s *state) advance(b *record.Batch) {
	p := &s.position
	p.Advance(cursor.Window{From: b.From, To: b.To}, b.Now, b.Newest(), s.families.options.Lookback)
	s.ledger.Forget(cursor.Forgettable(p.Horizon))
	s.ledger.KnownFrom(p.KnownFrom(s.families.options.Lookback))
	if b.UpToDate {
		p.Complete, p.LastSuccess = true, b.Now
		if b.Late {
			p.LastSuccess = b.To
		}
	}
}

// endHolds ends the holds that are over.
func (s *state) endHolds() {
	now := s.families.options.Now()
	for _, f := range s.families.list {
		f.endHolds(now)
	}
}

// changes is all that a commit writes.
func (s *state) changes() *store.Changes {
	changes := &s.next
	changes.Reset()
	s.saveSeries(changes)
	changes.Append(&s.otherProject)
	s.otherProject = store.Changes{}
	s.ledger.Save(changes)
	for _, t := range s.aggregators.tables {
		t.save(changes)
	}
	changes.Put(positionTable, []byte(positionKey), positionRow(&s.position))
	return changes
}

// saveSeries writes what has changed in the series, after what loading has found.
func (s *state) saveSeries(changes *store.Changes) {
	changes.Append(&s.stale)
	s.stale = store.Changes{}
	for _, f := range s.families.list {
		f.save(changes)
	}
}

// release gives the room of the series back.
func (s *state) release() {
	for _, f := range s.families.list {
		f.limits.add(f.Name, -f.size())
	}
}

// A row that is not as it was written.
var (
	errKey    = errors.New("a key has the wrong length")
	errBlocks = errors.New("a row has too few pseudonyms")
)

const (
	positionTable = "position"
	positionKey   = "position"
)

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
