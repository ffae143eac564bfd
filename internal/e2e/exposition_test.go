package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

func TestCreationTimesSurviveARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 60, time.Now().Add(-10*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url}, "--web.openmetrics-created-samples")
	e.shows(w)
	w.put(failed(attempt(500, time.Now().Add(-time.Minute)), "2001", time.Now()))
	e.shows(w)
	before := e.created()
	assert.NotEmpty(t, before)
	for key, created := range before {
		assert.InDelta(t, time.Now().Add(-30*time.Minute).Unix(), created, 45*60, key)
	}
	e.restart("--web.openmetrics-created-samples")
	e.polls(project, 1)
	assert.Equal(t, before, e.created())
	e.restart()
	e.polls(project, 1)
	assert.Empty(t, e.created(), "nobody asked for them")
}

// created are the _created samples of the record metrics in the OpenMetrics format.
func (e *exporter) created() map[string]float64 {
	e.t.Helper()
	r, err := e.request(http.MethodGet, "/metrics", http.Header{"Accept": {"application/openmetrics-text; version=1.0.0"}})
	require.NoError(e.t, err)
	require.Contains(e.t, r.header.Get("Content-Type"), "application/openmetrics-text")
	require.True(e.t, strings.HasSuffix(r.body, "# EOF\n"))
	created := map[string]float64{}
	for line := range strings.Lines(r.body) {
		name := nameOf(line)
		if !strings.HasPrefix(name, "workspace_") || strings.HasPrefix(name, "workspace_exporter_") || !strings.HasSuffix(name, "_created") {
			continue
		}
		at := strings.LastIndex(line, " ")
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64)
		require.NoError(e.t, err)
		created[line[:at]] = value
	}
	return created
}

func TestProtobufHasNativeAndClassicHistograms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 60, time.Now().Add(-10*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url})
	e.shows(w)
	r, err := e.request(http.MethodGet, "/metrics", http.Header{
		"Accept": {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"}})
	require.NoError(t, err)
	decoder := expfmt.NewDecoder(strings.NewReader(r.body), expfmt.ResponseFormat(r.header))
	s := series{}
	for {
		var family dto.MetricFamily
		err := decoder.Decode(&family)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		for _, m := range family.Metric {
			s.read(family.GetName(), m)
		}
		if name := family.GetName(); name == "workspace_login_duration_seconds" || name == "workspace_session_duration_seconds" {
			for _, m := range family.Metric {
				h := m.Histogram
				assert.NotEmpty(t, h.Bucket, name)
				assert.Equal(t, h.GetSampleCount(), native(h), name)
			}
		}
	}
	assert.Empty(t, s.records().diff(w.expect()))
}

// native is the number of observations in the native buckets.
func native(h *dto.Histogram) uint64 {
	total, bucket := h.GetZeroCount(), int64(0)
	for _, delta := range h.PositiveDelta {
		bucket += delta
		total += uint64(bucket)
	}
	return total
}

func TestMetricsCanBeAskedForByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 20, time.Now().Add(-10*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url})
	e.shows(w)
	for key := range e.only("workspace_login_attempts_total", "workspace_login_users") {
		assert.Contains(t, []string{"workspace_login_attempts_total", "workspace_login_users"}, nameOf(key))
	}
}

func TestANewSeriesIsShownAsZeroFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	at := time.Now().Add(-5 * time.Minute)
	w.put(spread(0, 40, at, time.Second)...)
	e := runExporter(t, setup{URL: w.url, Hold: "4s"})
	eventually(t, "there are record metrics", func() bool { return e.metrics().sum("workspace_login_attempts_total") > 0 })
	assert.Empty(t, e.metrics().records().diff(w.expect()), "the series of the first poll are shown at once")

	newcomer := failed(attempt(500, at), "3001", at)
	newcomer.DesktopGroupName = "newcomers"
	w.put(newcomer)
	attempts := key("workspace_login_attempts_total", "project", project, "product", "app_streaming", "desktop_group", "newcomers")
	failures := key("workspace_login_failures_total", "project", project, "product", "app_streaming", "desktop_group", "newcomers", "failed_code", "3001")
	var first series
	eventually(t, "the new series is there", func() bool {
		first = e.metrics()
		_, ok := first[attempts]
		return ok
	})
	since := time.Now()
	for _, name := range []string{attempts, failures} {
		value, ok := first[name]
		assert.True(t, ok, name)
		assert.Zero(t, value, name)
	}
	eventually(t, "the new series has its value", func() bool { return e.metrics()[attempts] == 1 })
	assert.Greater(t, time.Since(since), 2*time.Second)
	e.shows(w)
}

