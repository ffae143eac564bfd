package collector

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"
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

var (
	loginUsers = &Metric{Name: "workspace_login_users", Type: Gauge, Labels: []Label{windowName},
		Help: "Distinct users with a login attempt within the window before the last poll."}
	loginFailedUsers = &Metric{Name: "workspace_login_failed_users", Type: Gauge, Labels: []Label{windowName},
		Help: "Distinct users with a failed login attempt within the window before the last poll."}
	groupUsers = &Metric{Name: "workspace_group_login_users", Type: Gauge, Labels: []Label{desktopGroup, windowName},
		Help: "Distinct users of a desktop group with a login attempt within the window before the last poll."}
	groupFailedUsers = &Metric{Name: "workspace_group_login_failed_users", Type: Gauge, Labels: []Label{desktopGroup, windowName},
		Help: "Distinct users of a desktop group with a failed login attempt within the window before the last poll."}
	maxFailuresPerUser = &Metric{Name: "workspace_login_max_failures_per_user", Type: Gauge, Labels: []Label{windowName},
		Help: "Failed login attempts of the single user who has most of them within the window before the last poll."}
	maxFailuresPerClientIP = &Metric{Name: "workspace_login_max_failures_per_client_ip", Type: Gauge, Labels: []Label{windowName},
		Help: "Failed login attempts from the single client address that has most of them within the window before the last poll."}
)

// userWindows counts distinct users in sliding windows over the records' own times. What
// it keeps of a user is a pseudonym, and no longer than the longest window.
type userWindows struct {
	attempts *family // its groups are those that have room
	by       labeler
	labels   []pair // scratch
	longest  time.Duration
	windows  []*window

	users, clients people
	groups         map[string]*userGroup // by groupOf
	changed        []*userGroup          // since the gauges were set

	totals                  []windowTotal
	groupUsers, groupFailed *attemptsGauge

	samples  []sample // in the order of time
	inserted []sample // that are not among those yet
	added    []sample
	removed  []sample
}

// windowTotal is a number of each window as a whole.
type windowTotal struct {
	family *family
	of     func(window int) int64
}

// sample is a counted attempt, or a failure. A record that fails after it was counted
// as a success makes two.
type sample struct {
	at     int64 // Unix milliseconds
	id     record.Identity
	later  bool // the failure of a record that was a success before
	failed bool

	group        *userGroup
	user, member *person // of all, and of the group
	client       *person // the address, of a failure
}

func compareSamples(a, b sample) int { return cmp.Compare(a.at, b.at) }

// userGroup is a group with its users.
type userGroup struct {
	name    string // see groupOf
	samples int    // of it, in a window or not
	people  people
	// users and failed are the numbers of each window as the gauges have them.
	users, failed []int64
	changed       bool
}

func newLoginUsers(f *families, o Options) aggregator {
	u := newUserWindows(f, o, f.of(loginAttempts), byGroup, groupUsers, groupFailedUsers)
	u.totals = []windowTotal{
		{f.of(loginUsers), func(w int) int64 { return u.users.windows[w].persons }},
		{f.of(loginFailedUsers), func(w int) int64 { return u.users.windows[w].failed }},
		{f.of(maxFailuresPerUser), func(w int) int64 { return u.users.windows[w].mostFailures }},
		{f.of(maxFailuresPerClientIP), func(w int) int64 { return u.clients.windows[w].mostFailures }},
	}
	return u
}

// newUserWindows counts users by the labels that attempts are counted by.
func newUserWindows(f *families, o Options, attempts *family, by labeler, users, failed *Metric) *userWindows {
	var variants [][]pair
	n := len(o.UserWindows)
	u := &userWindows{attempts: attempts, by: by, users: newPeople(n), clients: newPeople(n), groups: map[string]*userGroup{}}
	for i, configured := range o.UserWindows {
		u.longest = max(u.longest, configured.Length)
		u.windows = append(u.windows, &window{Window: configured, index: i, after: math.MinInt64})
		variants = append(variants, []pair{windowName.is(configured.Name)})
	}
	u.groupUsers = &attemptsGauge{family: f.of(users), attempts: attempts, variants: variants}
	u.groupFailed = &attemptsGauge{family: f.of(failed), attempts: attempts, variants: variants}
	return u
}

