package ledger

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// journal is a ledger with what a process around it keeps: rows that are committed
// together with the totals, and lost together.
type journal struct {
	t      *rapid.T
	ledger *Ledger
	rows   map[string][]byte
	totals *totals
	calm   bool // nothing comes in between any more
}

func newJournal(t *rapid.T, rules Rules) *journal {
	return &journal{t: t, ledger: New(rules), rows: map[string][]byte{}, totals: newTotals()}
}

// apply counts a batch, with a crash before its commit and a restart after it where
// chance wants them.
func (j *journal) apply(r *record.Batch, advance func(*Ledger)) {
	if !j.calm && rapid.IntRange(0, 5).Draw(j.t, "crash before commit") == 0 {
		j.ledger.Apply(r, func(*Event) {})
		advance(j.ledger)
		j.restart()
	}
	j.ledger.Apply(r, j.totals.add)
	j.requireNoneDue(r)
	advance(j.ledger)
	saved(j.t, j.ledger, j.rows)
	if !j.calm && rapid.IntRange(0, 3).Draw(j.t, "restart") == 0 {
		j.restart()
	}
}

// requireNoneDue looks at every unfinished record, of which a batch has ended some: it ended all
// that were due, and knows of the others where it did not show them.
func (j *journal) requireNoneDue(b *record.Batch) {
	gone := maps.Clone(j.ledger.unfinished.gone)
	for _, e := range j.ledger.memory.whole {
		if again := *e; e.isUnfinished() {
			require.False(j.t, j.ledger.isDue(&again, b))
			require.Equal(j.t, e.absent, again.absent)
		}
	}
	require.Equal(j.t, gone, j.ledger.unfinished.gone)
}

func (j *journal) restart() {
	j.ledger = New(j.ledger.rules)
	for key, value := range j.rows {
		require.NoError(j.t, j.ledger.Load([]byte(key), value))
	}
}

// requireTotals compares what counts; dispositions depend on how often one looks.
func (j *journal) requireTotals(want *totals, open int) {
	slices.Sort(want.Logins)
	slices.Sort(want.Sessions)
	got := *j.totals
	got.Dispositions, got.Invalid = nil, nil
	require.Equal(j.t, want, &got)
	var opened int64
	for n := range maps.Values(j.ledger.OpenConnections()) {
		opened += n
	}
	require.EqualValues(j.t, open, opened, "open connections")
	require.EqualValues(j.t, open, j.ledger.CountOpen(), "open connections")
}

// Kinds of a version.
const (
	isPending = "pending"
	isStarted = "started"
	isEnded   = "ended"
	isFailed  = "failed"
)

// history is a record in all its versions, from old to new, and says by itself what
// is to be counted of it.
type history struct {
	kinds      []string
	code       string
	start, end int
	versions   []record.Login
}

func drawHistory(t *rapid.T, n int) history {
	dated := rapid.Bool().Draw(t, "has update times")
	kinds := []string{isPending, isStarted, isEnded, isFailed}
	if !dated {
		kinds = kinds[:3] // without update times nobody can say whether it failed first
	}
	h := history{
		kinds: rapid.SliceOfN(rapid.SampledFrom(kinds), 1, 4).Draw(t, "kinds"),
		code:  rapid.SampledFrom([]string{"1", "2", ""}).Draw(t, "code"),
		start: rapid.IntRange(-50, 500).Draw(t, "login seconds"), // before pre-connect, if clocks differ
		end:   rapid.IntRange(-50, 500).Draw(t, "session seconds"),
	}
	pre := noon.Add(time.Duration(n) * time.Second)
	for i, kind := range h.kinds {
		l := login{n: n}.record()
		l.PreConnect = pre
		if dated {
			l.Updated = pre.Add(time.Duration(i+1) * time.Second)
		}
		switch kind {
		case isFailed:
			l.FailedCode, l.FailedReason = h.code, "no free server"
		case isEnded:
			l.End = pre.Add(time.Duration(h.start+h.end) * time.Second)
			fallthrough
		case isStarted:
			l.Start = pre.Add(time.Duration(h.start) * time.Second)
		}
		h.versions = append(h.versions, l)
	}
	return h
}

