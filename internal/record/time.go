package record

import (
	"fmt"
	"strings"
	"time"
)

// Formats in which the API has been seen to write a time, beside RFC 3339. A
// time without a zone is UTC. time.Parse accepts a fraction after the seconds
// of every one of them.
var timeLayouts = [...]string{
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05 -0700",
	"2006-01-02T15:04:05Z0700",
	"2006-01-02T15:04Z07:00",
	"2006-01-02 15:04",
	"2006/01/02 15:04:05",
}

// The service is younger than earliest and no record is of later than latest:
// what lies outside is a placeholder or garbage, not a time.
var (
	earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// ParseTime reads a time in any of the formats the API has been seen to use, in
// UTC. Blank text is the zero time and no error.
func ParseTime(s string) (time.Time, error) {
	if s = strings.TrimSpace(s); s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	for i := 0; err != nil && i < len(timeLayouts); i++ {
		t, err = time.Parse(timeLayouts[i], s)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("not a time in a known format (%d characters)", len(s))
	}
	if t.Before(earliest) || t.After(latest) {
		return time.Time{}, fmt.Errorf("a time outside of %d to %d", earliest.Year(), latest.Year())
	}
	return t.UTC(), nil
}
