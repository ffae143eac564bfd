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
	// pieceBytes are sent at a time. A client that takes a piece is not idle.
	pieceBytes = 64 << 10
)

// answerer makes answers to scrapes; collector.Exposition is one.
type answerer interface {
	Answer(context.Context, collector.Scrape) (*collector.Answer, error)
}

// scrapes answers scrapes. No request can ask for much work: there are few formats, and the
// large parts of an answer are made once for all clients. While answers are sent, they keep
// their version of the metrics in memory: beyond maxHeld bytes, the answers of the oldest
// version are cancelled.
type scrapes struct {
	answerer answerer
	// findProject says why a project has no metrics here; nil if it has.
	findProject func(name string) error
	maxHeld     int

	mu       sync.Mutex
	versions []*sentVersion // being sent, the oldest first
	held     int            // bytes of all versions
}

// sentVersion are the answers of one version that are being sent.
type sentVersion struct {
	version   collector.Version
	size      int // of the largest answer
	clients   int
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

// join takes note that a client is being sent an answer, and makes room for it.
func (s *scrapes) join(a *collector.Answer) *sentVersion {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.versions, func(v *sentVersion) bool { return v.version == a.Version })
	if i < 0 {
		i = len(s.versions)
		v := &sentVersion{version: a.Version}
		v.cancelled, v.cancel = context.WithCancel(context.Background())
		s.versions = append(s.versions, v)
	}
	joined := s.versions[i]
	joined.clients++
	if more := a.Size - joined.size; more > 0 {
		joined.size += more
		s.held += more
	}
	excess := s.held - s.maxHeld
	for _, oldest := range s.versions {
		if excess <= 0 || oldest == joined {
			break
		}
		excess -= oldest.size
		oldest.cancel()
	}
	return joined
}

// leave takes note that a client has its answer, or has gone.
func (s *scrapes) leave(v *sentVersion) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.clients--; v.clients > 0 {
		return
	}
	v.cancel()
	s.versions = slices.DeleteFunc(s.versions, func(other *sentVersion) bool { return other == v })
	s.held -= v.size
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