func (h *history) has(kind string) bool { return slices.Contains(h.kinds, kind) }

// count is the reference: what the whole of a history adds, whoever reads it how.
func (h *history) count(want *totals) (open bool) {
	stood, ended, broke := h.has(isStarted) || h.has(isEnded), h.has(isEnded), h.has(isFailed)
	if stood || broke {
		want.Attempts++
	}
	if broke {
		want.Failures[map[string]string{"1": "1", "2": "2", "": CodeUnknown}[h.code]]++
	}
	if stood && h.start >= 0 {
		want.Logins = append(want.Logins, time.Duration(h.start)*time.Second)
	}
	if ended && h.end >= 0 {
		want.Sessions = append(want.Sessions, time.Duration(h.end)*time.Second)
	}
	return stood && !ended && h.kinds[len(h.kinds)-1] != isFailed
}

// Records in any versions, read in any order, any number of times, in any batches,
// through any crashes, add up to the same.
func TestAnyOrderSameTotals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var versions []record.Login
		want, open := newTotals(), 0
		for n := range rapid.IntRange(1, 10).Draw(t, "records") {
			h := drawHistory(t, n)
			if h.count(want) {
				open++
			}
			versions = append(versions, h.versions...)
		}
		again := rapid.SliceOfN(rapid.SampledFrom(versions), 0, 20).Draw(t, "read again")
		queue := rapid.Permutation(append(versions, again...)).Draw(t, "order")

		j := newJournal(t, Rules{SuccessCodes: defaultRules.SuccessCodes, PendingTimeout: 1000 * time.Hour})
		var before []record.Login
		for now := noon.Add(time.Hour); len(queue) > 0; now = now.Add(time.Second) {
			n := rapid.IntRange(1, len(queue)).Draw(t, "size of a batch")
			overlap := rapid.IntRange(0, len(before)).Draw(t, "overlap")
			logins := slices.Concat(before[len(before)-overlap:], queue[:n])
			j.apply(&record.Batch{From: now, To: now, Now: now, Logins: logins, UpToDate: true}, func(*Ledger) {})
			before, queue = logins, queue[n:]
		}
		j.requireTotals(want, open)
	})
}

// world is a source of which the records come to be, change and are read while time
// goes by.
type world struct {
	records            []worldRecord
	by                 string // what its list is filtered by
	openFrom, openTill bool   // whether the ends of its windows are exclusive
	nameless           bool   // whether some of its answers are without ids
}

type worldRecord struct {
	history
	visible []time.Time // from when each version shows, in place of the one before
	deleted time.Time   // from when none shows; zero is never
}

// asSourced is a version as a source writes it, from which its identities follow.
func asSourced(n int, l record.Login) record.Login {
	f := fields{"id": fmt.Sprint(n), "user_name": fmt.Sprint("u", n), "desktop_group_name": l.Group, "failed_code": l.FailedCode}
	for name, t := range map[string]time.Time{"pre_conn_time": l.PreConnect, "start_time": l.Start, "end_time": l.End, "update_time": l.Updated} {
		if !t.IsZero() {
			f[name] = t.Format(time.RFC3339)
		}
	}
	if !l.Start.IsZero() || l.FailedCode != "" {
		f["machine_name"] = l.Machine // which a record has when it has settled
	}
	return f.login()
}

const (
	lookback    = 15 * time.Minute
	margin      = cursor.HorizonMargin
	worldLength = 4 * time.Hour
)

// worldEnd is when all that happens in a world has been seen.
var worldEnd = noon.Add(worldLength + 10*time.Hour)

// filterTime is the time by which the list takes a version.
func (w *world) filterTime(l *record.Login) time.Time {
	switch {
	case w.by == "update":
		return l.Updated
	case w.by == "start" && !l.Start.IsZero(), l.PreConnect.IsZero():
		return l.Start
	}
	return l.PreConnect
}

