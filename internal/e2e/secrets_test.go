package e2e

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// wire is what the API sees: it keeps every secret that requests and answers carried.
// When asked to, it answers every request with all that the request held.
type wire struct {
	api     http.Handler
	echoes  atomic.Bool
	echoed  atomic.Int64
	mu      sync.Mutex
	secrets map[string]bool
}

var (
	signed   = regexp.MustCompile(`Signature=([0-9a-f]{16,})`)
	password = regexp.MustCompile(`"password":\s*"([^"]+)"`)
)

func (w *wire) keep(texts ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range texts {
		if s != "" {
			w.secrets[s] = true
		}
	}
}

// kept are the secrets until now: of a program that has ended, a last request may still be under way.
func (w *wire) kept() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.secrets))
}

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // it comes from memory, or is empty
	r.Body = io.NopCloser(bytes.NewReader(body))
	w.keep(r.Header.Get("X-Auth-Token"), r.Header.Get("X-Security-Token"))
	if m := signed.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		w.keep(m[1])
	}
	if m := password.FindStringSubmatch(string(body)); m != nil {
		w.keep(m[1])
	}
	if w.echoes.Load() {
		var headers bytes.Buffer
		_ = r.Header.Write(&headers) // to memory
		said := headers.String() + string(body)
		rw.Header().Set("X-Request-Id", strings.ReplaceAll(r.Header.Get("Authorization")+r.Header.Get("X-Auth-Token"), "\n", ""))
		statuses := []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusBadRequest, http.StatusNotFound, http.StatusOK, http.StatusTemporaryRedirect}
		if strings.HasSuffix(r.URL.Path, "/auth/tokens") { // a refusal there is not asked for again
			statuses = []int{http.StatusOK, http.StatusTemporaryRedirect, http.StatusInternalServerError, http.StatusOK, http.StatusInternalServerError, http.StatusUnauthorized}
		}
		rw.Header().Set("Location", "http://example.invalid/?"+r.Header.Get("Authorization"))
		rw.WriteHeader(statuses[int(w.echoed.Add(1))%len(statuses)])
		_, _ = io.WriteString(rw, said)
		return
	}
	w.api.ServeHTTP(rw, r)
	w.keep(rw.Header().Get("X-Subject-Token"))
}

