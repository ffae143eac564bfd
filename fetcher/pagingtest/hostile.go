// Package pagingtest has lists of logins for tests that read them.
package pagingtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Hostile is a list whose pages are as bad as an API may make them, in ways that a seed draws.
// What comes by chance depends only on the seed, and on what was asked for, and how often.
type Hostile struct {
	// Count is what is counted, one of the keys of counts.
	Count string
	// Lengths is how long pages are: "full", "short", which is always the same, "any", or
	// "filtered": offsets are those of a list with rows that are never shown.
	Lengths string
	// Repeats is what is shown twice: "none", "page" (records of a page in it) or "list" (the same
	// records in each pass).
	Repeats string
	// Moves is where records appear while the list is read: "never", "top", "bottom" or "between".
	Moves string
	// Shuffled is whether records of one second change places at each request.
	Shuffled bool
	// Omits is whether a request may leave a record out that others show; Fails is whether it may fail.
	Omits, Fails bool
	// Together is how many records share a second.
	Together int

	mu         sync.Mutex
	seed       uint64
	short      int     // most records of a short page
	hidden     float64 // which part is filtered
	descending bool
	rows       []row // by time
	times      map[string]int
	requests   int
	moved      int // records that came while the list was read
	calmFrom   int // requests after which it moves no more
}

type row struct {
	id   int
	at   time.Time
	late bool // it came while the list was read
}

// mostMoved is how many records come while a list is read.
const mostMoved = 60

// answer is what a count may follow.
type answer struct {
	all    int // records of the window
	items  int // of the page
	offset int
	rand   *rand.Rand
}

// counts are what an answer may count, by name.
var counts = map[string]func(answer) int{
	"true":            func(a answer) int { return a.all },
	"nothing":         func(answer) int { return -1 },
	"0":               func(answer) int { return 0 },
	"100":             func(answer) int { return 100 },
	"300":             func(answer) int { return 300 },
	"the most":        func(answer) int { return 1<<31 - 1 },
	"a bit less":      func(a answer) int { return a.all - 7 },
	"one more":        func(a answer) int { return a.all + 1 },
	"double":          func(a answer) int { return 2 * a.all },
	"half":            func(a answer) int { return a.all / 2 },
	"any":             func(a answer) int { return a.rand.IntN(2*a.all + 3) },
	"page":            func(a answer) int { return a.items },
	"so far":          func(a answer) int { return a.offset + a.items },
	"page or true":    func(a answer) int { return a.either(a.items, a.all) },
	"so far or true":  func(a answer) int { return a.either(a.offset+a.items, a.all) },
	"any or true":     func(a answer) int { return a.either(a.rand.IntN(2*a.all+3), a.all) },
	"page or nothing": func(a answer) int { return a.either(a.items, -1) },
	"page at first": func(a answer) int {
		if a.offset == 0 {
			return a.items
		}
		return a.all
	},
}

func (a answer) either(x, y int) int {
	if a.rand.IntN(2) == 0 {
		return x
	}
	return y
}

// NewHostile draws a list, which is empty.
func NewHostile(seed uint64) *Hostile {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var names []string
	for name := range counts {
		names = append(names, name)
	}
	slices.Sort(names)
	h := &Hostile{
		Count:    pick(names...),
		Lengths:  pick("full", "full", "short", "any", "filtered"),
		Repeats:  pick("none", "none", "page", "list"),
		Moves:    pick("never", "never", "top", "bottom", "between"),
		Shuffled: r.IntN(3) == 0, Omits: r.IntN(4) == 0, Fails: r.IntN(6) == 0,
		Together: []int{1, 1, 3, 30, 300}[r.IntN(5)],
		seed:     seed, times: map[string]int{},
		short:      []int{7, 20, 50}[r.IntN(3)],
		hidden:     []float64{0.05, 0.3, 0.6}[r.IntN(3)],
		descending: r.IntN(2) == 0,
		calmFrom:   1 << 60,
	}
	if strings.HasPrefix(h.Count, "so far") {
		h.Omits = false // a page that leaves a record out, and counts what is left, is that of a shorter list
	}
	return h
}

func (h *Hostile) String() string {
	return fmt.Sprintf("count %s, lengths %s (%d, %g), repeats %s, moves %s, shuffled %t, omits %t, fails %t, %d together, descending %t",
		h.Count, h.Lengths, h.short, h.hidden, h.Repeats, h.Moves, h.Shuffled, h.Omits, h.Fails, h.Together, h.descending)
}

// Add adds a number of records at times within a stretch.
func (h *Hostile) Add(r *rand.Rand, n int, from time.Time, stretch time.Duration) {
	for i := 0; i < n; {
		at := from.Add(time.Duration(r.Int64N(int64(stretch/time.Second)+1)) * time.Second)
		for range min(h.Together, n-i) {
			h.rows = append(h.rows, row{id: len(h.rows), at: at})
			i++
		}
	}
	h.sort()
}

