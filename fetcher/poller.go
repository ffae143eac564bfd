// Package fetcher gets records. A Poller reads one source of one project, window by
// window, and hands each window over only when every record in it has been seen.
//
// It knows nothing of what is counted: what it reads goes to an Accumulator, which says how
// far the source has been counted.
package fetcher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Source reads the records of a window, all of them or none.
type Source interface {
	// Read hands every record of the window to handle, once it knows that it has all of
	// them. It fails with a *TooManyError if they are more than most (0 is no limit),
	// and with handle's error.
	Read(ctx context.Context, from, to time.Time, most int, handle HandlePart) error
}

// Accumulator counts what is read.
type Accumulator interface {
	// Position says how far the source has been counted.
	Position() (cursor.Position, error)
	// Commit counts a reading as a whole, or fails and counts nothing of it.
	Commit(*record.Batch) error
	// Unfinished lists the times before t at which unfinished records may be found.
	Unfinished(t time.Time) ([]time.Time, error)
	// CountUnfinished is how many records are unfinished, wherever they lie.
	CountUnfinished() (int, error)
}

// Metrics observes polls.
type Metrics interface {
	Polled(err error, d time.Duration)
	At(cursor.Position)
	// Failing says why the last poll failed; empty if it did not.
	Failing(Reason)
	CatchingUp(bool)
	// ServerClock says how far the server's clock is ahead of the local one, if it is known.
	ServerClock(ahead time.Duration, known bool)
	Gap(time.Duration)
	// ShowUnfinished is called with how many records are pending or open.
	ShowUnfinished(int)
	// RereadFailed counts a window of unfinished records that was given up for a round.
	RereadFailed()
}

// Options of a Poller.
type Options struct {
	Project, Source           string
	Interval                  time.Duration
	Lookback, InitialLookback time.Duration
	// Host is the server's name.
	Host string
	// ServerTime is the server's clock, if it is known yet.
	ServerTime func() (time.Time, bool)
	// LocalTime is the machine's clock. Nil is time.Now.
	LocalTime func() time.Time
	Logger    log.Logger
}

// Status is what the landing page shows of a poller.
type Status struct {
	Project, Source string
	Interval        time.Duration
	Position        cursor.Position
	// Polled is false until a first poll has ended, well or not.
	Polled bool
	// LastError is nil if the last poll that ended went well; Reason is why it did not.
	LastError error
	Reason    Reason
	FailedAt  time.Time
	CatchUp   bool
}

// Poller reads one source again and again.
type Poller struct {
	Options
	once        func(context.Context) error // what one poll does
	source      Source
	again       Source // reads what is unfinished
	accumulator Accumulator
	metrics     Metrics
	retry       backoff.BackOff
	clock       steadyClock
	pieces      *pieces // what an earlier poll has left unread; nil: nothing
	quota       quota
	moved       bool // something was committed since the last wait
	review      review
	doubted     bool // the clocks disagree, which was logged
	// dateless is true once an answer has come, and no answer has had a Date.
	dateless bool
	ignored  bool // the list ignores its windows, which was logged

	mu     sync.Mutex
	status Status
}

// NewPoller returns a poller of login records that has not polled yet. Records that
// are unfinished, and lie behind the lookback, are read from the source again, in many
// small windows.
func NewPoller(source, again Source, accumulator Accumulator, metrics Metrics, o Options) (*Poller, error) {
	p, err := newPoller(accumulator, metrics, o)
	if err != nil {
		return nil, err
	}
	p.source, p.again, p.once = source, again, p.pollLogins
	p.showUnfinished()
	return p, nil
}

func newPoller(accumulator Accumulator, metrics Metrics, o Options) (*Poller, error) {
	position, err := accumulator.Position()
	if err != nil {
		return nil, err
	}
	metrics.At(position)
	p := &Poller{Options: o, accumulator: accumulator, metrics: metrics,
		status: Status{Project: o.Project, Source: o.Source, Interval: o.Interval, Position: position}}
	p.Logger = log.With(o.Logger, "project", o.Project, "source", o.Source)
	p.clock.server, p.clock.local = o.ServerTime, o.LocalTime
	if o.LocalTime == nil {
		p.clock.local = time.Now
	}
	p.clock.experience = experience{shown: position.Newest, at: time.Now()}
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval = min(o.Interval, 2*time.Second)
	retry.MaxInterval = max(o.Interval, retry.InitialInterval)
	retry.Multiplier = 2
	p.retry = retry
	return p, nil
}

