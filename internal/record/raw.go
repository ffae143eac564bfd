package record

import (
	"strconv"
	"strings"
	"time"
	"unique"

	"github.com/go-json-experiment/json/jsontext"
)

// kind is what one kind of raw record consists of: the names of the fields that
// mean something to us, as the API writes them. A field is known by its place.
type kind struct {
	names  []string
	places map[string]int
	// also are the fields in which more than text is read, with the bytes that such
	// values begin with.
	also map[int]string
}

func newKind(names []string, also map[int]string) *kind {
	k := &kind{names: names, places: make(map[string]int, len(names)), also: also}
	for i, name := range names {
		k.places[name] = i
	}
	return k
}

// What a JSON number and a truth value begin with.
const (
	numbers = "-0123456789"
	truths  = "tf"
)

// maxFields is how many fields a kind may have at most.
const maxFields = 24

// raw is a record as its source wrote it, text by text. Any field may be missing,
// null or of another type than the API's pages say: it has no text then.
type raw struct {
	text    [maxFields]string
	invalid uint32 // a bit for each field that could not be read
	// malformed is true if it was no object at all, and identity a hash of it then.
	malformed bool
	identity  Identity
}

func (r *raw) set(k *kind, name, value string) bool {
	place, ok := k.places[name]
	if ok {
		r.text[place] = value
	}
	return ok
}

// decode reads a JSON value. It fails only where the JSON itself does.
func (r *raw) decode(k *kind, d *jsontext.Decoder) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	*r = raw{}
	if value.Kind() != '{' {
		r.malformed, r.identity = true, identify("malformed", string(value))
		return nil
	}
	r.fill(k, string(value))
	return nil
}

// fill takes the fields of a JSON object. Their texts share its memory. A field that
// stands there twice is what it is the last time.
func (r *raw) fill(k *kind, object string) {
	plain := isPlain(object)
	for name, value := range members(object) {
		place, ok := k.places[unquote(name, plain)]
		if !ok {
			continue
		}
		r.invalid &^= 1 << place
		switch kind := value[0]; {
		case kind == '"':
			r.text[place] = unquote(value, plain)
		case strings.IndexByte(k.also[place], kind) >= 0:
			r.text[place] = value
		default:
			r.text[place] = ""
			if kind != 'n' {
				r.invalid |= 1 << place
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

func (r *raw) read(k *kind) *reading { return &reading{r, k, r.invalid} }

// trimmed is a field's text without the blanks around it.
func (r *reading) trimmed(place int) string { return strings.TrimSpace(r.text[place]) }

func (r *reading) label(place int) string { return intern(Label(r.text[place])) }

// intern keeps equal texts only once: there are few label values, they outlive the
// record, and must not keep the whole of it in memory.
func intern(s string) string { return unique.Make(s).Value() }

func (r *reading) person(place int) Person { return pseudonym(r.trimmed(place)) }

// reason is a field that tells in words what went wrong, as a label value. The
// record's own texts are taken out of it.
func (r *reading) reason(place int, own func() []private) string {
	if r.trimmed(place) == "" {
		return ""
	}
	return intern(scrub(r.text[place], own()))
}

func (r *reading) time(place int) time.Time {
	t, err := ParseTime(r.text[place])
	r.check(place, err == nil)
	return t
}

// milliseconds reads a number of them; nil if there is none.
func (r *reading) milliseconds(place int) *time.Duration {
	text := strings.TrimSpace(strings.TrimSuffix(r.trimmed(place), "ms"))
	if text == "" {
		return nil
	}
	ms, err := strconv.ParseFloat(text, 64)
	if ok := err == nil && ms >= 0 && ms <= maxMilliseconds; !ok {
		r.check(place, false)
		return nil
	}
	d := time.Duration(ms * float64(time.Millisecond))
	return &d
}

// maxMilliseconds is a day, far more than a round trip takes.
const maxMilliseconds = 24 * 60 * 60 * 1000

// count reads a number of things; 0 if there is none.
func (r *reading) count(place int) int {
	text := r.trimmed(place)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 31)
	r.check(place, err == nil)
	if err != nil {
		return 0
	}
	return int(n)
}

// truth reads the ways in which the API and its files say yes and no.
func (r *reading) truth(place int) bool {
	switch strings.ToLower(r.trimmed(place)) {
	case "true", "yes", "y", "1", "是":
		return true
	case "false", "no", "n", "0", "否", "":
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