func (u *userWindows) observe(e *ledger.Event) {
	if !e.Attempt && e.FailedCode == "" {
		return
	}
	at := e.Login.Time()
	if at.IsZero() || at.After(e.Now) { // a wrong clock's: it would stay until that time
		at = e.Now
	}
	if e.Now.Sub(at) >= u.longest {
		return
	}
	u.labels = u.by(u.labels[:0], e.Login)
	if u.attempts.find(u.labels...) == nil { // no room for it
		fold(u.labels)
	}
	s := u.sample(groupOf(u.attempts.inOwnOrder(u.labels)), e.Login.User, e.Login.ClientIP, e.FailedCode != "")
	s.at, s.id, s.later = at.UnixMilli(), e.Login.ID, !e.Attempt
	u.insert(s)
	u.added = append(u.added, s)
}

// groupOf is the values of labels, in one text. Label values have no control characters.
func groupOf(values []string) string { return strings.Join(values, "\x00") }

// sample is one of a group and a user; of a failure, the client address counts, too.
func (u *userWindows) sample(group string, user, client record.Person, failed bool) sample {
	g := u.groups[group]
	if g == nil {
		n := len(u.windows)
		g = &userGroup{name: group, people: newPeople(n), users: make([]int64, n), failed: make([]int64, n)}
		u.groups[group] = g
	}
	g.samples++
	s := sample{group: g, user: u.users.meet(user), member: g.people.meet(user), failed: failed}
	if failed {
		s.client = u.clients.meet(client)
	}
	return s
}

func (u *userWindows) insert(s sample) {
	u.inserted = append(u.inserted, s)
	for _, w := range u.windows {
		if s.at > w.after {
			u.count(w, &s, 1)
		} else {
			w.first++
		}
	}
}

// count adds a sample to a window, or takes it away.
func (u *userWindows) count(w *window, s *sample, n int64) {
	u.users.count(w.index, s.user, s.failed, n)
	u.clients.count(w.index, s.client, s.failed, n)
	s.group.people.count(w.index, s.member, s.failed, n)
	u.touch(s.group)
}

func (u *userWindows) touch(g *userGroup) {
	if !g.changed {
		g.changed = true
		u.changed = append(u.changed, g)
	}
}

// sort puts the samples that were inserted among the others, all at once: each by itself
// would move all that are later than it.
func (u *userWindows) sort() {
	slices.SortStableFunc(u.inserted, compareSamples)
	u.samples = insertAt(u.samples, places(u.samples, u.inserted, compareSamples), u.inserted)
	clear(u.inserted)
	u.inserted = u.inserted[:0]
}

func (u *userWindows) refresh(now time.Time, _ *ledger.Ledger) {
	u.sort()
	for _, w := range u.windows {
		u.slide(w, now)
	}
	u.dropFuture(now)
	gone, _ := slices.BinarySearchFunc(u.samples, sample{at: now.Add(-u.longest).UnixMilli() + 1}, compareSamples)
	u.remove(u.samples[:gone])
	u.samples = u.samples[gone:]
	for _, w := range u.windows {
		w.first -= gone
	}
	u.setGauges()
}

// remove forgets samples that are in no window.
func (u *userWindows) remove(samples []sample) {
	u.removed = append(u.removed, samples...)
	for _, s := range samples {
		u.users.part(s.user)
		u.clients.part(s.client)
		s.group.people.part(s.member)
		s.group.samples--
		u.touch(s.group)
	}
	clear(samples)
}

// dropFuture drops what earlier versions have stored of times far ahead.
func (u *userWindows) dropFuture(now time.Time) {
	future, _ := slices.BinarySearchFunc(u.samples, sample{at: now.Add(u.longest).UnixMilli() + 1}, compareSamples)
	for i := range u.samples[future:] {
		for _, w := range u.windows {
			u.count(w, &u.samples[future+i], -1)
		}
	}
	u.remove(u.samples[future:])
	u.samples = u.samples[:future]
}

// setGauges sets the gauges to what the windows hold.
func (u *userWindows) setGauges() {
	for _, t := range u.totals {
		t.family.recount(func(add adder) {
			for i, w := range u.windows {
				add(t.of(i), windowName.is(w.Name))
			}
		})
	}
	u.setByGroup(u.groupUsers, func(g *userGroup, w int) (*int64, int64) { return &g.users[w], g.people.windows[w].persons })
	u.setByGroup(u.groupFailed, func(g *userGroup, w int) (*int64, int64) { return &g.failed[w], g.people.windows[w].failed })
	for _, g := range u.changed {
		if g.changed = false; g.samples == 0 {
			delete(u.groups, g.name)
		}
	}
	clear(u.changed)
	u.changed = u.changed[:0]
}

