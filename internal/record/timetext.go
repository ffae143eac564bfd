package record

import (
	"regexp"
	"strings"
	"time"
)

// timeParser reads a time in words and numbers, from left to right. The text is in lower
// case, its digits and signs in their usual form.
type timeParser struct {
	rest string
	zone *time.Location

	year, month, day                 int
	hour, minute, second, nanosecond int
	half                             string // am or pm, if the text says so
}

// yearOne is the first of all days as programs write it that do not fill the year up with
// zeros, or write it last. Nothing in it can be mistaken for another day.
var yearOne = regexp.MustCompile(`^(1[-/.]0?1[-/.]0?1|0?1[-/.]0?1[-/.]0001)([ t]|$)`)

// parse reads the whole text.
func (p *timeParser) parse() (time.Time, error) {
	p.weekday()
	if yearOne.MatchString(p.rest) {
		return time.Time{}, errZeroTime
	}
	if !p.date() {
		return time.Time{}, errSyntax
	}
	if p.year >= 0 && p.isZeroDate() {
		return time.Time{}, errZeroTime
	}
	p.separator()
	p.halfOfDay()
	if !p.clock() {
		return time.Time{}, errSyntax
	}
	p.halfOfDay()
	if !p.offset() || !p.lastYear() {
		return time.Time{}, errSyntax
	}
	p.blanks()
	if p.rest != "" || !p.valid() {
		return time.Time{}, errSyntax
	}
	return time.Date(p.year, time.Month(p.month), p.day, p.hour, p.minute, p.second, p.nanosecond, p.zone), nil
}

func (p *timeParser) blanks() { p.rest = strings.TrimLeftFunc(p.rest, isFiller) }

// take drops the first of some words with which the rest begins.
func (p *timeParser) take(words ...string) (word string, ok bool) {
	for _, w := range words {
		if strings.HasPrefix(p.rest, w) {
			p.rest = p.rest[len(w):]
			return w, true
		}
	}
	return "", false
}

// digits reads a number of least to most digits.
func (p *timeParser) digits(least, most int) (n int, ok bool) {
	length := 0
	for length < len(p.rest) && p.rest[length] >= '0' && p.rest[length] <= '9' {
		length++
	}
	if length < least || length > most {
		return 0, false
	}
	for _, c := range []byte(p.rest[:length]) {
		n = n*10 + int(c-'0')
	}
	p.rest = p.rest[length:]
	return n, true
}

// letters reads a word of ASCII letters, with a point behind it or not.
func (p *timeParser) letters() string {
	length := 0
	for length < len(p.rest) && p.rest[length] >= 'a' && p.rest[length] <= 'z' {
		length++
	}
	word := p.rest[:length]
	p.rest = strings.TrimPrefix(p.rest[length:], ".")
	return word
}

// weekday skips the day of the week, if one stands first.
func (p *timeParser) weekday() {
	before := p.rest
	if word := p.letters(); len(word) < 3 || !isShortOf(word, weekdays) {
		p.rest = before
		return
	}
	_, _ = p.take(",")
	p.blanks()
}

var (
	weekdays = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
	months   = []string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}
)

// isShortOf reports whether a word of three letters or more is one of names, or begins it.
func isShortOf(word string, names []string) bool { return indexOf(word, names) >= 0 }

func indexOf(word string, names []string) int {
	for i, name := range names {
		if len(word) >= 3 && len(word) <= 4 && strings.HasPrefix(name, word) || word == name {
			return i
		}
	}
	return -1
}

// date reads year, month and day, in this order if all are numbers.
func (p *timeParser) date() bool {
	before := p.rest
	if n, ok := p.digits(8, 8); ok {
		p.year, p.month, p.day = n/10000, n/100%100, n%100
		return true
	}
	if year, ok := p.digits(4, 4); ok {
		p.year = year
		return p.monthAndDay()
	}
	if p.rest = before; p.rest == "" {
		return false
	}
	if p.rest[0] >= 'a' && p.rest[0] <= 'z' {
		return p.monthFirst()
	}
	return p.dayFirst()
}

// monthAndDay reads what follows a year: -01-05, /1/5, .1.5, 年1月5日 or -Jan-05.
func (p *timeParser) monthAndDay() (ok bool) {
	p.blanks()
	sign, ok := p.take("-", "/", ".", "年")
	p.blanks()
	if p.month = p.monthName(); p.month > 0 {
		_, _ = p.take("-", "/", ".")
		p.blanks()
		p.day, ok = p.digits(1, 2)
		return ok
	}
	if !ok {
		return false
	}
	if p.month, ok = p.digits(1, 2); !ok {
		return false
	}
	p.blanks()
	next := map[string]string{"年": "月"}[sign]
	if next == "" {
		next = sign
	}
	if _, ok = p.take(next); !ok {
		return false
	}
	p.blanks()
	if p.day, ok = p.digits(1, 2); ok && sign == "年" {
		_, ok = p.take("日", "号")
	}
	return ok
}

