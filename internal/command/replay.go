package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/service"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// ReplaySources are the sources whose files Replay reads.
var ReplaySources = []string{service.UserConnections, service.Sessions, service.AccessStatistics, service.DesktopConnections}

// ReplayOptions say how Replay counts.
type ReplayOptions struct {
	Project string // the label `project`; with ConfigFile also which of its projects
	// Source is the source that the file is of; empty if its columns tell.
	Source string
	// ConfigFile gives success codes, columns and time zone; empty for the defaults.
	ConfigFile string
	// SuccessCodes win over those of the configuration, if there are any.
	SuccessCodes []string
	UserWindows  []config.UserWindow
	// Quiet leaves out the line for each record.
	Quiet bool
}

// Replay counts the records of a file as if they had just been fetched. It writes
// what the metrics would be to out, and to why, record by record, what was counted
// and for what reason; at the end what was read, counted and not understood. Now is the
// newest time in the file.
func Replay(ctx context.Context, file string, o ReplayOptions, out, why io.Writer) error {
	// The ledger holds much for long, and what is read is dropped at once: to collect that
	// sooner takes little time, and a third of the memory.
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	r, err := newReplay(&o, f, info.Size(), why)
	if err != nil {
		return err
	}
	if err := r.run(ctx, f, info.Size()); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	r.summarise()
	exposition := collector.NewExposition(prometheus.NewRegistry())
	exposition.Publish([]*collector.Accumulator{r.accumulator}, nil)
	return writeText(out, exposition)
}

const gcPercent = 36

// replay is one run of Replay.
type replay struct {
	source      string
	files       fetcher.Files
	accumulator *collector.Accumulator
	report      fetcher.FileReport
	why         io.Writer
	seen        span
	events      map[ledger.Disposition]int
	// counted are records that are no logins, failed those of all that are failures.
	counted, failed int
}

func newReplay(o *ReplayOptions, f io.ReaderAt, size int64, why io.Writer) (*replay, error) {
	r := &replay{source: o.Source, why: why, events: map[ledger.Disposition]int{}}
	if r.source == "" {
		r.source = sourceOf(f, size)
	}
	settings, codes, err := settingsOf(o, r.source)
	if err != nil {
		return nil, err
	}
	columns, err := service.ColumnsOf[r.source].With(settings.Columns)
	if err != nil {
		return nil, err
	}
	r.files = fetcher.Files{Columns: columns, Zone: service.ZoneOf(settings), Logger: log.NewNopLogger()} // the summary tells it
	options := replayOptions[r.source]
	options.Project, options.Source = o.Project, r.source
	options.Rules = ledger.Rules{SuccessCodes: codes, PendingTimeout: cursor.Retention} // nobody waits in a replay
	options.Lookback = replayLookback
	options.UserWindows = service.UserWindows(o.UserWindows)
	options.Limits = collector.NewLimits(math.MaxInt32, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "limited"}, []string{"family"}))
	options.Trace = func(e *ledger.Event) {
		r.events[e.Disposition]++
		if e.FailedCode != "" {
			r.failed++
		}
		if !o.Quiet {
			fmt.Fprintln(why, explain(e))
		}
	}
	r.accumulator, err = collector.Open(store.Discard{}, options)
	return r, err
}

// replayOptions are what the accumulators of the sources differ in.
var replayOptions = map[string]collector.Options{
	service.UserConnections:    {Product: service.AppStreaming, Kind: collector.Logins},
	service.Sessions:           {Product: service.AppStreaming, Kind: collector.Sessions},
	service.AccessStatistics:   {Product: service.AppStreaming, Kind: collector.AccessStatistics},
	service.DesktopConnections: {Product: service.Desktop, Kind: collector.DesktopLogins},
}