func (h *Hostile) sort() {
	slices.SortStableFunc(h.rows, func(a, b row) int { return a.at.Compare(b.at) })
}

// Calm ends all that is not of each answer: nothing moves any more, no request fails.
func (h *Hostile) Calm() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calmFrom = h.requests
}

// Requests is how many there were.
func (h *Hostile) Requests() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.requests
}

// Stable are the records between two times that were there all the time.
func (h *Hostile) Stable(from, to time.Time) (ids []record.Identity) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, row := range h.rows {
		if !row.late && !h.isFiltered(row) && !row.at.Before(from) && !row.at.After(to) {
			l := h.login(row)
			ids = append(ids, l.ID)
		}
	}
	return ids
}

// Get gets a page.
func (h *Hostile) Get(ctx context.Context, q workspace.PageQuery) (count int, logins []record.Login, err error) {
	if q.Limit < 1 || q.Offset < 0 {
		return 0, nil, fmt.Errorf("the API has no page of %d at %d", q.Limit, q.Offset)
	}
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests++
	r := h.chance(q)
	if h.Fails && h.requests < h.calmFrom && r.IntN(30) == 0 {
		return 0, nil, &workspace.Error{Status: 503}
	}
	h.move(r, q)
	list, all := h.list(r, q)
	page := h.page(r, list, q)
	for _, row := range page {
		logins = append(logins, h.login(row))
	}
	return counts[h.Count](answer{all, len(page), q.Offset, r}), logins, nil
}

// chance is that of a request.
func (h *Hostile) chance(q workspace.PageQuery) *rand.Rand {
	key := fmt.Sprint(q.From.Unix(), q.To.Unix(), q.Offset, q.Limit)
	h.times[key]++
	return rand.New(rand.NewPCG(h.seed<<20^uint64(h.times[key]), uint64(q.Offset)<<40^uint64(q.From.Unix())<<20^uint64(q.To.Unix())))
}

// move adds a record to what is asked for.
func (h *Hostile) move(r *rand.Rand, q workspace.PageQuery) {
	if h.Moves == "never" || h.moved == mostMoved || h.requests%7 != 0 || h.requests >= h.calmFrom {
		return
	}
	h.moved++
	at := q.From.Add(time.Duration(r.Int64N(int64(max(time.Second, q.To.Sub(q.From))))).Truncate(time.Second))
	switch h.Moves {
	case "top":
		at = q.To
	case "bottom":
		at = q.From
	}
	h.rows = append(h.rows, row{len(h.rows), at, true})
	h.sort()
}

// list is a window as a request sees it, and how many records it has.
func (h *Hostile) list(r *rand.Rand, q workspace.PageQuery) (list []row, all int) {
	for _, row := range h.rows {
		if row.at.Before(q.From) || row.at.After(q.To) {
			continue
		}
		if list = append(list, row); h.Repeats == "list" && row.id%37 == 5 {
			list = append(list, row)
		}
		if !h.isFiltered(row) {
			all++
		}
	}
	if h.Shuffled {
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		slices.SortStableFunc(list, func(a, b row) int { return a.at.Compare(b.at) })
	}
	if h.descending {
		slices.Reverse(list)
	}
	if h.Omits && len(list) > 0 && r.IntN(20) == 0 {
		i := r.IntN(len(list))
		list = slices.Delete(list, i, i+1)
	}
	return list, all
}

// page cuts a page out of a list.
func (h *Hostile) page(r *rand.Rand, list []row, q workspace.PageQuery) []row {
	limit := q.Limit
	switch h.Lengths {
	case "short":
		limit = min(limit, h.short)
	case "any":
		limit = max(1, min(limit, 10+r.IntN(limit)))
	}
	begin := min(q.Offset, len(list))
	page := slices.DeleteFunc(slices.Clone(list[begin:min(begin+limit, len(list))]), h.isFiltered)
	if n := len(page); h.Repeats == "page" && n > 3 && r.IntN(10) == 0 {
		page = append(page, page[r.IntN(n-2):][:2]...)
	}
	return page
}

func (h *Hostile) isFiltered(r row) bool {
	return h.Lengths == "filtered" && rand.New(rand.NewPCG(h.seed, uint64(r.id))).Float64() < h.hidden
}

func (h *Hostile) login(r row) record.Login {
	var c record.UserConnection
	c.Set("id", strconv.Itoa(r.id))
	c.Set("user_name", "u"+strconv.Itoa(r.id))
	for _, name := range []string{"start_time", "end_time", "pre_conn_time", "update_time"} {
		c.Set(name, r.at.UTC().Format(time.RFC3339))
	}
	return c.Login()
}
