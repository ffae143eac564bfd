package paging

import (
	"slices"
	"sync"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

// claims is what is known, from one reading of a list to the next, of what it claims: how
// many records there are, how many a page has, and how far offsets reach.
type claims struct {
	mu sync.Mutex
	// distrusted is true once a window that was read whole has shown that the list's
	// claims are not of the window, until they come true again: lastTrue is the last one
	// that did.
	distrusted bool
	lastTrue   int
	// borneOut is how many lists in a row, of more than a page, had as many records as each of
	// their pages claimed: what they claim is of the window, and not of the page.
	borneOut int
	// disproved is true once pages have claimed fewer records than they showed, until enough lists
	// are borne out.
	disproved bool
	// longest is the length of the longest page that was seen. So many pages in a row that were
	// not the last are alike: each had that length.
	longest int
	alike   int
	ragged  bool    // pages that were not the last had different lengths, since so many were alike
	checks  []check // from old to new
	// reach is the least offset that the API has refused; 0: none, as far as is known.
	reach     int
	reachedAt time.Time
}

// enough is how often a list must do the same for it to be expected.
const enough = 3

// trust is how far a list's claims are trusted.
type trust int

const (
	distrusted trust = iota // they were seen to mean nothing
	untested
	cameTrue // they have come true so far, and did at least once
)

// check is that a window had one page, with so many records, and nothing behind it.
type check struct {
	window  cursor.Window
	records int
	at      time.Time
}

// mostChecks is how many checks are kept: enough for the newest window, and for those in which a
// small project has open records.
const mostChecks = 256

// knownFor is how long it is not asked again whether an offset is refused, or a page is the only
// one: it may have been a whim.
const knownFor = time.Hour

func (c *claims) trust() trust {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.distrusted:
		return distrusted
	case c.lastTrue == 0:
		return untested
	}
	return cameTrue
}

// areTrusted is false if the list's claims were seen to mean nothing.
func (c *claims) areTrusted() bool { return c.trust() != distrusted }

func (c *claims) haveComeTrue() bool { return c.trust() == cameTrue }

// compare compares a claim with the number of items of a window that was read whole.
func (c *claims) compare(claim, items int) {
	if claim == items || claim < 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.distrusted, c.lastTrue, c.borneOut = true, 0, 0
}

// cameTrue takes note of a claim that did, of a list whose first page has so many records. One
// that is always the same comes true now and then by chance; two different ones in a row do not.
func (c *claims) cameTrue(claim, first int) {
	if claim <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if claim > first {
		if c.borneOut++; c.borneOut >= enough {
			c.disproved = false
		}
	}
	if c.lastTrue != 0 && c.lastTrue != claim {
		c.distrusted = false
	}
	c.lastTrue = claim
}

// isWhole reports whether a page that has as many items as the list claims must be the only one
// of a window. It is if all pages but the last have one length, and this one is shorter.
//
// Else the claim may be but that of the page, or of what was given so far. Then such a page was
// seen to be the only one of about the same window. What comes after that is looked for before half
// of a window has gone by, and by then each window shows it again; pieces of a backlog, which follow
// each other, and old windows, in which open records are looked for, are each looked behind.
func (c *claims) isWhole(items int, w cursor.Window) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.distrusted || c.disproved {
		return false
	}
	if c.borneOut >= enough && c.alike >= enough && items < c.longest {
		return true
	}
	return slices.ContainsFunc(c.checks, func(check check) bool {
		distance := w.From.Sub(check.window.From).Abs()
		return items <= check.records && distance < min(w.Length(), check.window.Length())/2 && time.Since(check.at) < knownFor
	})
}

// lengths reports whether pages that were not the last had different lengths of late, or always
// the same.
func (c *claims) lengths() (ragged, alike bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ragged, c.alike >= enough
}

// sawPages takes note of the pages of a pass over a window: of what they claim, and how long they
// are.
func (c *claims) sawPages(w cursor.Window, pages []page, p *pass) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.disproved {
		c.borneOut, c.disproved = 0, true
	}
	for i := range pages {
		n, followed := len(pages[i].ids), isFollowed(pages, i)
		switch {
		case n > c.longest:
			c.ragged = c.ragged || c.alike > 0
			c.longest, c.alike = n, 0
		case followed && n < c.longest:
			c.alike, c.ragged = 0, true
		}
		if followed && n == c.longest {
			if c.alike++; c.alike >= enough {
				c.ragged = false
			}
		}
	}
	if len(pages) == 2 && p.matchesClaim() && p.isOnePage() {
		c.checks = append(c.checks[max(0, len(c.checks)+1-mostChecks):], check{w, len(pages[0].ids), time.Now()})
	}
}

// isBeyondReach reports whether the API is known to refuse an offset.
func (c *claims) isBeyondReach(offset int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reach > 0 && offset >= c.reach && time.Since(c.reachedAt) < knownFor
}

// offsetRefused takes note of an offset that the API refused.
func (c *claims) offsetRefused(offset int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reach == 0 || offset < c.reach || time.Since(c.reachedAt) >= knownFor {
		c.reach, c.reachedAt = offset, time.Now()
	}
}
