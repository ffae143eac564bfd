// Package logging is the program's log, and all else that it writes to standard error:
// each line is logfmt or JSON, as the flags say. A log that cannot be written never keeps
// the program from its work; what is lost is counted.
package logging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"strings"
	"sync/atomic"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// JSON is the format of that name.
const JSON = "json"

// Log is a log, ready for use.
type Log struct {
	log.Logger
	*Output
	Format string
	all    log.Logger // without a threshold
}

// New makes a log that writes to w: messages of a severity, and above.
func New(w io.Writer, threshold, format string) *Log {
	l := &Log{Output: &Output{to: w}, Format: format}
	lines := log.NewLogfmtLogger(l.Output)
	if format == JSON {
		lines = log.NewJSONLogger(l.Output)
	}
	l.all = log.With(&reliable{lines: lines, output: l.Output}, "ts", log.DefaultTimestampUTC)
	l.Logger = level.NewFilter(l.all, level.Allow(level.ParseDefault(threshold, level.InfoValue())))
	return l
}

// Capture brings to this log what libraries write to that of the standard library: the
// errors of HTTP servers, and the panics of their handlers.
func (l *Log) Capture() {
	stdlog.SetFlags(0)
	stdlog.SetOutput(message(func(first, more string) {
		fields := []any{"msg", first}
		if more != "" {
			fields = append(fields, "detail", more)
		}
		_ = level.Warn(l.Logger).Log(fields...) // what is lost is counted
	}))
}

// message is a writer that is called once for each message.
type message func(first, more string)

func (m message) Write(p []byte) (int, error) {
	first, more, _ := strings.Cut(strings.TrimSpace(string(p)), "\n")
	m(first, more)
	return len(p), nil
}

// Fatal writes why the program, or its command, ends.
func (l *Log) Fatal(program string, err error) {
	if l.Format == JSON {
		_ = level.Error(l.all).Log("msg", err.Error()) // what is lost is counted
		return
	}
	_, _ = fmt.Fprintf(l.Output, "%s: %v\n", program, err) // likewise
}

// Text is for lines of text that are no messages of the log, such as the explanations of
// a command. Where the log is JSON, each is the message of a line.
func (l *Log) Text() io.Writer {
	if l.Format != JSON {
		return l.Output
	}
	return text{l.all}
}

type text struct{ log.Logger }

func (t text) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		_ = level.Info(t.Logger).Log("msg", string(bytes.TrimRight(line, "\r\n"))) // what is lost is counted
	}
	return len(p), nil
}

// reliable is a logger that leaves nothing out silently: values that the format has no
// form for are written as text, and a gap is reported when it is over.
type reliable struct {
	lines    log.Logger
	output   *Output
	reported atomic.Uint64 // how many of the lost lines were reported
}

func (r *reliable) Log(fields ...any) error {
	before := r.output.Lost()
	err := r.lines.Log(fields...)
	if err != nil && r.output.Lost() == before && !errors.Is(err, errStuck) {
		plain := make([]any, len(fields))
		for i, f := range fields {
			plain[i] = fmt.Sprint(f)
		}
		err = r.lines.Log(plain...)
	}
	if err == nil {
		r.report()
	}
	return err
}

// report writes how many lines were lost since the last report.
func (r *reliable) report() {
	lost := r.output.Lost()
	reported := r.reported.Swap(lost)
	if lost > reported {
		_ = level.Warn(log.With(r.lines, "ts", log.DefaultTimestampUTC)).Log("msg", "lines of this log are lost: it could not be written", "lines", lost-reported)
	}
}
