package workspace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/internal/keytext"
)

// Where the vendor's SDK looks for keys (core/auth/provider).
const (
	envAccessKey     = "HUAWEICLOUD_SDK_AK"
	envSecretKey     = "HUAWEICLOUD_SDK_SK"
	envSecurityToken = "HUAWEICLOUD_SDK_SECURITY_TOKEN"
	envProfileFile   = "HUAWEICLOUD_SDK_CREDENTIALS_FILE"
	profileSection   = "basic"
)

type chain struct{ metadataURL string }

// DefaultChain signs requests with the first keys it finds, in the order of the
// vendor's SDK: the environment, the profile file (~/.huaweicloud/credentials), the
// metadata service of a cloud server. The first two are read again at each use.
func DefaultChain() Credentials { return chain{metadataURL: "http://169.254.169.254"} }

func (ch chain) bind(c *Client) authenticator {
	m := &metadata{client: c, url: ch.metadataURL}
	return &foundKeys{metadata: lease{obtain: m.keys, now: c.Host(AppStream).now}, logger: c.logger}
}

// foundKeys are the keys that the chain finds.
type foundKeys struct {
	metadata lease
	logger   log.Logger
	warn     sync.Once
}

func (f *foundKeys) credential(ctx context.Context) (credential, error) {
	p, errEnv := environmentKeys()
	if errEnv == nil {
		return p, nil
	}
	path, errProfile := profilePath()
	if errProfile == nil {
		p, errProfile = profileKeys(path)
	}
	if errProfile == nil {
		f.warn.Do(func() { warnIfOpen(f.logger, path) })
		return p, nil
	}
	p, errMetadata := f.metadata.credential(ctx)
	if errMetadata == nil {
		return p, nil
	}
	return credential{}, fmt.Errorf("none found: environment: %w; profile file: %w; metadata service: %w", errEnv, errProfile, errMetadata)
}

func (f *foundKeys) forget(p credential) { f.metadata.forget(p) }

func (*foundKeys) advice(p credential) string { return "check the keys in " + p.origin }

func environmentKeys() (credential, error) {
	p := credential{
		access:        keytext.Trim(os.Getenv(envAccessKey)),
		secret:        keytext.Trim(os.Getenv(envSecretKey)),
		securityToken: keytext.Trim(os.Getenv(envSecurityToken)),
		origin:        "the environment (" + envAccessKey + ")",
	}
	if p.access == "" || p.secret == "" {
		return credential{}, errors.New(envAccessKey + " and " + envSecretKey + " are not both set")
	}
	return p, p.check()
}

// check refuses keys that cannot be any.
func (p credential) check() error {
	for _, text := range []string{p.access, p.secret, p.securityToken} {
		if err := keytext.Key.Check(text); err != nil {
			return fmt.Errorf("a key in %s %w", p.origin, err)
		}
	}
	return nil
}

func profilePath() (string, error) {
	if path := os.Getenv(envProfileFile); path != "" {
		return path, nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".huaweicloud", "credentials"), err
}

// warnIfOpen warns of a file with secrets that is not closed to others.
func warnIfOpen(logger log.Logger, path string) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o004 != 0 {
		level.Warn(logger).Log("msg", "all users of this machine can read the profile file; chmod o-r is safer", "file", path)
	}
}

func profileKeys(path string) (credential, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return credential{}, err
	}
	keys := parseProfile(keytext.Decode(text), profileSection)
	p := credential{access: keys["ak"], secret: keys["sk"], securityToken: keys["security_token"], origin: "the profile file " + path}
	if p.access == "" || p.secret == "" {
		return credential{}, fmt.Errorf("%s has no ak and sk in its section [%s]", path, profileSection)
	}
	return p, p.check()
}

// parseProfile reads one section of an INI file, with comments and quotes as the
// vendor's SDK reads them.
func parseProfile(text, section string) map[string]string {
	keys := map[string]string{}
	in := ""
	for line := range strings.Lines(strings.TrimPrefix(text, "\uFEFF")) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			in, _, _ = strings.Cut(name, "]")
			in = strings.TrimSpace(in)
			continue
		}
		i := strings.IndexAny(line, "=:")
		if in != section || i < 0 || line[0] == '#' || line[0] == ';' {
			continue
		}
		keys[strings.TrimSpace(line[:i])] = profileValue(strings.TrimSpace(line[i+1:]))
	}
	return keys
}

func profileValue(s string) string {
	if len(s) > 1 && strings.IndexByte("\"'`", s[0]) >= 0 {
		if end := strings.IndexByte(s[1:], s[0]); end >= 0 {
			return s[1 : 1+end]
		}
	}
	if i := strings.IndexAny(s, "#;"); i >= 0 {
		s = s[:i]
	}
	return strings.TrimSpace(s)
}
