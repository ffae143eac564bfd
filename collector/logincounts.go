package collector

import (
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

var (
	loginAttempts = &Metric{Name: "workspace_login_attempts_total", Type: Counter, Labels: []Label{desktopGroup},
		Help: "Login attempts, each counted once when its outcome is known."}
	loginFailures = &Metric{Name: "workspace_login_failures_total", Type: Counter, Labels: []Label{desktopGroup, failedCode},
		Help: "Login attempts that failed, by the vendor's failure code."}
)

// zeroShare is the part of max_series that series which have counted nothing may
// fill: those that have must find room too.
const zeroShare = 0.5

// loginCounts counts attempts and failures by desktop group. Its failures start at 0 for
// every known group with every known code, so that increase() sees the first one.
type loginCounts struct {
	*breakdown
	groups, codes int // how many of them the zero series were made for
}

func newLoginCounts(f *families, _ Options) aggregator {
	return &loginCounts{breakdown: newBreakdown(f, loginAttempts, loginFailures, byGroup)}
}

func byGroup(l *record.Login) []pair { return []pair{desktopGroup.is(l.Group)} }

func (l *loginCounts) refresh(time.Time, *ledger.Ledger) {
	groups, codes := distinct(l.attempts, desktopGroup), distinct(l.failures, failedCode)
	if len(groups) == l.groups && len(codes) == l.codes {
		return
	}
	l.groups, l.codes = len(groups), len(codes)
	for group := range groups {
		for code := range codes {
			if !l.failures.admitsWithin(zeroShare, desktopGroup.is(group), failedCode.is(code)) {
				return
			}
		}
	}
}

// distinct lists the values of a family's label, without that for the rest.
func distinct(f *family, label Label) map[string]bool {
	values, i := map[string]bool{}, slices.Index(f.Labels, label)
	for _, s := range f.series {
		values[s.values[i]] = true
	}
	delete(values, other)
	return values
}
