package workspace

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// download gets a file of at most 1000 bytes from an API and the storage that it
// redirects to, both real servers on this machine.
func download(t *testing.T, api, storage http.HandlerFunc, change func(*Options)) (file string, err error) {
	t.Helper()
	s := httptest.NewServer(storage)
	defer s.Close()
	a := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if api != nil {
			api(w, r)
			return
		}
		http.Redirect(w, r, s.URL+"/bucket/jane.xlsx?Signature=SIGNATURE&X=1", http.StatusFound)
	}))
	defer a.Close()
	c := newClient(t, &http.Transport{DisableKeepAlives: true}, func(o *Options) {
		o.Endpoints = Endpoints{AppStream: a.URL}
		o.Credentials = AKSK(text("ACCESSKEY"), text("SECRETKEY"), text("SECURITYTOKEN"))
		if change != nil {
			change(o)
		}
	})
	var b bytes.Buffer
	err = c.DownloadExport(t.Context(), "t1", &b, 1000)
	return b.String(), err
}

func TestDownload(t *testing.T) {
	var observed []string
	observe := func(o *Options) {
		o.Observe = func(endpoint, code string, _ time.Duration) { observed = append(observed, endpoint+" "+code) }
	}
	for _, size := range []int{0, 999, 1000} {
		file, err := download(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "/v2/project1/export-tasks/t1/download", r.URL.Path)
			assert.NotEmpty(t, r.Header.Get("Authorization"))
			fmt.Fprint(w, strings.Repeat("x", size))
		}, nil, observe)
		require.NoError(t, err)
		assert.Len(t, file, size)
	}
	assert.Equal(t, []string{"DownloadExportFile 200", "DownloadExportFile 200", "DownloadExportFile 200"}, observed)
}

func TestRedirectCarriesNoCredentials(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		requests := 0
		api := func(w http.ResponseWriter, r *http.Request) {
			if requests++; r.URL.Path == "/storage" {
				said := fmt.Sprint(r.Header, r.Host, r.URL)
				for _, secret := range []string{"ACCESSKEY", "SECRETKEY", "SECURITYTOKEN", "Authorization", "X-Sdk-Date", "Cookie", "Referer"} {
					assert.NotContains(t, said, secret)
				}
				assert.Equal(t, "GET", r.Method)
				assert.Equal(t, "a%2Fb=c", r.URL.RawQuery, "a signed query stays as it is")
				fmt.Fprint(w, "file")
				return
			}
			w.Header().Set("Set-Cookie", "a=b")
			w.Header().Set("Location", "/storage?a%2Fb=c#fragment")
			w.WriteHeader(code)
		}
		file, err := download(t, api, nil, nil)
		require.NoError(t, err)
		assert.Equal(t, "file", file)
		assert.Equal(t, 2, requests)
	}
}

