// Package failurecode explains failure codes, and the reasons that come with them: what a
// failure means, and what to do about it.
package failurecode

import (
	"cmp"
	"regexp"
)

// Explanation is what is known of a failure. Its zero value is nothing.
type Explanation struct {
	Class    string // a word by which codes are grouped, such as credentials
	Text     string
	TextZH   string // the same in Chinese
	Action   string // what to do
	ActionZH string // the same in Chinese
	URL      string // where more is to be read
	Source   string // where the explanation comes from
}

// Rule gives an explanation to failures. What it does not state matches any.
type Rule struct {
	Code   string
	Reason *regexp.Regexp
	Explanation
}

func (r *Rule) matches(code, reason string) bool {
	return (r.Code == "" || r.Code == code) && (r.Reason == nil || r.Reason.MatchString(reason))
}

// Rules explain failures. The first one that matches wins; those that are built in come
// after them.
type Rules []Rule

// Explain returns the explanation of a failure. A text that is there in one language only
// stands for both.
func (r Rules) Explain(code, reason string) Explanation {
	for i := range r {
		if r[i].matches(code, reason) {
			e := r[i].Explanation
			e.Text, e.TextZH = cmp.Or(e.Text, e.TextZH), cmp.Or(e.TextZH, e.Text)
			e.Action, e.ActionZH = cmp.Or(e.Action, e.ActionZH), cmp.Or(e.ActionZH, e.Action)
			return e
		}
	}
	return builtIn(code, reason)
}
