package collector

import (
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// namespace begins the names of the metrics about the exporter's own work.
const namespace = "workspace_exporter"

// Exporter holds the metrics about the exporter's own work. They belong to the
// process and restart with it.
type Exporter struct {
	up, lastSuccess, cursor, catchingUp *prometheus.GaugeVec
	serverClock                         *prometheus.GaugeVec
	failing                             *prometheus.GaugeVec
	reasons                             []string
	polls                               *prometheus.CounterVec
	pollDuration                        *prometheus.HistogramVec
	requests                            *prometheus.CounterVec
	requestDuration                     *prometheus.HistogramVec
	mismatches, doubts, gap             *prometheus.CounterVec
	exportTasks, rowsSkipped            *prometheus.CounterVec
	difference                          *prometheus.GaugeVec
	unfinished                          *prometheus.GaugeVec
	rereadFailures                      *prometheus.CounterVec
	limited                             *prometheus.CounterVec
	unlogged                            prometheus.Counter
	commitDuration                      prometheus.Observer
	reloadSuccessful, reloadTime        prometheus.Gauge
	totalShards                         *prometheus.GaugeVec
	leases                              *leaseMetrics
	logLost                             func() uint64
}

// NewExporter registers the metrics. Reasons are those for which a poll may fail.
func NewExporter(r prometheus.Registerer, reasons ...string) *Exporter {
	source := []string{"project", "source"}
	auto := promauto.With(r)
	gauge := func(name, help string, more ...string) *prometheus.GaugeVec {
		return auto.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, append(slices.Clip(source), more...))
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return auto.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return auto.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets,
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour}, labels)
	}
	single := func(name, help string) prometheus.Gauge {
		return auto.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	}
	seconds := []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	e := &Exporter{reasons: reasons, logLost: func() uint64 { return 0 },
		up: gauge("source_up", "1 if the last poll of the source succeeded, 0 if it failed."),
		failing: gauge("source_failing", "1 for the reason for which the last poll of the source failed, 0 for the others: see docs/runbooks.md.",
			"reason"),
		lastSuccess: gauge("source_last_success_timestamp_seconds", "When a poll of the source last came up to date, by the server's clock."),
		cursor:      gauge("source_cursor_timestamp_seconds", "The end of the last window that was read whole: every record up to it is counted."),
		catchingUp:  gauge("source_catching_up", "1 while the source is more than one poll behind."),
		serverClock: gauge("server_clock_ahead_seconds", "How far the server's clock is ahead of the local one, as of the last poll. Absent while answers have no Date."),
		polls:       counter("polls_total", "Polls of a source, by result: success, error.", "project", "source", "result"),
		pollDuration: histogram("poll_duration_seconds", "Duration of the polls of a source.",
			seconds, "project", "source"),
		requests: counter("api_requests_total", "Requests to the API, each attempt counted, by operation and HTTP status, or `error` if there was no answer.",
			"project", "operation", "code"),
		requestDuration: histogram("api_request_duration_seconds", "Duration of the requests to the API, each attempt by itself.",
			seconds, "project", "operation"),
		mismatches: counter("count_mismatches_total", "Windows that were read twice with the same records, and did not match the API's count.", source...),
		doubts:     counter("doubtful_windows_total", "Windows whose pages did not prove within 15 minutes that none of their records is missing. What they have shown is counted.", source...),
		gap:        counter("gap_seconds_total", "Time whose records are lost, because the exporter did not read them within the API's 30 days.", source...),
		exportTasks: counter("export_tasks_total", "Export tasks by outcome: created, resumed after a restart, success, fail, expired, missing, timeout, deleted.",
			"project", "source", "status"),
		rowsSkipped: counter("file_rows_skipped_total", "Rows of files that were left out: no_record for totals, comments and trailing characters, sheet for the rows of a sheet that is no part of the table.",
			"project", "source", "reason"),
		difference: gauge("reconciliation_difference", "Number of records in which pages and export of the newest closed hour differ."),
		unfinished: gauge("unfinished_records", "Records that are pending or open. Those behind the lookback are read again in rounds."),
		rereadFailures: counter("reread_failures_total", "Windows of pending or open records behind the lookback that failed, or have too many other records, and were skipped until the next round.",
			source...),
		limited: counter("series_limited_total", "Additions to series for which max_series had no room, and which went to the label value `other`.", "family"),
		commitDuration: histogram("store_commit_duration_seconds", "Duration of the commits of ledger, counters and cursor to the store.",
			[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}).WithLabelValues(),
		unlogged:         counter("failed_logins_unlogged_total", "Failed logins that were counted and could not be written to their log.").WithLabelValues(),
		reloadSuccessful: single("config_last_reload_successful", "1 if the last attempt to load the configuration succeeded."),
		reloadTime:       single("config_last_reload_success_timestamp_seconds", "When the configuration was last loaded."),
		totalShards: auto.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "total_shards",
			Help: "Number of shards that the projects are divided into, by the shard that this exporter reads. Absent without shards."}, []string{"shard"}),
		leases: newLeaseMetrics(),
	}
	auto.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: "log_lines_lost_total",
		Help: "Lines of the exporter's log that could not be written: a full disk, or a reader that has gone away or stopped."},
		func() float64 { return float64(e.logLost()) })
	r.MustRegister(e.leases)
	for _, m := range Metrics {
		e.limited.WithLabelValues(m.Name) // at 0, so that increase() sees the first addition
	}
	return e
}

