package record

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"
)

// Whatever way a record's own names and addresses are written in, its reason has none.
func TestOwnNamesInOtherNotations(t *testing.T) {
	own := map[string]string{"user_name": "jane.doe", "client_mac": "00:1A:2B:3C:4D:5E", "client_ip": "10.20.30.40", "public_ip": "2001:db8::a1", "client_name": "LAPTOP-Y0025",
		"machine_name": "srv-app-07", "machine_sid": "S-1-5-21-1-2-3-1418", "id": "394"}
	for text, want := range map[string]string{
		"001A2B3C4D5E": "<address>", "001a.2b3c.4d5e": "<address>", "00-1a-2b-3c-4d-5e": "<address>", "0:1a:2b:3c:4d:5e": "<address>",
		"ip-10-20-30-40": "ip-<address>", "10_20_30_40": "<address>", "40.30.20.10": "<address>", "40-30-20-10.dyn": "<address>.dyn",
		"0x0a141e28": "<address>", "0A141E28": "<address>", "169090600": "<address>", "::ffff:10.20.30.40": "::ffff:<address>", "::ffff:0a14:1e28": "::ffff:<address>",
		"010.020.030.040": "<address>",
		"jane_doe":        "<user>", "Jane Doe": "<user>", "DOE, Jane": "<user>", "jane-doe": "<user>", "JaneDoe": "<user>", "jdoe": "<user>", "j.doe": "<user>",
		`C:\Users\jane.doe`: `C:\Users\<user>`, `C:\Users\jdoe\x`: `C:\Users\<user>\x`, `C:\Users\someone else`: `C:\Users\<user> else`, "/home/jd": "/home/<user>",
		`CORP\jane.doe`: `CORP\<user>`, `CORP\\jd77`: "<user>", "CN=Jane M. Doe,OU=x": "CN=<user>,OU=x", "uid=jd,dc=x": "uid=<user>,dc=x",
		"ｊａｎｅ．ｄｏｅ": "<user>", "ja\u200bne.d\u00adoe": "<user>", "\u202ejane.doe\u202c": "<user>", "ja\u0301ne.doe": "<user>",
		"laptop_y0025": "<client>", "LAPTOPY0025": "<client>", "SRV_APP_07": "<server>", "S-1-5-21-1-2-3-1418": "<id>", "S-1-5-21-9-9-9-500": "<id>",
		"jane%2Edoe": "<user>", "jane%252Edoe": "<user>", "user%3Djane.doe%40corp": "user=<user>@corp", "jane&#46;doe": "<user>", "jane&amp;#46;doe": "<user>", `jane\u002edoe`: "<user>", `jane\\u{2e}doe`: "<user>", `jane\x2edoe`: "<user>", `jane\056doe`: "<user>",
		"00%3A1A%3A2B%3A3C%3A4D%3A5E": "<address>", "10%2E20%2E30%2E40": "<address>", "C:%5CUsers%5Cjd": `C:\Users\<user>`,
		"1A2B3C4D5E": "<address>", "0x001A2B3C4D5E": "<address>", "021a:2bff:fe3c:4d5e": "<address>", "21a2bfffe3c4d5e": "<address>", "00:1a:2b:3c:4d:xx": "<address>", "01a2b3c4d5e": "<address>",
		"2001:db8::a1": "<address>", "20010db80000000000000000000000a1": "<address>", "1.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": "<address>.ip6.arpa",
		// So are those of others, where they look like it.
		"00e0-fc12-3456": "<address>", "192_168_7_8": "<address>", "bob＠corp.example": "<user>", "bob/admin@CORP": "<user>", "displayName=Bob Ray,x": "displayName=<user>,x", `\\fs\home$\bob`: `\\fs\home$\<user>`,
		// What is no name stays.
		"50%addition": "50%addition", `C:\udead`: `C:\udead`, "a=b": "a=b", "a=AD": "a=AD", "100%": "100%",
		"code 1394": "code 1394", "3.94": "3.94", "jane.doer": "jane.doer", "Program Files": "Program Files", "C:\\Windows\\System32": "C:\\Windows\\System32",
	} {
		var c UserConnection
		for name, value := range own {
			c.Set(name, value)
		}
		c.Set("failed_reason", "x "+text+" y")
		assert.Equal(t, "x "+want+" y", c.Login().FailedReason, "%q", text)
	}
	for user, texts := range map[string][]string{
		"josé":                        {"JOSÉ", "jose", norm.NFD.String("josé"), norm.NFD.String("JOSÉ")},
		norm.NFD.String("josé.núñez"): {"josé.núñez", "Jose Nunez", "nunez_jose", "jnunez"},
		"CORP/li.na":                  {"li.na", "LI_NA", "na li", `CORP\li.na`},
		"張偉":                          {"張偉"},
		"o'brien.p":                   {"obrien.p", "O'Brien P", "OBRIEN_P"},
		"anna-maria.kok":              {"Anna Maria Kok", "annamaria_kok", "Kok, Anna Maria", "Kok Maria-Anna", "anna kok", "Kok Anna", "akok"},
		"müller":                      {"Mueller", "MULLER", "m&uuml;ller"},
		"strauß":                      {"STRAUSS"},
	} {
		for _, text := range texts {
			var c UserConnection
			c.Set("user_name", user)
			c.Set("failed_reason", "x "+text+" y")
			assert.Equal(t, "x <user> y", c.Login().FailedReason, "%s as %s", user, text)
		}
	}
}