// sourceOf is the source that a file is of, by its columns.
func sourceOf(f io.ReaderAt, size int64) string {
	kinds := make([]export.Columns, len(ReplaySources))
	for i, source := range ReplaySources {
		kinds[i] = service.ColumnsOf[source]
	}
	i, ok := export.Recognise(f, size, kinds...)
	if !ok {
		return service.UserConnections
	}
	return ReplaySources[i]
}

// settingsOf are the settings of a source, and its success codes.
func settingsOf(o *ReplayOptions, source string) (settings config.Source, codes []string, err error) {
	codes = config.DefaultSuccessCodes()
	if o.ConfigFile != "" {
		if settings, codes, err = configured(o, source, codes); err != nil {
			return settings, nil, err
		}
	}
	if len(o.SuccessCodes) > 0 {
		codes = o.SuccessCodes
	}
	if source == service.DesktopConnections { // their codes are made of reasons
		codes = []string{""}
	}
	return settings, codes, nil
}

// configured reads the settings of a source from the configuration: of the project that is
// named, or else of the only one. A source that it does not have has the defaults.
func configured(o *ReplayOptions, source string, defaultCodes []string) (settings config.Source, codes []string, err error) {
	cfg, err := config.Load(o.ConfigFile)
	if err != nil {
		return settings, nil, errors.Join(ErrConfig, err)
	}
	i := slices.IndexFunc(cfg.Projects, func(p *config.Project) bool { return p.Name == o.Project })
	if i < 0 && len(cfg.Projects) > 1 {
		return settings, nil, fmt.Errorf("%w: %s has several projects: name one by --project", ErrConfig, o.ConfigFile)
	}
	s := &cfg.Projects[max(i, 0)].Sources
	codes = defaultCodes
	if s.UserConnections != nil {
		codes = s.UserConnections.SuccessCodes
	}
	switch {
	case source == service.UserConnections && s.UserConnections != nil:
		settings = s.UserConnections.Source
	case source == service.Sessions && s.Sessions != nil:
		settings = s.Sessions.Source
	case source == service.AccessStatistics && s.AccessStatistics != nil:
		settings = s.AccessStatistics.Source
	case source == service.DesktopConnections && s.DesktopConnections != nil:
		settings = s.DesktopConnections.Source
	}
	return settings, codes, nil
}

// run reads the file and counts its records.
func (r *replay) run(ctx context.Context, f io.ReaderAt, size int64) error {
	switch r.source {
	case service.Sessions:
		reading := &record.Batch{}
		err := r.read(r.files.Sessions(ctx, f, size, func(s *record.Session) error {
			r.seen.add(cmp.Or(s.Start, s.PreConnect), s.End, s.Updated)
			r.count(s.Malformed, s.State == record.StateFailed)
			return reading.AddSession(s)
		}))
		return r.commit(reading, err)
	case service.AccessStatistics:
		reading := &record.Batch{}
		err := r.read(r.files.Accesses(ctx, f, size, func(a *record.Access) error {
			r.seen.add(a.Last)
			r.count(a.Malformed, true)
			reading.Accesses = append(reading.Accesses, *a)
			return nil
		}))
		return r.commit(reading, err)
	}
	from := time.Time{}
	return fetcher.InParts(ctx, func(add func(*record.Login) error) error {
		read := r.files.Logins
		if r.source == service.DesktopConnections {
			read = r.files.Desktops
		}
		return r.read(read(ctx, f, size, func(l *record.Login) error {
			r.seen.add(l.Time(), l.Latest())
			return add(l)
		}))
	}, r.seen.bounds, func(upTo time.Time, logins []record.Login) error {
		first, now := r.seen.bounds()
		if from.IsZero() {
			from = first
		}
		part := &record.Batch{From: from, To: upTo, Now: now, Logins: logins, UpToDate: upTo.Equal(now)}
		from = upTo
		return r.accumulator.Commit(part)
	})
}

func (r *replay) read(report fetcher.FileReport, err error) error {
	r.report = report
	return err
}

// count takes a record into the summary that is no login.
func (r *replay) count(malformed, failed bool) {
	if malformed {
		return
	}
	r.counted++
	if failed {
		r.failed++
	}
}

