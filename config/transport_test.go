package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func get(t *testing.T, p *Project, url string) (string, error) {
	t.Helper()
	transport, err := p.Transport()
	require.NoError(t, err)
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(body), nil
}

func answering(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

func TestTransportTrustsTheCA(t *testing.T) {
	server := httptest.NewTLSServer(answering("hello"))
	defer server.Close()
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))

	_, err := get(t, &Project{}, server.URL)
	require.ErrorContains(t, err, "unknown authority")

	body, err := get(t, &Project{TLSConfig: TLSConfig{CA: PEM(authority)}}, server.URL)
	require.NoError(t, err)
	assert.Equal(t, "hello", body)

	body, err = get(t, &Project{TLSConfig: TLSConfig{InsecureSkipVerify: true}}, server.URL)
	require.NoError(t, err)
	assert.Equal(t, "hello", body)
}

func TestTransportRefusesOldTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(answering("hello"))
	server.TLS = &tls.Config{MaxVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()

	_, err := get(t, &Project{TLSConfig: TLSConfig{InsecureSkipVerify: true, MinVersion: "TLS13"}}, server.URL)
	require.ErrorContains(t, err, "protocol version")
	transport, err := (&Project{}).Transport()
	require.NoError(t, err)
	assert.Equal(t, uint16(tls.VersionTLS12), transport.TLSClientConfig.MinVersion)
}

// A server that speaks nothing newer is refused even by those who check no certificate.
func TestTransportRefusesTLS11(t *testing.T) {
	server := httptest.NewUnstartedServer(answering("hello"))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	server.StartTLS()
	defer server.Close()
	answer, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS10, InsecureSkipVerify: true}}}).Get(server.URL)
	require.NoError(t, err, "it does answer those who ask for less")
	require.NoError(t, answer.Body.Close())
	for _, c := range []TLSConfig{{InsecureSkipVerify: true}, {InsecureSkipVerify: true, MinVersion: "TLS12"}} {
		_, err := get(t, &Project{TLSConfig: c}, server.URL)
		require.ErrorContains(t, err, "protocol version")
	}
}

func TestTransportShowsItsCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].SerialNumber.String())
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()

	dir := t.TempDir()
	writeKeyPair(t, dir, 1)
	c, err := parse(filepath.Join(dir, "c.yml"), []byte(`
projects:
  - name: a
    project_id: p1
    region: cn-north-4
    credentials: {default_chain: {}}
    tls_config: {insecure_skip_verify: true, cert_file: cert.pem, key_file: key.pem}
`))
	require.NoError(t, err)
	body, err := get(t, c.Projects[0], server.URL)
	require.NoError(t, err)
	assert.Equal(t, "1", body)

	writeKeyPair(t, dir, 2) // renewed while we run
	body, err = get(t, c.Projects[0], server.URL)
	require.NoError(t, err)
	assert.Equal(t, "2", body)
}

func writeKeyPair(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	write := func(name, kind string, bytes []byte) {
		content := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes})
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	write("cert.pem", "CERTIFICATE", cert)
	write("key.pem", "PRIVATE KEY", der)
}

func TestTransportGoesThroughTheProxy(t *testing.T) {
	var authorization string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			authorization = r.Header.Get("X-Proxy-Token")
			http.Error(w, "no tunnel", http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, "proxy saw "+r.Host+" and "+r.Header.Get("Proxy-Authorization"))
	}))
	defer proxy.Close()
	server := httptest.NewServer(answering("direct"))
	defer server.Close()
	address := strings.Replace(proxy.URL, "http://", "http://user:hunter2@", 1)

	project := mustParse(t, "\n    proxy_url: "+address+"\n    proxy_connect_header: {X-Proxy-Token: [hunter2]}\n").Projects[0]
	body, err := get(t, project, "http://workspace.example.com/")
	require.NoError(t, err)
	assert.Equal(t, "proxy saw workspace.example.com and Basic dXNlcjpodW50ZXIy", body)
	_, err = get(t, project, "https://workspace.example.com/")
	require.Error(t, err)
	assert.Equal(t, planted, authorization)

	project = mustParse(t, "\n    proxy_url: "+address+"\n    no_proxy: 127.0.0.1\n").Projects[0]
	body, err = get(t, project, server.URL)
	require.NoError(t, err)
	assert.Equal(t, "direct", body)
	body, err = get(t, project, "http://workspace.example.com/")
	require.NoError(t, err)
	assert.Contains(t, body, "proxy saw")

	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("NO_PROXY", "")
	_, err = get(t, mustParse(t, "").Projects[0], server.URL)
	require.NoError(t, err, "the environment counts only if the file asks for it")
	body, err = get(t, mustParse(t, "\n    proxy_from_environment: true\n").Projects[0], "http://workspace.example.com/")
	require.NoError(t, err)
	assert.Contains(t, body, "proxy saw")
}

func TestADeadConnectionIsGivenUpWithin30Seconds(t *testing.T) {
	transport, err := (&Project{Concurrency: 4}).Transport()
	require.NoError(t, err)
	assert.Positive(t, transport.HTTP2.SendPingTimeout)
	assert.Positive(t, transport.HTTP2.PingTimeout)
	assert.LessOrEqual(t, transport.HTTP2.SendPingTimeout+transport.HTTP2.PingTimeout, 30*time.Second)
}