// Status says how the poller does.
func (p *Poller) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Continue takes over what is known of the source from the poller before this one,
// which does not run any more.
func (p *Poller) Continue(poller *Poller) {
	before := poller.Status()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Polled, p.status.LastError, p.status.Reason, p.status.FailedAt = before.Polled, before.LastError, before.Reason, before.FailedAt
	p.clock.experience, p.doubted = poller.clock.experience, poller.doubted
	p.quota, p.review, p.ignored = poller.quota, poller.review, poller.ignored
}

// Run polls until ctx ends, or last is closed: then the poll under way is the last one.
func (p *Poller) Run(ctx context.Context, last <-chan struct{}) {
	for {
		begun := time.Now()
		err := p.Poll(ctx)
		if ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-last:
			return
		case <-time.After(p.wait(err, time.Since(begun))):
		}
	}
}

// wait is how long to wait after a poll that took so long.
func (p *Poller) wait(err error, took time.Duration) time.Duration {
	if err == nil || p.moved {
		p.retry.Reset()
	}
	p.moved = false
	if err == nil {
		return max(0, p.Interval-took)
	}
	wait := p.retry.NextBackOff()
	var refused *workspace.Error
	if errors.As(err, &refused) {
		wait = max(wait, refused.RetryAfter)
	}
	return wait
}

// Poll reads everything up to now, in pieces that are committed one by one.
func (p *Poller) Poll(ctx context.Context) error {
	begun := time.Now()
	err := p.poll(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // told to stop, which is no failure of the source
	}
	p.metrics.Polled(err, time.Since(begun))
	p.metrics.Failing(reasonOf(err))
	p.report(err)
	return err
}