// monthName reads the name of a month; 0 if there is none.
func (p *timeParser) monthName() int {
	before := p.rest
	month := indexOf(p.letters(), months) + 1
	if month == 0 {
		p.rest = before
	}
	return month
}

// monthFirst reads "Jan 5, 2024", or "Jan  5" whose year stands at the end.
func (p *timeParser) monthFirst() (ok bool) {
	if p.month = p.monthName(); p.month == 0 {
		return false
	}
	_, _ = p.take("-", "/")
	p.blanks()
	if p.day, ok = p.digits(1, 2); !ok {
		return false
	}
	_, _ = p.take("st", "nd", "rd", "th")
	p.year = -1
	before := p.rest
	_, _ = p.take(",", "-", "/")
	p.blanks()
	if year, ok := p.digits(4, 4); ok {
		p.year = year
	} else {
		p.rest = before
	}
	return true
}

// dayFirst reads "5 January 2024" and "05-Jan-2024".
func (p *timeParser) dayFirst() (ok bool) {
	if p.day, ok = p.digits(1, 2); !ok {
		return false
	}
	_, _ = p.take("st", "nd", "rd", "th")
	_, _ = p.take("-", "/", ".")
	p.blanks()
	if p.month = p.monthName(); p.month == 0 {
		return false
	}
	_, _ = p.take("-", "/", ".", ",")
	p.blanks()
	p.year, ok = p.digits(4, 4)
	return ok
}

// isZeroDate reports whether the date stands for none: the zeros of databases, programs
// and spreadsheets.
func (p *timeParser) isZeroDate() bool {
	switch {
	case p.year <= 1, p.year == 1900 && p.month == 1 && p.day <= 1, p.year == 1904 && p.month == 1 && p.day == 1:
		return true
	case p.year == 1899 || p.year == 1969:
		return p.month == 12 && p.day >= 30
	}
	return p.year == 1970 && p.month == 1 && p.day == 1
}

// separator skips what stands between date and time.
func (p *timeParser) separator() {
	p.blanks()
	if _, ok := p.take("星期", "周"); ok {
		_, _ = p.take("一", "二", "三", "四", "五", "六", "日", "天")
		p.blanks()
	}
	if _, ok := p.take("t", ",", ":", "_"); !ok && len(p.rest) > len("-00:00:") && p.rest[3] == ':' && p.rest[6] == ':' {
		_, _ = p.take("-") // without seconds it would be a zone
	}
	p.blanks()
	_, _ = p.take("at ")
	p.blanks()
}

// halfOfDay reads AM and PM, in English and Chinese.
func (p *timeParser) halfOfDay() {
	before := p.rest
	p.blanks()
	word, ok := p.take("am", "pm", "a.m.", "p.m.", "上午", "下午")
	if !ok || p.half != "" {
		p.rest = before
		return
	}
	p.half = map[string]string{"am": "am", "a.m.": "am", "上午": "am", "pm": "pm", "p.m.": "pm", "下午": "pm"}[word]
	p.blanks()
}

// clock reads the time of day.
func (p *timeParser) clock() (ok bool) {
	if n, ok := p.digits(6, 6); ok {
		p.hour, p.minute, p.second = n/10000, n/100%100, n%100
		p.fraction()
		return true
	}
	if n, ok := p.digits(4, 4); ok {
		p.hour, p.minute = n/100, n%100
		return true
	}
	if p.hour, ok = p.digits(1, 2); !ok {
		return false
	}
	sign, ok := p.take(":", ".", "时", "点")
	switch {
	case !ok:
		return false
	case sign != ":" && sign != ".":
		return p.chineseClock()
	}
	if p.minute, ok = p.digits(2, 2); !ok {
		return false
	}
	if _, ok := p.take(sign); !ok {
		return sign == ":" // 8.03 is a number, too
	}
	if p.second, ok = p.digits(2, 2); ok {
		p.fraction()
	}
	return ok
}

// chineseClock reads what follows the hour in 8时03分07秒.
func (p *timeParser) chineseClock() (ok bool) {
	if p.minute, ok = p.digits(1, 2); !ok {
		return false
	}
	if _, ok = p.take("分"); !ok {
		return false
	}
	if p.second, ok = p.digits(1, 2); !ok {
		return true
	}
	_, ok = p.take("秒")
	return ok
}

