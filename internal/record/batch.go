package record

import "time"

// Batch is what one window of a source held: every record of it, in the order
// in which they were read. A record may stand in it in several versions.
type Batch struct {
	// From and To bound the window. Now is the time, as far as clocks and records bear it
	// out: To may be later, by a clock that is not to be believed.
	From, To, Now time.Time
	Logins        []Login
	// Sessions are a snapshot of all sessions that began in the window, Accesses the
	// access statistics of the window.
	Sessions []Session
	Accesses []Access
	// Fleet are the application servers as they are now, Desktops the numbers of desktops.
	Fleet    Fleet
	Desktops []DesktopCount
	// SignedOut is how many more sessions the window holds, all of which are over.
	SignedOut int
	// Review marks a window that was read again only for the sake of records that
	// are unfinished: the cursor stays, and records that are not known any more
	// are not counted again.
	Reread bool
	// UpToDate marks the last window of a poll, the one that ends at Now.
	UpToDate bool
	// Late marks a window that ended some time before Now, when an earlier poll began to
	// read it: what has changed since may stand in a later one.
	Late bool
}

// AddSession adds a session. Of those that are over, which in 30 days are nearly all,
// only the number is kept.
func (r *Batch) AddSession(s *Session) error {
	if s.State == StateSignedOut {
		r.SignedOut++
	} else {
		r.Sessions = append(r.Sessions, *s)
	}
	return nil
}

// Newest is the newest time that the batch's records show. A time after the window's
// end, or after what is borne out, does not count. Zero if there is none.
func (r *Batch) Newest() time.Time {
	latest := r.To
	if r.Now.Before(latest) {
		latest = r.Now
	}
	return later(newestOf(r.Logins, latest), newestOf(r.Sessions, latest), newestOf(r.Accesses, latest))
}

func newestOf[T any, P interface {
	*T
	NewestUntil(time.Time) time.Time
}](records []T, limit time.Time) (newest time.Time) {
	for i := range records {
		newest = later(newest, P(&records[i]).NewestUntil(limit))
	}
	return newest
}

func later(times ...time.Time) (latest time.Time) {
	for _, t := range times {
		if t.After(latest) {
			latest = t
		}
	}
	return latest
}

// Why rows of a file are left out.
const (
	SkippedNoRecord = "no_record" // a total, a comment, trailing characters
	SkippedSheet    = "sheet"     // a row of a sheet that is no part of the table
)

// SkippedReasons lists all of them.
var SkippedReasons = []string{SkippedNoRecord, SkippedSheet}
