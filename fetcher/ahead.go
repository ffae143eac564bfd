package fetcher

import (
	"context"
	"errors"
	"time"

	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Pieces are read ahead as long as there are not so many, with about so many records. While
// it is not known how many a piece has, and none was too large yet, there are fewer: what is
// too large costs two requests.
const (
	maxPiecesAhead     = 6
	maxRecordsAhead    = 6 * maxRecords
	unknownPiecesAhead = 3
)

// ahead reads pieces before it is their turn, while those before them are read or counted:
// requests that take long, and commits, then cost the time of one of them.
//
// That changes nothing but the order in which answers come. Pieces are handed over one by
// one, from old to new, and each was read within this poll, after its window was set: what
// changes later, the next poll reads. If one fails, or is cut, those behind it are given up.
type ahead struct {
	source LoginReader // nil: nothing is read ahead
	queue  []*readingAhead
}

// readingAhead is a piece that is being read.
type readingAhead struct {
	piece  cursor.Window
	most   int
	cancel context.CancelFunc
	done   chan struct{} // closed when what follows is set
	logins []record.Login
	err    error
}

// take returns the first piece that is being read, if any is.
func (a *ahead) take() *readingAhead {
	if len(a.queue) == 0 {
		return nil
	}
	first := a.queue[0]
	a.queue = a.queue[1:]
	return first
}

// topUp begins to read what is likely to follow a piece.
func (a *ahead) topUp(ctx context.Context, p *pieces, current cursor.Window, most int) {
	if a.source == nil || p.windows == windowsIgnored || p.uncut || p.length <= cursor.Second {
		return
	}
	done := current.To
	if n := len(a.queue); n > 0 {
		done = a.queue[n-1].piece.To
	}
	for len(a.queue) < p.room() && done.Before(p.todo.To) {
		next := p.after(done)
		a.begin(ctx, next, most)
		done = next.To
	}
}

func (a *ahead) begin(ctx context.Context, piece cursor.Window, most int) {
	ctx, cancel := context.WithCancel(ctx)
	r := &readingAhead{piece: piece, most: most, cancel: cancel, done: make(chan struct{})}
	a.queue = append(a.queue, r)
	go func() {
		defer close(r.done)
		r.logins, r.err = gather(ctx, a.source, piece, most)
	}()
}

// giveUp ends all readings.
func (a *ahead) giveUp() {
	for _, r := range a.queue {
		r.cancel()
	}
	for _, r := range a.queue {
		<-r.done
	}
	a.queue = nil
}

// orRead is what a piece is read from: what was read ahead of it, if anything was. The
// source itself decides what to do with a piece that has too many records.
func (r *readingAhead) orRead(source LoginReader) LoginReader {
	if r == nil {
		return source
	}
	return readerFunc(func(ctx context.Context, from, to time.Time, most int, handle HandlePart) error {
		<-r.done
		r.cancel()
		var many *paging.TooManyError
		switch {
		case errors.As(r.err, &many):
			return source.Read(ctx, from, to, most, handle)
		case r.err != nil:
			return r.err
		}
		return handle(to, r.logins)
	})
}

// room is how many pieces may be read ahead.
func (p *pieces) room() int {
	switch {
	case p.likely > maxRecords:
		return 0 // it goes by export task, in its turn
	case p.likely > 0:
		return min(maxPiecesAhead, maxRecordsAhead/p.likely)
	case p.length == p.longest:
		return unknownPiecesAhead
	}
	return 0
}
