package simulator

import (
	"cmp"
	"hash/maphash"
	"slices"
	"time"
)

// listed is what a list of the API holds.
type listed interface {
	Record | Session | Desktop | AppConnection
	key() string          // tells it from the others of its project
	visibleAt() time.Time // when it appears, if it was put in
	moments() moments
}

// catalog is all that there is of one kind: what becomes of the generated logins,
// and what was put in.
type catalog[T listed] struct {
	fields fields
	// at is the time that a window is about. The login that it comes of was asked
	// for at most lead earlier.
	at   func(moments) time.Time
	lead time.Duration
	// trace is what the API knows of a login at a time: nothing, if known is false.
	trace func(l *login, now time.Time) (m moments, known bool)
	// show is what the API writes of it.
	show func(w *world, l *login, project string, now time.Time) T

	put map[string]map[string]T // by project and key
}

// moments are the times of something as it is now; zero where it has none.
type moments struct{ pre, start, end, update time.Time }

// query is a request for a list, understood. The zero limit is no limit.
type query struct {
	project       string
	from, to      time.Time
	limit, offset int
}

// entry is an element of a list: of a generated login, or one that was put in.
type entry[T listed] struct {
	second int64 // the list is sorted by it
	login  *login
	item   *T
}

// list makes the list of a query as it is now, of what matches; a nil match is met
// by all. The caller holds s.mu.
func (c *catalog[T]) list(s *Simulator, q query, match func(*T) bool, now time.Time) []entry[T] {
	var list []entry[T]
	for l := range s.attempts(q.project, q.from.Add(-c.lead), q.to) {
		m, known := c.trace(l, now)
		if !known || !s.inWindow(q, c.at(m)) {
			continue
		}
		if match != nil {
			if item := c.show(s.world, l, q.project, now); !match(&item) {
				continue
			}
		}
		list = append(list, entry[T]{second: l.pre.Unix(), login: l})
	}
	for _, item := range c.put[q.project] {
		m := item.moments()
		if !item.visibleAt().After(now) && s.inWindow(q, c.at(m)) && (match == nil || match(&item)) {
			list = append(list, entry[T]{second: sortTime(m), item: &item})
		}
	}
	sortEntries(list, s.options.Order)
	return list
}

// page is the part of a list that a query asks for, and the length of the whole.
func (c *catalog[T]) page(s *Simulator, q query, match func(*T) bool, now time.Time) (count int, items []T) {
	s.moveList(q)
	s.mu.Lock()
	defer s.mu.Unlock()
	list := c.list(s, q, match, now)
	return len(list), c.items(s.world, cut(list, q), q.project, now)
}

// all is a list, whole.
func (c *catalog[T]) all(s *Simulator, q query, match func(*T) bool, now time.Time) []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.items(s.world, c.list(s, q, match, now), q.project, now)
}

// truth is all that the API would show at this moment for a window.
func (c *catalog[T]) truth(s *Simulator, projectID string, from, to time.Time) []T {
	return c.all(s, query{project: projectID, from: from, to: to}, nil, s.options.Now().UTC())
}

// items are the elements of a list as the API writes them.
func (c *catalog[T]) items(w *world, list []entry[T], project string, now time.Time) []T {
	items := make([]T, len(list))
	for i, e := range list {
		if e.item != nil {
			items[i] = *e.item
		} else {
			items[i] = c.show(w, e.login, project, now)
		}
	}
	return items
}

// add puts items in; one with the key of another takes its place.
func (c *catalog[T]) add(s *Simulator, projectID string, items []T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.put == nil {
		c.put = map[string]map[string]T{}
	}
	if c.put[projectID] == nil {
		c.put[projectID] = map[string]T{}
	}
	for _, item := range items {
		c.put[projectID][item.key()] = item
	}
}

func (c *catalog[T]) remove(s *Simulator, projectID, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(c.put[projectID], key)
}

// moveList lets a test move the list before a page of it is made.
func (s *Simulator) moveList(q query) {
	s.mu.Lock()
	hook := s.beforePage
	s.mu.Unlock()
	if hook != nil {
		hook(q.project, q.offset)
	}
}

// cut takes a page out of a list.
func cut[E any](list []E, q query) []E {
	first := min(q.offset, len(list))
	return list[first:min(first+q.limit, len(list))]
}

// inWindow compares to the second, as the API writes times. The end is in the
// window unless Options.EndExcluded.
func (s *Simulator) inWindow(q query, t time.Time) bool {
	t = t.Truncate(time.Second)
	if t.IsZero() || t.Before(q.from) || t.After(q.to) {
		return false
	}
	return !s.options.EndExcluded || t.Before(q.to)
}

func sortTime(m moments) int64 {
	for _, t := range []time.Time{m.pre, m.start, m.update} {
		if !t.IsZero() {
			return t.Unix()
		}
	}
	return 0
}

func sortEntries[T listed](list []entry[T], order Order) {
	tie := compareKeys[T]
	if order == ShuffledTies {
		seed := maphash.MakeSeed()
		tie = func(a, b entry[T]) int { return cmp.Compare(a.hash(seed), b.hash(seed)) }
	}
	slices.SortFunc(list, func(a, b entry[T]) int {
		return cmp.Or(cmp.Compare(a.second, b.second), tie(a, b))
	})
	if order == Descending {
		slices.Reverse(list)
	}
}

// compareKeys sorts what is generated by number, before what was put in.
func compareKeys[T listed](a, b entry[T]) int {
	switch {
	case a.login != nil && b.login != nil:
		return cmp.Compare(a.login.id, b.login.id)
	case a.login == nil && b.login == nil:
		return cmp.Compare((*a.item).key(), (*b.item).key())
	case a.login != nil:
		return -1
	}
	return 1
}

func (e entry[T]) hash(seed maphash.Seed) uint64 {
	if e.login != nil {
		return maphash.Comparable(seed, e.login.id)
	}
	return maphash.String(seed, (*e.item).key())
}
