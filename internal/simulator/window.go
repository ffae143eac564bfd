package simulator

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxWindow is how long a window may be, and how far back it may reach: "only
// data within 30 days" say the vendor's definitions, of both. That a window
// beyond is refused, rather than cut or answered empty, is our reading.
const maxWindow = 30 * 24 * time.Hour

// Forms of time in requests, all in UTC.
const (
	formSeconds = "2006-01-02T15:04:05Z"
	formBlank   = "2006-01-02 15:04:05"
	formMillis  = "2006-01-02T15:04:05.000Z"
	formMinutes = "2006-01-02T15:04Z"
)

// windowRule is what a call wants of the window in its request.
type windowRule struct {
	from, to string   // the names of the ends
	forms    []string // accepted
	// mandatory: both ends are wanted. alone: one will do. Otherwise both or none.
	mandatory, alone bool
	// unlimited: no page of the API says that it must lie in the last 30 days.
	unlimited bool
}

// read takes the window out of the values of a request. Neither end means the last
// 30 days. That the order of the ends is checked is our reading.
func (w windowRule) read(values map[string]string, now time.Time) (from, to time.Time, err error) {
	first, hasFirst := values[w.from]
	last, hasLast := values[w.to]
	delete(values, w.from)
	delete(values, w.to)
	switch {
	case w.mandatory && (!hasFirst || !hasLast):
		return from, to, fmt.Errorf("%s and %s are mandatory", w.from, w.to)
	case hasFirst != hasLast && !w.alone:
		return from, to, fmt.Errorf("%s and %s must be given together", w.from, w.to)
	}
	from, to = now.Add(-maxWindow), now
	if hasFirst {
		if from, err = w.parse(w.from, first); err != nil {
			return from, to, err
		}
	}
	if hasLast {
		if to, err = w.parse(w.to, last); err != nil {
			return from, to, err
		}
	}
	return from, to, w.check(from, to, now)
}

func (w windowRule) check(from, to, now time.Time) error {
	switch {
	case from.After(to):
		return fmt.Errorf("%s must not be after %s", w.from, w.to)
	case w.unlimited:
	case to.Sub(from) > maxWindow:
		return errors.New("the time range must not exceed 30 days")
	case from.Before(now.Add(-maxWindow)):
		return fmt.Errorf("%s must be within the last 30 days", w.from)
	}
	return nil
}

// parse wants exactly one of the forms. time.Parse would also accept a fraction of
// a second where the form has none.
func (w windowRule) parse(name, value string) (time.Time, error) {
	for _, form := range w.forms {
		if t, err := time.Parse(form, value); err == nil && len(value) == len(form) {
			return t, nil
		}
	}
	example := time.Date(2022, 10, 31, 8, 7, 39, 182e6, time.UTC)
	var forms []string
	for _, form := range w.forms {
		forms = append(forms, example.Format(form))
	}
	return time.Time{}, fmt.Errorf("%s must look like %s", name, strings.Join(forms, " or "))
}

func format(t time.Time) string       { return formatIn(formSeconds, t) }
func formatMillis(t time.Time) string { return formatIn(formMillis, t) }

func formatIn(form string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(form)
}

// parseAny reads the forms in which answers have been seen to hold times.
func parseAny(s string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", formBlank} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