// commit counts what is read whole.
func (r *replay) commit(reading *record.Batch, err error) error {
	if err != nil {
		return err
	}
	reading.From, reading.To = r.seen.bounds()
	reading.Now, reading.UpToDate = reading.To, true
	return r.accumulator.Commit(reading)
}

// summarise says in three lines what was read, counted and not understood.
func (r *replay) summarise() {
	report := &r.report
	fmt.Fprintf(r.why, "Read %d records of %s in %d rows: %s\n", report.Rows-report.NoRecords, r.source, report.Rows, report.Format)
	counted := fmt.Sprintf("%d %s, %d of them failures", r.counted, r.source, r.failed)
	if r.source == service.UserConnections || r.source == service.DesktopConnections {
		var others []string
		for _, d := range ledger.Dispositions {
			if d != ledger.Counted && r.events[d] > 0 {
				others = append(others, fmt.Sprintf("%d %s", r.events[d], d))
			}
		}
		counted = fmt.Sprintf("%d logins, %d of them failures; others: %s", r.events[ledger.Counted], r.failed, cmp.Or(strings.Join(others, ", "), "none"))
	}
	fmt.Fprintf(r.why, "Counted %s\n", counted)
	fmt.Fprintf(r.why, "Not understood: %s\n", report.NotUnderstood())
}

// replayLookback is how far apart in time two versions of a record may begin.
const replayLookback = time.Hour

// span is the time that records take.
type span struct{ from, to time.Time }

// add takes a record into account: its own time, and later ones that it tells of.
func (s *span) add(own time.Time, later ...time.Time) {
	if !own.IsZero() && (s.from.IsZero() || own.Before(s.from)) {
		s.from = own
	}
	for _, t := range append(later, own) {
		if t.After(s.to) {
			s.to = t
		}
	}
}

// bounds are the oldest and the newest time of the records; now if they have none.
func (s *span) bounds() (from, to time.Time) {
	if s.to.IsZero() {
		s.to = time.Now()
	}
	return s.from, s.to
}

// explain says in words what became of a record, and why.
func explain(e *ledger.Event) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s: ", e.Disposition)
	switch e.Disposition {
	case ledger.Invalid:
		s.WriteString("not a record, which is an object with fields")
	case ledger.Duplicate:
		s.WriteString("this record was counted already, and this version of it says nothing new")
	case ledger.Pending:
		s.WriteString("neither a failure nor a start time yet; it counts when it has either, or as a failure after pending_timeout")
	case ledger.Expired:
		s.WriteString("no outcome within pending_timeout: a failure")
	case ledger.GivenUp:
		s.WriteString("too many records are unfinished: its end is not waited for; a failure if it has no outcome")
	case ledger.Updated:
		s.WriteString("a newer version of a record that is known")
	case ledger.Reclassified:
		fmt.Fprintf(&s, "counted as a success before, now a failure with failed_code %q", e.FailedCode)
	default:
		if e.FailedCode != "" {
			fmt.Fprintf(&s, "a failure with failed_code %q", e.FailedCode)
		} else {
			s.WriteString("a success: it has a start time, and its failed_code means success")
		}
	}
	if l := e.Login; l != nil && !l.Malformed {
		fmt.Fprintf(&s, "; time %s, group %q, server %q", cmp.Or(l.Time().Format(time.RFC3339), "none"), l.Group, l.Machine)
	}
	if e.LoginDuration != nil {
		fmt.Fprintf(&s, ", login took %s", *e.LoginDuration)
	}
	if e.SessionDuration != nil {
		fmt.Fprintf(&s, ", session lasted %s", *e.SessionDuration)
	}
	if len(e.InvalidFields) > 0 {
		fmt.Fprintf(&s, "; unreadable, so treated as missing: %s", strings.Join(e.InvalidFields, ", "))
	}
	return s.String()
}
