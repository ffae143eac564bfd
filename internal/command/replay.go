package command

import (
	"bufio"
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
	"github.com/workspace-exporter/workspace_exporter/internal/failurecode"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/service"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// ReplaySources are the sources whose files Replay reads.
var ReplaySources = source.NamesWithFiles()

// ReplayOptions say how Replay counts.
type ReplayOptions struct {
	Project string // the label `project`; with ConfigFile also which of its projects
	// Source is the source of the file's records; empty to recognise it by the columns.
	Source string
	// ConfigFile gives success codes, columns and time zone; empty for the defaults.
	ConfigFile string
	// SuccessCodes replace those of the configuration, if there are any.
	SuccessCodes []string
	// Quiet is without a line for each record.
	Quiet bool
}

const (
	// replayLookback is how far apart in time two versions of a record may begin.
	replayLookback  = time.Hour
	replayGCPercent = 36
)

// Replay counts the records of a file as if they had just been fetched: the newest time in
// the file is taken for now. It writes the metrics to out. To why it writes, record by
// record, how it was counted and for what reason, and at the end a summary.
func Replay(ctx context.Context, file string, o ReplayOptions, out, why io.Writer) error {
	// The ledger keeps much for long, all else is garbage at once: collecting it more often
	// takes little time, and saves a third of the memory.
	defer debug.SetGCPercent(debug.SetGCPercent(replayGCPercent))
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	lines := bufio.NewWriterSize(why, 64<<10)
	r, err := newReplay(&o, f, info.Size(), lines)
	if err != nil {
		return err
	}
	err = r.run(ctx, f, info.Size())
	if err == nil {
		r.summarise()
	}
	_ = lines.Flush() // before the metrics, and before an error
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	exposition := collector.NewExposition(prometheus.NewRegistry())
	exposition.Publish([]*collector.Accumulator{r.accumulator}, nil)
	return writeText(out, exposition)
}

// replay is one run of Replay.
type replay struct {
	source      *source.Source
	files       fetcher.Files
	accumulator *collector.Accumulator
	report      fetcher.FileReport
	why         io.Writer
	seen        span
	events      map[ledger.Disposition]int
	// counted is the number of records that are no logins, failed that of all failures.
	counted, failed int
}

func newReplay(o *ReplayOptions, f io.ReaderAt, size int64, why io.Writer) (*replay, error) {
	r := &replay{source: source.Named(o.Source), why: why, events: map[ledger.Disposition]int{}}
	if r.source == nil {
		r.source = sourceOf(f, size)
	}
	block, explanations, err := settingsOf(o, r.source)
	if err != nil {
		return nil, err
	}
	r.files, err = r.source.Files(block)
	if err != nil {
		return nil, err
	}
	r.files.Logger = log.NewNopLogger() // the summary reports it
	options := r.source.Counting(block)
	options.Project = o.Project
	codes := options.Rules.SuccessCodes
	if len(o.SuccessCodes) > 0 && !r.source.CodesFromReasons {
		codes = o.SuccessCodes
	}
	options.Rules = ledger.Rules{SuccessCodes: codes, PendingTimeout: cursor.Retention, Unsaved: true} // no record expires in a replay
	options.Explanations = explanations
	options.Lookback = replayLookback
	options.UserWindows = service.UserWindows(config.DefaultMetrics().UserWindows)
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

// sourceOf is the source that a file is of, by its columns.
func sourceOf(f io.ReaderAt, size int64) *source.Source {
	sources := source.WithFiles()
	columns := make([]export.Columns, len(sources))
	for i, s := range sources {
		columns[i] = s.Columns
	}
	i, ok := export.Recognise(f, size, columns...)
	if !ok {
		return sources[0] // whose columns are then said to be missing
	}
	return sources[i]
}

// settingsOf are the settings of a source in the named project of the configuration, or else
// in its only one, and what failures mean there. A source without settings has the defaults.
func settingsOf(o *ReplayOptions, s *source.Source) (config.Block, failurecode.Rules, error) {
	block := s.Defaults()
	if o.ConfigFile == "" {
		return block, nil, nil
	}
	cfg, err := config.Load(o.ConfigFile)
	if err != nil {
		return nil, nil, errors.Join(ErrConfig, err)
	}
	i := slices.IndexFunc(cfg.Projects, func(p *config.Project) bool { return p.Name == o.Project })
	if i < 0 && len(cfg.Projects) > 1 {
		return nil, nil, fmt.Errorf("%w: %s has several projects: name one by --project", ErrConfig, o.ConfigFile)
	}
	if configured := s.Block(&cfg.Projects[max(i, 0)].Sources); configured != nil {
		block = configured
	}
	return block, cfg.Explanations(), nil
}

// run reads the file and counts its records.
func (r *replay) run(ctx context.Context, f io.ReaderAt, size int64) error {
	batch, from := &record.Batch{}, time.Time{} // sessions and accesses are of one part
	return fetcher.InParts(ctx, func(add func(*record.Login) error) (err error) {
		r.report, err = r.source.ReadFile(ctx, r.files, f, size, source.Handlers{
			Login: func(l *record.Login) error {
				r.seen.add(l.Time(), l.Latest())
				return add(l)
			},
			Session: func(s *record.Session) error {
				r.seen.add(cmp.Or(s.Start, s.PreConnect), s.End, s.Updated)
				r.count(s.Malformed, s.State == record.StateFailed)
				return batch.AddSession(s)
			},
			Access: func(a *record.Access) error {
				r.seen.add(a.Last)
				r.count(a.Malformed, true)
				batch.Accesses = append(batch.Accesses, *a)
				return nil
			},
		})
		return err
	}, r.seen.bounds, func(upTo time.Time, logins []record.Login) error {
		first, now := r.seen.bounds()
		if from.IsZero() {
			from = first
		}
		part := *batch
		part.From, part.To, part.Now, part.Logins, part.UpToDate = from, upTo, now, logins, upTo.Equal(now)
		from = upTo
		return r.accumulator.Commit(&part)
	})
}

// count adds a record that is no login to the summary.
func (r *replay) count(malformed, failed bool) {
	if malformed {
		return
	}
	r.counted++
	if failed {
		r.failed++
	}
}

// summarise writes in three lines what was read, counted and not understood.
func (r *replay) summarise() {
	report := &r.report
	fmt.Fprintf(r.why, "Read %d records of %s in %d rows: %s\n", report.Rows-report.NoRecords, r.source.Name, report.Rows, report.Format)
	counted := fmt.Sprintf("%d %s, %d of them failures", r.counted, r.source.Name, r.failed)
	if r.source.HasHistory() {
		var others []string
		for _, d := range ledger.Dispositions {
			if d != ledger.Counted && r.events[d] > 0 {
				others = append(others, fmt.Sprintf("%d %s", r.events[d], d))
			}
		}
		what := "logins"
		if r.source.Kind == collector.AppLaunches {
			what = "launches"
		}
		counted = fmt.Sprintf("%d %s, %d of them failures; others: %s", r.events[ledger.Counted], what, r.failed, cmp.Or(strings.Join(others, ", "), "none"))
	}
	fmt.Fprintf(r.why, "Counted %s\n", counted)
	fmt.Fprintf(r.why, "Not understood: %s; ignored columns: %s\n", report.NotUnderstood(), cmp.Or(strings.Join(report.Ignored, ", "), "none"))
}

// span is from the oldest to the newest time of records.
type span struct{ from, to time.Time }

// add takes a record into account: its own time, and later ones.
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

// explain describes how a record was counted, and why.
func explain(e *ledger.Event) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s: ", e.Disposition)
	switch e.Disposition {
	case ledger.Invalid:
		s.WriteString("not a record: a row needs a time, and an id or a user; what is JSON must be an object with fields")
	case ledger.Duplicate:
		s.WriteString("this record was counted already, and this version of it has nothing new")
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
		at := "none"
		if !l.Time().IsZero() {
			at = l.Time().Format(time.RFC3339)
		}
		fmt.Fprintf(&s, "; time %s, group %q, server %q", at, l.Group, l.Machine)
		if l.App != "" {
			fmt.Fprintf(&s, ", application %q", l.App)
		}
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
