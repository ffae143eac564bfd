package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/workspace-exporter/workspace_exporter/internal/keytext"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

var errNoToken = errors.New("the answer has no X-Subject-Token header")

type password struct {
	domain, user string
	password     func() (string, error)
}

// Password gets a token of the project from IAM with a user's name and password,
// keeps it in memory and renews it.
func Password(domain, user string, read func() (string, error)) Credentials {
	return password{domain, user, read}
}

func (p password) bind(c *Client) authenticator {
	c.private.add(userText, p.domain, p.user)
	if c.iam == nil {
		return &tokens{} // the client is refused
	}
	l := c.signIns.lease(c.iam.String(), p.domain, p.user, c.projectID)
	l.from(func(ctx context.Context) (credential, time.Time, error) { return c.createToken(ctx, p) }, c.host(c.iam).now)
	return &tokens{l}
}

// tokens are the tokens that a password gets.
type tokens struct{ *lease }

func (*tokens) advice(credential) string {
	return "a new token was refused too: check that the user belongs to the project, and the endpoint"
}

type (
	named struct {
		Name string `json:"name"`
	}
	withID struct {
		ID string `json:"id"`
	}
	iamUser struct {
		Name     string `json:"name"`
		Password string `json:"password"`
		Domain   named  `json:"domain"`
	}
)

// tokenRequest is the body of IAM's POST /v3/auth/tokens.
func tokenRequest(p password, secret, projectID string) any {
	return map[string]any{"auth": map[string]any{
		"identity": map[string]any{
			"methods":  []string{"password"},
			"password": map[string]any{"user": iamUser{p.user, secret, named{p.domain}}},
		},
		"scope": map[string]any{"project": withID{projectID}},
	}}
}

func (c *Client) createToken(ctx context.Context, p password) (credential, time.Time, error) {
	secret, err := readSecret("password", keytext.Password, p.password)
	if err != nil {
		return credential{}, time.Time{}, err
	}
	c.private.add(secretText, secret)
	var made credential
	var expires time.Time
	k := call{
		operation: "CreateToken",
		base:      c.iam, method: http.MethodPost, path: "/v3/auth/tokens",
		query:  url.Values{"nocatalog": {"true"}},
		body:   tokenRequest(p, secret, c.projectID),
		advice: "check the domain, the user, the password and the project id",
		decode: func(h http.Header, body io.Reader) (err error) {
			made.token = h.Get("X-Subject-Token")
			c.private.add(secretText, made.token)
			expires, err = decodeTokenExpiry(body)
			if made.token == "" {
				err = errors.Join(errNoToken, err)
			}
			return err
		},
	}
	err = c.signIns.account(c.iam.String(), p.domain, p.user).try(ctx, c.projectID, secret, func() error { return c.do(ctx, k) })
	return made, expires, c.signInError(k, err)
}

// signInError is the error of a call for a token that failed, or was not sent.
func (c *Client) signInError(k call, err error) error {
	var answer *Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &answer):
		answer = c.failure(k, err)
		answer.advice = k.advice
	case isRefusal(err):
		answer.Err, answer.advice = ErrSignIn, k.advice
	}
	return answer
}

// decodeTokenExpiry reads token.expires_at. A token that does not tell has the
// zero time.
func decodeTokenExpiry(body io.Reader) (time.Time, error) {
	var answer struct {
		Token struct {
			ExpiresAt string `json:"expires_at"`
		} `json:"token"`
	}
	text, err := io.ReadAll(body)
	if err == nil {
		err = json.Unmarshal(text, &answer, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the token's expiry: %w", err)
	}
	expires, err := record.ParseTime(answer.Token.ExpiresAt)
	if err != nil {
		return time.Time{}, fmt.Errorf("token.expires_at: %w", err)
	}
	return expires, nil
}
