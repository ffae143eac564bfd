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
	groups, codes *distinct
	full          bool // some of the zero series had no room
}

func newLoginCounts(f *families, _ Options) aggregator {
	b := newBreakdown(f, loginAttempts, loginFailures, byGroup)
	return &loginCounts{breakdown: b, groups: newDistinct(b.attempts, desktopGroup), codes: newDistinct(b.failures, failedCode)}
}

func byGroup(labels []pair, l *record.Login) []pair {
	return append(labels, desktopGroup.is(l.Group))
}

func (l *loginCounts) refresh(time.Time, *ledger.Ledger) {
	groups, codes := l.groups.fresh(), l.codes.fresh()
	if len(groups)+len(codes) == 0 {
		return
	}
	if l.full { // there may be room now
		groups = l.groups.values
	}
	l.full = !l.start(groups, l.codes.values) || !l.start(l.groups.values, codes)
}

// start starts the failures of each of the groups with each of the codes at 0, while there is
// room.
func (l *loginCounts) start(groups, codes []string) bool {
	for _, group := range groups {
		for _, code := range codes {
			if !l.failures.admitsWithin(zeroShare, desktopGroup.is(group), failedCode.is(code)) {
				return false
			}
		}
	}
	return true
}

// distinct are the values that a label of a family has, without that for the rest.
type distinct struct {
	family *family
	label  int
	seen   int // how many series it has looked at
	known  map[string]bool
	values []string
}

func newDistinct(f *family, label Label) *distinct {
	return &distinct{family: f, label: slices.Index(f.Labels, label), known: map[string]bool{other: true}}
}

// fresh returns the values that were not there when it was last called.
func (d *distinct) fresh() []string {
	before := len(d.values)
	for _, s := range d.family.made[d.seen:] {
		if value := s.values[d.label]; !d.known[value] {
			d.known[value] = true
			d.values = append(d.values, value)
		}
	}
	d.seen = len(d.family.made)
	return d.values[before:]
}