// setByGroup brings a gauge up to date. Of a group and a window, of is the number that the
// gauge has, and that which it is to have.
func (u *userWindows) setByGroup(g *attemptsGauge, of func(g *userGroup, window int) (has *int64, is int64)) {
	// show adds what the gauge lacks of a group's numbers, or the whole of them to a gauge that
	// begins at 0.
	show := func(group *userGroup, whole bool, add adder) {
		for i, w := range u.windows {
			has, is := of(group, i)
			n := is
			if !whole {
				n -= *has
			}
			if *has = is; n != 0 {
				add(n, append(u.labelsOf(group.name), windowName.is(w.Name))...)
			}
		}
	}
	g.show(
		func(add adder) {
			for _, group := range u.changed {
				show(group, false, add)
			}
		},
		func(add adder) {
			for _, group := range u.groups {
				show(group, true, add)
			}
		})
}

// labelsOf are the labels of a group.
func (u *userWindows) labelsOf(group string) []pair {
	labels := make([]pair, len(u.attempts.Labels), len(u.attempts.Labels)+1)
	values := strings.Split(group, "\x00")
	for i, label := range u.attempts.Labels {
		labels[i] = label.is(values[min(i, len(values)-1)])
	}
	return labels
}

// window is one stretch of time before now.
type window struct {
	Window
	index int   // among the windows
	first int   // index of the first sample that is in
	after int64 // a sample is in if it is later than this
}

// slide lets a window end at now. A clock that was ahead may have come back.
func (u *userWindows) slide(w *window, now time.Time) {
	after := now.Add(-w.Length).UnixMilli()
	for w.first > 0 && u.samples[w.first-1].at > after {
		w.first--
		u.count(w, &u.samples[w.first], 1)
	}
	w.after = after
	for w.first < len(u.samples) && u.samples[w.first].at <= w.after {
		u.count(w, &u.samples[w.first], -1)
		w.first++
	}
}

// userWindowsTable is the table of the samples.
const userWindowsTable = "people"

func (u *userWindows) tables() []table {
	return []table{{name: userWindowsTable, ofProject: true, load: u.load, save: u.save}}
}

// sampleKeySize is that of the longest key: a time, an identity, and a mark for a failure that
// came later.
const sampleKeySize = 8 + len(record.Identity{}) + 1

func (s *sample) key() (k [sampleKeySize]byte, size int) {
	binary.BigEndian.PutUint64(k[:], uint64(s.at))
	size = 8 + copy(k[8:], s.id[:])
	if s.later {
		k[size] = 1
		size++
	}
	return k, size
}

// appendSample appends what the store keeps of a sample, beside its key.
func appendSample(r store.Row, user, client record.Person, group string, failed bool) store.Row {
	r.Blocks(user.Block(), client.Block())
	r.String(group)
	r.Bool(failed)
	return r
}

func (u *userWindows) load(key, value []byte) error {
	if len(key) != sampleKeySize && len(key) != sampleKeySize-1 {
		return errKey
	}
	r := store.ReadRow(value)
	persons := r.Blocks()
	if len(persons) != 2 {
		return errBlocks
	}
	s := u.sample(r.String(), record.PersonIn(persons[0]), record.PersonIn(persons[1]), r.Bool())
	s.at, s.id, s.later = int64(binary.BigEndian.Uint64(key)), record.Identity(key[8:24]), len(key) == sampleKeySize
	u.insert(s)
	return r.Err()
}

func (u *userWindows) save(changes *store.Changes) {
	changes.Grow(len(u.added) + len(u.removed))
	var row store.Row
	for i := range u.added {
		s := &u.added[i]
		key, size := s.key()
		row = appendSample(row[:0], s.user.name(), s.client.name(), s.group.name, s.failed)
		changes.Put(userWindowsTable, key[:size], row)
	}
	for i := range u.removed {
		key, size := u.removed[i].key()
		changes.Delete(userWindowsTable, key[:size])
	}
	clear(u.added)
	clear(u.removed)
	u.added, u.removed = u.added[:0], u.removed[:0]
}
