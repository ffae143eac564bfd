//go:build load

package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/pgtest"
	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// Many projects on three replicas: docs/replicas.md has the figures.

func TestLoad500ProjectsOnReplicas(t *testing.T)  { loadReplicas(t, 500, 10*time.Second) }
func TestLoad5000ProjectsOnReplicas(t *testing.T) { loadReplicas(t, 5000, 2*time.Minute) }
func TestLoadLeasesOnReplicas(t *testing.T)       { loadReplicas(t, 500, time.Hour) } // hardly a poll

// loadReplicas measures three replicas with so many projects, each with six logins a minute.
func loadReplicas(t *testing.T, projects int, interval time.Duration) {
	names := make([]string, projects)
	for i := range names {
		names[i] = fmt.Sprintf("p%05d", i)
	}
	database := pgtest.Start(t)
	var calls atomic.Int64
	w := newWorld(t, simulator.Options{ProjectIDs: names}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			h.ServeHTTP(rw, r)
		})
	})
	logins := func(n int, at time.Time) {
		for i, name := range names {
			if i%10 == n%10 {
				w.Put(name, started(n, at))
			}
		}
	}
	for n := range 600 { // ten minutes of logins
		logins(n, time.Now().Add(time.Duration(n-600)*time.Second))
	}
	end, ended := make(chan struct{}), make(chan struct{})
	defer func() { close(end); <-ended }()
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for n := 600; ; n++ {
			select {
			case <-end:
				return
			case now := <-tick.C:
				logins(n, now)
			}
		}
	}()
	s := setup{URL: w.url, Projects: names, Postgres: database.DSN(), Interval: interval.String(), RequestTimeout: "30s"}
	text := strings.Replace(s.text(), "lease_duration: 4s", "lease_duration: 15s", 1)
	begun := time.Now()
	var replicas []*exporter
	for range 3 {
		e := install(t, s)
		e.write("workspace_exporter.yml", text)
		e.start()
		replicas = append(replicas, e)
	}
	held := func() (counts []int) {
		for _, e := range replicas {
			counts = append(counts, int(e.only("workspace_exporter_lease_held").sum("workspace_exporter_lease_held")))
		}
		return counts
	}
	polls := func() (total float64) {
		for _, e := range replicas {
			total += e.only("workspace_exporter_polls_total").sum("workspace_exporter_polls_total", `"success"`)
		}
		return total
	}
	ready := func() bool {
		counts := held()
		return slices.Max(counts)-slices.Min(counts) <= 1 && slices.Min(counts) >= projects/3 && polls() >= float64(projects)
	}
	for !ready() { // seldom: a scrape of thousands of projects is work
		require.Less(t, time.Since(begun), 20*time.Minute, "%v projects held, %v polls", held(), polls())
		<-time.After(5 * time.Second)
	}
	t.Logf("%d projects: all held and polled %s after the start: %v", projects, time.Since(begun).Round(time.Second), held())
	period := min(max(interval, time.Minute), 2*time.Minute)
	<-time.After(period) // until polls are as they stay

	c, err := pgx.Connect(t.Context(), database.DSN())
	require.NoError(t, err)
	defer c.Close(context.Background())
	type figures struct {
		wal, pages, transactions float64
		polls                    float64
		calls                    int64
		cpu                      []time.Duration // of the replicas, then of the database
		at                       time.Time
	}
	take := func() (f figures) {
		require.NoError(t, c.QueryRow(t.Context(), `SELECT wal_bytes::float8, wal_fpi::float8 FROM pg_stat_wal`).Scan(&f.wal, &f.pages))
		require.NoError(t, c.QueryRow(t.Context(), `SELECT sum(xact_commit)::float8 FROM pg_stat_database`).Scan(&f.transactions))
		f.polls, f.calls, f.at = polls(), calls.Load(), time.Now()
		for _, e := range replicas {
			f.cpu = append(f.cpu, processorTime(t, e.process.Process.Pid))
		}
		f.cpu = append(f.cpu, familyTime(t, parent(t, int(c.PgConn().PID()))))
		return f
	}
	before := take()
	second, most, least := before.calls, int64(0), int64(1<<60)
	for range int(period.Seconds()) {
		<-time.After(time.Second)
		n := calls.Load()
		most, least, second = max(most, n-second), min(least, n-second), n
	}
	var connections int
	require.NoError(t, c.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'workspace_exporter'`).Scan(&connections))
	after := take()
	took, n := after.at.Sub(before.at), after.polls-before.polls
	t.Logf("%.1f polls/s, %.2f requests to the API a poll (%d to %d a second), %.2f transactions a poll, %.0f bytes of WAL a poll, of them %.1f whole pages; %d connections",
		n/took.Seconds(), float64(after.calls-before.calls)/n, least, most, (after.transactions-before.transactions)/n, (after.wal-before.wal)/n, (after.pages-before.pages)/n, connections)
	t.Logf("%.0f bytes of WAL and %.1f transactions a second", (after.wal-before.wal)/took.Seconds(), (after.transactions-before.transactions)/took.Seconds())
	for i, cpu := range after.cpu {
		t.Logf("process %d: %.3f s of a processor a second, %.2f ms a poll of all", i, (cpu-before.cpu[i]).Seconds()/took.Seconds(), 1000*(cpu-before.cpu[i]).Seconds()/n)
	}
	var lags []float64
	for i, e := range replicas {
		m := e.only("workspace_exporter_source_cursor_timestamp_seconds")
		for cursor := range maps.Values(m) {
			lags = append(lags, float64(time.Now().UnixMilli())/1000-cursor)
		}
		scrape := time.Now()
		body := e.get("/metrics").body
		now, peak := e.resident()
		t.Logf("replica %d: %d lines in a scrape, in %s; %d MB resident, %d MB at most", i, strings.Count(body, "\n"), time.Since(scrape).Round(time.Millisecond), now, peak)
	}
	slices.Sort(lags)
	t.Logf("cursors are %.0f s behind (median), %.0f s (99 %%), %.0f s at most", lags[len(lags)/2], lags[len(lags)*99/100], lags[len(lags)-1])
	var size int64
	require.NoError(t, c.QueryRow(t.Context(), `SELECT pg_database_size(current_database())`).Scan(&size))
	t.Logf("the database has %d MB; %v leases taken, %v held", size>>20, func() (total float64) {
		for _, e := range replicas {
			total += e.only("workspace_exporter_leases_taken_total").sum("workspace_exporter_leases_taken_total")
		}
		return total
	}(), held())
}

// stat are the fields of /proc/PID/stat after the name, which has blanks.
func stat(t *testing.T, pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil // it has ended
	}
	return strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+2:]))
}

func number64(t *testing.T, text string) int {
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

func parent(t *testing.T, pid int) int { return number64(t, stat(t, pid)[1]) }

// processorTime is what a process has used, in ticks of 10 ms, with its children that ended.
func processorTime(t *testing.T, pid int) (d time.Duration) {
	fields := stat(t, pid)
	if fields == nil {
		return 0
	}
	for _, ticks := range fields[11:15] {
		d += time.Duration(number64(t, ticks)) * 10 * time.Millisecond
	}
	return d
}

// familyTime is what a process and its children have used.
func familyTime(t *testing.T, pid int) time.Duration {
	d := processorTime(t, pid)
	all, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, entry := range all {
		if child, err := strconv.Atoi(entry.Name()); err == nil {
			if fields := stat(t, child); fields != nil && number64(t, fields[1]) == pid {
				d += processorTime(t, child)
			}
		}
	}
	return d
}
