package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSecretIsMasked(t *testing.T) {
	secret := NewSecret(planted)
	assertMasked(t, secret)
	assertMasked(t, &secret)
	assertMasked(t, []Secret{secret})
	assertMasked(t, map[string]Secret{"a": secret})
	assertMasked(t, struct{ S Secret }{secret})
	assertMasked(t, struct{ unexported Secret }{secret})
	assertMasked(t, errors.New(fmt.Sprint(secret)))

	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		assert.Equal(t, "<secret>", fmt.Sprintf(verb, secret), verb)
	}
	assert.Empty(t, fmt.Sprintf("%v", Secret{}), "none at all")
}

func TestSecretFileIsReadAnew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(content string) { require.NoError(t, os.WriteFile(file, []byte(content), 0o600)) }
	secret := Secret{file: file}

	for content, want := range map[string]string{
		"one":        "one",
		"two\n":      "two",
		"three\r\n":  "three",
		" four \n\n": "four",
		"\ufefffive": "five",
	} {
		write(content)
		got, err := secret.Read()
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}

	write("\n")
	_, err := secret.Read()
	require.EqualError(t, err, "secret file "+file+": is empty")

	write(planted + string(make([]byte, maxSecretBytes)))
	_, err = secret.Read()
	require.EqualError(t, err, "secret file "+file+": is larger than 64 KiB: it is not a secret")

	require.NoError(t, os.Remove(file))
	_, err = secret.Read()
	require.EqualError(t, err, "secret file "+file+": cannot be read: no such file or directory")
}

func TestProxyURLIsMasked(t *testing.T) {
	proxy := mustParse(t, "\n    proxy_url: http://user:hunter2@proxy:3128\n").Projects[0].ProxyURL
	assertMasked(t, proxy)
	assertMasked(t, &proxy)
	assertMasked(t, struct{ unexported ProxyURL }{proxy})
	assert.Equal(t, "http://xxxxx@proxy:3128", fmt.Sprint(proxy))
	assert.Empty(t, fmt.Sprint(ProxyURL{}))
	for shown, given := range map[string]string{
		"http://proxy:3128": "http://proxy:3128/", "http://xxxxx@proxy": "http://hunter2@proxy", "socks5://xxxxx@proxy:1080/xxxxx": "socks5://hunter2:@proxy:1080/hunter2",
		"https://proxy/xxxxx": "https://proxy?token=hunter2",
	} {
		c := mustParse(t, "\n    proxy_url: "+given+"\n")
		assert.Equal(t, shown, fmt.Sprint(c.Projects[0].ProxyURL))
		masked, err := c.MaskedYAML()
		require.NoError(t, err)
		assert.NotContains(t, string(masked), planted)
	}
}

func TestPEMIsMasked(t *testing.T) {
	const key = PEM("-----BEGIN PRIVATE KEY-----\n" + planted)
	assertMasked(t, key)
	assertMasked(t, struct{ Exported PEM }{key})
	c := mustParse(t, "\n")
	c.Projects[0].TLSConfig = TLSConfig{CA: key, Cert: key}
	masked, err := c.MaskedYAML()
	require.NoError(t, err)
	assert.NotContains(t, string(masked), planted)
	assert.Contains(t, string(masked), "cert: <secret>")
}

func TestProxySecrets(t *testing.T) {
	secrets := func(more string) []string {
		found, err := mustParse(t, "\n    "+more+"\n").Projects[0].ProxySecrets()
		require.NoError(t, err)
		return found
	}
	assert.ElementsMatch(t, []string{"hunter2"}, secrets("proxy_url: http://user:hunter2@proxy"))
	assert.ElementsMatch(t, []string{"hunter2", "token-5", "way-in"}, secrets("proxy_url: http://hunter2@proxy/way-in?t=token-5&u=x"))
	assert.ElementsMatch(t, []string{"hunter2", "Basic dXNlcjpodW50ZXIz", "dXNlcjpodW50ZXIz", "hunter3"},
		secrets("proxy_url: http://proxy\n    proxy_connect_header: {X-Token: [hunter2], Proxy-Authorization: [Basic dXNlcjpodW50ZXIz]}"))
	t.Setenv("HTTPS_PROXY", "http://user:hunter2@proxy")
	assert.ElementsMatch(t, []string{"hunter2"}, secrets("proxy_from_environment: true"))
}
