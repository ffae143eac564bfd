package config

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/workspace-exporter/workspace_exporter/internal/keytext"
)

// mask stands for a secret wherever one would be printed.
const mask = "<secret>"

// urlMask stands for one in a URL, as in Go's own.
const urlMask = "xxxxx"

// maxSecretBytes is more than any key or token has, and less than it takes to
// hurt if the file is the wrong one.
const maxSecretBytes = 64 << 10

// Secret is a key, password or token. It prints as `<secret>`, whatever prints
// it; only Read gives it away.
type Secret struct {
	// A pointer, because fmt does not ask a Secret in an unexported field how
	// to print itself, but prints its fields.
	value *string
	file  string
	kind  keytext.Kind
}

// NewSecret makes a Secret that is given, not read from a file.
func NewSecret(value string) Secret { return Secret{value: &value} }

// Read returns the secret. One that is kept in a file is read again each time,
// without white space and a byte order mark around it. It fails if that cannot be the
// secret. Errors name the file, never what is in it.
func (s Secret) Read() (string, error) {
	if s.file == "" {
		if s.value == nil {
			return "", nil
		}
		return *s.value, nil
	}
	value, err := readSecretFile(s.file)
	if err == nil {
		err = s.kind.Check(value)
	}
	if err != nil {
		return "", fmt.Errorf("secret file %s: %w", s.file, err)
	}
	return value, nil
}

func readSecretFile(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", bare(err))
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("is not a regular file")
	}
	if info.Size() > maxSecretBytes {
		return "", fmt.Errorf("is larger than %d KiB: it is not a secret", maxSecretBytes>>10)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", bare(err))
	}
	value := keytext.Decode(content)
	if value == "" {
		return "", errors.New("is empty")
	}
	return value, nil
}

// bare takes the operation and path off a file error, where the sentence around
// it already says them.
func bare(err error) error {
	if pathError, ok := errors.AsType[*os.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// IsZero reports whether there is no secret in the configuration itself: none at
// all, or one in a file.
func (s Secret) IsZero() bool { return s.value == nil }

// String masks the secret. It is empty if there is none.
func (s Secret) String() string {
	if s.value == nil && s.file == "" {
		return ""
	}
	return mask
}

// Format masks the secret under every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText masks the secret in JSON, YAML and logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// PEM is certificates and keys in text form. It is masked like a Secret: a certificate is
// none, but a private key may stand beside it.
type PEM string

// String masks the text. It is empty if there is none.
func (p PEM) String() string {
	if p == "" {
		return ""
	}
	return mask
}

// Format masks the text under every verb.
func (p PEM) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// MarshalText masks the text in JSON, YAML and logs.
func (p PEM) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// ProxyURL is the URL of a proxy. It prints without what may be a secret: any user,
// password, path or query.
type ProxyURL struct{ url *url.URL }

// IsZero reports whether there is no proxy.
func (u ProxyURL) IsZero() bool { return u.url == nil }

// String is the URL with its secrets masked.
func (u ProxyURL) String() string {
	if u.url == nil {
		return ""
	}
	user, rest := "", ""
	if u.url.User != nil {
		user = urlMask + "@"
	}
	if strings.Trim(u.url.Path, "/")+u.url.RawQuery+u.url.Fragment != "" {
		rest = "/" + urlMask
	}
	return u.url.Scheme + "://" + user + u.url.Host + rest
}

// secrets are what must not be shown of the URL. A user without a password is a token, and
// so may be a long one.
func (u ProxyURL) secrets() (secrets []string) {
	if u.url == nil {
		return nil
	}
	if user := u.url.User; user != nil {
		password, ok := user.Password()
		secrets = append(secrets, password)
		if !ok || password == "" || len(user.Username()) >= shortestKey {
			secrets = append(secrets, user.Username())
		}
	}
	for _, values := range u.url.Query() {
		secrets = append(secrets, values...)
	}
	return append(secrets, strings.Trim(u.url.Path, "/"), u.url.Fragment)
}

// Format masks the secrets under every verb.
func (u ProxyURL) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// MarshalText masks the secrets in JSON, YAML and logs.
func (u ProxyURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
