package e2e

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// names are personal data of the records below. None may be seen anywhere.
var names = []string{
	"alice.wonder", "alice.wonder@corp.example",
	"10.99.88.77", "203.0.113.99", "192.168.77.66", "2001:db8::77",
	"c8-d9-d2-aa-3a-57", "c8:d9:d2:aa:3a:57", "ALICES-LAPTOP", "S-1-5-21-4242",
}

// telling is a record that repeats its personal data in its reason.
func telling(n int, at time.Time) simulator.Record {
	r := failed(attempt(n, at), "1001", at)
	r.UserName, r.ClientIP, r.ClientMAC, r.ClientName = names[1], names[2], names[6], names[8]
	r.PublicIP, r.VMIP, r.VirtualIP, r.MachineSID = names[3], names[4], names[5], names[9]
	r.FailedReason = "Login of " + strings.Join(names, " and ") + " failed."
	return r
}

// echo answers some requests with an error that repeats what the request held, and
// with a page of records that is cut off.
type echo struct{ requests atomic.Int64 }

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := e.requests.Add(1)
	var headers strings.Builder
	_ = r.Header.Write(&headers) // to memory
	body := make([]byte, 1<<16)
	length, _ := r.Body.Read(body) // the error is the body's end
	said := headers.String() + string(body[:length]) + strings.Join(names, " ")
	switch n % 5 {
	case 1:
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error_code": "WKS.1", "error_msg": said})
	case 2:
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(said))
	case 3:
		page, _ := json.Marshal([]simulator.Record{telling(1, time.Now())})
		_, _ = w.Write(append([]byte(`{"count": 1, "items": `), page[:len(page)-3]...))
	case 4:
		w.Header().Set("X-Request-Id", said[:min(len(said), 200)])
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": 403, "message": said, "title": "Forbidden"}})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func TestNoPersonalDataAndNoSecretIsEverShown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options     simulator.Options
		credentials string
		secrets     []string
	}{
		"a key pair": {simulator.Options{}, "", []string{accessKey, secretKey}},
		"a password": {simulator.Options{Domain: "example-domain", User: "example-user", Password: "example-password-0001"},
			withPassword, []string{"example-password-0001"}},
		"a token": {simulator.Options{StaticToken: "example-token-0001-abcdef"}, "token: {token: example-token-0001-abcdef}",
			[]string{"example-token-0001-abcdef"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var bad atomic.Pointer[echo]
			w := newWorld(t, c.options, func(good http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if b := bad.Load(); b != nil && !strings.HasPrefix(r.URL.Path, "/v3/auth") {
						b.ServeHTTP(rw, r)
						return
					}
					good.ServeHTTP(rw, r)
				})
			})
			now := time.Now()
			for n := range 40 {
				w.put(telling(n, now.Add(-5*time.Minute)))
			}
			pending := telling(100, now.Add(-4*time.Minute))
			pending.FailedCode, pending.FailedReason = "", ""
			open := pending
			open.ID, open.StartTime = "00000101", pending.PreConnTime
			w.put(pending, open)
			e := runExporter(t, setup{URL: w.url, Credentials: c.credentials}, "--log.level=debug")
			e.polls(project, 2)
			seen := []string{e.get("/metrics").body}
			assert.Contains(t, seen[0], "Login of <user>")

			trouble := &echo{}
			bad.Store(trouble)
			eventually(t, "every kind of trouble was met twice", func() bool { return trouble.requests.Load() >= 12 })
			eventually(t, "polls fail", func() bool { return e.metrics()[pollsOf(project, "error")] >= 4 })
			for _, path := range []string{"/metrics", "/", "/config"} {
				seen = append(seen, e.get(path).body)
			}
			require.Equal(t, 0, e.stop())
			seen = append(seen, e.logs.String(), stored(t, filepath.Join(e.dir, "data")))
			for i, text := range seen {
				for _, secret := range append(c.secrets, names...) {
					if at := strings.Index(strings.ToLower(text), strings.ToLower(secret)); at >= 0 {
						t.Errorf("text %d shows %q: %s", i, secret, text[max(0, at-150):min(len(text), at+150)])
					}
				}
			}
		})
	}
}

// stored is all that the store holds.
func stored(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all.Write(content)
		return err
	}))
	require.NotEmpty(t, all.String())
	return all.String()
}
