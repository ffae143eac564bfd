package collector

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// reasons remembers a reason text for each failure code. Texts of one code differ, and
// each that is shown is a series of its own: so a text stays until nearly all failures
// of the code have another one.
type reasons struct {
	info    *family
	codes   map[string]*reason
	heard   map[string]map[int64]textCounts // of the batch under way: by code and hour
	changed map[string]bool                 // codes with another text, to be stored
	counted map[string]bool                 // codes with other counts, likewise
}

// reason is what is known of a code.
type reason struct {
	text string
	// counts are the texts of the failures since the text was last decided on, and hour
	// that of the newest of them. Hours are those of the records, so that it does not
	// matter in which batch, or where in it, a record comes.
	counts textCounts
	total  int64
	hour   int64
}

type textCounts map[string]int64

const (
	// A text is decided on when an hour is over and so many failures have been counted.
	enoughFailures = 10
	// maxTexts bounds what is kept of a code whose texts are all different: none of
	// those will ever be that of nearly all failures.
	maxTexts = 100
)

func newReasons(t *families) *reasons {
	return &reasons{info: t.volatileFamily(failureCodeInfo), codes: map[string]*reason{}, heard: map[string]map[int64]textCounts{},
		changed: map[string]bool{}, counted: map[string]bool{}}
}

func (r *reasons) of(code string) *reason {
	if r.codes[code] == nil {
		r.codes[code] = &reason{counts: textCounts{}}
	}
	return r.codes[code]
}

func (r *reasons) observe(e *ledger.Event) {
	if e.FailedCode == "" {
		return
	}
	text, at := e.Login.FailedReason, e.Login.Time()
	switch e.Disposition {
	case ledger.Expired:
		text = "No outcome within pending_timeout."
	case ledger.GivenUp:
		text = "No outcome, and too many records to wait for."
	}
	if at.IsZero() {
		at = e.Now
	}
	hour := at.Unix() / 3600
	hours := r.heard[e.FailedCode]
	if hours == nil {
		hours = map[int64]textCounts{}
		r.heard[e.FailedCode] = hours
	}
	if hours[hour] == nil {
		hours[hour] = textCounts{}
	}
	if text != "" {
		hours[hour][text]++
	}
}

func (r *reasons) refresh(time.Time, *ledger.Ledger) {
	for code, hours := range r.heard {
		_, old := r.codes[code]
		if !old && len(r.codes) >= r.info.limits.max {
			continue
		}
		known := r.of(code)
		before := known.text
		for _, hour := range slices.Sorted(maps.Keys(hours)) {
			known.learn(hour, hours[hour])
		}
		if known.text == "" {
			known.text, _ = known.counts.most()
		}
		r.counted[code] = true
		if !old || known.text != before {
			r.changed[code] = true
		}
	}
	clear(r.heard)
	if len(r.changed) == 0 && len(r.info.series) > 0 {
		return
	}
	r.info.clear()
	for code, known := range r.codes {
		r.info.add(1, failedCode.is(code), reasonText.is(known.text), class.is(""), explanation.is(""))
	}
}

func (k *reason) learn(hour int64, counts textCounts) {
	if hour > k.hour {
		k.decide()
		k.hour = hour
	}
	for text, n := range counts {
		k.total += n
		if _, ok := k.counts[text]; ok || len(k.counts) < maxTexts {
			k.counts[text] += n
		}
	}
}

// decide takes another text if three of four failures have it.
func (k *reason) decide() {
	if k.total < enoughFailures {
		return
	}
	if text, n := k.counts.most(); k.text == "" || 4*n >= 3*k.total {
		k.text = text
	}
	k.counts, k.total = textCounts{}, 0
}

// most is the text that most have; of several the first in the alphabet.
func (c textCounts) most() (most string, n int64) {
	for text, count := range c {
		if count > n || count == n && strings.Compare(text, most) < 0 {
			most, n = text, count
		}
	}
	return most, n
}

func (r *reasons) table() string { return "reasons" }

func (r *reasons) load(key, value []byte) error {
	r.of(string(key)).text = string(value)
	return nil
}

func (r *reasons) save(changes *store.Changes) {
	for code := range r.changed {
		changes.Put(r.table(), []byte(code), []byte(r.codes[code].text))
	}
	clear(r.changed)
}

// reasonCounts stores the counts, in a table of their own: a release that does not know
// them has the texts.
type reasonCounts struct{ *reasons }

func (reasonCounts) observe(*ledger.Event) {}

func (reasonCounts) refresh(time.Time, *ledger.Ledger) {}

func (reasonCounts) table() string { return "reason_counts" }

func (c reasonCounts) load(key, value []byte) error {
	known, row := c.of(string(key)), store.ReadRow(value)
	known.hour, known.total = row.Int(), row.Int()
	for range min(row.Uint(), maxTexts) {
		text := row.String()
		known.counts[text] = row.Int()
	}
	return row.Err()
}

func (c reasonCounts) save(changes *store.Changes) {
	for code := range c.counted {
		known := c.codes[code]
		var row store.Row
		row.Int(known.hour)
		row.Int(known.total)
		row.Uint(uint64(len(known.counts)))
		for _, text := range slices.Sorted(maps.Keys(known.counts)) {
			row.String(text)
			row.Int(known.counts[text])
		}
		changes.Put(c.table(), []byte(code), row)
	}
	clear(c.counted)
}
