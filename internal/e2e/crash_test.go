package e2e

import (
	"context"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

func TestTenCrashesUnderLoadLoseNothingAndNoCounterGoesDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	for _, kind := range []simulator.FaultKind{simulator.FaultError, simulator.FaultDrop, simulator.FaultDropBody, simulator.FaultTruncate} {
		w.AddFault(simulator.Fault{Kind: kind, Probability: 0.005})
	}
	e := install(t, setup{URL: w.url, Interval: "100ms", Hold: "300ms"})
	e.start()

	ctx, cancel := context.WithCancel(t.Context())
	var others sync.WaitGroup
	others.Go(func() { load(ctx, w) })
	others.Go(func() { watch(ctx, t, e) })
	for range 10 {
		<-time.After(200*time.Millisecond + rand.N(1200*time.Millisecond)) // any moment will do
		e.kill()
		e.start()
	}
	for _, f := range w.Faults() {
		w.RemoveFault(f.ID)
	}
	cancel() // on a busy machine, what changes all the time is not read within patience
	others.Wait()
	require.Greater(t, len(w.newest()), 100)
	e.shows(w)
}

// load has new records come in bursts, and those that are there change, until ctx ends.
func load(ctx context.Context, w *world) {
	tick := time.NewTicker(400 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n += 8 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		at := time.Now().Add(-time.Minute)
		w.put(spread(n, 4, at, time.Second)...)
		w.put(attempt(n+4, at), attempt(n+5, at), started(n+6, at.Add(-5*time.Minute)), started(n+7, at))
		records := w.newest()
		for range 4 {
			if r, ok := later(records[rand.N(len(records))]); ok {
				w.put(r)
			}
		}
	}
}

// later is the next version of a record that has not ended yet.
func later(r simulator.Record) (simulator.Record, bool) {
	switch {
	case r.FailedCode != "" || r.FailedReason != "" || r.EndTime != "":
		return r, false
	case r.StartTime == "":
		r.StartTime = format(moment(r.PreConnTime).Add(5 * time.Second))
		r.UpdateTime = r.StartTime
		return r, true
	}
	return end(r, 20*time.Second), true
}

// watch scrapes until ctx ends and sees to it that no counter goes down or away,
// whichever process answers. On a busy machine, the first may be the one that is left.
func watch(ctx context.Context, t *testing.T, e *exporter) {
	highest := series{}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ctx.Err() == nil || len(highest) == 0 && time.Now().Before(end); {
		<-tick.C
		r, err := e.request(http.MethodGet, "/metrics", nil)
		if err != nil || r.status != http.StatusOK {
			continue // it is being killed or started
		}
		now := parse(t, r.body).cumulative()
		for key, before := range highest {
			if value, ok := now[key]; !ok || value < before {
				t.Errorf("%s went from %v to %v (there: %t)", key, before, value, ok)
			}
		}
		maps.Copy(highest, now)
	}
	assert.NotEmpty(t, highest)
}

// cumulative are the series that must never go down while the store lives.
func (s series) cumulative() series {
	out := maps.Clone(s)
	stored := []string{"workspace_exporter_records_total", "workspace_exporter_invalid_fields_total"}
	maps.DeleteFunc(out, func(key string, _ float64) bool {
		name := nameOf(key)
		if strings.HasPrefix(name, "workspace_exporter_") {
			return !slices.Contains(stored, name) && !strings.HasPrefix(name, "workspace_exporter_record_delay_seconds")
		}
		return !strings.HasPrefix(name, "workspace_") || !slices.ContainsFunc([]string{"_total", "_count", "_sum", "_bucket"},
			func(suffix string) bool { return strings.HasSuffix(name, suffix) })
	})
	return out
}

func TestSIGTERMEndsTheProgramSoonWhateverTheAPIDoes(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]simulator.Fault{
		"hangs":            {Kind: simulator.FaultHang},
		"is slow":          {Kind: simulator.FaultSlow, Seconds: 60},
		"asks for a pause": {Kind: simulator.FaultError, Status: 429, RetryAfter: "50"},
		"is down":          {Kind: simulator.FaultError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Options{}, nil)
			w.put(spread(0, 50, time.Now().Add(-5*time.Minute), time.Second)...)
			e := runExporter(t, setup{URL: w.url, RequestTimeout: "1m"})
			e.shows(w)
			w.AddFault(fault)
			e.pollsNoMore(w)
			for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
				e.signal(signal)
				assert.Equal(t, 0, e.exitCode(endsWithin), "log: %s", e.log)
				e.kill()
				e.start()
			}
			for _, f := range w.Faults() {
				w.RemoveFault(f.ID)
			}
		})
	}
}

// pollsNoMore waits until polls succeed no more, because of a fault.
func (e *exporter) pollsNoMore(w *world) {
	e.t.Helper()
	before, same := -1.0, 0
	eventually(e.t, "polls succeed no more", func() bool {
		now := e.only("workspace_exporter_polls_total")[pollsOf(w.name, "success")]
		if same++; now != before {
			before, same = now, 0
		}
		return same >= 10
	})
}
