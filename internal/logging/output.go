package logging

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a line may take to be written before the program goes on without
// it: a pipe whose reader has stopped takes no more, and never says so.
const patience = time.Second

var errStuck = errors.New("lines written before are still waiting for the log's reader")

// Output writes lines to a place that may fail, or take none for a while, without
// stopping whoever writes them. It is safe for concurrent use.
type Output struct {
	to   io.Writer
	lost atomic.Uint64

	mu    sync.Mutex
	rest  []byte       // of a line of which the beginning is written
	stuck chan written // a write that takes too long ends here; nil if there is none
}

// written is how a write ended.
type written struct {
	lines []byte
	n     int
	err   error
}

// Lost is how many lines could not be written.
func (o *Output) Lost() uint64 { return o.lost.Load() }

// Write writes whole lines. A line that is cut short is finished before the next one.
// The number of bytes returned is that of the lines that are, or will be, whole.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stuck != nil {
		select {
		case w := <-o.stuck:
			o.stuck = nil
			_, _ = o.settle(w) // its lines were counted as lost already
		default:
			o.lost.Add(uint64(bytes.Count(p, newline)))
			return 0, errStuck
		}
	}
	lines := slices.Concat(o.rest, p)
	ended := make(chan written, 1)
	go func() {
		n, err := o.to.Write(lines)
		ended <- written{lines, n, err}
	}()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case w := <-ended:
		lost, err := o.settle(w)
		o.lost.Add(uint64(bytes.Count(lost, newline)))
		return len(p) - len(lost), err
	case <-late.C:
		o.stuck = ended
		o.lost.Add(uint64(bytes.Count(p, newline)))
		return 0, errStuck
	}
}

var newline = []byte{'\n'}

// settle keeps the rest of a line that was written in part, and returns the lines of
// which nothing was.
func (o *Output) settle(w written) (lost []byte, err error) {
	left := w.lines[w.n:]
	torn := len(o.rest) > 0
	if w.n > 0 {
		torn = w.lines[w.n-1] != '\n'
	}
	o.rest = nil
	if torn {
		end := bytes.Index(left, newline) + 1
		o.rest, left = left[:end], left[end:]
	}
	if len(left) == 0 {
		return nil, nil
	}
	return left, w.err
}
