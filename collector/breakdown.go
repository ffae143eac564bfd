package collector

import (
	"slices"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// breakdown counts attempts and failures by some labels of the record. Failures have
// the labels of the attempts and failed_code.
type breakdown struct {
	attempts, failures *family
	by                 func(*record.Login) []pair
}

func newBreakdown(f *families, attempts, failures *Metric, by func(*record.Login) []pair) *breakdown {
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
	attempt := b.by(e.Login)
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

// showOpen sets a gauge to how many connections are open, by the labels of the attempts: 0
// where there were attempts and none is open.
func (b *breakdown) showOpen(open *family, l *ledger.Ledger, by func(ledger.Place) []pair) {
	open.recount(func(add adder) {
		for _, known := range b.attempts.series {
			if !slices.Contains(known.values, other) { // it has room anyway, and must take none
				add(0, b.attempts.pairs(known)...)
			}
		}
		for place, n := range l.OpenConnections() {
			labels := by(place)
			if b.attempts.find(labels...) == nil {
				fold(labels)
			}
			add(n, labels...)
		}
	})
}
