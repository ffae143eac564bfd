package workspace

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// However a server writes a secret that it was sent, it is not told.
func TestSecretsInAnotherForm(t *testing.T) {
	quoted := func(s string) string {
		text, err := json.Marshal(s)
		require.NoError(t, err)
		return string(text)
	}
	escaped := func(format string) func(string) string {
		return func(s string) string {
			var b strings.Builder
			for _, c := range s {
				fmt.Fprintf(&b, format, c)
			}
			return b.String()
		}
	}
	bytesAs := func(format string) func(string) string {
		return func(s string) string {
			var b strings.Builder
			for _, c := range []byte(s) {
				fmt.Fprintf(&b, format, c)
			}
			return b.String()
		}
	}
	forms := map[string]func(string) string{
		"as it is": func(s string) string { return s }, "upper case": strings.ToUpper, "lower case": strings.ToLower,
		"query": url.QueryEscape, "path": url.PathEscape, "each byte": bytesAs("%%%02x"), "each BYTE": bytesAs("%%%02X"),
		"twice for a URL": func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
		"HTML":            html.EscapeString, "HTML numbers": escaped("&#%d;"), "HTML hex": escaped("&#x%x;"), "HTML twice": func(s string) string { return html.EscapeString(escaped("&#%d;")(s)) },
		"JSON": quoted, "JSON twice": func(s string) string { return quoted(quoted(s)) }, `\u`: escaped(`\u%04x`), `\\u`: escaped(`\\u%04X`), `\\\\u`: escaped(`\\\\u%04x`), `\x`: escaped(`\x%02x`),
		"base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }, "base64 for URLs": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
		"Basic":           func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+s)) },
		"base64, shifted": func(s string) string { return "xy" + base64.StdEncoding.EncodeToString([]byte("a"+s+"bc")) },
		"base64 in a URL": func(s string) string {
			return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("user:" + s)))
		},
		"hexadecimal": func(s string) string { return hex.EncodeToString([]byte(s)) },
	}
	for _, secret := range []string{"pässw0rd&\"'<x>\\/+ y", "example-Proxy-Password-0001", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"} {
		var r redactor
		r.add(secretText, secret)
		for name, form := range forms {
			for _, around := range []string{"%s", "407 refused: %s, sorry", `{"error":"%s"}`} {
				text := fmt.Sprintf(around, form(secret))
				got := r.clean(text)
				assert.False(t, r.repeats(got), "%s: %s: %s", name, text, got)
				assert.NotContains(t, strings.ToLower(got), foldSecret(secret)[:6], "%s: %s", name, text)
				assert.True(t, strings.Contains(got, secretText) || got == repeatedText, "%s: %s: %s", name, text, got)
			}
		}
		for _, text := range []string{"dial tcp: connection refused", "403 Forbidden: APIGW.0301, request id 0123456789abcdef0123456789abcdef", "100%&#;%zz"} {
			assert.Equal(t, text, r.clean(text))
		}
	}
}