// In no way of giving credentials does any command, page, log or stack show one: neither
// when all is well nor when the API repeats what it was sent.
func TestNoCredentialsAreEverShown(t *testing.T) {
	t.Parallel()
	const (
		securityToken = "example-security-token-0001"
		userPassword  = "example-password-0001"
		token         = "example-token-0001-abcdef"
		proxyPassword = "example-proxy-password-0001"
	)
	user := simulator.Options{Domain: "example-domain", User: "example-user", Password: userPassword}
	for name, c := range map[string]struct {
		api         simulator.Options
		credentials string
		files       map[string]string
		env         []string
	}{
		"keys": {},
		"temporary keys in files": {api: simulator.Options{SecurityToken: securityToken},
			credentials: "aksk: {access_key_file: ak, secret_key_file: sk, security_token_file: st}",
			files:       map[string]string{"ak": accessKey, "sk": secretKey, "st": securityToken}},
		"a password":           {api: user, credentials: withPassword},
		"a password in a file": {api: user, credentials: "password: {domain: example-domain, user: example-user, password_file: pw}", files: map[string]string{"pw": userPassword}},
		"a token":              {api: simulator.Options{StaticToken: token}, credentials: "token: {token: " + token + "}"},
		"a token in a file":    {api: simulator.Options{StaticToken: token}, credentials: "token: {token_file: tk}", files: map[string]string{"tk": token}},
		"the environment": {api: simulator.Options{SecurityToken: securityToken}, credentials: "default_chain: {}",
			env: []string{"HUAWEICLOUD_SDK_AK=" + accessKey, "HUAWEICLOUD_SDK_SK=" + secretKey, "HUAWEICLOUD_SDK_SECURITY_TOKEN=" + securityToken}},
		"a profile": {credentials: "default_chain: {}", env: []string{"HUAWEICLOUD_SDK_CREDENTIALS_FILE=profile"},
			files: map[string]string{"profile": "[basic]\nak = " + accessKey + "\nsk = " + secretKey + "\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := &wire{secrets: map[string]bool{accessKey: true, secretKey: true, securityToken: true, userPassword: true, token: true, proxyPassword: true}}
			w := newWorld(t, c.api, func(api http.Handler) http.Handler { seen.api = api; return seen })
			w.put(spread(0, 20, time.Now().Add(-5*time.Minute), time.Second)...)
			e := install(t, setup{URL: w.url, Credentials: c.credentials, RequestTimeout: "1s"})
			e.env = c.env
			for file, content := range c.files {
				e.write(file, content+"\n")
			}
			var said bytes.Buffer
			run := func(want int, args ...string) {
				p := exec.Command(binary, append(args, "--log.level=debug")...)
				p.Dir, p.Env, p.Stdout, p.Stderr = e.dir, append(os.Environ(), c.env...), &said, &said
				_ = p.Run() // the exit code says it
				if want >= 0 {
					assert.Equal(t, want, p.ProcessState.ExitCode(), "%v: %s", args, &said)
				}
			}
			run(0, "check-config")
			run(0, "doctor")
			// A store of its own: that of the exporter is in use.
			e.write("once.yml", setup{URL: w.url, Credentials: c.credentials, RequestTimeout: "1s", Storage: "once"}.text())
			run(0, "--once", "--config.file=once.yml", "--log.format=json")
			e.start("--log.level=debug")
			e.shows(w)

			seen.echoes.Store(true)
			run(1, "doctor")
			run(1, "--once", "--config.file=once.yml")
			e.pollsEnd(project, "user_connections", "error", 1)
			eventually(t, "every answer was given", func() bool { return seen.echoed.Load() >= 8 })
			for file := range c.files { // what is no secret any more is no reason to tell it
				e.write(file, accessKey+"\n"+secretKey+"\n")
			}
			run(-1, "doctor")
			run(-1, "check-config")
			e.pollsEnd(project, "user_connections", "error", 1)
			for _, path := range []string{"/metrics", "/", "/config", "/-/ready", "/none"} {
				said.WriteString(e.get(path).body)
			}
			// A configuration that is refused, with secrets in places where none belong.
			e.write("workspace_exporter.yml", strings.NewReplacer("rate_limit:", "secret_key: "+secretKey+"\n    proxy_url: http://u:"+proxyPassword+"@\n    rate_limit:").
				Replace(setup{URL: w.url, Credentials: "aksk: {access_key: [" + accessKey + "], secret_key: " + secretKey + ", token: " + token + "}"}.text()))
			e.signal(syscall.SIGHUP)
			eventually(t, "the reload is refused", func() bool {
				return e.only("workspace_exporter_config_last_reload_successful").sum("workspace_exporter_config_last_reload_successful") == 0
			})
			run(1, "check-config")
			e.signal(syscall.SIGQUIT) // every stack
			e.exitCode(patience)
			assert.Contains(t, e.log.String(), "SIGQUIT: quit")
			said.WriteString(e.log.String())
			e.process = nil // it has ended as asked

			for _, secret := range seen.kept() {
				if at := strings.Index(said.String(), secret); at >= 0 {
					t.Errorf("%q is shown: %s", secret, said.String()[max(0, at-200):min(said.Len(), at+200)])
				}
			}
		})
	}
}

// The password of a proxy that cannot be reached, or that refuses, is not shown either.
func TestTheProxysPasswordIsNeverShown(t *testing.T) {
	t.Parallel()
	const secret = "example-proxy-password-0001"
	w := newWorld(t, simulator.Options{}, nil)
	for name, proxy := range map[string]string{"refuses": strings.TrimPrefix(w.url, "http://"), "is not there": "127.0.0.1:1"} {
		e := install(t, setup{URL: "https://workspace.example.com", RequestTimeout: "1s"})
		text := strings.Replace(setup{URL: "https://workspace.example.com", RequestTimeout: "1s"}.text(), "    rate_limit:",
			"    proxy_url: http://user:"+secret+"@"+proxy+"\n    proxy_connect_header: {X-Proxy: ["+secret+"]}\n    rate_limit:", 1)
		e.write("workspace_exporter.yml", text)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		for _, args := range [][]string{{"check-config"}, {"doctor"}, {"--once"}} {
			p := exec.CommandContext(ctx, binary, append(args, "--log.level=debug", "--config.file="+filepath.Join(e.dir, "workspace_exporter.yml"))...)
			said, _ := p.CombinedOutput() // it fails, which is what it is for
			require.NotEmpty(t, said)
			assert.NotContains(t, string(said), secret, name)
			assert.NotContains(t, string(said), "dXNlcjpleGFtcGxl", "%s: in base64", name)
		}
		cancel()
	}
}
