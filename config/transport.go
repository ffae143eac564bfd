package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// TLSConfig has the keys of tls_config in Prometheus' HTTP client configuration.
type TLSConfig struct {
	// CA are the authorities that may vouch for the server, as PEM. Without them, those of the
	// system may.
	CA PEM `yaml:"ca,omitempty"`
	// CAFile is a file with the authorities. A changed one takes a reload.
	CAFile string `yaml:"ca_file,omitempty"`
	// Cert is the client certificate, as PEM.
	Cert PEM `yaml:"cert,omitempty"`
	// CertFile is a file with the client certificate, read for each connection.
	CertFile string `yaml:"cert_file,omitempty"`
	// Key is the key of the client certificate, as PEM.
	Key Secret `yaml:"key,omitempty"`
	// KeyFile is a file with the key of the client certificate.
	KeyFile string `yaml:"key_file,omitempty"`
	// ServerName is the name that the server's certificate must have, if it is not the host's.
	ServerName string `yaml:"server_name,omitempty"`
	// InsecureSkipVerify accepts any server. It is warned of: give ca_file instead.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify,omitempty"`
	// MinVersion is the oldest version of TLS: TLS12, if it is not given.
	MinVersion string `yaml:"min_version,omitempty"`
	// MaxVersion is the newest version of TLS. There is no limit, if it is not given.
	MaxVersion string `yaml:"max_version,omitempty"`
}

var tlsVersions = map[string]uint16{"": 0, "TLS12": tls.VersionTLS12, "TLS13": tls.VersionTLS13}

// Proxy has the proxy keys of Prometheus' HTTP client configuration.
type Proxy struct {
	// ProxyURL is the proxy of all requests.
	ProxyURL ProxyURL `yaml:"proxy_url,omitempty"`
	// NoProxy lists hosts, domains and networks that are asked without proxy_url.
	NoProxy string `yaml:"no_proxy,omitempty"`
	// ProxyFromEnvironment uses HTTPS_PROXY, HTTP_PROXY and NO_PROXY instead of proxy_url.
	ProxyFromEnvironment bool `yaml:"proxy_from_environment,omitempty"`
	// ProxyConnectHeader are headers that the proxy is sent to connect.
	ProxyConnectHeader map[string][]Secret `yaml:"proxy_connect_header,omitempty"`
}

// Transport makes what the project's requests go through: its TLS settings, its
// proxy, connections that outlive a poll interval. How long an answer may take
// is up to the request's context. A client certificate is read again for each
// connection; a changed CA file takes a reload.
func (p *Project) Transport() (*http.Transport, error) {
	tlsConfig, err := p.TLSConfig.client()
	if err != nil {
		return nil, fmt.Errorf("TLS settings of project %q: %w", p.Name, err)
	}
	header, err := p.connectHeader()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	return &http.Transport{
		Proxy:                 p.proxy(),
		ProxyConnectHeader:    header,
		DialContext:           dialer.DialContext,
		TLSClientConfig:       tlsConfig,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
		// A connection that has died without a word is given up within 30 seconds.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		// Some KB are usual; a header without end must not fill the memory.
		MaxResponseHeaderBytes: 1 << 20,
		MaxIdleConnsPerHost:    p.Concurrency,
		IdleConnTimeout:        2 * time.Minute,
	}, nil
}

// SharesConnections reports whether requests of two projects may go through the same
// connections: to the same hosts, by the same proxy, with the same TLS settings.
func (p *Project) SharesConnections(other *Project) bool {
	return p.Endpoints == other.Endpoints && reflect.DeepEqual(p.TLSConfig, other.TLSConfig) && reflect.DeepEqual(p.Proxy, other.Proxy)
}

// connectHeader is what a proxy is sent to connect.
func (p *Project) connectHeader() (http.Header, error) {
	header := http.Header{}
	for name, values := range p.ProxyConnectHeader {
		for _, secret := range values {
			value, err := secret.Read()
			if err != nil {
				return nil, fmt.Errorf("proxy_connect_header of project %q: %w", p.Name, err)
			}
			header.Add(name, value)
		}
	}
	return header, nil
}

