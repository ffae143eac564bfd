package collector

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// Window is a stretch of time before now, with its name as the configuration has it.
type Window struct {
	Name   string
	Length time.Duration
}

// people counts distinct users in sliding windows over the records' own times. What
// it keeps of a user is a pseudonym, and no longer than the longest window.
type userWindows struct {
	groups  *logins
	longest time.Duration
	windows []*window

	users, failedUsers, groupUsers, groupFailed, perUser, perClientIP *family

	samples []sample // the first sorted of them in the order of time
	sorted  int
	added   []sample
	removed []sample
}

// visit is a counted attempt, or a failure. A record that fails after it was counted
// as a success makes two.
type sample struct {
	at           int64 // Unix milliseconds
	id           record.Identity
	later        bool // the failure of a record that was a success before
	group        string
	user, client record.Person
	failed       bool
}

func compareSamples(a, b sample) int { return cmp.Compare(a.at, b.at) }

func newUserWindows(t *families, windows []Window, groups *logins) *userWindows {
	p := &userWindows{groups: groups,
		users: t.volatileFamily(loginUsers), failedUsers: t.volatileFamily(loginFailedUsers),
		groupUsers: t.volatileFamily(groupUsers), groupFailed: t.volatileFamily(groupFailedUsers),
		perUser: t.volatileFamily(maxFailuresPerUser), perClientIP: t.volatileFamily(maxFailuresPerClientIP)}
	for _, w := range windows {
		p.longest = max(p.longest, w.Length)
		p.windows = append(p.windows, newWindow(w))
	}
	return p
}

func (p *userWindows) observe(e *ledger.Event) {
	if !e.Attempt && e.FailedCode == "" {
		return
	}
	at := e.Login.Time()
	if at.IsZero() || at.After(e.Now) { // a wrong clock's: it would stay until that time
		at = e.Now
	}
	if e.Now.Sub(at) >= p.longest {
		return
	}
	group := e.Login.Group
	if p.groups.attempts.find(desktopGroup.is(group)) == nil { // no room for it
		group = other
	}
	v := sample{at.UnixMilli(), e.Login.ID, !e.Attempt, group, e.Login.User, e.Login.ClientIP, e.FailedCode != ""}
	p.insert(v)
	p.added = append(p.added, v)
}

func (p *userWindows) insert(v sample) {
	p.samples = append(p.samples, v)
	for _, c := range p.windows {
		c.inserted(v)
	}
}

// sort puts the visits that were inserted into the order of time, all at once: each by
// itself would move all that are later than it.
func (p *userWindows) sort() {
	if p.sorted == len(p.samples) {
		return
	}
	earliest := slices.MinFunc(p.samples[p.sorted:], compareSamples)
	from, _ := slices.BinarySearchFunc(p.samples[:p.sorted], earliest, compareSamples)
	slices.SortFunc(p.samples[from:], compareSamples)
	p.sorted = len(p.samples)
}

func (p *userWindows) refresh(now time.Time, _ *ledger.Ledger) {
	p.sort()
	for _, c := range p.windows {
		c.slide(p.samples, now)
	}
	p.dropFuture(now)
	gone, _ := slices.BinarySearchFunc(p.samples, sample{at: now.Add(-p.longest).UnixMilli() + 1}, compareSamples)
	p.removed = append(p.removed, p.samples[:gone]...)
	p.samples = p.samples[gone:]
	p.sorted -= gone
	for _, c := range p.windows {
		c.first -= gone
	}
	p.setGauges()
}

// dropFuture drops what earlier versions have stored of times far ahead.
func (p *userWindows) dropFuture(now time.Time) {
	future, _ := slices.BinarySearchFunc(p.samples, sample{at: now.Add(p.longest).UnixMilli() + 1}, compareSamples)
	for _, v := range p.samples[future:] {
		p.removed = append(p.removed, v)
		for _, c := range p.windows {
			c.count(v, -1)
		}
	}
	p.samples = p.samples[:future]
	p.sorted = len(p.samples)
}

