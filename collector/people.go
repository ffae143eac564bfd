package collector

import (
	"encoding/binary"
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
type people struct {
	windows []Window
	longest time.Duration
	groups  *logins

	users, failedUsers, groupUsers, groupFailed, perUser, perClientIP *family

	visits  map[visitKey]visit
	added   []visitKey
	removed []visitKey
}

// visitKey tells visits apart and puts their rows in the order of time. A record that
// fails after it was counted as a success is a second visit.
type visitKey struct {
	at    int64 // Unix milliseconds
	id    record.Identity
	later bool
}

type visit struct {
	group        string
	user, client record.Person
	failed       bool
}

func newPeople(t *tables, windows []Window, groups *logins) *people {
	p := &people{windows: windows, groups: groups, visits: map[visitKey]visit{},
		users: t.volatileFamily(loginUsers), failedUsers: t.volatileFamily(loginFailedUsers),
		groupUsers: t.volatileFamily(groupUsers), groupFailed: t.volatileFamily(groupFailedUsers),
		perUser: t.volatileFamily(maxFailuresPerUser), perClientIP: t.volatileFamily(maxFailuresPerClientIP)}
	for _, w := range windows {
		p.longest = max(p.longest, w.Length)
	}
	return p
}

func (p *people) observe(e *ledger.Event) {
	if !e.Attempt && e.FailedCode == "" {
		return
	}
	at := e.Login.Time()
	if at.IsZero() {
		at = e.Now
	}
	if e.Now.Sub(at) >= p.longest {
		return
	}
	key := visitKey{at.UnixMilli(), e.Login.ID, !e.Attempt}
	p.visits[key] = visit{e.Login.Group, e.Login.User, e.Login.ClientIP, e.FailedCode != ""}
	p.added = append(p.added, key)
}

// crowd is who was there within one window.
type crowd struct {
	users, failed     map[record.Person]bool
	byGroup, failedBy map[string]map[record.Person]bool
	perUser, perIP    map[record.Person]int64
}

func (p *people) refresh(now time.Time, _ *ledger.Ledger) {
	for _, f := range []*family{p.users, p.failedUsers, p.groupUsers, p.groupFailed, p.perUser, p.perClientIP} {
		f.clear()
	}
	p.forget(now.Add(-p.longest).UnixMilli())
	for _, w := range p.windows {
		p.show(w.Name, p.crowd(now.Add(-w.Length).UnixMilli()))
	}
}

func (p *people) forget(before int64) {
	for key := range p.visits {
		if key.at <= before {
			delete(p.visits, key)
			p.removed = append(p.removed, key)
		}
	}
}

// crowd counts the visits after a time. Records without a user name count nobody.
func (p *people) crowd(after int64) *crowd {
	c := &crowd{users: map[record.Person]bool{}, failed: map[record.Person]bool{},
		byGroup: map[string]map[record.Person]bool{}, failedBy: map[string]map[record.Person]bool{},
		perUser: map[record.Person]int64{}, perIP: map[record.Person]int64{}}
	for group := range distinct(p.groups.attempts, 0) {
		c.byGroup[group], c.failedBy[group] = map[record.Person]bool{}, map[record.Person]bool{}
	}
	for key, v := range p.visits {
		if key.at <= after {
			continue
		}
		group := v.group
		if c.byGroup[group] == nil { // no room for it
			group = other
		}
		if v.user != 0 {
			c.users[v.user] = true
			join(c.byGroup, group, v.user)
		}
		if !v.failed {
			continue
		}
		if v.user != 0 {
			c.failed[v.user] = true
			join(c.failedBy, group, v.user)
			c.perUser[v.user]++
		}
		if v.client != 0 {
			c.perIP[v.client]++
		}
	}
	return c
}

func join(groups map[string]map[record.Person]bool, group string, user record.Person) {
	if groups[group] == nil {
		groups[group] = map[record.Person]bool{}
	}
	groups[group][user] = true
}

func (p *people) show(window string, c *crowd) {
	p.users.set(int64(len(c.users)), window)
	p.failedUsers.set(int64(len(c.failed)), window)
	p.perUser.set(highest(c.perUser), window)
	p.perClientIP.set(highest(c.perIP), window)
	for group, users := range c.byGroup {
		p.groupUsers.set(int64(len(users)), group, window)
	}
	for group, users := range c.failedBy {
		p.groupFailed.set(int64(len(users)), group, window)
	}
}

func highest(counts map[record.Person]int64) int64 {
	var top int64
	for _, n := range counts {
		top = max(top, n)
	}
	return top
}

func (p *people) table() string { return "people" }

func (k visitKey) bytes() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(k.at))
	b = append(b, k.id[:]...)
	if k.later {
		b = append(b, 1)
	}
	return b
}

func (p *people) load(key, value []byte) error {
	r := store.ReadRow(value)
	v := visit{group: r.String(), user: record.Person(r.Uint()), client: record.Person(r.Uint()), failed: r.Uint() == 1}
	if len(key) != 24 && len(key) != 25 {
		return errKey
	}
	k := visitKey{at: int64(binary.BigEndian.Uint64(key)), id: record.Identity(key[8:24]), later: len(key) == 25}
	p.visits[k] = v
	return r.Err()
}

func (p *people) save(batch *store.Batch) {
	for _, key := range p.removed {
		batch.Delete(p.table(), key.bytes())
	}
	for _, key := range p.added {
		v, ok := p.visits[key]
		if !ok {
			continue
		}
		var row store.Row
		row.String(v.group)
		row.Uint(uint64(v.user))
		row.Uint(uint64(v.client))
		if v.failed {
			row.Uint(1)
		} else {
			row.Uint(0)
		}
		batch.Put(p.table(), key.bytes(), row)
	}
	p.added, p.removed = p.added[:0], p.removed[:0]
}
