package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"

	"github.com/workspace-exporter/workspace_exporter/collector"
)

const (
	// maxHeldBytes is how much memory answers may hold while they are sent.
	maxHeldBytes = 256 << 20
	// maxAcceptBytes is more than any scraper's Accept header has.
	maxAcceptBytes = 4 << 10
	// pieceBytes are sent at a time: a client that takes one is not idle.
	pieceBytes = 64 << 10
)

// answerer makes answers to scrapes; collector.Exposition is one.
type answerer interface {
	Answer(context.Context, collector.Scrape) (*collector.Answer, error)
}

// scrapes answers scrapes. There are few formats, and what is large in an answer is
// made once for all who ask, so that no request can ask for much work. Answers keep
// alive what they were made of: beyond most bytes, those of the oldest version go.
type scrapes struct {
	answerer answerer
	// known reports whether there is a project of the name.
	known func(project string) bool
	most  int

	mu   sync.Mutex
	sent []*sending // the oldest version first
	held int        // bytes of those
}

// sending are the answers of one version that are being sent.
type sending struct {
	version collector.Version
	size    int // of the largest
	clients int
	// cut ends when they must go.
	cut  context.Context
	drop context.CancelFunc
}

func newScrapes(a answerer, known func(project string) bool, most int) *scrapes {
	return &scrapes{answerer: a, known: known, most: most}
}

func (s *scrapes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	scrape := collector.Scrape{Names: query["name[]"], Projects: query["project"], Gzip: acceptsGzip(r.Header)}
	if i := slices.IndexFunc(scrape.Projects, func(p string) bool { return !s.known(p) }); i >= 0 {
		text(w, http.StatusNotFound, fmt.Sprintf("the configuration has no project %q", scrape.Projects[i]))
		return
	}
	var contentType string
	scrape.Format, contentType = negotiate(r.Header)
	answer, err := s.answer(r.Context(), scrape)
	if err != nil {
		return // its client has gone
	}
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(answer.Size))
	header["Vary"] = []string{"Accept", "Accept-Encoding"}
	if scrape.Gzip {
		header.Set("Content-Encoding", "gzip")
	}
	s.send(w, r, answer)
}

// answer makes an answer, while which the client waits for us.
func (s *scrapes) answer(ctx context.Context, scrape collector.Scrape) (*collector.Answer, error) {
	ours(ctx, 1)
	defer ours(ctx, -1)
	return s.answerer.Answer(ctx, scrape)
}

func (s *scrapes) send(w http.ResponseWriter, r *http.Request, answer *collector.Answer) {
	sending := s.join(answer)
	defer s.leave(sending)
	// The time to write is over when the answer must go.
	defer context.AfterFunc(sending.cut, func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0)) })()
	for _, chunk := range answer.Chunks {
		for piece := range slices.Chunk(chunk, pieceBytes) {
			if _, err := w.Write(piece); err != nil {
				return
			}
			ours(r.Context(), 0)
		}
	}
	_ = http.NewResponseController(w).Flush() // then nothing is lost if the connection goes
}

// join counts what an answer holds.
func (s *scrapes) join(a *collector.Answer) *sending {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.sent, func(other *sending) bool { return other.version == a.Version })
	if i < 0 {
		i = len(s.sent)
		new := &sending{version: a.Version}
		new.cut, new.drop = context.WithCancel(context.Background())
		s.sent = append(s.sent, new)
	}
	joined := s.sent[i]
	joined.clients++
	if more := a.Size - joined.size; more > 0 {
		joined.size += more
		s.held += more
	}
	tooMuch := s.held - s.most
	for _, oldest := range s.sent {
		if tooMuch <= 0 || oldest == joined {
			break
		}
		tooMuch -= oldest.size
		oldest.drop()
	}
	return joined
}

// leave is what a client does in the end.
func (s *scrapes) leave(a *sending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.clients--; a.clients > 0 {
		return
	}
	a.drop()
	s.sent = slices.DeleteFunc(s.sent, func(other *sending) bool { return other == a })
	s.held -= a.size
}

// accepted are the formats that we write, as the library names them, the better first.
var accepted = []expfmt.Format{expfmt.FmtOpenMetrics_1_0_0, expfmt.FmtOpenMetrics_0_0_1, expfmt.FmtProtoDelim, expfmt.NewFormat(expfmt.TypeTextPlain)}

// negotiate finds the format that a client wants, and what to call it.
func negotiate(h http.Header) (collector.Format, string) {
	if len(h.Get("Accept")) > maxAcceptBytes {
		h = nil
	}
	// Only this scheme would change our names, and a client need not get what it asks for.
	contentType := strings.Replace(string(expfmt.NegotiateAccept(h, accepted...)), "escaping=dots", "escaping=underscores", 1)
	switch expfmt.Format(contentType).FormatType() {
	case expfmt.TypeOpenMetrics:
		return collector.OpenMetrics, contentType
	case expfmt.TypeProtoDelim:
		return collector.Protobuf, contentType
	}
	return collector.Text, contentType
}

// acceptsGzip reports whether a client wants answers compressed.
func acceptsGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, parameter, _ := strings.Cut(coding, ";")
		weight := strings.TrimRight(strings.TrimPrefix(strings.ReplaceAll(parameter, " ", ""), "q="), "0.")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return parameter == "" || weight != ""
		}
	}
	return false
}
