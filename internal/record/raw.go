package record

import (
	"cmp"
	"math"
	"strings"
	"time"
	"unique"

	"github.com/go-json-experiment/json/jsontext"
)

// kind is what one kind of raw record consists of: the names of the fields that
// mean something to us, as the API writes them; "a.b" is the field b of the object a. A field
// is known by its place.
type kind struct {
	names   []string
	places  map[string]int
	objects map[string]bool // the objects within the record that have fields
	truths  uint32          // a bit for each field that may be true or false
}

func newKind(names []string, truths ...int) *kind {
	k := &kind{names: names, places: make(map[string]int, len(names)), objects: map[string]bool{}}
	for _, place := range truths {
		k.truths |= 1 << place
	}
	for i, name := range names {
		k.places[name] = i
		if object, _, within := strings.Cut(name, "."); within {
			k.objects[object] = true
		}
	}
	return k
}

// place finds a field by its name. It looks first where it is likely to be: answers have their
// fields in the order of the API's pages.
func (k *kind) place(name string, likely int) (place int, ok bool) {
	if likely < len(k.names) && k.names[likely] == name {
		return likely, true
	}
	place, ok = k.places[name]
	return place, ok
}

// maxFields is how many fields a kind may have at most.
const maxFields = 28

// raw is a record as its source wrote it, text by text: a number is the text that it is.
// Any field may be missing, null or of another type than the API's pages say: it has no
// text then.
type raw struct {
	text    [maxFields]string
	invalid uint32 // a bit for each field that could not be read
	// zone is that of times without one; nil is UTC.
	zone *time.Location
	// cells is true if a spreadsheet may have had the fields in its cells.
	cells bool
	// malformed is true if it was no object at all, and identity a hash of it then.
	malformed bool
	identity  Identity
}

func (r *raw) set(k *kind, name, value string) bool {
	place, ok := k.places[name]
	if ok {
		r.text[place], r.cells = value, true
	}
	return ok
}

// refuse marks a field as there and not readable.
func (r *raw) refuse(k *kind, name string) {
	if place, ok := k.places[name]; ok {
		r.invalid |= 1 << place
	}
}

// Reject makes it a record that is none, known by texts.
func (r *raw) Reject(texts ...string) {
	r.malformed, r.identity = true, identify("malformed", texts...)
}

// SetZone says in which zone times are that do not tell: UTC unless it is called.
func (r *raw) SetZone(zone *time.Location) { r.zone = zone }

// decode reads a JSON value. It fails only where the JSON itself does.
func (r *raw) decode(k *kind, d *jsontext.Decoder) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	r.take(k, value)
	return nil
}

// take reads a JSON value.
func (r *raw) take(k *kind, value jsontext.Value) {
	*r = raw{zone: r.zone}
	if value.Kind() != '{' {
		r.malformed, r.identity = true, identify("malformed", string(value))
		return
	}
	r.fill(k, "", string(value))
}

// fill takes the fields of a JSON object, which stands in the record under a prefix. Their
// texts share its memory. A field that stands there twice is what it is the last time.
func (r *raw) fill(k *kind, prefix, object string) {
	plain := isPlain(object)
	place := -1
	for name, value := range members(object) {
		field := prefix + unquote(name, plain)
		var ok bool
		if place, ok = k.place(field, place+1); !ok {
			if k.objects[field] {
				r.fillObject(k, field, value)
			}
			continue
		}
		r.invalid &^= 1 << place
		switch kind := value[0]; {
		case kind == '"':
			r.text[place] = unquote(value, plain)
		case kind == '-' || kind >= '0' && kind <= '9', (kind == 't' || kind == 'f') && k.truths&(1<<place) != 0:
			r.text[place] = value
		default:
			r.text[place] = ""
			if kind != 'n' {
				r.invalid |= 1 << place
			}
		}
	}
}

// fillObject takes the fields of an object within the record.
func (r *raw) fillObject(k *kind, field, value string) {
	switch value[0] {
	case '{':
		r.fill(k, field+".", value)
	case 'n':
	default:
		for i, name := range k.names {
			if strings.HasPrefix(name, field+".") {
				r.invalid |= 1 << i
			}
		}
	}
}

// reading makes what the rest of the program sees of a raw record, and notes the
// fields that cannot be read.
type reading struct {
	*raw
	kind *kind
	bad  uint32
}

// read takes off the texts what tools put around them.
func (r *raw) read(k *kind) reading {
	var quoted quoting
	for i := range k.names {
		r.shorten(i, plain(r.text[i]))
		quoted.sees(r.text[i])
	}
	if quoted.any {
		for i := range k.names {
			r.shorten(i, quoted.strip(r.text[i]))
		}
	}
	return reading{raw: r, kind: k, bad: r.invalid}
}

// shorten sets the text of a field to what is left of it. Nearly always that is all of it,
// and then it is not written again, which costs time while garbage is collected.
func (r *raw) shorten(place int, left string) {
	if len(left) < len(r.text[place]) {
		r.text[place] = left
	}
}

func (r *reading) plain(place int) string { return r.text[place] }

// value is a field's text, empty if it only says that there is nothing.
func (r *reading) value(place int) string {
	s := r.plain(place)
	if isNothing(s) {
		return ""
	}
	return s
}

// label is a field that is shown as it is.
func (r *reading) label(place int) string {
	s := r.plain(place)
	if isDashes(s) {
		return ""
	}
	return intern(Label(s))
}

// intern keeps equal texts only once: there are few label values, they outlive the
// record, and must not keep the whole of it in memory.
func intern(s string) string { return unique.Make(s).Value() }