func (p *userWindows) setGauges() {
	known := distinct(p.groups.attempts, desktopGroup)
	each := func(f *family, value func(*window) int64) {
		f.recount(func(add func(int64, ...pair)) {
			for _, c := range p.windows {
				add(value(c), windowName.is(c.window.Name))
			}
		})
	}
	eachGroup := func(f *family, groups func(*window) map[string]counts) {
		f.recount(func(add func(int64, ...pair)) {
			for _, c := range p.windows {
				for group := range known {
					add(0, desktopGroup.is(group), windowName.is(c.window.Name))
				}
				for group, users := range groups(c) {
					add(int64(len(users)), desktopGroup.is(group), windowName.is(c.window.Name))
				}
			}
		})
	}
	each(p.users, func(c *window) int64 { return int64(len(c.users)) })
	each(p.failedUsers, func(c *window) int64 { return int64(len(c.failed)) })
	each(p.perUser, func(c *window) int64 { return c.failed.highest() })
	each(p.perClientIP, func(c *window) int64 { return c.clients.highest() })
	eachGroup(p.groupUsers, func(c *window) map[string]counts { return c.byGroup })
	eachGroup(p.groupFailed, func(c *window) map[string]counts { return c.failedByGroup })
}

// crowd is who was there within one window, and how often.
type window struct {
	window                 Window
	first                  int   // index of the first visit that is in
	after                  int64 // a visit is in if it is later than this
	users, failed, clients counts
	byGroup, failedByGroup map[string]counts
}

// tally counts people.
type counts map[record.Person]int64

func newWindow(w Window) *window {
	return &window{window: w, after: math.MinInt64, users: counts{}, failed: counts{}, clients: counts{},
		byGroup: map[string]counts{}, failedByGroup: map[string]counts{}}
}

// inserted takes note of a new visit.
func (c *window) inserted(v sample) {
	if v.at > c.after {
		c.count(v, 1)
	} else {
		c.first++
	}
}

// slide lets the window end at now. A clock that was ahead may have come back.
func (c *window) slide(visits []sample, now time.Time) {
	after := now.Add(-c.window.Length).UnixMilli()
	for c.first > 0 && visits[c.first-1].at > after {
		c.first--
		c.count(visits[c.first], 1)
	}
	c.after = after
	for c.first < len(visits) && visits[c.first].at <= c.after {
		c.count(visits[c.first], -1)
		c.first++
	}
}

// count adds a visit or takes it away. A record without a user name counts nobody.
func (c *window) count(v sample, n int64) {
	c.users.add(v.user, n)
	countsOf(c.byGroup, v.group).add(v.user, n)
	if v.failed {
		c.failed.add(v.user, n)
		countsOf(c.failedByGroup, v.group).add(v.user, n)
		c.clients.add(v.client, n)
	}
}

func countsOf(groups map[string]counts, group string) counts {
	if groups[group] == nil {
		groups[group] = counts{}
	}
	return groups[group]
}

func (t counts) add(p record.Person, n int64) {
	if p == 0 {
		return
	}
	if t[p] += n; t[p] == 0 {
		delete(t, p)
	}
}

func (t counts) highest() int64 {
	var top int64
	for _, n := range t {
		top = max(top, n)
	}
	return top
}

// peopleTable is the table of the visits.
const userWindowsTable = "people"

func (p *userWindows) table() string { return userWindowsTable }

func (v *sample) key() []byte {
	k := binary.BigEndian.AppendUint64(nil, uint64(v.at))
	k = append(k, v.id[:]...)
	if v.later {
		k = append(k, 1)
	}
	return k
}

func (v *sample) row() []byte {
	var r store.Row
	r.Blocks(v.user.Block(), v.client.Block())
	r.String(v.group)
	r.Bool(v.failed)
	return r
}

func (p *userWindows) load(key, value []byte) error {
	if len(key) != 24 && len(key) != 25 {
		return errKey
	}
	v := sample{at: int64(binary.BigEndian.Uint64(key)), id: record.Identity(key[8:24]), later: len(key) == 25}
	r := store.ReadRow(value)
	persons := r.Blocks()
	if len(persons) != 2 {
		return errBlocks
	}
	v.user, v.client = record.PersonIn(persons[0]), record.PersonIn(persons[1])
	v.group, v.failed = r.String(), r.Bool()
	p.insert(v)
	return r.Err()
}

func (p *userWindows) save(changes *store.Changes) {
	for _, v := range p.added {
		changes.Put(p.table(), v.key(), v.row())
	}
	for _, v := range p.removed {
		changes.Delete(p.table(), v.key())
	}
	p.added, p.removed = p.added[:0], p.removed[:0]
}
