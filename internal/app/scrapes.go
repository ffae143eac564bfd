package app

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// maxHeldBytes is how much memory finished answers may hold while they are sent.
const maxHeldBytes = 256 << 20

// scrapes answers scrapes with what another handler writes. So many scrapes as there
// may be, that handler works for a few at once: who asks for the same while it is busy
// gets the same answer, which is made after the last of them asked. An answer is
// made in memory and then sent, so that a client that reads slowly keeps nobody busy;
// what slow clients hold beyond most bytes is taken from those that hold it longest.
type scrapes struct {
	handler http.Handler
	most    int
	places  chan struct{} // one is taken while an answer is made

	mu   sync.Mutex
	next map[string]*answer // by what is asked for: those that are not being made yet
	sent []*answer          // those that are being sent, the oldest first
	held int                // bytes of those
}

// newScrapes lets the handler make so many answers at once, and clients hold so many
// bytes.
func newScrapes(handler http.Handler, atOnce, most int) *scrapes {
	return &scrapes{handler: handler, most: most, places: make(chan struct{}, atOnce), next: map[string]*answer{}}
}

// answer is one answer for all who asked for the same.
type answer struct {
	made    chan struct{} // closed when it is
	readers int
	// cut ends when the answer must go.
	cut  context.Context
	drop context.CancelFunc

	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

func (s *scrapes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, first := s.join(r)
	defer s.leave(a)
	if first {
		s.make(a, r)
	}
	select {
	case <-a.made:
	case <-r.Context().Done():
		return
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	ours(r.Context(), -1)
	defer ours(r.Context(), 1)
	// The time to write is over when the answer must go.
	defer context.AfterFunc(a.cut, func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0)) })()
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes())
}

func asked(r *http.Request) string {
	key := []byte(r.URL.RawQuery)
	for _, name := range []string{"Accept", "Accept-Encoding"} {
		for _, value := range r.Header.Values(name) {
			key = append(append(append(key, 0), name...), value...)
		}
	}
	return string(key)
}

// join finds the answer to wait for. The first who waits for it makes it.
func (s *scrapes) join(r *http.Request) (a *answer, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := asked(r)
	a = s.next[key]
	if first = a == nil; first {
		a = &answer{made: make(chan struct{}), header: http.Header{}, status: http.StatusOK}
		a.cut, a.drop = context.WithCancel(context.Background())
		s.next[key] = a
	}
	a.readers++
	return a, first
}

// make makes an answer, when there is a place. Nobody joins it from then on: what
// they see must not be older than their asking.
func (s *scrapes) make(a *answer, r *http.Request) {
	defer close(a.made)
	whole := false
	defer func() {
		if !whole { // the handler panics
			a.header, a.status = http.Header{}, http.StatusInternalServerError
			a.body.Reset()
		}
		s.send(a)
	}()
	s.places <- struct{}{}
	defer func() { <-s.places }()
	s.mu.Lock()
	delete(s.next, asked(r))
	s.mu.Unlock()
	s.handler.ServeHTTP(a, r)
	whole = true
}

// send counts what an answer holds until its last reader has it.
func (s *scrapes) send(a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, a)
	s.held += a.body.Len()
	tooMuch := s.held - s.most
	for _, oldest := range s.sent[:len(s.sent)-1] {
		if tooMuch <= 0 {
			return
		}
		tooMuch -= oldest.body.Len()
		oldest.drop()
	}
}

// leave is what a reader of the answer does in the end.
func (s *scrapes) leave(a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.readers--; a.readers > 0 {
		return
	}
	a.drop()
	if i := slices.Index(s.sent, a); i >= 0 {
		s.sent = slices.Delete(s.sent, i, i+1)
		s.held -= a.body.Len()
	}
}