// fraction reads that of a second.
func (p *timeParser) fraction() {
	if len(p.rest) < 2 || p.rest[0] != '.' && p.rest[0] != ',' || p.rest[1] < '0' || p.rest[1] > '9' {
		return
	}
	end := 1
	for end < len(p.rest) && p.rest[end] >= '0' && p.rest[end] <= '9' {
		end++
	}
	p.nanosecond = int(nanoseconds(p.rest[1:end]))
	p.rest = p.rest[end:]
}

// offset reads the zone, if there is one: Z, UTC, GMT, what is added to them, or that
// alone. Names of zones are not read, but for those that follow an offset: CST is many.
func (p *timeParser) offset() (ok bool) {
	p.blanks()
	opening, bracket := p.take("(", "[")
	zone, length := offsetOf(p.rest)
	if length == 0 {
		return !bracket
	}
	signed := strings.ContainsAny(p.rest[:length], "+-")
	p.zone, p.rest = zone, p.rest[length:]
	if bracket {
		_, ok = p.take(map[string]string{"(": ")", "[": "]"}[opening])
		return ok
	}
	if signed {
		p.zoneName()
	}
	return true
}

// zoneName skips a zone's name behind its offset, as Go, Java and JavaScript add it.
func (p *timeParser) zoneName() {
	p.blanks()
	if end := len(p.rest) - 1; end > 0 && (p.rest[0] == '(' || p.rest[0] == '[') && strings.IndexAny(p.rest, ")]") == end {
		p.rest = ""
	} else if before := p.rest; p.letters() == "" {
		p.rest = before
	}
}

// offsetOf reads the zone that s begins with, and says how long it is; 0 if there is none.
func offsetOf(s string) (zone *time.Location, length int) {
	for _, name := range [...]string{"北京时间", "东八区"} {
		if strings.HasPrefix(s, name) {
			return time.FixedZone("", 8*60*60), len(name)
		}
	}
	rest, named := s, false
	for _, name := range [...]string{"utc", "gmt", "z"} {
		if rest, named = strings.CutPrefix(s, name); named {
			break
		}
	}
	switch {
	case rest == "" || rest[0] != '+' && rest[0] != '-':
		if !named || rest != "" && (rest[0] >= 'a' && rest[0] <= 'z' || rest[0] >= '0' && rest[0] <= '9') {
			return nil, 0
		}
		return time.UTC, len(s) - len(rest)
	}
	p := timeParser{rest: rest[1:]}
	hours, minutes, ok := 0, 0, false
	if n, four := p.digits(4, 4); four {
		hours, minutes, ok = n/100, n%100, true
	} else if hours, ok = p.digits(1, 2); ok {
		if _, colon := p.take(":"); colon {
			minutes, ok = p.digits(2, 2)
		}
	}
	if !ok || hours > maxOffsetHours || minutes > 59 {
		return nil, 0
	}
	offset := (hours*60 + minutes) * 60
	if rest[0] == '-' {
		offset = -offset
	}
	if offset == 0 {
		return time.UTC, len(s) - len(p.rest)
	}
	return time.FixedZone("", offset), len(s) - len(p.rest)
}

// maxOffsetHours is the offset of Kiribati.
const maxOffsetHours = 14

// lastYear reads the year at the end of "Fri Jan  5 08:03:07 UTC 2024".
func (p *timeParser) lastYear() (ok bool) {
	if p.year >= 0 {
		return true
	}
	p.blanks()
	if p.year, ok = p.digits(4, 4); !ok {
		return false
	}
	return !p.isZeroDate()
}

// valid checks the numbers, and turns the twelve hours of half a day into those of a day.
func (p *timeParser) valid() bool {
	switch {
	case p.half == "am" && p.hour > 12, p.hour > 23, p.minute > 59, p.second > 59, p.month < 1 || p.month > 12, p.day < 1:
		return false
	case p.half == "am" && p.hour == 12:
		p.hour = 0
	case p.half == "pm" && p.hour < 12:
		p.hour += 12
	}
	return p.day <= time.Date(p.year, time.Month(p.month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// TitleZone finds the zone that a column's title names, as in "Start time (GMT+08:00)".
// It returns the title without it, and nil if there is none.
func TitleZone(title string) (rest string, zone *time.Location) {
	title = strings.TrimFunc(narrow(title), isFiller)
	text := strings.TrimRight(asciiLower(title), ")] ")
	for i := 1; i < len(text); i++ {
		if isWord(text[i-1]) && isWord(text[i]) {
			continue // inside of a word
		}
		z, length := offsetOf(text[i:])
		// Without more, "Start time-1" is the second column of that title.
		clear := text[i] != '+' && text[i] != '-' || strings.Contains(text[i:], ":") || len(text) < len(title)
		if length > 0 && length == len(text)-i && clear {
			return strings.TrimRight(title[:i], "([ _-,"), z
		}
	}
	return title, nil
}