func TestBeforeTheFirstPollHasSucceededThereAreNoRecordMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 40, time.Now().Add(-5*time.Minute), time.Second)...)
	hang := w.AddFault(simulator.Fault{Kind: simulator.FaultHang})
	e := runExporter(t, setup{URL: w.url, RequestTimeout: "2s"})
	assert.Equal(t, http.StatusServiceUnavailable, e.get("/-/ready").status)
	assert.Equal(t, http.StatusOK, e.get("/-/healthy").status)
	silent := func() {
		for key := range e.metrics() {
			assert.False(t, strings.HasPrefix(key, "workspace_login") || strings.HasPrefix(key, "workspace_server") ||
				strings.HasPrefix(key, "workspace_exporter_records_total"), key)
		}
	}
	silent()
	w.AddFault(simulator.Fault{Kind: simulator.FaultError, Status: 400})
	w.RemoveFault(hang)
	eventually(t, "a poll has failed", func() bool { return e.get("/-/ready").status == http.StatusOK })
	silent()
	assert.Positive(t, e.metrics()[pollsOf(project, "error")])
	for _, f := range w.Faults() {
		w.RemoveFault(f.ID)
	}
	e.shows(w)
}

// webPassword and its bcrypt hash.
const (
	webPassword     = "open sesame"
	webPasswordHash = "$2a$04$vaTCZEXNVPy4RRaEaqPhAOH88usaGbpcOQKFoLiTO.q5xxixWkEei"
)

func TestTLSAndBasicAuthentication(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	e := install(t, setup{URL: w.url})
	roots := e.certificate()
	e.write("web.yml", "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\nbasic_auth_users: {reader: "+webPasswordHash+"}\n")
	e.start("--web.config.file=" + e.dir + "/web.yml")
	e.scheme, e.user = "https", "reader"
	e.client = &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	e.shows(w)
	for _, path := range []string{"/metrics", "/", "/config", "/-/ready"} {
		e.user = "somebody"
		assert.Equal(t, http.StatusUnauthorized, e.get(path).status, path)
		e.user = "reader"
		assert.Equal(t, http.StatusOK, e.get(path).status, path)
	}
	e.scheme = "http"
	assert.Equal(t, http.StatusBadRequest, e.get("/metrics").status)
}

// certificate writes a self-signed certificate.
func (e *exporter) certificate() *x509.CertPool {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(e.t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(e.t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(e.t, err)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	e.write("cert.pem", string(certificate))
	e.write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	roots := x509.NewCertPool()
	require.True(e.t, roots.AppendCertsFromPEM(certificate))
	return roots
}

func TestMaxSeriesBoundsTheSeriesAndKeepsTheSums(t *testing.T) {
	t.Parallel()
	const limit = 12
	w := newWorld(t, simulator.Options{}, nil)
	put := func(n int) {
		at := time.Now().Add(-5 * time.Minute)
		for i := range 40 {
			r := mixed(n+i, at)
			r.DesktopGroupName, r.MachineName = "group-"+strconv.Itoa((n+i)%30), "server-"+strconv.Itoa(n+i)
			r.ClientType, r.AgentVersion = "client-"+strconv.Itoa((n+i)%25), strconv.Itoa(n+i)
			w.put(r)
		}
	}
	put(0)
	e := runExporter(t, setup{URL: w.url, MaxSeries: limit})
	check := func() {
		want := w.expect()
		sums := func(s series) series {
			out := series{}
			for key, value := range s {
				out[nameOf(key)] += value
			}
			return out
		}
		people := []string{"workspace_group_login_users", "workspace_group_login_failed_users", "workspace_login_failure_code_info"}
		same := func() []string {
			got, expected := sums(e.metrics().records()), sums(want)
			for _, name := range people { // a person in two groups that are folded is one
				delete(got, name)
				delete(expected, name)
			}
			return got.diff(expected)
		}
		eventually(t, "all is counted", func() bool { return len(same()) == 0 })
		e.polls(project, 2)
		assert.Empty(t, same())
		m := e.metrics()
		number := map[string]int{}
		for key := range m {
			number[nameOf(key)]++
		}
		for name, n := range number {
			if strings.HasPrefix(name, "workspace_") && !strings.HasSuffix(name, "_bucket") && !strings.HasPrefix(name, "workspace_exporter_") {
				assert.LessOrEqual(t, n, limit+1, name)
			}
		}
		assert.Positive(t, m.sum("workspace_exporter_series_limited_total"))
		m.failuresAreAttempts(t)
	}
	check()
	put(1000)
	check()
	e.restart()
	check()
	put(2000)
	check()
}

// failuresAreAttempts sees to it that no label set has more failures than attempts.
func (s series) failuresAreAttempts(t *testing.T) {
	t.Helper()
	failures := series{}
	for key, value := range s {
		if strings.Contains(nameOf(key), "login_failures_total") {
			failures[withoutLabel(strings.Replace(key, "failures", "attempts", 1), "failed_code")] += value
		}
	}
	for key, value := range failures {
		assert.LessOrEqual(t, value, s[key], key)
	}
}

// withoutLabel takes a label out of a key.
func withoutLabel(key, label string) string {
	name, labels, _ := strings.Cut(strings.TrimSuffix(key, "}"), "{")
	var rest []string
	for _, pair := range strings.Split(labels, ",") {
		if !strings.HasPrefix(pair, label+"=") {
			rest = append(rest, pair)
		}
	}
	return name + "{" + strings.Join(rest, ",") + "}"
}