// An address of the record's own is taken out in each of its forms, however the record writes it.
func TestOwnAddressesInOtherForms(t *testing.T) {
	for _, c := range []struct{ field, own, forms string }{
		{"client_mac", "00:1a:2b:3c:4d:5e 00-1A-2B-3C-4D-5E 001a.2b3c.4d5e 001A2B3C4D5E",
			"00:1a:2b:3c:4d:5e 001A2B3C4D5E 0x001a2b3c4d5e 0x1a2b3c4d5e 1A2B3C4D5E 01a2b3c4d5e 021a2bfffe3c4d5e 21a2bfffe3c4d5e 021a:2bff:fe3c:4d5e"},
		{"client_mac", "00:01:00:02:00:03 000100020003", "010203 0:1:0:2:0:3 000100020003 0x000100020003 020100fffe020003"},
		{"client_ip", "10.0.0.1", "10.0.0.1 1.0.0.10 1-0-0-10 0a000001 0x0a000001 0xa000001 167772161 010.000.000.001"},
		{"client_ip", "1.2.3.4", "1.2.3.4 4.3.2.1 4-3-2-1 01020304 0x01020304 0x1020304 16909060"},
		{"vm_ip", "2001:db8::a1 2001:0DB8:0:0:0:0:0:A1 2001:db8::a1%eth0", "2001:db8::a1 20010db80000000000000000000000a1 0x20010db80000000000000000000000a1 " +
			"1.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"},
		{"vm_ip", "::ffff:10.0.0.1", "10.0.0.1 1.0.0.10 0a000001 167772161"},
	} {
		for own := range strings.FieldsSeq(c.own) {
			for form := range strings.FieldsSeq(c.forms) {
				var connection UserConnection
				connection.Set(c.field, own)
				connection.Set("failed_reason", "no: "+form)
				assert.Equal(t, "no: <address>", connection.Login().FailedReason, "%s as %s", own, form)
			}
		}
	}
}

// A name that the end of a long reason cuts is not left in part, and one that is longer
// than names are takes the rest with it.
func TestNamesAtTheEndOfWhatIsRead(t *testing.T) {
	long := strings.Repeat("N", 200)
	var c UserConnection
	c.Set("user_name", long)
	c.Set("failed_reason", strings.Repeat(long+" ", 20))
	assert.Equal(t, "…", c.Login().FailedReason)
	longer := strings.Repeat("N", 2000) + "PQ"
	c.Set("user_name", longer)
	c.Set("failed_reason", "x "+longer+" y")
	assert.Equal(t, "x <user>", c.Login().FailedReason)
}

func TestWhatCannotBeSeenIsInNoLabel(t *testing.T) {
	for in, want := range map[string]string{
		"a\u200bb": "ab", "\u202eevil\u202c": "evil", "\u2066x\u2069": "x", "\ufeffx": "x", "a\u00adb": "ab", "x\ufe0f": "x", "\u3164": "", "a\U000e0041b": "ab",
		norm.NFD.String("Büro"): "Büro", "a\u034fb": "ab", "\u061cx": "x",
	} {
		assert.Equal(t, want, Label(in), "%+q", in)
	}
}

// The work follows the length of a record, whatever it holds: one of these took half a second.
func TestHostileRecordsAreCleanedInLinearTime(t *testing.T) {
	names := []string{"user_name", "client_name", "client_mac", "client_ip", "public_ip", "vm_ip", "virtual_ip", "wi_ip", "machine_sid", "machine_name", "tenant_id", "id"}
	for name, texts := range map[string]struct{ own, reason string }{
		"nearly equal":   {strings.Repeat("a", 2000) + "b", strings.Repeat("a", 1<<20)},
		"other letters":  {strings.Repeat("ſ", 700) + "b", strings.Repeat("S", 1<<20)},
		"and accents":    {strings.Repeat("é", 1000) + "b", strings.Repeat("É", 1<<19)},
		"in words":       {strings.Repeat("aa", 100) + "a", strings.Repeat("aa ", 1<<18)},
		"long names":     {strings.Repeat("a", 1<<20) + "b", strings.Repeat("a", 1<<20)},
		"many are found": {strings.Repeat("a ", 100), strings.Repeat("a ", 1<<18)},
		"mails":          {"x", strings.Repeat("a@b ", 1<<18)},
		"half a mail":    {"x", strings.Repeat("a.", 1<<18) + "@"},
		"colons":         {"x", strings.Repeat("a:", 1<<18)},
		"dots":           {"x", strings.Repeat("1.", 1<<18)},
		"folders":        {"x", strings.Repeat(`/home/`, 1<<18)},
		"accents":        {"x", "a" + strings.Repeat("\u0301", 1<<18)},
		"broken":         {"x", strings.Repeat("\xff", 1<<18)},
		"invisible":      {strings.Repeat("\u200b", 1<<18), strings.Repeat("\u200b", 1<<18)},
	} {
		t.Run(name, func(t *testing.T) {
			var c UserConnection
			for i, field := range names {
				c.Set(field, fmt.Sprint(texts.own, i))
			}
			c.Set("failed_reason", texts.reason)
			c.Set("machine_name", texts.reason)
			begun := time.Now()
			const n = 5
			for range n {
				c.Login()
			}
			require.Less(t, time.Since(begun), n*2*time.Second) // a square of it would take hours
		})
	}
}
