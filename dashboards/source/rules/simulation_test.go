package main

import (
	"cmp"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// expected is an incident, and within how many minutes a page or a mail must report it.
type expected struct {
	incident   incident
	day, onset int64
	page, mail int32 // 0: none is asked for
	over       int32 // within how many minutes after its end the page is taken back; 0 is 10
}

// weeks of five incidents, one on each working day after three weeks of peace. What is
// asked for is what docs/alerts.md promises.
var cases = map[string][]expected{
	"small": {
		{incident{kind: nightOutage}, 0, 2 * hour, 30, 0, 50}, // until a login comes
		{incident{kind: guessing}, 1, 10 * hour, 0, 15, 0},
		{incident{kind: groupDown}, 2, 8*hour + 30*minute, 30, 30, 20},
		{incident{kind: spray}, 3, 14 * hour, 0, 20, 0},
		{incident{kind: providerDown}, 4, 8*hour + 40*minute, 30, 0, 20},
	},
	"medium": {
		{incident{kind: providerDown}, 0, 9*hour + 10*minute, 10, 0, 0},
		{incident{kind: noOneComes, share: 1}, 1, 8*hour + 50*minute, 20, 0, 0},
		{incident{kind: clientRollOut, share: 0.9}, 2, 9 * hour, 0, 30, 0},
		{incident{kind: givingUp}, 2, 15 * hour, 25, 0, 20},
		{incident{kind: givingUp}, 3, 9 * hour, 30, 0, 0},
		{incident{kind: spray, share: 1}, 3, 14 * hour, 0, 20, 0},
		{incident{kind: nightOutage}, 4, 1 * hour, 60, 0, 50},
		{incident{kind: noOneComes, share: 0.8}, 4, 9 * hour, 35, 0, 20},
	},
	"large": {
		{incident{kind: providerDown}, 0, 15 * hour, 10, 0, 0},
		{incident{kind: noOneComes, share: 0.8}, 1, 14*hour + 30*minute, 25, 0, 0},
		{incident{kind: agentRollOut, share: 0.35}, 2, 10 * hour, 0, 30, 15},
		{incident{kind: groupDown, group: 2}, 3, 9 * hour, 10, 0, 20}, // a device fails on and on
		{incident{kind: capacity, share: 0.5}, 4, 10*hour + 30*minute, 0, 30, 15},
	},
}

// played is a week in which the cases of a tenant happened, and what fired.
type played struct {
	cases  []*expected
	alarms []*alarm
}

var (
	withLarge = flag.Bool("large", false, "simulate a large tenant, too")

	plays  = map[string]played{}
	playMu sync.Mutex
)

// play makes the week once for all tests. Of a large tenant only the hours of the
// incidents are looked at: a week takes minutes.
func play(t *testing.T, s size) played {
	t.Helper()
	playMu.Lock()
	defer playMu.Unlock()
	if p, done := plays[s.name]; done {
		return p
	}
	var p played
	var incidents []*incident
	for i := range cases[s.name] {
		c := &cases[s.name][i]
		c.incident.seed = i
		c.incident.from = (7*weeks+c.day)*day + c.onset
		c.incident.to = c.incident.from + c.incident.kind.lasts()
		p.cases, incidents = append(p.cases, c), append(incidents, &c.incident)
	}
	tenant := newTenant(s, 5, incidents...)
	for _, c := range incidents {
		c.server = tenant.serversOf[c.group][0]
	}
	tenant.live(7*weeks + 5)
	e := newEvaluator(t, tenant.expose(7*weeks+5), loadRules(t, *rulesOf))
	if s.name == large.name {
		for _, c := range incidents {
			p.alarms = e.run(int32(c.from/minute)-60, int32(c.to/minute)+60)
		}
	} else {
		p.alarms = e.run(7*weeks*1440, (7*weeks+5)*1440)
	}
	plays[s.name] = p
	return p
}

func (k kind) lasts() int64 {
	switch k {
	case agentRollOut, clientRollOut, nightOutage:
		return 2 * hour
	case spray:
		return 10 * minute
	}
	return hour
}

// of are the alarms of an incident.
func (p played) of(c *expected) (all []*alarm) {
	for _, a := range p.alarms {
		if a.from >= int32(c.incident.from/minute) && a.from <= int32(c.incident.to/minute)+60 {
			all = append(all, a)
		}
	}
	return all
}

func first(alarms []*alarm, severity string) int32 {
	at := int32(-1)
	for _, a := range alarms {
		if a.rule.Labels["severity"] == severity && (at < 0 || a.from < at) {
			at = a.from
		}
	}
	return at
}

// TestIncidentsAreReported fails if a rule that is changed finds an incident too late, or
// makes an alarm while nothing happens.
func TestIncidentsAreReported(t *testing.T) {
	for _, s := range []size{small, medium, large} {
		t.Run(s.name, func(t *testing.T) {
			if s.name == large.name && !*withLarge {
				t.Skip("it takes two minutes: -large")
			}
			p := play(t, s)
			claimed := map[*alarm]bool{}
			for _, c := range p.cases {
				alarms := p.of(c)
				for _, a := range alarms {
					claimed[a] = true
				}
				begin, end := int32(c.incident.from/minute), int32(c.incident.to/minute)
				page, mail := first(alarms, "critical"), first(alarms, "warning")
				t.Logf("%s: page after %d, mail after %d minutes\n%s", &c.incident, page-begin, mail-begin, print(alarms))
				switch {
				case c.page > 0 && assert.Positive(t, page, "%s: no page", &c.incident):
					assert.LessOrEqual(t, page-begin, c.page, "%s: the page comes late", &c.incident)
				case c.mail > 0 && assert.Positive(t, max(page, mail), "%s: nothing", &c.incident):
					assert.LessOrEqual(t, min(cmp.Or(max(mail, 0), page), cmp.Or(max(page, 0), mail))-begin, c.mail, "%s: reported late", &c.incident)
				}
				for _, a := range alarms {
					if a.rule.Labels["severity"] == "critical" {
						assert.True(t, a.to > 0 && a.to <= end+cmp.Or(c.over, 10), "%s: %s does not end", &c.incident, a)
					}
				}
			}
			peace := slices.DeleteFunc(slices.Clone(p.alarms), func(a *alarm) bool {
				return claimed[a] || a.rule.Labels["severity"] == "info" || a.rule.Alert == "WorkspaceLoginPasswordGuessing" // devices with an old password
			})
			pages := slices.DeleteFunc(slices.Clone(peace), func(a *alarm) bool { return a.rule.Labels["severity"] != "critical" })
			assert.Empty(t, print(pages), "pages while nothing happened")
			assert.LessOrEqual(t, len(peace), 1, "mails while nothing happened:\n%s", print(peace))
		})
	}
}

// TestTenantsAreRepeatable: what happens before an incident is the same without it.
func TestTenantsAreRepeatable(t *testing.T) {
	c := &incident{kind: providerDown, from: 2 * day, to: 2*day + hour}
	with, without := newTenant(small, 3, c), newTenant(small, 3)
	with.live(3)
	without.live(3)
	before := func(all []login) (kept []string) {
		for _, l := range all {
			if l.at < c.from {
				kept = append(kept, fmt.Sprint(l))
			}
		}
		slices.Sort(kept)
		return kept
	}
	require.NotEmpty(t, before(with.logins))
	assert.Equal(t, before(without.logins), before(with.logins))
}
