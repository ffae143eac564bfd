package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// tap stands before the API: it remembers what was asked, and may corrupt downloads.
type tap struct {
	mu      sync.Mutex
	asked   []asked
	corrupt func([]byte) []byte // of a downloaded file; nil: nothing
}

// asked is a request.
type asked struct {
	*http.Request
	body string
}

// tapped is a world behind a tap. At the end of the test, no request may have been one
// that no correct client sends.
func tapped(t *testing.T, o simulator.Options) (*world, *tap) {
	t.Helper()
	tap := &tap{}
	w := newWorld(t, o, tap.wrap)
	t.Cleanup(func() { assert.Empty(t, w.Violations()) })
	return w, tap
}

func (p *tap) wrap(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client went away
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		p.mu.Lock()
		p.asked = append(p.asked, asked{r, string(body)})
		corrupt := p.corrupt
		p.mu.Unlock()
		if corrupt == nil || !strings.HasSuffix(r.URL.Path, "/download") {
			api.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		api.ServeHTTP(answer, r)
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(corrupt(answer.Body.Bytes())) // the client went away
	})
}

// downloads has every downloaded file changed from now on.
func (p *tap) downloads(corrupt func([]byte) []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.corrupt = corrupt
}

// requests are those so far whose path ends so, in their order.
func (p *tap) requests(suffix string) []asked {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.asked), func(a asked) bool { return !strings.HasSuffix(a.URL.Path, suffix) })
}
