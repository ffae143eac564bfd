package collector

import (
	"strconv"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const (
	desktopPool  Label = "desktop_pool"
	desktopState Label = "state"
)

var (
	desktopsTotal = &Metric{Name: "workspace_desktops", Type: Gauge, Labels: []Label{desktopPool},
		Help: "Cloud desktops by pool. Those of no pool, dedicated ones, have an empty desktop_pool; unknown is of pools that the API does not name."}
	desktopsByLogin = &Metric{Name: "workspace_desktops_by_login_state", Type: Gauge, Labels: []Label{desktopPool, desktopState},
		Help:     "Cloud desktops by login state: in_use, disconnected, ready, unregistered, unable_to_connect.",
		Headline: "Desktops", HeadlineBy: desktopState}
	desktopsByRun = &Metric{Name: "workspace_desktops_by_run_state", Type: Gauge, Labels: []Label{desktopPool, desktopState},
		Help: "Cloud desktops by run state: active, stop, hibernated, error."}
	desktopsByAttach = &Metric{Name: "workspace_desktops_by_attach_state", Type: Gauge, Labels: []Label{desktopPool, desktopState},
		Help: "Cloud desktops by assignment to a user: attached, unattached, attaching, attach_error."}
)

// newDesktopNumbers shows how many desktops there are.
func newDesktopNumbers(f *families, _ Options) aggregator {
	var gauges snapshotGauges
	gauges.add(f, desktopsTotal, "desktops", func(b *record.Batch, add adder) {
		for i := range b.Desktops {
			if d := &b.Desktops[i]; d.Total != nil {
				add(int64(*d.Total), desktopPool.is(d.Pool))
			}
		}
	})
	byState := func(m *Metric, tableName string, states func(*record.DesktopCount) map[string]int) {
		gauges.add(f, m, tableName, func(b *record.Batch, add adder) {
			for i := range b.Desktops {
				for state, n := range states(&b.Desktops[i]) {
					add(int64(n), desktopPool.is(b.Desktops[i].Pool), desktopState.is(state))
				}
			}
		})
	}
	byState(desktopsByLogin, "desktops_by_login_state", func(d *record.DesktopCount) map[string]int { return d.LoginState })
	byState(desktopsByRun, "desktops_by_run_state", func(d *record.DesktopCount) map[string]int { return d.RunState })
	byState(desktopsByAttach, "desktops_by_attach_state", func(d *record.DesktopCount) map[string]int { return d.Attach })
	return gauges
}

func newUnreadableDesktopNumbers(f *families, _ Options) aggregator {
	return newUnreadable(f, func(b *record.Batch, found func(string, bool, []string)) {
		for i := range b.Desktops {
			d := &b.Desktops[i]
			key := d.Pool
			if d.Malformed {
				key = strconv.Itoa(i)
			}
			found(key+"\x00", d.Malformed, d.Invalid)
		}
	})
}
