package paging

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// pagesOf are pages of records, which are letters, each at its offset.
func pagesOf(claim int, at ...any) (pages []page) {
	for i := 0; i < len(at); i += 2 {
		p := page{offset: at[i].(int), claim: claim}
		for _, letter := range at[i+1].(string) {
			p.ids = append(p.ids, record.Identity{byte(letter)})
		}
		pages = append(pages, p)
	}
	return pages
}

// What a pass over pages shows, by itself.
func TestPass(t *testing.T) {
	wide, narrow := layout{size: 4, stride: 2, alike: true}, layout{size: 4, stride: 3, alike: true}
	for name, c := range map[string]struct {
		layout
		pages                 []page
		overlap               overlap // of the last page
		ended                 bool
		steady, chain, claims bool
	}{
		"one page":                       {wide, pagesOf(3, 0, "abc"), 0, false, false, false, false},
		"one page, nothing behind it":    {wide, pagesOf(3, 0, "abc", 2, "c"), overlapExact, true, true, true, true},
		"what was given is counted":      {wide, append(pagesOf(4, 0, "abcd"), pagesOf(5, 2, "cde")...), overlapExact, false, false, false, false},
		"another length":                 {wide, pagesOf(-1, 0, "abcd", 2, "cde", 3, "defg", 5, "fg"), overlapExact, false, false, false, false},
		"another length, and the end":    {wide, pagesOf(-1, 0, "abcd", 2, "cde", 3, "defg", 5, "fg", 7, ""), overlapExact, true, true, true, false},
		"one page, another claim":        {wide, pagesOf(5, 0, "abc"), 0, false, false, false, false},
		"a very short page":              {wide, pagesOf(5, 0, "ab"), 0, false, false, false, false},
		"a full page":                    {wide, pagesOf(9, 0, "abcd"), 0, false, false, false, false},
		"a full page, as claimed":        {wide, pagesOf(4, 0, "abcd"), 0, false, false, false, false},
		"a full page, nothing behind it": {wide, pagesOf(4, 0, "abcd", 2, "cd"), overlapExact, true, true, true, true},
		"two pages":                      {wide, pagesOf(5, 0, "abcd", 2, "cde"), overlapExact, true, true, true, true},
		"two pages, of what length":      {layout{size: 4, stride: 2}, pagesOf(5, 0, "abcd", 2, "cde"), overlapExact, false, false, false, false},
		"two pages by one":               {narrow, pagesOf(6, 0, "abcd", 3, "def"), overlapSingle, true, true, false, true},
		"two pages, another claim":       {wide, pagesOf(6, 0, "abcd", 2, "cde"), overlapExact, false, false, false, false},
		"in another order, and no more":  {wide, pagesOf(9, 0, "abcd", 2, "ac"), overlapEnd, true, true, false, false},
		"in another order, and new":      {wide, pagesOf(9, 0, "abcd", 2, "ax"), overlapNone, true, false, false, false},
		"one was added before":           {wide, pagesOf(6, 0, "abcd", 2, "bcde"), overlapShifted, false, false, false, false},
		"one vanished before":            {wide, pagesOf(4, 0, "abcd", 2, "de"), overlapNone, true, false, false, false},
		"one was exchanged":              {wide, pagesOf(5, 0, "abcd", 2, "cxe"), overlapNone, true, false, false, false},
		"a record twice":                 {wide, pagesOf(5, 0, "abcd", 2, "cda"), overlapExact, true, true, true, false},
		"a record twice, counted once":   {wide, pagesOf(4, 0, "abcd", 2, "cda", 3, "da"), overlapExact, true, true, true, false},
		"another claim by the end":       {wide, append(pagesOf(5, 0, "abcd", 2, "cde"), pagesOf(6, 3, "de")...), overlapExact, true, true, true, false},
		"no offset":                      {wide, pagesOf(9, 0, "abcd", 2, "abcd"), overlapNone, false, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			p, shared := c.passOf(c.pages)
			p.ids = setOf(p.order)
			if n := len(c.pages); n > 1 {
				assert.Equal(t, c.overlap, p.overlaps[n-2])
				assert.Equal(t, c.overlap != overlapNone && len(c.pages[n-1].ids) > 0, shared[n-1] > 0)
			}
			assert.Equal(t, c.ended, p.ended)
			assert.Equal(t, c.steady, p.isSteady())
			assert.Equal(t, c.chain, p.isChain())
			assert.Equal(t, c.claims, p.matchesClaim())
		})
	}
}