// Limited counts what max_series has no room for, by family.
func (e *Exporter) Limited() *prometheus.CounterVec { return e.limited }

// Unlogged counts failed logins that could not be written to their log.
func (e *Exporter) Unlogged(lines int) { e.unlogged.Add(float64(lines)) }

// LogLost sets what counts the lines of the log that could not be written.
func (e *Exporter) LogLost(count func() uint64) { e.logLost = count }

// Committed observes the duration of a commit.
func (e *Exporter) Committed(d time.Duration) { e.commitDuration.Observe(d.Seconds()) }

// Reloaded observes whether the configuration could be loaded.
func (e *Exporter) Reloaded(ok bool, now time.Time) {
	e.reloadSuccessful.Set(0)
	if ok {
		e.reloadSuccessful.Set(1)
		e.reloadTime.Set(float64(now.Unix()))
	}
}

// Sharded shows which of several shards the exporter reads.
func (e *Exporter) Sharded(number, total int) {
	e.totalShards.WithLabelValues(strconv.Itoa(number)).Set(float64(total))
}

// Request returns what observes the requests of one project. The code is an HTTP
// status, or "error".
func (e *Exporter) Request(project string) func(operation, code string, d time.Duration) {
	return func(operation, code string, d time.Duration) {
		e.requests.WithLabelValues(project, operation, code).Inc()
		e.requestDuration.WithLabelValues(project, operation).Observe(d.Seconds())
	}
}

// Source returns what observes the polls of one source. All its counters begin at 0.
func (e *Exporter) Source(project, source string) *SourceMetrics {
	s := &SourceMetrics{exporter: e, labels: prometheus.Labels{"project": project, "source": source}}
	for _, result := range []string{"success", "error"} {
		e.polls.WithLabelValues(project, source, result)
	}
	e.mismatches.With(s.labels)
	e.doubts.With(s.labels)
	e.gap.With(s.labels)
	for _, reason := range record.SkippedReasons {
		s.RowsSkipped(reason, 0)
	}
	return s
}

// SourceMetrics observes the polls of one source.
type SourceMetrics struct {
	exporter *Exporter
	labels   prometheus.Labels
}

// Polled observes the end of a poll.
func (s *SourceMetrics) Polled(err error, d time.Duration) {
	result, up := "success", 1.0
	if err != nil {
		result, up = "error", 0
	}
	s.exporter.polls.WithLabelValues(s.labels["project"], s.labels["source"], result).Inc()
	s.exporter.pollDuration.With(s.labels).Observe(d.Seconds())
	s.exporter.up.With(s.labels).Set(up)
}

