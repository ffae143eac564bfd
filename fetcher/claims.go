package fetcher

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

// keptFor is how long the pages of a reading that failed are kept. The longest pause that
// the API may ask for is shorter.
const keptFor = 20 * time.Minute

// reachKnownFor is how long an offset that was refused is not asked for again.
const reachKnownFor = time.Hour

// pagerMemory is what is known of a list from one reading to the next.
type pagerMemory[T any, P listed[T]] struct {
	mu sync.Mutex
	// distrusted is true once a window that was read whole has shown that the list's
	// count is not of the window, until counts come true again: lastRight is the last one
	// that did.
	distrusted bool
	lastRight  int
	// longest is the length of the longest page that was seen: a shorter one was not cut by
	// the server. Of a page as long as this that was asked; it was the last one at checked.
	longest int
	checked time.Time
	// reach is the least offset that the API has refused; 0: none, as far as is known.
	reach     int
	reachedAt time.Time
	// kept is the reading that failed last, so that what a quota has granted is not asked
	// for again. It is bounded by what one window may hold.
	kept   *attempt[T, P]
	keptAt time.Time
}

// distrusts reports whether the list's counts mean nothing.
func (m *pagerMemory[T, P]) distrusts() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.distrusted
}

// trusts reports whether the list's counts have come true so far, and did at least once.
func (m *pagerMemory[T, P]) trusts() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.distrusted && m.lastRight != 0
}

// judge compares a count with the number of rows of a window that was read whole.
func (m *pagerMemory[T, P]) judge(count, rows int) {
	if count == rows || count < 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.distrusted, m.lastRight = true, 0
}

// agreed takes note of a count that came true. A count that is always the same comes true
// now and then by chance; two different ones in a row do not.
func (m *pagerMemory[T, P]) agreed(count int) {
	if count <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lastRight != 0 && m.lastRight != count {
		m.distrusted = false
	}
	m.lastRight = count
}

// isShort reports whether a page of so many items is shorter than the server's pages can be.
func (m *pagerMemory[T, P]) isShort(items int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return items < m.longest
}

// isWhole reports whether a page that has as many items as the list's count can be the only
// one. Perhaps the count is but that of the page: how many items a page can have is seen
// when there is nothing behind it, and again before a window has gone by.
func (m *pagerMemory[T, P]) isWhole(items int, w cursor.Window) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return items < m.longest || items == m.longest && time.Since(m.checked) < w.Length()/2
}

// note takes note of how long pages may be.
func (m *pagerMemory[T, P]) note(pages []page[T], atEnd bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range pages {
		if n := len(pages[i].items); n > m.longest {
			m.longest, m.checked = n, time.Time{}
		}
	}
	if atEnd && len(pages) == 2 && len(pages[0].items) == m.longest && pages[1].end() == pages[0].end() {
		m.checked = time.Now()
	}
}

// beyondReach reports whether the API is known to refuse an offset, and so wants smaller
// windows. It may have been a whim: where no window can be smaller it is asked again,
// and elsewhere after a while.
func (m *pagerMemory[T, P]) beyondReach(w cursor.Window, offset int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reach > 0 && offset >= m.reach && time.Since(m.reachedAt) < reachKnownFor && !w.IsSmallest()
}

// outOfReach takes note of an offset that the API refused.
func (m *pagerMemory[T, P]) outOfReach(offset int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reach == 0 || offset < m.reach || time.Since(m.reachedAt) >= reachKnownFor {
		m.reach, m.reachedAt = offset, time.Now()
	}
}

// keep keeps what a reading has got, if the next one may go on with it.
func (m *pagerMemory[T, P]) keep(a *attempt[T, P], err error) {
	if tooLarge(err) || len(a.pages) == 0 && len(a.passes) == 0 {
		return
	}
	a.refused = throttled(err)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept, m.keptAt = a, time.Now()
}

// resume returns the reading of a window that failed shortly before, or a new one. One that
// has come to more records than are wanted by now is of no use.
func (m *pagerMemory[T, P]) resume(w cursor.Window, most int) *attempt[T, P] {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.kept; a != nil && a.window == w && time.Since(m.keptAt) < keptFor {
		m.kept = nil
		if n := len(a.pages); most <= 0 || n == 0 || a.pages[n-1].offset < most {
			return a
		}
	}
	return &attempt[T, P]{window: w}
}

// throttled reports whether the API refused a request for haste.
func throttled(err error) bool {
	var api *workspace.Error
	return errors.As(err, &api) && api.Throttled()
}

// refused reports whether the API refuses what was asked for: perhaps only so large a
// window, or a page so far behind.
func refused(err error) bool {
	var api *workspace.Error
	return errors.As(err, &api) && api.Status == http.StatusBadRequest && !api.Throttled() && !errors.Is(err, context.Canceled)
}
