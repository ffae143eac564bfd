package fetcher

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Files says how the files of one source are read.
type Files struct {
	Columns export.Columns
	// Zone is that of times that tell none; nil is UTC.
	Zone *time.Location
	// Skipped is called with how many rows of a file were left out, and why; it may be nil.
	Skipped func(reason string, rows int)
	Logger  log.Logger
}

// FileReport tells what a file held, and what of it was not understood.
type FileReport struct {
	export.Summary
	// NoRecords is how many of the rows are no records.
	NoRecords int
	// Unread are the fields of which values could not be read, in no order.
	Unread []UnreadField
}

// UnreadField is a field with how many of its values could not be read.
type UnreadField struct {
	Name  string
	Count int
	// Example has the form of one of them, without its letters and digits.
	Example string
}

func (u UnreadField) String() string {
	return fmt.Sprintf("%s: %d, such as %q", u.Name, u.Count, u.Example)
}

// NotUnderstood says in words what was not, or that there was nothing.
func (r *FileReport) NotUnderstood() string {
	var parts []string
	for _, u := range r.Unread {
		parts = append(parts, "values of "+u.String())
	}
	for _, part := range []struct {
		n    int
		what string
	}{
		{r.NoRecords, "rows that are no records"}, {r.SkippedSheets, "sheets before the table"},
		{r.Replaced, "characters that could not be decoded"}, {r.Cut, "cells that are too long"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, "; ")
}

// Understood reports whether everything in the file was.
func (r *FileReport) Understood() bool {
	return r.NoRecords+r.Replaced+r.Cut+r.SkippedSheets+len(r.Unread) == 0
}

// File reads the records of a file until ctx ends, and reports what in it was not
// understood. Each record is good until add returns. A file of which most times cannot be read is refused.
type File[T any] func(ctx context.Context, file io.ReaderAt, size int64, add func(*T) error) (FileReport, error)

// FileOf makes what reads files whose rows read turns into records.
func FileOf[R, T any, P RawRecord[R], Q InvalidRecord[T]](f Files, read func(P) T) File[T] {
	return func(ctx context.Context, file io.ReaderAt, size int64, add func(*T) error) (FileReport, error) {
		return readFile[T, R, P, Q](ctx, &f, file, size, read, add)
	}
}

// RawRecord is a record as an item of a page, or a row of a file, fills it.
type RawRecord[R any] interface {
	*R
	SetZone(*time.Location)
	Set(field, value string) bool
	Refuse(field string)
	Reject(texts ...string)
}

// InvalidRecord is a record that knows which of its fields could not be read.
type InvalidRecord[T any] interface {
	*T
	InvalidFields() []string
}

func readFile[T, R any, P RawRecord[R], Q InvalidRecord[T]](ctx context.Context, f *Files, file io.ReaderAt, size int64, read func(P) T, add func(*T) error) (FileReport, error) {
	var report FileReport
	times := newTimesRead(f.Columns.Times())
	var raw R
	var record T // of the row under way
	summary, err := export.ReadTable(contextReader{ctx, file}, size, f.Columns, func(row export.Row) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		raw = *new(R)
		fill[R, P](f, &raw, row.Fields)
		if !row.IsRecord {
			report.NoRecords++
			P(&raw).Reject(textsOf(row.Fields)...)
		}
		record = read(&raw)
		if row.IsRecord {
			invalid := Q(&record).InvalidFields()
			report.note(row.Fields, invalid)
			times.note(row.Fields, invalid)
		}
		return add(&record)
	})
	report.Summary = summary
	if err == nil {
		err = times.verdict(&report)
	}
	f.tell(&report, err)
	return report, err
}

func fill[R any, P RawRecord[R]](f *Files, raw P, fields []export.Field) {
	raw.SetZone(f.Zone)
	for _, field := range fields {
		if field.Value == export.Unreadable {
			raw.Refuse(field.Name)
		} else {
			raw.Set(field.Name, field.Value)
		}
	}
}

func textsOf(fields []export.Field) []string {
	texts := make([]string, 0, 2*len(fields))
	for _, f := range fields {
		texts = append(texts, f.Name, f.Value)
	}
	return texts
}

// note adds the fields of a record that could not be read.
func (r *FileReport) note(fields []export.Field, invalid []string) {
	for _, name := range invalid {
		i := slices.IndexFunc(r.Unread, func(u UnreadField) bool { return u.Name == name })
		if i < 0 {
			i = len(r.Unread)
			r.Unread = append(r.Unread, UnreadField{Name: name, Example: exampleOf(fields, name)})
		}
		r.Unread[i].Count++
	}
}

func exampleOf(fields []export.Field, name string) string {
	for _, f := range fields {
		if f.Name == name && f.Value != export.Unreadable {
			return record.Mask(f.Value)
		}
	}
	return "no text"
}

// tell counts and logs what of a file was not understood, in one line.
func (f *Files) tell(r *FileReport, err error) {
	if f.Skipped != nil {
		f.Skipped(record.SkippedNoRecord, r.NoRecords)
		f.Skipped(record.SkippedSheet, r.SkippedRows)
	}
	if r.Understood() {
		return
	}
	var unread []string
	for _, u := range r.Unread {
		unread = append(unread, u.String())
	}
	level.Warn(f.Logger).Log("msg", "parts of a file were not understood", "format", r.Format, "rows", r.Rows, "no_records", r.NoRecords,
		"unread", strings.Join(unread, "; "), "replaced_characters", r.Replaced, "cut_cells", r.Cut, "skipped_sheets", r.SkippedSheets,
		"skipped_sheet_rows", r.SkippedRows, "refused", err != nil)
}

// timesRead counts, for each field that is a time, how many values there were, and how
// many of them could not be read.
type timesRead struct {
	names         []string
	there, unread []int
}

func newTimesRead(names []string) *timesRead {
	return &timesRead{names: names, there: make([]int, len(names)), unread: make([]int, len(names))}
}

func (t *timesRead) note(fields []export.Field, invalid []string) {
	for _, f := range fields {
		i := slices.Index(t.names, f.Name)
		if i < 0 || record.IsNothing(f.Value) {
			continue
		}
		t.there[i]++
		if slices.Contains(invalid, f.Name) {
			t.unread[i]++
		}
	}
}

// verdict refuses a file of which most of a time column cannot be read: it is written in a
// way that is not known, and what could be read of it may be read wrong.
func (t *timesRead) verdict(r *FileReport) error {
	for i, name := range t.names {
		if 2*t.unread[i] <= t.there[i] {
			continue
		}
		example := ""
		for _, u := range r.Unread {
			if u.Name == name {
				example = u.Example
			}
		}
		return fmt.Errorf("of the column for %s, %d of %d times cannot be read, such as %q: write them like 2006-01-02 15:04:05; what may be a day or a month is not guessed",
			name, t.unread[i], t.there[i], example)
	}
	return nil
}

// distinct counts records that differ.
type distinct []uint64

func (d *distinct) add(l *record.Login) {
	if !l.Malformed {
		*d = append(*d, binary.BigEndian.Uint64(l.ID[:8]))
	}
}

func (d distinct) count() int {
	slices.Sort(d)
	return len(slices.Compact(d))
}

// contextReader is a file that can be read until ctx ends: not all of a file is rows.
type contextReader struct {
	ctx context.Context
	io.ReaderAt
}

func (r contextReader) ReadAt(p []byte, offset int64) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.ReaderAt.ReadAt(p, offset)
}
