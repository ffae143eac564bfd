package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const (
	metadataTimeout  = 3 * time.Second // it is on the same machine, or nowhere
	metadataTokenTTL = time.Minute     // a token is used once, at once
)

// metadata is the service that gives a cloud server the temporary keys of its
// agency. The protocol is that of the vendor's SDK (core/auth/internal).
type metadata struct {
	client *Client
	url    string
}

// keys gets temporary keys and when they expire.
func (m *metadata) keys(ctx context.Context) (credential, time.Time, error) {
	header := http.Header{"X-Metadata-Token-Ttl-Seconds": {strconv.Itoa(int(metadataTokenTTL.Seconds()))}}
	status, body, err := m.send(ctx, "GetMetadataToken", http.MethodPut, "/meta-data/latest/api/token", header)
	if err != nil {
		return credential{}, time.Time{}, err
	}
	header = http.Header{}
	switch status {
	case http.StatusOK:
		m.client.private.add(secretText, string(body))
		header.Set("X-Metadata-Token", string(body))
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusServiceUnavailable: // knows no tokens
	default:
		return credential{}, time.Time{}, m.refused("a token", status, body)
	}
	status, body, err = m.send(ctx, "GetTemporaryKey", http.MethodGet, "/openstack/latest/securitykey", header)
	if err != nil {
		return credential{}, time.Time{}, err
	}
	if status != http.StatusOK {
		return credential{}, time.Time{}, m.refused("temporary keys", status, body)
	}
	return parseTemporaryKeys(body)
}

// send makes one attempt, without a proxy: the address means this machine.
func (m *metadata) send(ctx context.Context, operation, method, path string, header http.Header) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, m.url+path, nil)
	if err != nil {
		return 0, nil, err
	}
	r.Header = header
	code, start := "error", time.Now()
	defer func() { m.client.observe(operation, code, time.Since(start)) }()
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	code = strconv.Itoa(resp.StatusCode)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	return resp.StatusCode, body, err
}

func (m *metadata) refused(what string, status int, body []byte) error {
	return fmt.Errorf("asking for %s: %d %s: %s; the server needs an agency with the permissions of the exporter",
		what, status, http.StatusText(status), m.client.private.shape(string(body)))
}

func parseTemporaryKeys(body []byte) (credential, time.Time, error) {
	var answer struct {
		Credential map[string]any `json:"credential"`
	}
	err := json.Unmarshal(body, &answer, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return credential{}, time.Time{}, errors.New("the temporary keys are not the JSON that was expected")
	}
	p := credential{
		access:        firstText(answer.Credential, "access", "accessKeyId"),
		secret:        firstText(answer.Credential, "secret", "secretAccessKey"),
		securityToken: firstText(answer.Credential, "securitytoken", "securityToken"),
		origin:        "the agency of this server (temporary keys of the metadata service)",
	}
	if p.access == "" || p.secret == "" || p.securityToken == "" {
		return credential{}, time.Time{}, errors.New("the temporary keys are incomplete")
	}
	expires, err := record.ParseTime(strings.TrimSpace(firstText(answer.Credential, "expires_at", "expiration")))
	if err != nil {
		return credential{}, time.Time{}, fmt.Errorf("when the temporary keys expire: %w", err)
	}
	return p, expires, nil
}
