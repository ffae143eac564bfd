package record

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The service is younger than earliest and no record is of later than latest:
// what lies outside is a placeholder or garbage, not a time.
var (
	earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// ParseTime is ParseTimeIn for times that are UTC unless they say otherwise.
func ParseTime(s string) (time.Time, error) { return ParseTimeIn(s, time.UTC) }

// ParseTimeIn reads a time as the API, spreadsheets, databases and programs write it; one
// without a zone is in the given zone. The result is UTC. Text that says that there is no
// time (see isNothing; the year 1 and dates of zeros, too) is the zero value and no error.
//
// It never guesses: what may be a day or a month, a zone or another, is unreadable, and
// so is a date without a time of day.
func ParseTimeIn(s string, zone *time.Location) (time.Time, error) {
	s = plain(s)
	s = quoting{apostrophe: true, quotes: true}.strip(s)
	if isNothing(s) {
		return time.Time{}, nil
	}
	if len(s) > maxTimeBytes {
		return time.Time{}, errNoTime(s)
	}
	if t, ok := usualTime(s, zone); ok {
		return t, nil
	}
	lower := asciiLower(narrow(s))
	t, err := parseStamp(lower, zone)
	if errors.Is(err, errNoStamp) {
		p := timeParser{rest: lower, zone: zone}
		t, err = p.parse()
	}
	switch {
	case errors.Is(err, errZeroTime):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, errNoTime(s)
	case t.Before(earliest) || !t.Before(latest):
		return time.Time{}, fmt.Errorf("a time outside of %d to %d", earliest.Year(), latest.Year())
	}
	return t.UTC(), nil
}

// usualTime is the fast way for the two forms that nearly every time has.
func usualTime(s string, zone *time.Location) (t time.Time, ok bool) {
	if len(s) < len(time.DateTime) || s[4] != '-' {
		return t, false
	}
	var err error
	switch {
	case s[10] == 'T':
		t, err = time.Parse(time.RFC3339, s)
	case s[10] == ' ' && len(s) == len(time.DateTime):
		t, err = time.ParseInLocation(time.DateTime, s, zone)
	default:
		return t, false
	}
	return t.UTC(), err == nil && !t.Before(earliest) && t.Before(latest)
}

// maxTimeBytes is longer than any time is written.
const maxTimeBytes = 96

var (
	errNoStamp  = errors.New("not a number")
	errZeroTime = errors.New("stands for no time")
	errSyntax   = errors.New("not a time")
)

func errNoTime(s string) error {
	return fmt.Errorf("not a time in a known format (%d characters)", len(s))
}

// asciiLower leaves the length of s as it is.
func asciiLower(s string) string {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for i, c := range b {
				if c >= 'A' && c <= 'Z' {
					b[i] = c + 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// Stamps are distinguished by their size: they do not overlap between the years
// 2000 and 2200.
const (
	firstSerial, endSerial = 36526, 109575 // days as spreadsheets count them
	firstStamp, endStamp   = 946684800, 7258118400
	zeroUnix               = "-62135596800" // the year 1
)

// parseStamp reads a time that is one number: 20060102150405, seconds of the epoch or
// parts of them, or a spreadsheet's days.
func parseStamp(s string, zone *time.Location) (time.Time, error) {
	if s == zeroUnix || s == zeroUnix+"000" || strings.Contains(s, "0") && strings.Trim(s, "0.,:-/ tz") == "" {
		return time.Time{}, errZeroTime
	}
	if ms, ok := strings.CutPrefix(s, "/date("); ok { // as .NET writes JSON
		s = strings.TrimSuffix(ms, ")/")
	}
	if !isNumeric(s) {
		return time.Time{}, errNoStamp
	}
	if i := strings.LastIndexByte(s, '.'); i > 0 && groups.MatchString(s[:i]) {
		digits, _ := whole(s[:i])
		s = digits + s[i:]
	} else if strings.Contains(s, ",") && groups.MatchString(s) {
		s, _ = whole(s)
	}
	if strings.Contains(s, "e") && exponentForm.MatchString(s) {
		digits := strings.IndexByte(s, 'e') - strings.IndexAny(s, ".,") - 1
		f, ok := number(s)
		if !ok || digits < minExponentDigits {
			return time.Time{}, errSyntax
		}
		s = strconv.FormatFloat(f, 'f', -1, 64)
	}
	integer, fraction := s, ""
	if i := strings.IndexAny(s, ".,"); i >= 0 {
		integer, fraction = s[:i], s[i+1:]
	}
	if integer == "" || len(integer) > 19 || !isDigits(integer) || fraction != "" && !isDigits(fraction) {
		return time.Time{}, errNoStamp
	}
	n, err := strconv.ParseInt(integer, 10, 64)
	if err != nil {
		return time.Time{}, errSyntax
	}
	switch {
	case n >= firstSerial && n < endSerial:
		return serialTime(integer, fraction, zone), nil
	case len(integer) == 12 || len(integer) == 14 || len(integer) == 17:
		p := timeParser{rest: integer[:8] + "t" + integer[8:min(14, len(integer))], zone: zone}
		t, err := p.parse()
		return t.Add(time.Duration(nanoseconds(integer[min(14, len(integer)):] + fraction))), err
	case n >= firstStamp && n < endStamp:
		return time.Unix(n, nanoseconds(fraction)), nil
	case n >= firstStamp*1000 && n < endStamp*1000:
		return time.UnixMilli(n), nil
	case n >= firstStamp*1e6 && n < endStamp*1e6:
		return time.UnixMicro(n), nil
	case n >= firstStamp*1e9:
		return time.Unix(0, n), nil
	}
	return time.Time{}, errSyntax
}

// minExponentDigits are those behind the point of a stamp in exponent form that has not
// been rounded to something else.
const minExponentDigits = 7

// serialTime reads a number of days since the 30th of December 1899, which is right for
// every date after February 1900.
func serialTime(days, fraction string, zone *time.Location) time.Time {
	whole, _ := strconv.Atoi(days)
	part, _ := strconv.ParseFloat("0."+fraction, 64)
	precision := time.Millisecond // a day's fraction is exact to some microseconds
	if len(fraction) < 9 {        // as it is shown, and not as it is kept
		precision = time.Second
	}
	of := time.Duration(math.Round(part * float64(24*time.Hour))).Round(precision)
	return time.Date(1899, 12, 30+whole, 0, 0, 0, int(of), zone)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// nanoseconds are the digits of a fraction of a second.
func nanoseconds(fraction string) int64 {
	if len(fraction) > 9 {
		fraction = fraction[:9]
	}
	n, _ := strconv.ParseInt(fraction+"000000000"[len(fraction):], 10, 64)
	return n
}
