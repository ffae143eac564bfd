package collector

import (
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
)

// zeroShare is the part of max_series that series which have counted nothing may
// fill: those that have must find room too.
const zeroShare = 0.5

// logins counts attempts and failures by desktop group. Its failures start at 0 for
// every known group with every known code, so that increase() sees the first one.
type logins struct {
	*breakdown
	groups, codes int // how many of them the zero series were made for
}

func newLogins(t *tables) *logins {
	return &logins{breakdown: newBreakdown(t, loginAttempts, loginFailures, byGroup)}
}

func (l *logins) refresh(time.Time, *ledger.Ledger) {
	groups, codes := distinct(l.attempts, 0), distinct(l.failures, 1)
	if len(groups) == l.groups && len(codes) == l.codes {
		return
	}
	l.groups, l.codes = len(groups), len(codes)
	for group := range groups {
		for code := range codes {
			values := []string{group, code}
			if l.failures.find(values) == nil && !l.failures.makeWithin(zeroShare, values) {
				return
			}
		}
	}
}

// distinct lists the values of a family's label, without that for the rest.
func distinct(f *family, label int) map[string]bool {
	values := map[string]bool{}
	for _, s := range f.series {
		values[s.values[label]] = true
	}
	delete(values, other)
	return values
}
