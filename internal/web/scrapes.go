package web

import (
	"context"
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
	// maxHeldBytes is how much memory answers may take while they are sent.
	maxHeldBytes = 256 << 20
	// maxAcceptBytes is more than any scraper sends in an Accept header.
	maxAcceptBytes = 4 << 10
	// chunkBytes are what a chunk of an answer takes beside what is in it.
	chunkBytes = 24
	// pieceBytes are sent at a time. A client that takes a piece is not idle.
	pieceBytes = 64 << 10
)

// answerer makes answers to scrapes; collector.Exposition is one.
type answerer interface {
	Answer(context.Context, collector.Scrape) (*collector.Answer, error)
}

// scrapes answers scrapes. No request can ask for much work: there are few formats, and the
// large parts of an answer are made once for all clients. While answers are sent, they keep
// their version of the metrics in memory, and what is their own: beyond maxHeld bytes, the
// oldest answers are cancelled.
type scrapes struct {
	answerer answerer
	// findProject says why a project has no metrics here; nil if it has.
	findProject func(name string) error
	maxHeld     int

	mu   sync.Mutex
	sent []*sentAnswer // the oldest first
}

// sentAnswer is an answer that is being sent.
type sentAnswer struct {
	*collector.Answer
	cancelled context.Context
	cancel    context.CancelFunc
}

func newScrapes(a answerer, findProject func(name string) error, maxHeld int) *scrapes {
	return &scrapes{answerer: a, findProject: findProject, maxHeld: maxHeld}
}

func (s *scrapes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	scrape := collector.Scrape{Names: once(query["name[]"]), Projects: once(query["project"]), Gzip: acceptsGzip(r.Header)}
	for _, project := range scrape.Projects {
		if err := s.findProject(project); err != nil {
			text(w, http.StatusNotFound, err.Error())
			return
		}
	}
	var contentType string
	scrape.Format, contentType = negotiate(r.Header)
	answer, err := s.answer(r.Context(), scrape)
	if err != nil {
		return // the client has gone
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

// once is a list without repetitions, each of which would be work.
func once(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// answer makes an answer. Meanwhile the client waits for it, and is not idle.
func (s *scrapes) answer(ctx context.Context, scrape collector.Scrape) (*collector.Answer, error) {
	reportActivity(ctx, 1)
	defer reportActivity(ctx, -1)
	return s.answerer.Answer(ctx, scrape)
}

func (s *scrapes) send(w http.ResponseWriter, r *http.Request, answer *collector.Answer) {
	sent := s.join(answer)
	defer s.leave(sent)
	// A deadline in the past ends the write that is under way.
	defer context.AfterFunc(sent.cancelled, func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0)) })()
	for _, chunk := range answer.Chunks {
		for piece := range slices.Chunk(chunk, pieceBytes) {
			if _, err := w.Write(piece); err != nil {
				return
			}
			reportActivity(r.Context(), 0)
		}
	}
	_ = http.NewResponseController(w).Flush() // before the connection may count as idle
}

// join takes note that a client is being sent an answer, and makes room for it: the newest answers
// are kept, as many as there is room for.
func (s *scrapes) join(a *collector.Answer) *sentAnswer {
	joined := &sentAnswer{Answer: a}
	joined.cancelled, joined.cancel = context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, joined)
	var kept held
	for _, a := range slices.Backward(s.sent) {
		if kept.add(a.Answer); kept.bytes > s.maxHeld && a != joined {
			a.cancel() // and all that are older
		}
	}
	return joined
}

// leave takes note that a client has its answer, or has gone.
func (s *scrapes) leave(a *sentAnswer) {
	a.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = slices.DeleteFunc(s.sent, func(other *sentAnswer) bool { return other == a })
}

// held is how many bytes answers keep in memory: what is the own of each, and once what those
// of a version share.
type held struct {
	bytes  int
	shared map[collector.Version]int
}

func (h *held) add(a *collector.Answer) {
	if h.shared == nil {
		h.shared = map[collector.Version]int{}
	}
	shared := max(h.shared[a.Version], a.Size-a.Own)
	h.bytes += a.Own + chunkBytes*len(a.Chunks) + shared - h.shared[a.Version]
	h.shared[a.Version] = shared
}

// formats are those that are served, in the library's words, the preferred one first.
var formats = []expfmt.Format{expfmt.FmtOpenMetrics_1_0_0, expfmt.FmtOpenMetrics_0_0_1, expfmt.FmtProtoDelim, expfmt.NewFormat(expfmt.TypeTextPlain)}

// negotiate returns the format that a client prefers, and its content type.
func negotiate(h http.Header) (collector.Format, string) {
	if len(h.Get("Accept")) > maxAcceptBytes {
		h = nil
	}
	// Of all escaping schemes, only dots would change our names: underscores are sent instead.
	contentType := strings.Replace(string(expfmt.NegotiateAccept(h, formats...)), "escaping=dots", "escaping=underscores", 1)
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
