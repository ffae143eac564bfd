package cursor

import "time"

// Position is how far a source has been counted. Times are the server's.
type Position struct {
	// Cursor is the end of the last window that was read whole, and not later than what
	// was borne out then; zero before the first.
	Cursor time.Time
	// Newest is the newest time that a record has shown. Horizon follows it, and no clock.
	Newest time.Time
	// Horizon is the time from which on every record that was counted is remembered.
	// No window may begin before it, or records would be counted twice.
	Horizon time.Time
	// Complete is true once a poll has come up to date.
	Complete bool
	// LastSuccess is when that happened last.
	LastSuccess time.Time
}

// Backlog is all that a poll has to read: from the lookback behind the cursor until now,
// and never nothing: the server's clock is known only by what it answers. Initial is the
// lookback of the first poll. Gap is the time before it that nobody can read any more.
func (p Position) Backlog(lookback, initial time.Duration, now time.Time) (w Window, gap time.Duration) {
	from := now.Add(-max(initial, Seam))
	if !p.Cursor.IsZero() {
		from = later(p.Cursor.Add(-max(lookback, Seam)), p.Horizon)
	}
	if oldest := now.Add(-Reach); from.Before(oldest) {
		if !p.Cursor.IsZero() && p.Cursor.Before(oldest) {
			gap = oldest.Sub(p.Cursor)
		}
		from = oldest
	}
	w = Window{from.Truncate(Second), now}
	if w.To.Before(w.From) {
		w.To = w.From.Add(Seam)
	}
	return w, gap
}

// Following is the window [From, To) that follows the cursor without gap or overlap, for
// lists that are added up: it ends when its records have settled. The first one begins an
// initial time before that. It may be empty.
func (p Position) Following(settle, initial time.Duration, now time.Time) (w Window, gap time.Duration) {
	w = Window{p.Cursor, now.Add(-settle).Truncate(Second)}
	if p.Cursor.IsZero() {
		w.From = w.To.Add(-initial)
	}
	if oldest := now.Add(-Reach); w.From.Before(oldest) {
		gap = oldest.Sub(w.From)
		w.From = oldest
	}
	return w, gap
}

// Advance moves the cursor to the end of a window that was read whole, as far as that is
// borne out at now, and the horizon behind newest, the newest time that its records show.
// A cursor that a clock took ahead of now comes back; the horizon never does.
func (p *Position) Advance(read Window, now, newest time.Time, lookback time.Duration) {
	if p.Cursor.IsZero() {
		p.Horizon, p.Cursor = read.From, read.From
	}
	if now.Before(p.Cursor.Add(-MaxDrift)) {
		p.Cursor = now
	}
	if reached := earlier(read.To, now); reached.After(p.Cursor) {
		p.Cursor = reached
	}
	p.Newest = later(p.Newest, newest)
	p.Horizon = later(p.Horizon, Horizon(p.Newest, lookback))
}

// Horizon is the oldest time at which a window may begin once records up to newest have
// been read.
func Horizon(newest time.Time, lookback time.Duration) time.Time {
	return newest.Add(-lookback - HorizonMargin)
}

// Forgettable is the time before which no window that begins at the horizon or later
// shows a record.
func Forgettable(horizon time.Time) time.Time { return horizon.Add(-MemoryMargin) }

// KnownFrom is the time from which on all that was counted is remembered, by the times that
// records themselves have shown: with a wrong time zone, all of them are off. It is zero
// before there is any.
func (p Position) KnownFrom(lookback time.Duration) time.Time {
	if p.Newest.IsZero() {
		return time.Time{}
	}
	return Forgettable(Horizon(p.Newest, lookback))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
