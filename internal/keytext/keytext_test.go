package keytext

import (
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
)

// utf16LE is what Windows writes as Unicode.
func utf16LE(text string) []byte {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}

func TestWhatStandsAroundAKeyIsTakenOff(t *testing.T) {
	for _, content := range []string{"KEY", "KEY\n", "KEY\r\n", " KEY \n\n", "\ufeffKEY\r\n", "\ufeff\ufeff KEY\ufeff", "\u00a0KEY\u3000", "\tKEY", "\n\ufeff\nKEY", string(utf16LE("KEY\r\n"))} {
		assert.Equal(t, "KEY", Decode([]byte(content)), "%q", content)
	}
	assert.Equal(t, "pass word", Decode([]byte("pass word\n")))
}

func TestWhatCannotBeInAKey(t *testing.T) {
	for text, why := range map[string]string{
		"HPUAW3EXAMPLE0001": "", "a-b_c.d~e/f+g=": "", "MIIDkgYJKoZI-hvcNAQcCoIID==": "", "a:b|c@d%e": "",
		"KEY\u200b1": "invisible character (U+200B)", "KEY\u200d": "U+200D", "KE\u2060Y": "U+2060", "KE\u00adY": "U+00AD", "KE\ufeffY": "U+FEFF", "\u202eYEK": "U+202E", "KEY\u2028": "U+2028",
		`"KEY"`: "a quote", "'KEY'": "a quote", "`KEY": "a quote", "“KEY”": "a quote",
		"KEY KEY": "a blank", "KE\u00a0Y": "a blank", "KEY\nKEY": "line break", "KEY\x00": "control character",
		"ＫＥＹ": "not ASCII", "KÉY": "not ASCII", "KE\xffY": "not UTF-8", "A,B": "punctuation",
	} {
		err := Key.Check(text)
		if why == "" {
			assert.NoError(t, err, text)
			continue
		}
		if assert.ErrorContains(t, err, why, "%q", text) {
			assert.NotContains(t, err.Error(), "KEY")
		}
	}
	for _, text := range []string{`pa"ss'word`, "pass word", "пароль", "密码", `\,;<>(){}[]`} {
		assert.NoError(t, Password.Check(text), text)
	}
	for _, text := range []string{"pass\u200bword", "pass\nword", "\xffpass", "pass\u00adword"} {
		assert.Error(t, Password.Check(text), "%q", text)
	}
	assert.NoError(t, Any.Check("-----BEGIN\n\u200b"))
	assert.True(t, Quoted(`"secret"`))
	assert.False(t, Quoted(`"`))
	assert.False(t, Quoted(`"secret'`))
}