// list is what the source says at a time about a window.
func (w *world) list(from, to, at time.Time) (logins []record.Login) {
	for _, r := range w.records {
		i := len(r.versions) - 1
		for i >= 0 && r.visible[i].After(at) {
			i--
		}
		if i < 0 || !r.deleted.IsZero() && !at.Before(r.deleted) {
			continue
		}
		t := w.filterTime(&r.versions[i])
		if t.Before(from) || t.After(to) || w.openFrom && t.Equal(from) || w.openTill && t.Equal(to) {
			continue
		}
		logins = append(logins, r.versions[i])
	}
	return logins
}

// drawWorld makes records whose every version shows at most one lookback late.
func drawWorld(t *rapid.T) *world {
	w := &world{
		by:       rapid.SampledFrom([]string{"start", "pre-connect", "update"}).Draw(t, "filter"),
		openFrom: rapid.Bool().Draw(t, "from is exclusive"), openTill: rapid.Bool().Draw(t, "to is exclusive"),
		nameless: rapid.Bool().Draw(t, "files without ids"),
	}
	lives := [][]string{{isPending}, {isFailed}, {isPending, isFailed}, {isStarted}, {isStarted, isEnded}, {isEnded},
		{isPending, isStarted}, {isPending, isStarted, isEnded}, {isStarted, isFailed}}
	seconds := func(most time.Duration, what string) time.Duration {
		return time.Duration(rapid.IntRange(0, int(most/time.Second)).Draw(t, what)) * time.Second
	}
	for n := range rapid.IntRange(1, 8).Draw(t, "records") {
		r := worldRecord{history: history{kinds: rapid.SampledFrom(lives).Draw(t, "life"), code: "1"}}
		pre := noon.Add(seconds(worldLength, "pre-connect"))
		l := login{n: n}.record()
		l.PreConnect = pre
		if slices.Equal(r.kinds, []string{isStarted, isFailed}) {
			l.PreConnect = time.Time{} // whether a login is timed would depend on when one looks
		}
		// The list must be able to show it without the time at which it was asked for.
		askedLate := w.by == "update" && len(r.kinds) > 1 && r.kinds[0] == isPending && rapid.Bool().Draw(t, "is asked for late")
		change := pre
		for i, kind := range r.kinds {
			switch kind {
			case isPending:
			case isStarted:
				if r.has(isPending) {
					change = change.Add(seconds(40*time.Minute, "pending"))
				}
				l.Start, r.start = change, int(change.Sub(pre)/time.Second)
			case isEnded:
				if l.Start.IsZero() {
					l.Start = change
				}
				session := seconds(3*time.Hour, "session")
				if len(r.kinds) == 1 { // it shows when it is over, and must not be late then
					session = seconds(lookback/3, "short session")
				}
				change = l.Start.Add(session)
				l.End, r.end = change, int(session/time.Second)
			case isFailed:
				if len(r.kinds) > 1 {
					change = change.Add(seconds(40*time.Minute, "until failure"))
				}
				l.FailedCode = r.code
			}
			l.Updated = change
			shows := change.Add(seconds(lookback/2, "delay"))
			if i := len(r.visible); i > 0 && !shows.After(r.visible[i-1]) {
				shows = r.visible[i-1].Add(time.Second)
			}
			version := l
			if askedLate && i == 0 {
				version.PreConnect = time.Time{}
			}
			r.versions, r.visible = append(r.versions, asSourced(n, version)), append(r.visible, shows)
		}
		if rapid.IntRange(0, 3).Draw(t, "is deleted") == 0 {
			r.deleted = worldEnd.Add(time.Hour)
		}
		w.records = append(w.records, r)
	}
	return w
}

// count is the reference for all records, when all is over.
func (w *world) count() (want *totals, open int) {
	want = newTotals()
	for _, r := range w.records {
		if slices.Equal(r.kinds, []string{isPending}) {
			want.Attempts++
			want.Failures[CodePendingTimeout]++
			continue
		}
		if slices.Equal(r.kinds, []string{isStarted, isFailed}) {
			want.Attempts++
			want.Failures[r.code]++
			continue
		}
		if r.count(want) && r.deleted.IsZero() {
			open++
		}
	}
	return want, open
}

// watcher reads a world as the fetcher does, and forgets as the accumulator does.
type watcher struct {
	*world
	*journal
	cursor, horizon time.Time
	piece           time.Duration
}