func TestDownloadFails(t *testing.T) {
	write := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) }
	}
	flush := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, s)
			w.(http.Flusher).Flush()
		}
	}
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(302)
		}
	}
	for name, c := range map[string]struct {
		api, storage http.HandlerFunc
		want         string
	}{
		"too large":          {nil, write(strings.Repeat("x", 1001)), "the file is too large: more than 1000 bytes"},
		"too large, no size": {nil, flush(strings.Repeat("x", 1001)), "the file is too large: more than 1000 bytes"},
		"cut": {nil, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "500")
			fmt.Fprint(w, "user_name,jane")
		}, "unexpected EOF"},
		"cut, no size": {nil, func(w http.ResponseWriter, r *http.Request) {
			flush("user_name,jane")(w, r)
			panic(http.ErrAbortHandler)
		}, "unexpected EOF"},
		"packed": {nil, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "identity", r.Header.Get("Accept-Encoding"))
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, "x")
		}, "packed on the way"},
		"stalls": {nil, func(w http.ResponseWriter, r *http.Request) {
			flush("user_name,jane")(w, r)
			<-r.Context().Done()
		}, "no complete answer within 1s"},
		"link expired": {nil, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(403)
			fmt.Fprintf(w, "<Error><Code>AccessDenied</Code><Signature>%s</Signature>jane</Error>", r.URL)
		}, "403 Forbidden, AccessDenied; the API redirected the download to this host"},
		"storage is unauthorized": {nil, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) }, "401 Unauthorized"},
		"redirects for ever":      {redirect("/v2/again"), nil, "more than 4 redirects"},
		"to the metadata service": {redirect("https://169.254.169.254/latest"), nil, "on this machine's link"},
		"over HTTP":               {redirect("http://203.0.113.1/a?Signature=SIGNATURE"), nil, "it is not HTTPS"},
		"to a file":               {redirect("file:///etc/passwd"), nil, "names no host"},
		"with a user":             {redirect("https://jane:SIGNATURE@storage.test/"), nil, "or a user"},
		"to nonsense":             {redirect("https://%zz?Signature=SIGNATURE"), nil, "not a URL"},
		"to nowhere":              {redirect(""), nil, "302 Found"},
		"refused":                 {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, nil, "grant the permission workspace:tenants:exportData"},
	} {
		t.Run(name, func(t *testing.T) {
			requests := 0
			file, err := download(t, c.api, func(w http.ResponseWriter, r *http.Request) { requests++; c.storage(w, r) }, func(o *Options) {
				if name == "stalls" {
					o.RequestTimeout = time.Second
				}
			})
			require.ErrorContains(t, err, c.want)
			assert.LessOrEqual(t, requests, 1, "is not begun again")
			if name == "too large" {
				assert.Empty(t, file, "the size is known before")
			}
			said := fmt.Sprintf("%v %+v", err, *asError(t, err))
			for _, private := range []string{"SIGNATURE", "jane", "ACCESSKEY"} {
				assert.NotContains(t, said, private)
			}
		})
	}
}

// Before its first byte, a download may begin again, with a new redirect.
func TestDownloadBeginsAgain(t *testing.T) {
	requests := 0
	file, err := download(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		if requests++; requests == 1 {
			w.WriteHeader(503)
			return
		}
		fmt.Fprint(w, "file")
	}, nil)
	require.NoError(t, err)
	assert.Equal(t, "file", file)
	assert.Equal(t, 2, requests)
}

// A file may take longer than a request, as long as it flows.
func TestSlowDownload(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newClient(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			slow := reader(func(p []byte) (int, error) { time.Sleep(20 * time.Second); return copy(p, "x"), r.Context().Err() })
			return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: io.NopCloser(io.LimitReader(slow, 10))}, nil
		}), nil)
		var b bytes.Buffer
		require.NoError(t, c.DownloadExport(t.Context(), "t1", &b, 100))
		assert.Equal(t, 10, b.Len())

		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
		defer cancel()
		err := c.DownloadExport(ctx, "t1", &b, 100)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotContains(t, err.Error(), "within 30s", "it did not stall")
	})
}

type reader func([]byte) (int, error)

func (f reader) Read(p []byte) (int, error) { return f(p) }

func TestDiskIsFull(t *testing.T) {
	c := newClient(t, server(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "file") }), nil)
	err := c.DownloadExport(t.Context(), "t1", writer(func([]byte) (int, error) { return 0, errors.New("no space left on device") }), 100)
	require.ErrorContains(t, err, "writing the file: no space left on device")
}

type writer func([]byte) (int, error)

func (f writer) Write(p []byte) (int, error) { return f(p) }

