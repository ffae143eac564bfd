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
	by       func(*record.Login) []pair
	longest  time.Duration
	windows  []*window

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
	of     func(*window) int64
}

// sample is a counted attempt, or a failure. A record that fails after it was counted
// as a success makes two.
type sample struct {
	at           int64 // Unix milliseconds
	id           record.Identity
	later        bool   // the failure of a record that was a success before
	group        string // see groupOf
	user, client record.Person
	failed       bool
}

func compareSamples(a, b sample) int { return cmp.Compare(a.at, b.at) }

func newLoginUsers(f *families, o Options) aggregator {
	totals := []windowTotal{
		{f.of(loginUsers), func(w *window) int64 { return int64(len(w.users)) }},
		{f.of(loginFailedUsers), func(w *window) int64 { return int64(len(w.failed.counts)) }},
	}
	u := newUserWindows(f, o, f.of(loginAttempts), byGroup, groupUsers, groupFailedUsers)
	u.totals = append(totals,
		windowTotal{f.of(maxFailuresPerUser), func(w *window) int64 { return w.failed.highest }},
		windowTotal{f.of(maxFailuresPerClientIP), func(w *window) int64 { return w.clients.highest }})
	return u
}

// newUserWindows counts users by the labels that attempts are counted by.
func newUserWindows(f *families, o Options, attempts *family, by func(*record.Login) []pair, users, failed *Metric) *userWindows {
	var variants [][]pair
	u := &userWindows{attempts: attempts, by: by}
	for _, configured := range o.UserWindows {
		u.longest = max(u.longest, configured.Length)
		u.windows = append(u.windows, newWindow(configured))
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
	labels := u.by(e.Login)
	if u.attempts.find(labels...) == nil { // no room for it
		fold(labels)
	}
	s := sample{at.UnixMilli(), e.Login.ID, !e.Attempt, groupOf(u.attempts.inOwnOrder(labels)), e.Login.User, e.Login.ClientIP, e.FailedCode != ""}
	u.insert(s)
	u.added = append(u.added, s)
}

// groupOf is the values of labels, in one text. Label values have no control characters.
func groupOf(values []string) string { return strings.Join(values, "\x00") }

func (u *userWindows) insert(s sample) {
	u.inserted = append(u.inserted, s)
	for _, w := range u.windows {
		w.inserted(s)
	}
}

// sort puts the samples that were inserted among the others, all at once: each by itself
// would move all that are later than it.
func (u *userWindows) sort() {
	slices.SortStableFunc(u.inserted, compareSamples)
	u.samples = insertAt(u.samples, places(u.samples, u.inserted, compareSamples), u.inserted)
	u.inserted = u.inserted[:0]
}

func (u *userWindows) refresh(now time.Time, _ *ledger.Ledger) {
	u.sort()
	for _, w := range u.windows {
		w.slide(u.samples, now)
	}
	u.dropFuture(now)
	gone, _ := slices.BinarySearchFunc(u.samples, sample{at: now.Add(-u.longest).UnixMilli() + 1}, compareSamples)
	u.removed = append(u.removed, u.samples[:gone]...)
	u.samples = u.samples[gone:]
	for _, w := range u.windows {
		w.first -= gone
	}
	u.setGauges()
}

// dropFuture drops what earlier versions have stored of times far ahead.
func (u *userWindows) dropFuture(now time.Time) {
	future, _ := slices.BinarySearchFunc(u.samples, sample{at: now.Add(u.longest).UnixMilli() + 1}, compareSamples)
	for _, s := range u.samples[future:] {
		u.removed = append(u.removed, s)
		for _, w := range u.windows {
			w.count(s, -1)
		}
	}
	u.samples = u.samples[:future]
}

// setGauges sets the gauges to what the windows hold.
func (u *userWindows) setGauges() {
	for _, t := range u.totals {
		t.family.recount(func(add adder) {
			for _, w := range u.windows {
				add(t.of(w), windowName.is(w.Name))
			}
		})
	}
	u.setByGroup(u.groupUsers, func(w *window) *groups { return &w.byGroup })
	u.setByGroup(u.groupFailed, func(w *window) *groups { return &w.failedByGroup })
}

func (u *userWindows) setByGroup(g *attemptsGauge, of func(*window) *groups) {
	show := func(which func(*groups, func(group string, n int64))) func(adder) {
		return func(add adder) {
			for _, w := range u.windows {
				which(of(w), func(group string, n int64) { add(n, append(u.labelsOf(group), windowName.is(w.Name))...) })
			}
		}
	}
	g.show(show((*groups).changes), show((*groups).all))
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

// window counts the samples of one stretch of time before now.
type window struct {
	Window
	first                  int   // index of the first sample that is in
	after                  int64 // a sample is in if it is later than this
	users                  counts
	failed, clients        ranked
	byGroup, failedByGroup groups
}

func newWindow(configured Window) *window {
	return &window{Window: configured, after: math.MinInt64, users: counts{}, failed: newRanked(), clients: newRanked(),
		byGroup: newGroups(), failedByGroup: newGroups()}
}

// inserted counts a new sample.
func (w *window) inserted(s sample) {
	if s.at > w.after {
		w.count(s, 1)
	} else {
		w.first++
	}
}

// slide lets the window end at now. A clock that was ahead may have come back.
func (w *window) slide(samples []sample, now time.Time) {
	after := now.Add(-w.Length).UnixMilli()
	for w.first > 0 && samples[w.first-1].at > after {
		w.first--
		w.count(samples[w.first], 1)
	}
	w.after = after
	for w.first < len(samples) && samples[w.first].at <= w.after {
		w.count(samples[w.first], -1)
		w.first++
	}
}

// count adds a sample or takes it away. A record without a user name counts no user.
func (w *window) count(s sample, n int64) {
	w.users.add(s.user, n)
	w.byGroup.add(s.group, s.user, n)
	if s.failed {
		w.failed.add(s.user, n)
		w.failedByGroup.add(s.group, s.user, n)
		w.clients.add(s.client, n)
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

func (s *sample) key() []byte {
	k := binary.BigEndian.AppendUint64(make([]byte, 0, sampleKeySize), uint64(s.at))
	k = append(k, s.id[:]...)
	if s.later {
		k = append(k, 1)
	}
	return k
}

func (s *sample) row() []byte {
	r := make(store.Row, 0, 64)
	r.Blocks(s.user.Block(), s.client.Block())
	r.String(s.group)
	r.Bool(s.failed)
	return r
}

func (u *userWindows) load(key, value []byte) error {
	if len(key) != sampleKeySize && len(key) != sampleKeySize-1 {
		return errKey
	}
	s := sample{at: int64(binary.BigEndian.Uint64(key)), id: record.Identity(key[8:24]), later: len(key) == sampleKeySize}
	r := store.ReadRow(value)
	persons := r.Blocks()
	if len(persons) != 2 {
		return errBlocks
	}
	s.user, s.client = record.PersonIn(persons[0]), record.PersonIn(persons[1])
	s.group, s.failed = r.String(), r.Bool()
	u.insert(s)
	return r.Err()
}

func (u *userWindows) save(changes *store.Changes) {
	changes.Grow(len(u.added) + len(u.removed))
	for _, s := range u.added {
		changes.Put(userWindowsTable, s.key(), s.row())
	}
	for _, s := range u.removed {
		changes.Delete(userWindowsTable, s.key())
	}
	u.added, u.removed = u.added[:0], u.removed[:0]
}
