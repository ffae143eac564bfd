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
	by                 func(*record.Login) []string
}

func newBreakdown(t *tables, attempts, failures *Metric, by func(*record.Login) []string) *breakdown {
	return &breakdown{attempts: t.family(attempts), failures: t.family(failures), by: by}
}

func byGroup(l *record.Login) []string         { return []string{l.Group} }
func byClient(l *record.Login) []string        { return []string{l.ClientType, l.AgentVersion} }
func byClientVersion(l *record.Login) []string { return []string{l.ClientType, l.ClientVersion} }
func byServer(l *record.Login) []string        { return []string{l.Group, l.Machine} }

func (b *breakdown) observe(e *ledger.Event) {
	if !e.Attempt && e.FailedCode == "" {
		return
	}
	attempt := b.by(e.Login)
	if e.FailedCode != "" {
		failure := append(slices.Clip(attempt), e.FailedCode)
		if !b.failures.admits(failure...) {
			// The attempt goes where its failure goes: no label set may have more
			// failures than attempts.
			attempt = slices.Repeat([]string{other}, len(attempt))
		} else if e.Attempt && !b.attempts.admits(attempt...) {
			failure = slices.Repeat([]string{other}, len(failure))
		}
		b.failures.add(1, failure...)
	}
	if e.Attempt {
		b.attempts.add(1, attempt...)
	}
}
