// Package cursor holds the arithmetic that "every record once, and none lost" rests on:
// how far a source has been read, which window is read next, and every margin by which
// windows overlap and memory outlives them. It is pure: no clock, no files, no API.
//
// Two sentences hold, whatever the interval, the lookback and the pauses are:
//
//   - None is lost. The windows that are read one after the other cover all time from the
//     beginning of the first one, but for a gap that Backlog returns. They overlap by
//     Seam or more (or MinSeam), see there why that is enough.
//   - None is counted twice. No window begins before the horizon, and whatever a window
//     that begins at the horizon may show is still remembered: see MemoryMargin.
package cursor

import "time"

// The margins. Windows are asked for in whole seconds. Which of their ends are inclusive, by
// which of its times a record is selected, and whether that time is cut or rounded to a
// second, the API does not say: each margin is enough for every answer to these questions.
const (
	// Second is the API's resolution: no window is cut to less.
	Second = time.Second

	// Seam is how much a window reads again of the one before it. Two ends meet there, and
	// either may hide up to a second: one that is exclusive hides the second that it names,
	// and a time may be rounded across it.
	Seam = 2 * Second

	// MinSeam is enough where windows advance by whole seconds, and less to read again
	// counts. It relies on both ends being compared with the same time of a record, however
	// that is cut or rounded: what one window hides behind its end, the next one shows.
	MinSeam = Second

	// Edge is how far inside of a window the known time of a record must lie for the record
	// to be shown for certain: a second for an end that hides it, and one for what was cut
	// or rounded off the time that the list selects by. Only a record that is absent at
	// such a time may have been deleted.
	Edge = 2 * Second

	// Retention is how far back the API keeps records.
	Retention = 30 * 24 * time.Hour

	// ReachMargin is how long the reading of a window may take: what is at its beginning
	// must be kept until its last page, or its export task, has been asked for.
	ReachMargin = 10 * time.Minute

	// Reach is how far back a window may begin.
	Reach = Retention - ReachMargin

	// HorizonMargin is how much more than the lookback is remembered, so that a cursor which
	// goes back a little, as clocks do, still has its whole lookback before it.
	HorizonMargin = time.Minute

	// MemoryMargin is how far before the horizon the known time of a record must lie for the
	// record to be forgotten. Some lists are asked in whole minutes, so that a window which
	// begins at the horizon shows what is up to a minute older, and a second more where
	// times are rounded up. Files with local times repeat an hour when clocks are put back:
	// a record of the second time is read as one of the first.
	MemoryMargin = time.Hour + time.Minute + Second

	// MaxDrift is how far two clocks, or the same clock at two times, may differ and still
	// agree. A cursor that is further ahead than this has followed a wrong clock.
	MaxDrift = time.Minute
)
