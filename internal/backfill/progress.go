package backfill

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/internal/logging"
	"github.com/workspace-exporter/workspace_exporter/internal/service"
)

// progress shows how much of a history has been read: as a bar on a terminal, else as
// lines of the log.
type progress struct {
	out      *os.File
	terminal bool
	logger   log.Logger
}

func newProgress(out *os.File, logger *logging.Log) *progress {
	info, err := out.Stat()
	return &progress{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0 && logger.Format != logging.JSON, logger: logger}
}

// of returns what is called with how far the history of a source has been read.
func (p *progress) of(s *service.HistorySource, period period) func(to time.Time, records int) {
	whole, records, shown := period.until.Sub(period.since), 0, -1
	return func(to time.Time, more int) {
		records += more
		percent := max(0, min(100, int(100*to.Sub(period.since)/whole)))
		if p.terminal {
			p.draw(s.Project+"/"+s.Source, percent, fmt.Sprint(records, " records read"))
			return
		}
		if tenth := percent / 10; tenth > shown {
			shown = tenth
			level.Info(p.logger).Log("msg", "reading history", "project", s.Project, "source", s.Source,
				"percent", percent, "up_to", to.UTC().Format(time.RFC3339), "records_read", records)
		}
	}
}

// writing returns a writer to out that shows how much of a number of bytes is written.
func (p *progress) writing(out io.Writer, total int64) io.Writer {
	return &meter{out: out, total: total, progress: p, shown: -1}
}

// meter is a writer that shows how far it is.
type meter struct {
	*progress
	out            io.Writer
	written, total int64
	shown          int // percent
}

// Write implements io.Writer.
func (m *meter) Write(b []byte) (int, error) {
	n, err := m.out.Write(b)
	m.written += int64(n)
	percent := int(100 * m.written / max(m.total, 1))
	switch {
	case m.terminal && percent > m.shown:
		m.shown = percent
		m.draw("writing", percent, megabytes(m.written))
	case !m.terminal && percent/10 > m.shown/10 && m.written < m.total:
		m.shown = percent
		level.Info(m.logger).Log("msg", "writing", "percent", percent, "written", megabytes(m.written))
	}
	return n, err
}

// draw leaves the cursor at the start of the bar, so that log lines overwrite it.
func (p *progress) draw(what string, percent int, more string) {
	const width = 30
	done := width * percent / 100
	fmt.Fprintf(p.out, "\r\x1b[K%s [%s%s] %d%%, %s\r", what, strings.Repeat("#", done), strings.Repeat(".", width-done), percent, more)
	if percent == 100 {
		fmt.Fprintln(p.out)
	}
}
