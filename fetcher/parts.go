package fetcher

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// HandlePart is called with the records of a window, in parts from old to new: with each part
// there has been every record of the window that began before upTo, and with the last
// one, whose upTo is the window's end, every record at all. They are good until it returns.
type HandlePart func(upTo time.Time, logins []record.Login) error

// partSize is how many records a part of a file has, if no more than that began in one
// second. Memory follows it, and not the file. A variable for tests.
var partSize = 5000

// mostParts is how many parts a file has at most, about: with each the whole ledger is
// looked through, so that the time would grow with the square of the file.
const mostParts = 60

// InParts puts the records that read adds into the order of time, on disk, and calls
// handle with them. It asks for the window when read is done. If read fails, handle is
// not called.
func InParts(ctx context.Context, read func(add func(*record.Login) error) error, bounds func() (from, to time.Time), handle HandlePart) error {
	s := sorter{}
	return export.Spool(func(w io.Writer) error {
		s.out = bufio.NewWriterSize(w, 64<<10)
		if err := read(s.add); err != nil {
			return err
		}
		return s.out.Flush()
	}, func(f io.ReaderAt, _ int64) error {
		from, to := bounds()
		return s.parts(contextReader{ctx, f}, from, to, handle)
	})
}

// sorter writes records to a file, and knows the order in which they began.
type sorter struct {
	out    *bufio.Writer
	size   int64
	places []place
	coder  loginCoder
	record []byte // scratch
}

// place is where a record stands in the file.
type place struct {
	began int64  // Unix milliseconds
	at    uint64 // offset and length: a million places are kept in memory
}

// lengthBits is how many bits of a place are its length. A record is far shorter, and a file
// that is longer than the others can tell is refused before.
const lengthBits = 22

func (p place) offset() int64 { return int64(p.at >> lengthBits) }
func (p place) length() int   { return int(p.at & (1<<lengthBits - 1)) }

// add writes a record.
func (s *sorter) add(l *record.Login) error {
	data := s.coder.encode(l)
	if len(data) >= 1<<lengthBits {
		return errors.New("setting a record aside: it is too large")
	}
	if _, err := s.out.Write(data); err != nil {
		return fmt.Errorf("writing a temporary file: %w", err)
	}
	s.places = append(s.places, place{l.Earliest().UnixMilli(), uint64(s.size)<<lengthBits | uint64(len(data))})
	s.size += int64(len(data))
	return nil
}

// parts hands over what was added. A part ends between two seconds, and not before the
// window begins: the cursor never goes back.
func (s *sorter) parts(f io.ReaderAt, from, to time.Time, handle HandlePart) error {
	slices.SortFunc(s.places, func(a, b place) int { return cmp.Or(cmp.Compare(a.began, b.began), cmp.Compare(a.at, b.at)) })
	size := max(partSize, len(s.places)/mostParts)
	part := make([]record.Login, 0, min(size, len(s.places)))
	for i, p := range s.places {
		second := time.UnixMilli(p.began).UTC().Truncate(time.Second)
		if len(part) >= size && s.places[i-1].began < second.UnixMilli() && second.After(from) && second.Before(to) {
			if err := handle(second, part); err != nil {
				return err
			}
			part = part[:0]
		}
		login, err := s.read(f, p)
		if err != nil {
			return fmt.Errorf("reading a temporary file: %w", err)
		}
		part = append(part, login)
	}
	return handle(to, part)
}

func (s *sorter) read(f io.ReaderAt, p place) (l record.Login, err error) {
	s.record = slices.Grow(s.record[:0], p.length())[:p.length()]
	if _, err := f.ReadAt(s.record, p.offset()); err != nil {
		return l, err
	}
	return s.coder.decode(s.record)
}

// gather reads a window whole.
func gather(ctx context.Context, s LoginReader, w cursor.Window, most int) (logins []record.Login, err error) {
	err = s.Read(ctx, w.From, w.To, most, func(_ time.Time, part []record.Login) error {
		logins = append(logins, part...)
		return nil
	})
	return logins, err
}