// minSecretBytes is how long a proxy's secret must be to be looked for in texts: a shorter
// one would be found everywhere.
const minSecretBytes = 4

// ProxySecrets are what a proxy is sent and may repeat: passwords, tokens, headers.
func (p *Project) ProxySecrets() ([]string, error) {
	header, err := p.connectHeader()
	if err != nil {
		return nil, err
	}
	secrets := p.ProxyURL.secrets()
	if p.ProxyFromEnvironment {
		env := httpproxy.FromEnvironment()
		for _, text := range []string{env.HTTPProxy, env.HTTPSProxy} {
			if u, err := url.Parse(text); err == nil {
				secrets = append(secrets, ProxyURL{u}.secrets()...)
			}
		}
	}
	for _, values := range header {
		for _, value := range values {
			secrets = append(secrets, value)
			scheme, parameter, _ := strings.Cut(value, " ") // of Authorization
			secrets = append(secrets, parameter)
			if user, err := base64.StdEncoding.DecodeString(parameter); err == nil && strings.EqualFold(scheme, "basic") {
				_, password, _ := strings.Cut(string(user), ":")
				secrets = append(secrets, password)
			}
		}
	}
	return slices.DeleteFunc(secrets, func(s string) bool { return len(s) < minSecretBytes }), nil
}

// ProxyOf is the host of the proxy through which an endpoint is asked, with its port; empty
// if there is none. It has no password.
func (p *Project) ProxyOf(endpoint string) (host string, err error) {
	find := p.proxy()
	if find == nil {
		return "", nil
	}
	r, err := http.NewRequest(http.MethodGet, endpoint, nil)
	if err != nil {
		return "", err
	}
	proxy, err := find(r)
	if err != nil || proxy == nil {
		return "", err
	}
	port := proxy.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[proxy.Scheme]
	}
	if port == "" {
		port = "1080" // of SOCKS
	}
	return net.JoinHostPort(proxy.Hostname(), port), nil
}

// proxy finds the proxy of a request; nil if there is none for any.
func (p *Proxy) proxy() func(*http.Request) (*url.URL, error) {
	switch {
	case p.ProxyFromEnvironment:
		find := httpproxy.FromEnvironment().ProxyFunc()
		return func(r *http.Request) (*url.URL, error) { return find(r.URL) }
	case p.ProxyURL.IsZero():
		return nil
	case p.NoProxy == "":
		return http.ProxyURL(p.ProxyURL.url)
	}
	address := p.ProxyURL.url.String()
	find := (&httpproxy.Config{HTTPProxy: address, HTTPSProxy: address, NoProxy: p.NoProxy}).ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return find(r.URL) }
}

func (t *TLSConfig) client() (*tls.Config, error) {
	roots, err := t.roots()
	if err != nil {
		return nil, err
	}
	c := &tls.Config{
		RootCAs:            roots,
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify,
		MinVersion:         max(tlsVersions[t.MinVersion], tls.VersionTLS12),
		MaxVersion:         tlsVersions[t.MaxVersion],
	}
	if t.hasCertificate() {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return t.certificate() }
	}
	return c, nil
}

// roots are the authorities that may vouch for the server; nil means the
// system's.
func (t *TLSConfig) roots() (*x509.CertPool, error) {
	pem, err := inlineOrFile(t.CA, t.CAFile)
	if err != nil || len(pem) == 0 {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("the CA holds no certificate in PEM form")
	}
	return pool, nil
}

func (t *TLSConfig) hasCertificate() bool { return t.Cert != "" || t.CertFile != "" }

func (t *TLSConfig) certificate() (*tls.Certificate, error) {
	cert, err := inlineOrFile(t.Cert, t.CertFile)
	if err != nil {
		return nil, err
	}
	key, err := t.Key.Read()
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, []byte(key))
	if err != nil {
		return nil, fmt.Errorf("certificate and key cannot be used: %w", err)
	}
	return &pair, nil
}

func inlineOrFile(inline PEM, file string) ([]byte, error) {
	if file == "" {
		return []byte(inline), nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", file, bare(err))
	}
	return content, nil
}
