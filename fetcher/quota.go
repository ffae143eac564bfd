package fetcher

import (
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

// quota is how large a piece may be, as the API's quota allows: once a request was refused
// for haste it has no more than a page, so that each request that succeeds is a piece
// that is done. With each poll that ends well, the records of a piece double.
type quota struct {
	records int           // 0: as many as ever
	length  time.Duration // of the last piece
}

// mostOr is how many records a piece may have, which are otherwise so many.
func (q *quota) mostOr(otherwise int) int {
	if q.records == 0 {
		return otherwise
	}
	return q.records
}

func (q *quota) refused() { q.records = pageLimit }

func (q *quota) kept() {
	if q.records *= 2; q.records >= maxRecords {
		*q = quota{}
	}
}

// isLimited reports whether a request was refused for haste, and not enough polls have
// ended well since.
func (q *quota) isLimited() bool { return q.records > 0 }

// begin makes the pieces of a window.
func (q *quota) begin(todo cursor.Window, overlap, longest time.Duration) *pieces {
	p := &pieces{todo: todo, done: todo.From, length: longest, longest: longest, overlap: overlap}
	if q.records > 0 && q.length > 0 {
		p.length = min(q.length, longest)
	}
	return p
}