// name is a field that names a person or a machine.
func (r *reading) name(place int) string {
	s := r.plain(place)
	if isNoName(s) {
		return ""
	}
	s, rounded := whole(narrow(s))
	r.check(place, !rounded)
	if rounded {
		return ""
	}
	return s
}

func (r *reading) person(place int) Person { return pseudonym(r.name(place)) }

// id is a field that tells a record from others: empty if it has been rounded, since it
// may be another record's, too.
func (r *reading) id(place int) string {
	s, rounded := whole(narrow(r.value(place)))
	rounded = rounded || r.cells && isCut(s)
	r.check(place, !rounded)
	if rounded {
		return ""
	}
	return s
}

// identity is that of an id; none if there is no id.
func (r *reading) identity(place int) (id Identity) {
	if text := r.id(place); text != "" {
		id = identify("id", text)
	}
	return id
}

// code is a failure code; empty if it says success in words. It may be any text: what looks
// personal in it is taken out.
func (r *reading) code(place int) string {
	s, _ := whole(r.value(place))
	if s == "" {
		return ""
	}
	if f := narrow(s); f != s { // a code in words stays as it is
		if n, _ := whole(f); isDigits(n) {
			s = n
		}
	}
	if !isDigits(s) && saysSuccess(s) {
		return ""
	}
	if strings.ContainsAny(s, `@＠\/:`) || strings.Count(s, ".")+strings.Count(s, "-")+strings.Count(s, "_") > 2 {
		s = ScrubText(s)
	}
	return intern(Label(s))
}

// reason is a field that tells in words what went wrong; empty if it says success and there is
// no code. Personal text may be in it: see shown.
func (r *reading) reason(place int, code string) string {
	s := r.value(place)
	if code == "" && saysSuccess(s) {
		return ""
	}
	return s
}

// shown is a reason as a label value, without the record's own texts.
func shown(reason string, own []private) string { return intern(Label(withoutPersonal(reason, own))) }

func (r *reading) time(place int) time.Time {
	zone := r.zone
	if zone == nil {
		zone = time.UTC
	}
	t, err := ParseTimeIn(r.text[place], zone)
	r.check(place, err == nil)
	return t
}

// unread is the text of a time that is there and could not be read; else empty.
func (r *reading) unread(place int) string {
	if r.bad&(1<<place) == 0 {
		return ""
	}
	return cmp.Or(r.value(place), "?")
}

// appendClient appends what tells the client of a record: its name and addresses. Where all
// that is known of when it began is a text that could not be read, that tells records apart, too.
func (r *reading) appendClient(client []string, l *Login, start, name int, addresses ...int) []string {
	client = append(client, r.name(name))
	for _, place := range addresses {
		client = append(client, r.id(place))
	}
	if unread := r.unread(start); unread != "" && l.PreConnect.IsZero() {
		client = append(client, unread)
	}
	return client
}

// Units of round-trip times, with what a number of them is in milliseconds. The longer
// come first.
var units = []struct {
	name         string
	milliseconds float64
}{{"milliseconds", 1}, {"millisecond", 1}, {"msecs", 1}, {"msec", 1}, {"ms", 1}, {"毫秒", 1}, {"微秒", .001}, {"us", .001}, {"µs", .001},
	{"seconds", 1000}, {"second", 1000}, {"sec", 1000}, {"s", 1000}, {"秒", 1000}}

// milliseconds reads a number of them, or of another unit that it names; nil if there is
// none.
func (r *reading) milliseconds(place int) *time.Duration {
	text := strings.ToLower(narrow(r.value(place)))
	if text == "" {
		return nil
	}
	factor := 1.0
	for _, unit := range units {
		if rest, ok := strings.CutSuffix(text, unit.name); ok {
			text, factor = rest, unit.milliseconds
			break
		}
	}
	ms, ok := number(text)
	ms *= factor
	if ok = ok && ms >= 0 && ms <= maxMilliseconds; !ok {
		r.check(place, false)
		return nil
	}
	d := time.Duration(ms * float64(time.Millisecond))
	return &d
}

// maxMilliseconds is a day, far more than a round trip takes.
const maxMilliseconds = 24 * 60 * 60 * 1000

// number reads a number of things; nil if there is none.
func (r *reading) number(place int) *int {
	n := r.count(place)
	if n == 0 && (r.value(place) == "" || r.bad&(1<<place) != 0) {
		return nil
	}
	return &n
}

// count reads a number of things; 0 if there is none.
func (r *reading) count(place int) int {
	text := r.value(place)
	for _, unit := range [...]string{"次", "times", "time"} {
		text = strings.TrimSuffix(text, unit)
	}
	if text == "" {
		return 0
	}
	n, ok := number(text)
	if ok = ok && n >= 0 && n <= math.MaxInt32 && n == math.Trunc(n); !ok {
		r.check(place, false)
		return 0
	}
	return int(n)
}

// truth reads the ways in which the API and its files say yes and no.
func (r *reading) truth(place int) bool {
	text, _ := whole(narrow(r.value(place)))
	switch strings.ToLower(text) {
	case "true", "yes", "y", "t", "1", "是", "真":
		return true
	case "false", "no", "n", "f", "0", "否", "假", "":
	default:
		r.check(place, false)
	}
	return false
}

func (r *reading) check(place int, ok bool) {
	if !ok {
		r.bad |= 1 << place
	}
}

// invalidNames names the fields that were there but could not be read.
func (r *reading) invalidNames() []string {
	var names []string
	for i, name := range r.kind.names {
		if r.bad&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}
