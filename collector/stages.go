package collector

import (
	"cmp"
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

const (
	stageName    Label = "stage"
	lookupResult Label = "result"
)

var (
	accessStageFailures = &Metric{Name: "workspace_access_stage_failures_total", Type: Counter, AskedFor: true, Labels: []Label{stageName, errorCode},
		Help: "Failed accesses by the first stage that failed, each asked for once, if `stages` is on and its budget allows."}
	stageLookups = &Metric{Name: "workspace_exporter_stage_lookups_total", Type: Counter, AboutSource: true, Labels: []Label{lookupResult},
		Help: "Failed accesses whose stages were to be asked for, by outcome: found (counted by stage), no_failed_stage, not_found (the API does not know the access), denied (the permission is missing), failed (no answer that can be read), left_out (more than the budget allows), no_transaction_id (nothing to ask by)."}
	stagesWaiting = &Metric{Name: "workspace_exporter_stage_lookups_waiting", Type: Gauge, AboutSource: true,
		Help: "Failed accesses that wait to have their stages asked for."}
)

// stages keeps the failed accesses whose stages are still to be asked for, and counts what
// became of others. Each is stored with the commit that counts its failure, and goes with
// the one that counts its stage: each stage is counted once, whatever happens in between.
type stages struct {
	room                       int
	failures, lookups, waiting *family
	invalid                    *family

	queue     []*stageLookup // the first is the next
	changed   []*stageLookup
	gone      []record.Identity
	unasked   int // left out since that was last logged
	nothingBy int // without an id, likewise
}

// stageLookup is a failed access that waits.
type stageLookup struct {
	record.StageLookup
	since int64 // in Unix milliseconds
}

func newStages(f *families, o Options) aggregator {
	return &stages{room: o.StageRoom, failures: f.of(accessStageFailures), lookups: f.of(stageLookups), waiting: f.of(stagesWaiting), invalid: f.of(invalidFields)}
}

// read drops what waits if nothing is asked for any more.
func (s *stages) read(*record.Batch) {
	if s.room > 0 {
		return
	}
	for _, l := range s.queue {
		s.gone = append(s.gone, l.ID)
		s.count(record.StageLeftOut)
	}
	s.queue = nil
}

func (s *stages) count(result record.StageResult) { s.lookups.add(1, lookupResult.is(string(result))) }

func (s *stages) observe(e *ledger.Event) {
	switch {
	case e.FailedCode == "" || s.room == 0:
	case e.Login.TransactionID == "" || len(e.Login.TransactionID) > maxTransactionID:
		s.nothingBy++
		s.count(record.StageNoTransaction)
	case len(s.queue) >= s.room:
		s.unasked++
		s.count(record.StageLeftOut)
	default:
		l := &stageLookup{record.StageLookup{ID: e.Login.ID, TransactionID: e.Login.TransactionID}, e.Now.UnixMilli()}
		for n := uint64(0); s.find(l.ID) >= 0; n++ { // another record had the id before
			l.ID = e.Login.ID.With(n)
		}
		s.queue, s.changed = append(s.queue, l), append(s.changed, l)
	}
}

func (s *stages) find(id record.Identity) int {
	return slices.IndexFunc(s.queue, func(l *stageLookup) bool { return l.ID == id })
}

// finish counts what became of an access, if it is still waited for.
func (s *stages) finish(id record.Identity, o *record.StageOutcome) {
	i := s.find(id)
	if i < 0 {
		return
	}
	s.queue = slices.Delete(s.queue, i, i+1)
	s.gone = append(s.gone, id)
	s.count(o.Result)
	if o.Result == record.StageFound {
		s.failures.add(1, stageName.is(o.Stage.Stage), errorCode.is(o.Stage.ErrorCode))
	}
	for _, name := range o.Invalid {
		s.invalid.add(1, fieldName.is(name))
	}
}

// refresh lets every result begin at 0.
func (s *stages) refresh(time.Time, *ledger.Ledger) {
	if s.room == 0 {
		s.waiting.clear()
		return
	}
	for _, result := range record.StageResults {
		s.lookups.admits(lookupResult.is(string(result)))
	}
	s.waiting.recount(func(add adder) { add(int64(len(s.queue))) })
}

// stagesTable is the table of the accesses that wait. What names them to the API stands in
// blocks, which the store hides.
const stagesTable = "stages"

// maxTransactionID is more bytes than any id has.
const maxTransactionID = 256

func (s *stages) tables() []table {
	return []table{{name: stagesTable, ofProject: true, load: s.load, save: s.save}}
}

func (s *stages) load(key, value []byte) error {
	if len(key) != len(record.Identity{}) {
		return errKey
	}
	r := store.ReadRow(value)
	var text []byte
	for _, block := range r.Blocks() {
		text = append(text, block[:]...)
	}
	size, since := r.Uint(), r.Int()
	if size > uint64(len(text)) {
		return errBlocks
	}
	s.queue = append(s.queue, &stageLookup{record.StageLookup{ID: record.Identity(key), TransactionID: string(text[:size])}, since})
	slices.SortStableFunc(s.queue, func(a, b *stageLookup) int { return cmp.Compare(a.since, b.since) })
	return r.Err()
}

func (s *stages) save(changes *store.Changes) {
	for _, l := range s.changed {
		var blocks [][16]byte
		for part := range slices.Chunk([]byte(l.TransactionID), 16) {
			var block [16]byte
			copy(block[:], part)
			blocks = append(blocks, block)
		}
		var row store.Row
		row.Blocks(blocks...)
		row.Uint(uint64(len(l.TransactionID)))
		row.Int(l.since)
		changes.Put(stagesTable, l.ID[:], row)
	}
	for _, id := range s.gone {
		changes.Delete(stagesTable, id[:])
	}
	s.changed, s.gone = nil, nil
}

// StagesWait has something in it when there may be a new NextStage.
func (a *Accumulator) StagesWait() <-chan struct{} { return a.stagesWait }

// NextStage is the failed access that has waited longest to have its stages asked for. It
// waits until FinishStage.
func (a *Accumulator) NextStage() (next record.StageLookup, ok bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(); err != nil {
		return next, false, err
	}
	s := a.state.aggregators.stages
	if s == nil || len(s.queue) == 0 {
		return next, false, nil
	}
	return s.queue[0].StageLookup, true, nil
}

// FinishStage counts what became of an access that waited. If it fails, the access still
// waits.
func (a *Accumulator) FinishStage(id record.Identity, o record.StageOutcome) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.change(func(s *state) error {
		s.families.start = s.startOfStages()
		s.aggregators.stages.finish(id, &o)
		s.aggregators.stages.refresh(time.Time{}, nil)
		s.endHolds()
		changes := &store.Changes{}
		s.saveSeries(changes)
		s.aggregators.stages.save(changes)
		return a.storage.Commit(changes)
	})
}

// startOfStages is how series of stages begin: like those of a batch, see startOf.
func (s *state) startOfStages() seriesStart {
	if !s.position.Complete {
		return seriesStart{created: s.position.Horizon}
	}
	return seriesStart{created: s.position.LastSuccess, heldUntil: s.families.latestHold()}
}

// afterStages says, after a commit, that accesses wait, and which are not asked for.
func (a *Accumulator) afterStages() {
	s := a.state.aggregators.stages
	if s == nil {
		return
	}
	if len(s.queue) > 0 {
		select {
		case a.stagesWait <- struct{}{}:
		default: // it is known already
		}
	}
	a.warnNowAndThen(&s.unasked, "accesses", "failed accesses are not asked for their stages, since more fail than the budget allows, or the API is slow to answer: raise stages.max_per_minute, up to 200; "+
		"if the API refuses to answer, another message says why")
	a.warnNowAndThen(&s.nothingBy, "accesses", "failed accesses cannot be asked for their stages, since their records have no transaction_id: files may lack it, so set mode: query")
}
