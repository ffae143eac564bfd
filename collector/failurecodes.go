package collector

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/failurecode"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

const (
	reasonText  Label = "reason"
	class       Label = "class"
	explanation Label = "explanation"

	explanationZH Label = "explanation_zh"
	action        Label = "action"
	actionZH      Label = "action_zh"
	link          Label = "url"
)

var failureCodeInfo = &Metric{Name: "workspace_login_failure_code_info", Type: Gauge, Labels: []Label{failedCode, reasonText, class, explanation},
	Help: "Always 1, one series a code: a reason text that came with a failure code, without personal data, its class and its explanation. The text stays until most failures of an hour have another one."}

// failureCodeAdvice stands beside failureCodeInfo, whose labels are fixed.
var failureCodeAdvice = &Metric{Name: "workspace_login_failure_code_advice_info", Type: Gauge, Labels: []Label{failedCode, class, explanation, explanationZH, action, actionZH, link},
	Help: "Always 1, one series a code that has an explanation: its class, the explanation and what to do, each in two languages, and where to read more."}

// failureCodes remembers a reason text for each failure code. Texts of one code differ, and
// each that is shown is a series of its own: so a text stays until nearly all failures
// of the code have another one.
type failureCodes struct {
	info, advice *family
	explain      func(code, reason string) failurecode.Explanation

	codes   map[string]*reason
	batch   map[string]map[int64]textCounts // of the batch under way: by code and hour
	changed map[string]bool                 // codes with another text, to be stored
	counted map[string]bool                 // codes with other counts, to be stored
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

func newLoginFailureCodes(f *families, _ Options) aggregator {
	return newFailureCodes(f, failureCodeInfo, failureCodeAdvice)
}

func newFailureCodes(f *families, info, advice *Metric) *failureCodes {
	return &failureCodes{info: f.of(info), advice: f.of(advice), explain: f.explain,
		codes: map[string]*reason{}, batch: map[string]map[int64]textCounts{}, changed: map[string]bool{}, counted: map[string]bool{}}
}

func (c *failureCodes) of(code string) *reason {
	if c.codes[code] == nil {
		c.codes[code] = &reason{counts: textCounts{}}
	}
	return c.codes[code]
}

func (c *failureCodes) observe(e *ledger.Event) {
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
	hours := c.batch[e.FailedCode]
	if hours == nil {
		hours = map[int64]textCounts{}
		c.batch[e.FailedCode] = hours
	}
	if hours[hour] == nil {
		hours[hour] = textCounts{}
	}
	if text != "" {
		hours[hour][text]++
	}
}

func (c *failureCodes) refresh(time.Time, *ledger.Ledger) {
	for code, hours := range c.batch {
		_, old := c.codes[code]
		if !old && len(c.codes) >= c.info.limits.max {
			continue
		}
		known := c.of(code)
		before := known.text
		for _, hour := range slices.Sorted(maps.Keys(hours)) {
			known.learn(hour, hours[hour])
		}
		if known.text == "" {
			known.text, _ = known.counts.most()
		}
		c.counted[code] = true
		if !old || known.text != before {
			c.changed[code] = true
		}
	}
	clear(c.batch)
	if len(c.changed) == 0 && len(c.info.made) > 0 {
		return
	}
	c.info.clear()
	c.advice.clear()
	for code, known := range c.codes {
		c.show(code, known.text)
	}
}

// show makes the series of a code. They change with its text and the configuration only.
func (c *failureCodes) show(code, text string) {
	e := c.explain(code, text)
	inClass, meaning := class.is(record.Label(e.Class)), explanation.is(record.Label(e.Text))
	c.info.add(1, failedCode.is(code), reasonText.is(text), inClass, meaning)
	if e == (failurecode.Explanation{}) {
		return
	}
	if record.Label(e.URL) != e.URL {
		e.URL = "" // a part of it leads nowhere
	}
	c.advice.add(1, failedCode.is(code), inClass, meaning, explanationZH.is(record.Label(e.TextZH)),
		action.is(record.Label(e.Action)), actionZH.is(record.Label(e.ActionZH)), link.is(e.URL))
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

// FailureCode is a code that failures were counted with.
type FailureCode struct {
	Code     string
	Reason   string // a text that came with it, without personal data
	Failures int64  // since counting began, held or not
	failurecode.Explanation
}

// failureCounters count each failure once; a source has one of them.
var failureCounters = []*Metric{loginFailures, appLaunchFailures, sessionFailures, accessFailures}

// failureCodes lists the codes of all failures, before they are exposed. Those with most
// come first.
func (s *state) failureCodes() []FailureCode {
	for _, f := range s.families.list {
		if !slices.Contains(failureCounters, f.Metric) {
			continue
		}
		i := slices.IndexFunc(f.Labels, func(l Label) bool { return l == failedCode || l == errorCode })
		for _, series := range f.stale {
			s.failures[series.values[i]] += series.count - series.summed
			series.summed = series.count
		}
	}
	var list []FailureCode
	for code, n := range s.failures {
		if n > 0 {
			text := s.aggregators.reasonOf(code)
			list = append(list, FailureCode{code, text, n, s.families.explain(code, text)})
		}
	}
	slices.SortFunc(list, func(a, b FailureCode) int {
		return cmp.Or(cmp.Compare(b.Failures, a.Failures), strings.Compare(a.Code, b.Code))
	})
	return list
}

// reasonOf is the text that is shown of a code; empty if there is none.
func (s *aggregatorSet) reasonOf(code string) string {
	for _, a := range s.all {
		if c, ok := a.(*failureCodes); ok && c.codes[code] != nil {
			return c.codes[code].text
		}
	}
	return ""
}

const (
	reasonsTable      = "reasons"
	reasonCountsTable = "reason_counts"
)

// tables are two: a release that does not know the counts has the texts.
func (c *failureCodes) tables() []table {
	return []table{{name: reasonsTable, load: c.loadText, save: c.saveTexts}, {name: reasonCountsTable, load: c.loadCounts, save: c.saveCounts}}
}

func (c *failureCodes) loadText(key, value []byte) error {
	c.of(string(key)).text = string(value)
	return nil
}

func (c *failureCodes) saveTexts(changes *store.Changes) {
	for code := range c.changed {
		changes.Put(reasonsTable, []byte(code), []byte(c.codes[code].text))
	}
	clear(c.changed)
}

func (c *failureCodes) loadCounts(key, value []byte) error {
	known, row := c.of(string(key)), store.ReadRow(value)
	known.hour, known.total = row.Int(), row.Int()
	for range min(row.Uint(), maxTexts) {
		text := row.String()
		known.counts[text] = row.Int()
	}
	return row.Err()
}

func (c *failureCodes) saveCounts(changes *store.Changes) {
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
		changes.Put(reasonCountsTable, []byte(code), row)
	}
	clear(c.counted)
}
