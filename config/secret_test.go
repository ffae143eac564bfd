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
	assert.Equal(t, "http://user:xxxxx@proxy:3128", fmt.Sprint(proxy))
	assert.Empty(t, fmt.Sprint(ProxyURL{}))
}
