package record

import (
	"testing"

	"pgregory.net/rapid"
)

// Where a pattern is not tried, it matches nothing.
func TestPatternsAreTriedWhereTheyMatch(t *testing.T) {
	texts := map[string]*rapid.Generator[string]{
		"any": rapid.StringOfN(rapid.RuneFrom([]rune(`0123456789afS*x:-_.+@＠\/=% usernamecnh`)), 0, 48, -1),
	}
	for _, signs := range [][]sign{idSigns, signs, {{may: mayBeUUID, pattern: uuidPattern}}} {
		for _, sign := range signs {
			texts[sign.pattern.String()] = rapid.StringMatching(sign.pattern.String())
		}
		for _, sign := range signs {
			rapid.Check(t, func(t *rapid.T) {
				for kind, text := range texts {
					s := text.Draw(t, kind)
					if sign.pattern.MatchString(s) && !sign.may(s) {
						t.Fatalf("%q is not tried on %q", sign.pattern, s)
					}
				}
			})
		}
	}
}
