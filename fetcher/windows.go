package fetcher

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// windowReader reads windows piece by piece, each of which is committed before the next
// one is read. What a poll that fails leaves unread outlives it: the next poll goes on
// there, so that under a quota each request that succeeds gets on.
type windowReader struct {
	*progress
	// ignoresWindow asks a list that is to be read in smaller windows whether it ignores
	// them; nil: it does not.
	ignoresWindow func(context.Context, cursor.Window) (bool, error)

	ahead    ahead
	unread   *unread // of the window under way, which may be an earlier poll's; nil: nothing
	quota    quota
	reported bool // that the list ignores its windows
}

// unread is what is left of a window, behind a gap.
type unread struct {
	*pieces
	gap     time.Duration // time before the window whose records are lost, until that is reported
	counted time.Time     // the cursor as of the last commit
	late    bool          // the window was begun by an earlier poll
}

// inherit takes over what is known beyond a reload.
func (r *windowReader) inherit(before *windowReader) {
	r.quota, r.reported = before.quota, before.reported
}

// begin makes pieces of a window behind a gap in which records are lost.
func (r *windowReader) begin(todo cursor.Window, overlap, longest, gap time.Duration) {
	r.unread = &unread{pieces: r.quota.begin(todo, overlap, longest), gap: gap, counted: r.position().Cursor}
}

// hasLeft reports whether an earlier poll has left pieces that may still be read at a
// time: records are counted up to where it left them, and the API still has them.
func (r *windowReader) hasLeft(now time.Time) bool {
	if w := r.unread; w != nil && (!w.counted.Equal(r.position().Cursor) || w.todo.To.After(now) || w.done.Before(now.Add(-cursor.Reach))) {
		r.unread = nil
	}
	return r.unread != nil
}

// readPiece reads a piece of at most so many records, unless that was begun ahead, commits
// it, and returns how many it had, and where it ended.
type readPiece func(ctx context.Context, piece cursor.Window, most int, begun *readingAhead) (records int, end time.Time, err error)

// readPieces reads what is left of a window.
func (r *windowReader) readPieces(ctx context.Context, read readPiece) error {
	w := r.unread
	defer func() { w.late = true }()
	defer r.ahead.giveUp()
	for !w.over {
		piece, most := w.next(), r.most()
		begun := r.ahead.take()
		if begun != nil {
			piece, most = begun.piece, begun.most
		}
		r.readAhead(ctx, piece)
		n, end, err := read(ctx, piece, most, begun)
		switch {
		case err == nil:
			w.read(cursor.Window{From: piece.From, To: end}, n, most)
			r.quota.length = w.length
			if end.Before(piece.To) {
				r.unread = nil // it is for the next poll to go on from there
				return nil
			}
			if 2*n <= most {
				continue
			}
			err = r.testWindows(ctx)
		case workspace.IsRefused(err) && r.clock.wasWrong():
			err = errWrongClock
		case w.adapt(piece, err, most):
			r.ahead.giveUp()
			r.readAhead(ctx, cursor.Window{To: w.done}) // while it is found out whether windows are heeded
			err = r.testWindows(ctx)
		default:
			err = w.explain(err)
		}
		switch {
		case err == nil:
			continue
		case workspace.IsThrottled(err):
			r.quota.refused()
			w.tooLong = 0 // by another measure
		}
		if reasonOf(err) == Clock || errors.Is(err, errWrongClock) {
			r.unread = nil // it was cut by a wrong clock
			return err
		}
		return windowError(piece, err)
	}
	r.unread = nil
	return nil
}

// most is how many records the next piece may have.
func (r *windowReader) most() int { return r.unread.most(r.quota.mostOr(maxRecords)) }

// readAhead begins to read what is likely to follow a piece, unless there is a quota.
func (r *windowReader) readAhead(ctx context.Context, current cursor.Window) {
	if !r.quota.isLimited() {
		r.ahead.topUp(ctx, r.unread.pieces, current, r.most())
	}
}

// pieceCommitted is called after each commit. A gap is reported with the first one: the cursor
// is behind it then.
func (r *windowReader) pieceCommitted() {
	r.unread.counted = r.position().Cursor
	r.lost(r.unread.gap)
	r.unread.gap = 0
}

// testWindows finds out whether the source ignores its windows, and logs a change.
func (r *windowReader) testWindows(ctx context.Context) error {
	if r.ignoresWindow == nil {
		return nil
	}
	if err := r.unread.test(ctx, r.ignoresWindow); err != nil {
		return err
	}
	ignored := r.unread.windows == windowsIgnored
	if ignored {
		r.ahead.giveUp()
	}
	if ignored && !r.reported {
		level.Warn(r.Logger).Log("msg", "the list ignores the window it is asked for: each poll reads all of it; "+
			"report it to the vendor, and read this source by export if polls take too long")
	}
	r.reported = ignored
	return nil
}

// logins reads pieces of login records, at what is believed to be now, and commits each
// part by part.
func (r *windowReader) logins(source LoginReader, now time.Time, commit func(*record.Batch) error) readPiece {
	return func(ctx context.Context, piece cursor.Window, most int, begun *readingAhead) (records int, end time.Time, err error) {
		w, from := r.unread, piece.From
		err = begun.orRead(source).Read(ctx, piece.From, piece.To, most, func(upTo time.Time, logins []record.Login) error {
			if ctx.Err() != nil {
				return ctx.Err() // what is committed is; the rest is read again
			}
			believed, err := r.checkTime(w, timesOf(logins, upTo), upTo, now)
			if err != nil {
				return err
			}
			part := &record.Batch{From: from, To: upTo, Now: believed, Logins: logins, UpToDate: upTo.Equal(w.todo.To), Late: w.late}
			from, records = upTo, records+len(logins)
			if err := commit(part); err != nil {
				return err
			}
			r.pieceCommitted()
			return nil
		})
		return records, piece.To, err
	}
}

// checkTime learns from what was read up to a time, which was believed to be before now,
// and returns what is believed to be now.
func (r *windowReader) checkTime(w *unread, shown iter.Seq[time.Time], upTo, now time.Time) (believed time.Time, err error) {
	counted := r.position().Cursor
	if r.clock.wasWrong() {
		return now, errWrongClock
	}
	if now.Before(w.todo.From) && !counted.IsZero() {
		return now, r.clockBehind(now, counted)
	}
	r.clock.learn(shown, r.clock.confirmed(upTo, counted))
	believed = r.clock.confirmed(r.clock.claim, counted)
	if counted.IsZero() && believed.Sub(now) > cursor.MaxDrift {
		return now, errWrongClock // and the first window should begin later
	}
	return later(believed, w.todo.From), nil // the latter if there is nothing to go by yet
}