// Failing shows why the last poll failed; empty if it did not.
func (s *SourceMetrics) Failing(reason string) {
	for _, r := range s.exporter.reasons {
		value := 0.0
		if r == reason {
			value = 1
		}
		s.exporter.failing.WithLabelValues(s.labels["project"], s.labels["source"], r).Set(value)
	}
}

// At shows how far the source has come; zero times are not shown.
func (s *SourceMetrics) At(p cursor.Position) {
	for v, t := range map[*prometheus.GaugeVec]time.Time{s.exporter.cursor: p.Cursor, s.exporter.lastSuccess: p.LastSuccess} {
		if !t.IsZero() {
			v.With(s.labels).Set(float64(t.UnixMilli()) / 1000)
		}
	}
}

// CatchingUp shows whether the source is more than one poll behind.
func (s *SourceMetrics) CatchingUp(on bool) {
	value := 0.0
	if on {
		value = 1
	}
	s.exporter.catchingUp.With(s.labels).Set(value)
}

// ServerClock shows how far the server's clock is ahead of the local one, if it is known.
func (s *SourceMetrics) ServerClock(ahead time.Duration, known bool) {
	if known {
		s.exporter.serverClock.With(s.labels).Set(ahead.Seconds())
	} else {
		s.exporter.serverClock.Delete(s.labels)
	}
}

// Mismatch counts a window in which the API's count did not come true.
func (s *SourceMetrics) Mismatch() { s.exporter.mismatches.With(s.labels).Inc() }

// Doubt counts a window of which no reading proved that it was whole.
func (s *SourceMetrics) Doubt() { s.exporter.doubts.With(s.labels).Inc() }

// exportTaskStatuses is all that may become of an export task.
var exportTaskStatuses = []string{"created", "resumed", "success", "fail", "expired", "missing", "timeout", "deleted"}

// ExportTask counts what became of an export task. With a source's first task all its
// counters begin at 0, so that increase() sees the first one that fails.
func (s *SourceMetrics) ExportTask(status string) {
	for _, known := range exportTaskStatuses {
		s.exporter.exportTasks.WithLabelValues(s.labels["project"], s.labels["source"], known)
	}
	s.exporter.exportTasks.WithLabelValues(s.labels["project"], s.labels["source"], status).Inc()
}

// RowsSkipped counts rows of files that were left out.
func (s *SourceMetrics) RowsSkipped(reason string, rows int) {
	s.exporter.rowsSkipped.WithLabelValues(s.labels["project"], s.labels["source"], reason).Add(float64(rows))
}

// Reconciled shows in how many records pages and export of an hour differ.
func (s *SourceMetrics) Reconciled(difference int) {
	s.exporter.difference.With(s.labels).Set(float64(difference))
}

// Gap counts time whose records are lost.
func (s *SourceMetrics) Gap(d time.Duration) { s.exporter.gap.With(s.labels).Add(d.Seconds()) }

// ShowUnfinished shows how many records are pending or open.
func (s *SourceMetrics) ShowUnfinished(n int) {
	s.exporter.unfinished.With(s.labels).Set(float64(n))
	s.exporter.rereadFailures.With(s.labels) // at 0, so that increase() sees the first one
}

// RereadFailed counts a window of unfinished records that was skipped for a round.
func (s *SourceMetrics) RereadFailed() { s.exporter.rereadFailures.With(s.labels).Inc() }

// Forget takes the source out of the metrics, when the configuration names it no more.
func (s *SourceMetrics) Forget() {
	e := s.exporter
	for _, v := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{e.up, e.failing, e.lastSuccess, e.cursor, e.catchingUp, e.serverClock, e.polls, e.pollDuration, e.mismatches, e.doubts, e.gap, e.exportTasks, e.rowsSkipped, e.difference, e.unfinished, e.rereadFailures} {
		v.DeletePartialMatch(s.labels)
	}
}