func TestCheckRedirect(t *testing.T) {
	c := newClient(t, server(nil), nil)
	hosts := map[string]string{
		"public": "203.0.113.1", "private": "10.0.0.1", "local": "127.0.0.1", "cloud": "100.125.1.1", "both": "203.0.113.1 10.0.0.1", "link": "169.254.169.254",
	}
	c.lookup = func(_ context.Context, host string) (found []netip.Addr, err error) {
		for _, address := range strings.Fields(hosts[host]) {
			found = append(found, netip.MustParseAddr(address))
		}
		if found == nil {
			err = errors.New("no such host")
		}
		return found, err
	}
	for _, row := range []struct {
		from    string
		allowed []string
		refused []string
	}{
		{"public", []string{"https://public", "https://cloud:8443/x", "https://unknown"},
			[]string{"https://private", "https://local", "https://both", "https://link", "http://public", "http://unknown", "http://local",
				"https://10.1.2.3", "https://[::1]", "https://[::ffff:10.0.0.1]", "https://[::ffff:0.0.0.0]", "https://[fe80::1]", "https://0.0.0.0", "https://[fd00::1]", "https://169.254.169.254", "https://[64:ff9b::a9fe:a9fe]", "https://[64:ff9b::a00:1]", "ftp://public", "//", "https:///x"}},
		{"private", []string{"https://public", "https://private", "https://both"}, []string{"http://private", "https://local", "https://169.254.169.254"}},
		{"link", []string{"https://public"}, []string{"https://link"}},
		{"127.0.0.1", []string{"http://127.0.0.1:9915/x", "http://local", "https://private", "https://public"}, []string{"http://private", "https://link", "http://[fe80::1]"}},
	} {
		for _, to := range append(row.allowed, row.refused...) {
			u, err := url.Parse(to)
			require.NoError(t, err)
			err = c.checkRedirect(t.Context(), row.from, u)
			assert.Equal(t, strings.Contains(" "+strings.Join(row.allowed, " ")+" ", " "+to+" "), err == nil, "%s to %s: %v", row.from, to, err)
		}
	}
}

// What a storage refuses says nothing of our token.
func TestStorageDoesNotRenewTheToken(t *testing.T) {
	tokens := 0
	c := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Host {
		case "iam.test":
			tokens++
			w.Header().Set("X-Subject-Token", fmt.Sprint("TOKEN", tokens))
			w.WriteHeader(201)
			fmt.Fprint(w, `{"token":{}}`)
		case "storage.test":
			w.WriteHeader(401)
		default:
			http.Redirect(w, r, "https://storage.test/", http.StatusFound)
		}
	}), func(o *Options) { o.Credentials = Password("d", "u", text("p")) })
	c.lookup = func(context.Context, string) ([]netip.Addr, error) { return nil, nil }
	require.ErrorContains(t, c.DownloadExport(t.Context(), "t1", io.Discard, 100), "GET storage.test/…: 401")
	assert.Equal(t, 1, tokens)
}

// The answers of a storage do not change what is known of the API.
func TestStorageIsNotTheAPI(t *testing.T) {
	c := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host == "storage.test" {
			w.Header().Set("Date", "Mon, 01 Jan 2001 00:00:00 GMT")
			w.Header().Set("Content-Length", strconv.Itoa(len("file")))
			fmt.Fprint(w, "file")
			return
		}
		http.Redirect(w, r, "https://storage.test/", http.StatusFound)
	}), nil)
	c.lookup = func(context.Context, string) ([]netip.Addr, error) { return nil, nil }
	require.NoError(t, c.DownloadExport(t.Context(), "t1", io.Discard, 100))
	at, ok := c.Host(AppStream).ServerTime()
	assert.True(t, ok)
	assert.Greater(t, at.Year(), 2001)
}

// A client certificate is for the API, and for no host that it redirects to.
func TestARedirectShowsNoCertificate(t *testing.T) {
	shown := map[string]int{}
	start := func(name string, h http.HandlerFunc) *httptest.Server {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			shown[name] = len(r.TLS.PeerCertificates)
			h(w, r)
		}))
		s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	storage := start("storage", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "file") })
	api := start("api", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", storage.URL)
		w.WriteHeader(302)
	})
	transport := api.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.InsecureSkipVerify = true
	transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &api.TLS.Certificates[0], nil
	}
	c := newClient(t, transport, func(o *Options) { o.Endpoints = Endpoints{AppStream: api.URL} })
	defer c.Close()
	var file strings.Builder
	require.NoError(t, c.DownloadExport(t.Context(), "task", &file, 1000))
	assert.Equal(t, "file", file.String())
	assert.Equal(t, map[string]int{"api": 1, "storage": 0}, shown)
}
