package workspace

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"iter"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// However a server writes a secret that it was sent, it is not shown.
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
		"hexadecimal": func(s string) string { return hex.EncodeToString([]byte(s)) }, "behind a digit": func(s string) string { return "0" + hex.EncodeToString([]byte(s)) },
		"0x":     func(s string) string { return "0x" + strings.ToUpper(hex.EncodeToString([]byte(s))) },
		"a dump": bytesAs("%02x "), "a dump:": bytesAs("%02X:"), "0xa, 0xb": bytesAs("0x%02x, "), "numbers": func(s string) string { return fmt.Sprint([]byte(s)) },
		"octal": bytesAs(`\%03o`), `\u{}`: escaped(`\u{%x}`), "mail": bytesAs("=%02X"),
		"in lines": func(s string) string { return lines(base64.StdEncoding.EncodeToString([]byte(s))) }, "hexadecimal in lines": func(s string) string { return lines(hex.EncodeToString([]byte(s))) },
		"base64 twice": func(s string) string {
			return base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(s))))
		},
		"behind a path": func(s string) string { return "key-id/" + base64.StdEncoding.EncodeToString([]byte("user:"+s)) },
		"UTF-16": func(s string) string {
			return base64.StdEncoding.EncodeToString([]byte(strings.Join(strings.Split(s, ""), "\x00")))
		},
		"joined": func(s string) string { return strings.Join(strings.Split(s, ""), "\u200b") },
	}
	for _, secret := range []string{"p@$$w0rd!", "!!@@##$$%%^^", strings.Repeat("MIIabcdefghijkDLMNOPQRSTUVW0123456", 40), "pässw0rd&\"'<x>\\/+ y", "example-Proxy-Password-0001", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"} {
		var r redactor
		r.add(secretText, secret)
		for name, form := range forms {
			for _, around := range []string{"%s", "407 refused: %s, sorry", `{"error":"%s"}`} {
				text := fmt.Sprintf(around, form(secret))
				got := r.clean(text)
				assert.False(t, r.repeats(got), "%s: %s: %s", name, text, got)
				assert.NotContains(t, strings.ToLower(got), tight(secret)[:6], "%s: %s", name, text)
				assert.True(t, strings.Contains(got, secretText) || got == repeatedText, "%s: %s: %s", name, text, got)
			}
		}
		for _, text := range []string{"dial tcp: connection refused", "403 Forbidden: APIGW.0301, request id 0123456789abcdef0123456789abcdef", "100%&#;%zz"} {
			assert.Equal(t, text, r.clean(text))
		}
	}
}

func lines(s string) string { return strings.Join(slices.Collect(chunks(s, 20)), "\n") }

func chunks(s string, n int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for ; len(s) > n && yield(s[:n]); s = s[n:] {
		}
		yield(s)
	}
}

// What a server cuts off a long secret is not shown either, in whatever form.
func TestPartsOfSecrets(t *testing.T) {
	const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	var r redactor
	r.add(secretText, secret)
	for _, form := range []string{secret, strings.ToLower(secret), base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)), url.QueryEscape(secret)} {
		for _, part := range []string{form[:len(form)*3/4], form[len(form)/3:], form[len(form)/5 : len(form)*4/5]} {
			got := r.clean("refused: " + part + "... sorry")
			assert.True(t, strings.Contains(got, secretText) || got == repeatedText, "%s: %s", part, got)
		}
	}
}

func TestSignaturesAreNotTold(t *testing.T) {
	var r redactor
	for _, text := range []string{"Signature=0123456789abcdef", `"Signature":"0123456789abcdef"`, "signature%3D0123456789abcdef", "X-Amz-Signature=0123456789abcdef", `Signature\u003d0123456789abcdef`, "signature: 0123456789abcdef"} {
		assert.NotContains(t, r.clean("refused, "+text), "0123456789", text)
	}
}

// A hostile text takes no longer than others.
func TestHostileTextsAreSearchedInTime(t *testing.T) {
	var r redactor
	r.add(secretText, strings.Repeat("MIIabcdefghijkDLMNOPQRSTUVW0123456", 400), "example-secret-0001")
	for _, unit := range []string{"V", "MIIabcdef", "41", "%25", "&amp;", "65 ", "=41", `\u0041`, "VVVV\n"} {
		start := time.Now()
		r.clean(strings.Repeat(unit, maxErrorBytes/len(unit)))
		assert.Less(t, time.Since(start), 2*time.Second, unit)
	}
}
