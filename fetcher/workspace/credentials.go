package workspace

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/keytext"
)

// Credentials say how requests show who sends them. AKSK, Password, Token and
// DefaultChain make them. Secrets are given as functions that are called at each
// use: the files they come from may be rewritten at any time.
type Credentials interface {
	bind(*Client) authenticator
}

// authenticator is Credentials at work for one client.
type authenticator interface {
	// credential returns what the next request is to carry.
	credential(context.Context) (credential, error)
	// forget is called with a credential that the server refused.
	forget(credential)
	// advice is what to check when p was refused for good.
	advice(p credential) string
}

// credential is what shows the server who sends a request: a token, or else keys to
// sign it with.
type credential struct {
	token                         string
	access, secret, securityToken string
	origin                        string // where DefaultChain found it
}

func (p credential) apply(r *http.Request, body []byte, now time.Time) {
	if p.token != "" {
		r.Header.Set("X-Auth-Token", p.token)
		return
	}
	sign(r, body, p, now)
}

type aksk struct{ access, secret, securityToken func() (string, error) }

// AKSK signs requests with an access key and its secret key. Temporary keys have a
// security token; securityToken is nil for permanent ones.
func AKSK(access, secret, securityToken func() (string, error)) Credentials {
	return aksk{access, secret, securityToken}
}

func (a aksk) bind(*Client) authenticator { return a }

func (a aksk) credential(context.Context) (p credential, err error) {
	if p.access, err = readSecret("access key", keytext.Key, a.access); err != nil {
		return credential{}, err
	}
	if p.secret, err = readSecret("secret key", keytext.Key, a.secret); err != nil {
		return credential{}, err
	}
	if a.securityToken != nil {
		p.securityToken, err = readSecret("security token", keytext.Key, a.securityToken)
	}
	return p, err
}

func (aksk) forget(credential) {}

func (aksk) advice(p credential) string {
	if p.securityToken != "" {
		return "check the access key, the secret key and the security token: temporary keys expire"
	}
	return "check the access key and the secret key, and that the key is enabled"
}

type token func() (string, error)

// Token sends an externally refreshed token.
func Token(read func() (string, error)) Credentials { return token(read) }

func (t token) bind(*Client) authenticator { return t }

func (t token) credential(context.Context) (p credential, err error) {
	p.token, err = readSecret("token", keytext.Key, t)
	return p, err
}

func (token) forget(credential) {}

func (token) advice(credential) string {
	return "the token has expired or belongs to another project: provide a new one"
}

// readSecret refuses a secret that cannot be one. Its errors do not show it.
func readSecret(name string, kind keytext.Kind, read func() (string, error)) (string, error) {
	text, err := read()
	if err != nil {
		return "", fmt.Errorf("reading the %s: %w", name, err)
	}
	text = keytext.Trim(text)
	if text == "" {
		return "", fmt.Errorf("the %s is empty", name)
	}
	if err := kind.Check(text); err != nil {
		return "", fmt.Errorf("the %s %w", name, err)
	}
	return text, nil
}