// How many pages follow those that were read, by how far the list's claims are trusted.
func TestMorePages(t *testing.T) {
	l := layout{size: 4, stride: 2, alike: true}
	for name, c := range map[string]struct {
		pages                          []page
		cameTrue, untested, distrusted int
	}{
		"none":                            {pagesOf(0, 0, ""), 0, 0, 0},
		"a short page, as claimed":        {pagesOf(3, 0, "abc"), 1, 1, 1},
		"a short page, another claim":     {pagesOf(9, 0, "abc"), 1, 1, 1},
		"a full page, as claimed":         {pagesOf(4, 0, "abcd"), 1, 1, 1},
		"all that is left":                {pagesOf(90, 0, "abcd"), 43, 1, 1},
		"no more than were read":          {pagesOf(90, 0, "abcd", 2, "cdef"), 42, 2, 1},
		"no more than a claim is worth":   {pagesOf(9_000, 0, "abcd", 2, "cdef"), 64, 2, 1},
		"nothing behind":                  {pagesOf(9, 0, "abcd", 2, "cd"), 0, 0, 0},
		"moved, and more is claimed":      {pagesOf(9, 0, "abcd", 2, "defg"), 2, 2, 0},
		"moved, and nothing new":          {pagesOf(9, 0, "abcd", 2, "abcd"), 0, 0, 0},
		"its end moves while looked for":  {pagesOf(4, 0, "abc", 2, "cd"), 0, 0, 0},
		"its end moves, more is claimed":  {pagesOf(9, 0, "abc", 2, "cd"), 1, 1, 1},
		"each page has another length":    {pagesOf(-1, 0, "abc", 1, "bcd"), 1, 1, 1},
		"its end moves, but was not read": {pagesOf(5, 0, "abcd", 2, "cde"), 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.cameTrue, l.more(c.pages, cameTrue))
			assert.Equal(t, c.untested, l.more(c.pages, untested))
			assert.Equal(t, c.distrusted, l.more(c.pages, distrusted))
		})
	}
}

// Which passes prove what, for records and for items that are added up.
func TestProofs(t *testing.T) {
	l := layout{size: 4, stride: 2, alike: true}
	passes := func(passes ...[]page) (e *evidence) {
		e = &evidence{}
		for _, pages := range passes {
			p, _ := l.passOf(pages)
			p.ids = setOf(p.order)
			e.passes = append(e.passes, p)
		}
		return e
	}
	two := func(claim int) []page { return pagesOf(claim, 0, "abcd", 2, "cde") }
	still := func(claim int) []page { return append(two(claim), pagesOf(claim, 3, "de")...) }
	grown := func(claim int) []page { return pagesOf(claim, 0, "abcd", 2, "bcde", 4, "de") }
	broken := func(claim int) []page { return pagesOf(claim, 0, "abcd", 2, "dex") }
	for name, c := range map[string]struct {
		*evidence
		records, sums proof
	}{
		"as claimed":                       {passes(two(5)), byCount, unproved},
		"as claimed, one page":             {passes(pagesOf(3, 0, "abc", 2, "c")), byCount, byCount},
		"another claim":                    {passes(still(7)), unproved, unproved},
		"another claim, twice":             {passes(still(7), still(7)), byRepetition, byRepetition},
		"another claim, once and again":    {passes(still(7), broken(9), still(7)), unproved, unproved},
		"grown":                            {passes(grown(9)), unproved, unproved},
		"grown, twice, with more to be":    {passes(grown(9), grown(9)), unproved, unproved},
		"grown, four times":                {passes(grown(9), grown(9), grown(9), grown(9)), byChain, unproved},
		"grown, twice, without a claim":    {passes(grown(-1), grown(-1)), byChain, unproved},
		"broken, but all there in between": {passes(broken(6), pagesOf(6, 0, "abcd", 2, "exdx")), byInstant, byInstant},
	} {
		t.Run(name, func(t *testing.T) {
			how, _ := c.prove(false, true)
			assert.Equal(t, c.records, how)
			how, _ = c.prove(true, true)
			assert.Equal(t, c.sums, how)
			how, _ = c.prove(false, false)
			assert.NotEqual(t, byInstant, how, "by claims that are not trusted")
		})
	}
}