// poll reads everything up to now, in pieces, and then what is unfinished behind the
// lookback. Each is read a moment later, by which the world may have changed. It
// returns when it is done.
func (w *watcher) poll(now time.Time, moment time.Duration) time.Time {
	from := w.cursor.Add(-lookback)
	if from.Before(w.horizon) {
		from = w.horizon
	}
	seen := now
	for begin := from; ; {
		to := begin.Add(w.piece)
		if to.After(now) {
			to = now
		}
		w.apply(&record.Batch{From: begin, To: to, Now: now, Logins: w.read(begin, to, seen), UpToDate: to.Equal(now)}, func(l *Ledger) {
			if to.After(w.cursor) {
				w.cursor = to
			}
			if h := w.cursor.Add(-lookback - margin); h.After(w.horizon) {
				w.horizon = h
			}
			l.Forget(w.horizon)
		})
		seen = seen.Add(moment)
		if to.Equal(now) {
			break
		}
		begin = to.Add(-cursor.Seam)
	}
	for _, at := range w.ledger.Unfinished(from.Add(2 * cursor.Edge)) {
		from, to := at.Add(-2*cursor.Edge), at.Add(2*cursor.Edge)
		w.apply(&record.Batch{From: from, To: to, Now: now, Logins: w.read(from, to, seen), Reread: true}, func(*Ledger) {})
	}
	return seen
}

// read is a list of the world, or a file of it without ids.
func (w *watcher) read(from, to, at time.Time) []record.Login {
	logins := w.list(from, to, at)
	if w.nameless && rapid.Bool().Draw(w.t, "without ids") {
		for i := range logins {
			logins[i].ID = logins[i].Invariant
		}
	}
	return logins
}

// With windows that slide over a random history, whatever time the source's list is
// filtered by, no record is lost and none counts twice, and what is over is forgotten.
func TestSlidingWindow(t *testing.T) {
	for _, moment := range []time.Duration{0, time.Minute} {
		t.Run(fmt.Sprint("a request takes ", moment), rapid.MakeCheck(func(t *rapid.T) {
			w := &watcher{world: drawWorld(t), journal: newJournal(t, defaultRules), cursor: noon, horizon: noon.Add(-time.Hour),
				piece: rapid.SampledFrom([]time.Duration{6 * time.Hour, 10 * time.Minute}).Draw(t, "piece")}
			now, end := noon, worldEnd.Add(-4*time.Hour)
			for now.Before(end) {
				wait := rapid.IntRange(1, 30).Draw(t, "minutes to the next poll")
				if rapid.IntRange(0, 9).Draw(t, "down") == 0 {
					wait = 200
				}
				now = now.Add(time.Duration(wait) * time.Minute)
				now = w.poll(now, moment)
			}
			w.calm = true
			w.poll(now.Add(margin), 0)
			for now = worldEnd.Add(2 * time.Hour); now.Before(worldEnd.Add(4 * time.Hour)); {
				now = w.poll(now.Add(lookback+2*margin), 0)
			}

			want, open := w.count()
			if moment > 0 {
				// What a pending record becomes between two requests of one poll may come
				// too late for its outcome, but never leads to a second count.
				require.Equal(t, want.Attempts, w.totals.Attempts)
				require.Equal(t, want.Sessions == nil, w.totals.Sessions == nil)
				return
			}
			w.requireTotals(want, open)
			require.Equal(t, open, w.ledger.Len(), "what is over is forgotten")
		}))
	}
}

// Reading a record again and again says nothing new, and costs no row.
func TestReadAgainIsDuplicate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t, 1)
		newest := h.versions[len(h.versions)-1]
		j := newJournal(t, defaultRules)
		now := newest.PreConnect.Add(time.Duration(rapid.IntRange(-5, 600).Draw(t, "age")) * time.Second)
		for range 4 {
			j.apply(&record.Batch{From: now, To: now, Now: now, Logins: []record.Login{newest}, UpToDate: true}, func(*Ledger) {})
			now = now.Add(time.Minute)
		}
		require.Equal(t, []Disposition{Duplicate, Duplicate, Duplicate}, j.totals.Dispositions[1:])
	})
}
