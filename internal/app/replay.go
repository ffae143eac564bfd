package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// ReplayOptions say how Replay counts.
type ReplayOptions struct {
	Project      string // the label `project`
	SuccessCodes []string
	UserWindows  []config.UserWindow
}

// Replay counts the records of a file as if they had just been fetched. It writes
// what the metrics would be to out, and to why, record by record, what was counted
// and for what reason. Now is the newest time in the file.
func Replay(file string, o ReplayOptions, out, why io.Writer) error {
	limited := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "limited"}, []string{"family"})
	book, err := collector.OpenBook(store.Discard{}, collector.Options{
		Project: o.Project, Product: appStreaming, Source: userConnections,
		Rules:       ledger.Rules{SuccessCodes: o.SuccessCodes, PendingTimeout: ledger.MaxAge}, // nobody waits in a replay
		Lookback:    replayLookback,
		UserWindows: userWindows(o.UserWindows),
		Limits:      collector.NewLimits(math.MaxInt32, limited),
		Trace:       func(e *ledger.Event) { fmt.Fprintln(why, explain(e)) },
	})
	if err != nil {
		return err
	}
	var seen span
	from := time.Time{}
	err = fetcher.InParts(func(add func(*record.Login) error) error {
		return readFile(file, why, func(l *record.Login) error {
			seen.add(l)
			return add(l)
		})
	}, seen.bounds, func(upTo time.Time, logins []record.Login) error {
		first, now := seen.bounds()
		if from.IsZero() {
			from = first
		}
		part := &record.Reading{From: from, To: upTo, Now: now, Logins: logins, UpToDate: upTo.Equal(now)}
		from = upTo
		return book.Commit(part)
	})
	if err != nil {
		return err
	}
	exposition := collector.NewExposition(prometheus.NewRegistry())
	exposition.Show([]*collector.Book{book}, nil)
	return writeText(out, exposition)
}

// replayLookback is how far apart in time two versions of a record may begin.
const replayLookback = time.Hour

// span is the time that records take.
type span struct{ from, to time.Time }

func (s *span) add(l *record.Login) {
	t := l.Time()
	if !t.IsZero() && (s.from.IsZero() || t.Before(s.from)) {
		s.from = t
	}
	if latest := l.Latest(); latest.After(s.to) {
		s.to = latest
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

func readFile(name string, why io.Writer, add func(*record.Login) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	switch ext := strings.ToLower(filepath.Ext(name)); ext {
	case ".jsonl", ".ndjson", ".json":
		err = readJSON(f, func(c *record.UserConnection) error {
			login := c.Login()
			return add(&login)
		})
	case ".csv", ".tsv", ".txt", ".xlsx":
		var info os.FileInfo
		if info, err = f.Stat(); err == nil {
			err = fetcher.ReadLogins(context.Background(), log.NewLogfmtLogger(why), f, info.Size(), add)
		}
	default:
		err = fmt.Errorf("cannot tell what a %q file holds: it must end in .jsonl, .csv or .xlsx", ext)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// readJSON reads records one after the other, or whole pages of the API.
func readJSON(r io.Reader, add func(*record.UserConnection) error) error {
	d := jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for n := 1; ; n++ {
		value, err := d.ReadValue()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("record %d is not JSON, at byte %d", n, d.InputOffset())
		}
		var page struct {
			Items []record.UserConnection `json:"items"`
		}
		if err := json.Unmarshal(value, &page, d.Options()); err == nil && page.Items != nil {
			for i := range page.Items {
				if err := add(&page.Items[i]); err != nil {
					return err
				}
			}
			continue
		}
		var c record.UserConnection
		if err := json.Unmarshal(value, &c, d.Options()); err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		if err := add(&c); err != nil {
			return err
		}
	}
}