func (p *Poller) report(err error) {
	before := p.Status()
	switch {
	case err != nil:
		level.Error(p.Logger).Log("msg", "poll failed, will retry", "reason", reasonOf(err), "err", err)
	case !before.Polled || before.LastError != nil:
		level.Info(p.Logger).Log("msg", "poll succeeded", "cursor", before.Position.Cursor.Format(time.RFC3339))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Polled, p.status.LastError, p.status.Reason = true, err, reasonOf(err)
	if err != nil {
		p.status.FailedAt = time.Now()
	}
}

// poll reads up to now. What the clock says of now may be long ago, or was never the
// server's: the answer to the first request must agree, or all is done again by the
// clock as that answer has set it.
func (p *Poller) poll(ctx context.Context) error {
	p.clock.redone = 0
	for {
		err := p.once(ctx)
		if errors.Is(err, errWrongClock) {
			continue
		}
		if _, known := p.ServerTime(); known || err == nil { // else there was no answer
			p.compareClocks()
		}
		return err
	}
}

// compareClocks shows how far the server's clock and the local one are apart.
func (p *Poller) compareClocks() {
	server, known := p.ServerTime()
	off := server.Sub(p.clock.local().Round(0))
	p.metrics.ServerClock(off, known)
	doubted := !known || off.Abs() > cursor.MaxDrift
	if doubted == p.doubted {
		return
	}
	p.doubted = doubted
	switch {
	case !known:
		level.Warn(p.Logger).Log("msg", "answers have no Date: the local clock is believed only as far as records bear it out", "host", p.Host)
	case doubted:
		level.Warn(p.Logger).Log("msg", "the server's clock and the local one disagree: both are believed only as far as one of them, or records, bear them out; set the one that is wrong right",
			"host", p.Host, "server_is_ahead_by", off.Round(time.Second))
	default:
		level.Info(p.Logger).Log("msg", "the server's clock and the local one agree", "host", p.Host)
	}
}

// pollLogins reads what is new, and then what is unfinished.
func (p *Poller) pollLogins(ctx context.Context) error {
	position, err := p.accumulator.Position()
	if err != nil {
		return err
	}
	to := p.clock.now()
	if p.clock.doubts(position.Cursor) {
		p.clock.resume = time.Time{} // what clocks that were ahead took for read may not have been
	}
	now := p.clock.borneOut(to, position.Cursor)
	if !now.IsZero() && to.Sub(now) > cursor.Reach {
		if to, now, err = p.lookAhead(ctx, to, position.Cursor); err != nil {
			return err
		}
	}
	if now.IsZero() {
		now = to // there is nothing to go by but the local clock
	}
	p.review.polls++
	expected := now
	if _, known := p.ServerTime(); !known {
		expected = to // there may well be records up to the local clock's time
	}
	p.behind(expected.Sub(position.Cursor) > 2*p.Interval+time.Second)
	if p.review.refused > 0 {
		// The quota was used up when its turn came: one window goes first.
		if err := p.readUnfinished(ctx, position.Cursor.Add(-p.Lookback), now, 1); err != nil && !throttled(err) {
			return err
		}
	}
	from, err := p.readNew(ctx, position, to, now)
	if err != nil {
		return err
	}
	cursor := p.Status().Position.Cursor
	now = p.clock.borneOut(p.clock.claim, cursor)
	p.behind(now.Sub(cursor) > 2*p.Interval+time.Second)
	p.quota.kept()
	if err := p.readUnfinished(ctx, from, now, reviewRequests); err != nil && ctx.Err() == nil {
		// All that is new is counted: this poll has succeeded.
		level.Warn(p.Logger).Log("msg", "open and pending records behind the lookback could not be read, the next poll tries again", "err", err)
	}
	return nil
}

// lookAhead asks whether there are records at a time that is further ahead of all that is
// known than the API keeps records. If there are, that is the time. If not, the window
// that is read ends within the time for which the API keeps records.
func (p *Poller) lookAhead(ctx context.Context, to, reached time.Time) (end, believed time.Time, err error) {
	ahead := cursor.Window{From: to.Add(-cursor.Reach), To: to}
	logins, err := gather(ctx, p.again, ahead, 1)
	var many *TooManyError
	switch {
	case errors.As(err, &many) && many.Count > 1: // two that agree
		p.clock.shown, p.clock.experience.at = later(p.clock.shown, ahead.From), time.Now()
	case err != nil && !errors.As(err, &many):
		return to, believed, fmt.Errorf("window %s: %w", ahead, err)
	default:
		p.clock.learn(timesOf(logins, ahead.To), reached)
	}
	if p.clock.wasWrong() {
		return to, believed, errWrongClock
	}
	believed = p.clock.borneOut(to, reached)
	if to.Sub(believed) > cursor.Reach && reached.IsZero() {
		return to, believed, reasonError{fmt.Errorf("the clock of %s shows %s, and the local one %s; there is no record to tell which is right: set the one that is wrong right",
			p.Host, to.Format(time.RFC3339), p.clock.local().UTC().Format(time.RFC3339)), Clock}
	}
	if to.Sub(believed) > cursor.Reach {
		to = believed.Add(cursor.Reach - 24*time.Hour)
	}
	return to, believed, nil
}

// backlog is all that a poll has to read, up to what is believed to be now. The cursor
// may be ahead of what was read, if clocks were wrong: a process begins at the horizon,
// unless records are so rare that this is far behind, and goes on behind what it has
// read itself.
func (p *Poller) backlog(position cursor.Position, believed time.Time) (w cursor.Window, gap time.Duration) {
	w, gap = position.Backlog(p.Lookback, p.InitialLookback, believed)
	if position.Cursor.IsZero() || position.Horizon.IsZero() {
		return w, gap
	}
	from := position.Horizon
	switch {
	case !p.clock.resume.IsZero():
		from = later(from, p.clock.resume.Add(-max(p.Lookback, cursor.Seam)))
	case !p.clock.doubts(position.Cursor) && position.Cursor.Sub(from) > maxPiece:
		return w, gap
	}
	if from = later(from, believed.Add(-cursor.Reach)); from.Before(w.From) {
		w.From = from.Truncate(time.Second)
	}
	return w, gap
}

// readNew reads what an earlier poll has left, and then all up to a time, which what is
// believed to be now may be before. Under a quota the latter is for the next poll: what is
// unfinished is to have its turn, too. It returns from when on all has been read.
func (p *Poller) readNew(ctx context.Context, position cursor.Position, to, now time.Time) (from time.Time, err error) {
	if p.left(position.Cursor, to) {
		from := p.pieces.todo.From
		if err := p.readPieces(ctx, p.pieceOf(now)); err != nil || p.quota.records > 0 {
			return from, err
		}
		position = p.Status().Position
	}
	todo, gap := p.backlog(position, now)
	todo.To = later(todo.To, to)
	if err := p.begin(todo, now); err != nil {
		return todo.From, err
	}
	p.pieces.gap, p.pieces.cursor, p.pieces.sure = gap, position.Cursor, now
	if _, known := p.ServerTime(); !known {
		p.pieces.sure = to // likewise
	}
	return todo.From, p.readPieces(ctx, p.pieceOf(now))
}

// begin makes the pieces of a window. The first may have been asked for before a restart.
func (p *Poller) begin(todo cursor.Window, now time.Time) error {
	r, ok := p.source.(resumer)
	if !ok {
		p.pieces = p.quota.begin(todo, cursor.Seam, maxPiece)
		return nil
	}
	begun, found, err := p.takeUp(r, todo, now)
	if err != nil {
		return err
	}
	if found {
		todo.From = begun.From
	}
	// Pieces overlap so that after a restart the same one is asked for again.
	p.pieces = p.quota.begin(todo, max(cursor.Seam, p.Lookback), maxPiece)
	if found {
		p.pieces.first = &begun
	}
	return nil
}

// pieceOf returns what reads a piece and commits it part by part.
func (p *Poller) pieceOf(now time.Time) pieceReader {
	return func(ctx context.Context, piece cursor.Window, most int) (records int, end time.Time, err error) {
		w, from := p.pieces, piece.From
		err = p.source.Read(ctx, piece.From, piece.To, most, func(upTo time.Time, logins []record.Login) error {
			if ctx.Err() != nil {
				return ctx.Err() // what is committed is; the rest is read again
			}
			reached := p.Status().Position.Cursor
			if p.clock.wasWrong() {
				return errWrongClock
			}
			if now.Before(w.todo.From) && !reached.IsZero() {
				return p.clockBehind(now, reached)
			}
			p.clock.learn(timesOf(logins, upTo), p.clock.borneOut(upTo, reached))
			believed := p.clock.borneOut(p.clock.claim, reached)
			if reached.IsZero() && believed.Sub(now) > cursor.MaxDrift {
				return errWrongClock // and the first window should begin later
			}
			if believed.Before(w.todo.From) {
				believed = w.todo.From // there is nothing to go by yet
			}
			part := &record.Batch{From: from, To: upTo, Now: believed, Logins: logins, UpToDate: upTo.Equal(w.todo.To), Late: w.late}
			from, records = upTo, records+len(logins)
			if err := p.commit(part); err != nil {
				return err
			}
			if p.clock.resume = p.clock.certain(); upTo.Before(p.clock.resume) {
				p.clock.resume = upTo
			}
			w.cursor = p.Status().Position.Cursor
			p.lost(w.gap) // told with the first part: the cursor is behind the gap then
			w.gap = 0
			return nil
		})
		return records, piece.To, err
	}
}

// takeUp finds a piece that was asked for before a restart. What lies behind the horizon
// is counted, and not remembered any more; what is too old the API refuses.
func (p *Poller) takeUp(r resumer, todo cursor.Window, now time.Time) (piece cursor.Window, found bool, err error) {
	position := p.Status().Position
	oldest := position.Horizon.Truncate(time.Second)
	if from := position.Cursor.Add(-max(p.Lookback, cursor.Seam)).Truncate(time.Second); p.clock.resume.IsZero() && from.After(todo.From) && from.Before(todo.To) {
		todo.From = from // where the process before this one began
	}
	if reach := now.Add(-cursor.Reach); oldest.Before(reach) {
		oldest = reach
	}
	return r.resume(todo, oldest)
}

func (p *Poller) clockBehind(now, cursor time.Time) error {
	return reasonError{fmt.Errorf("the clock of %s shows %s, but records up to %s are counted already; if that clock was wrong before, counting goes on when it has passed that time",
		p.Host, now.Format(time.RFC3339), cursor.Format(time.RFC3339)), Clock}
}

// lost tells of time whose records nobody can read any more.
func (p *Poller) lost(gap time.Duration) {
	if gap > 0 {
		level.Error(p.Logger).Log("msg", "records are lost: the exporter did not run for longer than the API keeps them", "gap", gap)
		p.metrics.Gap(gap)
	}
}

func (p *Poller) commit(r *record.Batch) error {
	if err := p.accumulator.Commit(r); err != nil {
		return reasonError{err, Disk}
	}
	position, err := p.accumulator.Position()
	if err != nil {
		return err
	}
	p.metrics.At(position)
	p.showUnfinished()
	p.moved = true
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Position = position
	return nil
}

// showUnfinished shows how many records are unfinished, as far as that is known.
func (p *Poller) showUnfinished() {
	if n, err := p.accumulator.CountUnfinished(); err == nil && p.source != nil {
		p.metrics.ShowUnfinished(n)
	}
}

func (p *Poller) behind(on bool) {
	p.metrics.CatchingUp(on)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.CatchUp = on
}
