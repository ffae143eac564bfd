package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"regexp/syntax"

	"github.com/workspace-exporter/workspace_exporter/internal/failurecode"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// longestPattern is how many bytes a regular expression may have. What it costs to match
// grows with it, and not with what it says.
const longestPattern = 1000

// longestPatterns is how many bytes all of them may have together: each is tried on the reason of
// each code.
const longestPatterns = 100_000

// Explanations are the rules that failure_codes gives.
func (c *Config) Explanations() failurecode.Rules {
	rules := make(failurecode.Rules, len(c.FailureCodes))
	for i, f := range c.FailureCodes {
		rules[i] = failurecode.Rule{Code: record.Label(f.Code), Explanation: failurecode.Explanation{Class: f.Class, Text: f.Text, TextZH: f.TextZH,
			Action: f.Action, ActionZH: f.ActionZH, URL: f.URL, Source: "failure_codes"}}
		if f.Reason != "" {
			rules[i].Reason = regexp.MustCompile(f.Reason) // as validated
		}
	}
	return rules
}

func (r *reader) failureCodes(codes []FailureCode) {
	first := map[[2]string]int{}
	patterns := 0
	for i, f := range codes {
		at := fmt.Sprintf("failure_codes[%d]", i)
		patterns += len(f.Reason)
		if over := patterns - longestPatterns; over > 0 && over <= len(f.Reason) {
			r.refuse(at+".reason", "the regular expressions up to here must have at most %d bytes together, not %d: each is tried on the reason of each code", longestPatterns, patterns)
		}
		r.failureCode(at, &f)
		key := [2]string{f.Code, f.Reason}
		if same, taken := first[key]; taken {
			r.warn(at, "never used: failure_codes[%d] has the same code and reason, and the first one wins", same)
			continue
		}
		first[key] = i
	}
}

func (r *reader) failureCode(at string, f *FailureCode) {
	if f.Code == "" && f.Reason == "" && !r.suppressed(at+".code") && !r.suppressed(at+".reason") {
		r.refuse(at, "needs code or reason, or both: which failures does it explain?")
	}
	if f.Class == "" && f.Text == "" && f.TextZH == "" {
		r.refuse(at, "needs class, text or text_zh: what do the failures mean?")
	}
	if len(f.Reason) > longestPattern {
		r.refuse(at+".reason", "must have at most %d bytes, not %d", longestPattern, len(f.Reason))
	} else if err := checkPattern(f.Reason); err != nil {
		r.refuse(at+".reason", "is no regular expression: %v; https://github.com/google/re2/wiki/Syntax has all that is allowed", err)
	}
	for _, label := range []struct{ key, text string }{{"code", f.Code}, {"class", f.Class}, {"text", f.Text}, {"text_zh", f.TextZH},
		{"action", f.Action}, {"action_zh", f.ActionZH}} {
		if record.Label(label.text) != label.text {
			r.warn(at+"."+label.key, "is shown as %q in metrics: labels have at most %d bytes, no control characters, no blanks around them",
				record.Label(label.text), record.MaxLabelBytes)
		}
	}
	if u, err := url.Parse(f.URL); f.URL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil) {
		r.refuse(at+".url", "must be like https://wiki.example.com/page, without a user")
	} else if record.Label(f.URL) != f.URL {
		r.warn(at+".url", "is left out of metrics: labels have at most %d bytes", record.MaxLabelBytes)
	}
}

// checkPattern compiles a regular expression.
func checkPattern(pattern string) error {
	_, err := regexp.Compile(pattern)
	if e := (*syntax.Error)(nil); errors.As(err, &e) {
		return fmt.Errorf("%s: `%s`", e.Code, e.Expr)
	}
	return err
}
