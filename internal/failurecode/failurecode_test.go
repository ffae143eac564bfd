package failurecode

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

func ldap(code string) string {
	return "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data " + code + ", v4563"
}

func TestBuiltInExplanations(t *testing.T) {
	for _, c := range []struct{ code, reason, class string }{
		{"unknown", "whatever", noCode},
		{"unknown", ldap("775"), account}, // which says more
		{"pending_timeout", "", noOutcome},
		{"1001", ldap("525"), credentials},
		{"1001", ldap("52e"), credentials},
		{"1001", ldap("52E"), credentials},
		{"1001", ldap("0000052e"), credentials},
		{"1001", ldap("52f"), account},
		{"1001", ldap("530"), account},
		{"1001", ldap("531"), account},
		{"1001", ldap("532"), credentials},
		{"1001", ldap("533"), account},
		{"1001", ldap("701"), account},
		{"1001", ldap("773"), credentials},
		{"1001", ldap("775"), account},
		{"1001", "LDAP: error code 49 - authenticate failed, data 775", account},
		{"WKS.00211102", "", request},
		// Nothing public says what these mean.
		{"1001", ldap("52"), ""},
		{"1001", ldap("7751"), ""},
		{"1001", "invalid data 775", ""},
		{"775", "", ""},
		{"6005", "VM not ready", ""},
		{"WKS.00081102", "", ""},
		{"", "", ""},
	} {
		got := Rules(nil).Explain(c.code, c.reason)
		assert.Equal(t, c.class, got.Class, "%s %s", c.code, c.reason)
		assert.Equal(t, c.class == "", got == Explanation{}, c.reason)
	}
}

// What is built in is whole, fits into labels, and says where it comes from.
func TestBuiltInExplanationsAreWhole(t *testing.T) {
	for _, e := range append(slices.Collect(maps.Values(codes)), slices.Collect(maps.Values(directory))...) {
		assert.NotEmpty(t, e.Source, e.Text)
		for _, text := range []string{e.Class, e.Text, e.TextZH} {
			assert.NotEmpty(t, text, e.Text)
			assert.Equal(t, text, record.Label(text))
		}
		for _, text := range []string{e.Action, e.ActionZH} {
			assert.Equal(t, text, record.Label(text))
			assert.Equal(t, e.Action == "", text == "", "advice is in both languages, or in none: %s", e.Text)
		}
		assert.True(t, chinese(e.TextZH), e.TextZH)
		assert.Equal(t, e.Action != "", chinese(e.ActionZH), e.ActionZH)
	}
}

func chinese(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

func TestOwnRulesWin(t *testing.T) {
	rules := Rules{
		{Code: "1001", Reason: regexp.MustCompile("gateway"), Explanation: Explanation{Class: "network"}},
		{Code: "1001", Explanation: Explanation{Class: "capacity", Text: "full"}},
		{Reason: regexp.MustCompile("(?i)AcceptSecurityContext"), Explanation: Explanation{Class: "directory", TextZH: "目录"}},
		{Code: "unknown", Explanation: Explanation{Class: "mine"}},
	}
	for _, c := range []struct{ code, reason, class string }{
		{"1001", "the gateway is down", "network"},
		{"1001", ldap("52e"), "capacity"}, // the first one wins
		{"1002", ldap("52e"), "directory"},
		{"1002", "the gateway is down", ""},
		{"unknown", "x", "mine"},
		{"pending_timeout", "", noOutcome},
	} {
		assert.Equal(t, c.class, rules.Explain(c.code, c.reason).Class, "%s %s", c.code, c.reason)
	}
	full := rules.Explain("1001", "")
	assert.Equal(t, Explanation{Class: "capacity", Text: "full", TextZH: "full"}, full)
	assert.Equal(t, "目录", rules.Explain("1002", ldap("52e")).Text)

	advice := Rules{{Code: "1", Explanation: Explanation{Action: "Add servers"}}, {Code: "2", Explanation: Explanation{ActionZH: "增加服务器"}}}
	assert.Equal(t, Explanation{Action: "Add servers", ActionZH: "Add servers"}, advice.Explain("1", ""))
	assert.Equal(t, Explanation{Action: "增加服务器", ActionZH: "增加服务器"}, advice.Explain("2", ""))
}
