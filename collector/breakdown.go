package collector

import (
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// breakdown counts attempts and failures by some labels of the record. Failures have
// the labels of the attempts and failed_code.
type breakdown struct {
	attempts, failures *family
	by                 labeler
	labels             []pair // scratch
}

// labeler appends the labels of a login.
type labeler func(labels []pair, l *record.Login) []pair

func newBreakdown(f *families, attempts, failures *Metric, by labeler) *breakdown {
	return &breakdown{attempts: f.of(attempts), failures: f.of(failures), by: by}
}

// fold makes the labels those of the series that takes what there is no room for.
func fold(labels []pair) {
	for i := range labels {
		labels[i].value = other
	}
}

func (b *breakdown) observe(e *ledger.Event) {
	if !e.Attempt && e.FailedCode == "" {
		return
	}
	b.labels = b.by(b.labels[:0], e.Login)
	attempt := b.labels
	if e.FailedCode != "" {
		failure := append(slices.Clip(attempt), failedCode.is(e.FailedCode))
		if !b.failures.admits(failure...) {
			// The attempt goes where its failure goes: no label set may have more
			// failures than attempts.
			fold(attempt)
		} else if e.Attempt && !b.attempts.admits(attempt...) {
			fold(failure)
		}
		b.failures.add(1, failure...)
	}
	if e.Attempt {
		b.attempts.add(1, attempt...)
	}
}

// openGauge shows how many connections are open, by the labels of the attempts.
type openGauge struct {
	attemptsGauge
	by func(ledger.Place) []pair
}

func newOpenGauge(open *family, b *breakdown, by func(ledger.Place) []pair) *openGauge {
	return &openGauge{attemptsGauge{family: open, attempts: b.attempts, variants: [][]pair{nil}}, by}
}

func (g *openGauge) refresh(_ time.Time, l *ledger.Ledger) {
	moved := l.Moved()
	g.show(
		func(add adder) { g.sum(moved, add) },
		func(add adder) { g.sum(l.OpenConnections(), add) })
}

// sum adds what is open at places. What has no attempts of its own, for lack of room, is in
// the series for the rest until there is room.
func (g *openGauge) sum(open map[ledger.Place]int64, add adder) {
	for place, n := range open {
		labels := g.by(place)
		if g.attempts.find(labels...) == nil {
			fold(labels)
			g.full = true
		}
		add(n, labels...)
	}
}
