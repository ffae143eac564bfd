package main

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
)

var (
	measured = flag.String("measure", "", "tenants to measure the rules on, such as small:7,medium:8")
	rulesOf  = flag.String("rules", "../../rules/workspace.rules.yml", "the rules to measure")
	only     = flag.String("only", "", "base or incidents")
	details  = flag.Bool("details", false, "print every alarm")
	timing   = flag.Bool("timing", false, "print what each rule takes")
	focus    = flag.String("kinds", "", "part of the kind of the incidents to play")
	times    = flag.Int("times", 3, "how often to play each kind of incident")
	days     = flag.Int("days", 28, "days without an incident to measure")
)

var sizes = map[string]size{"small": small, "medium": medium, "large": large}

func TestMeasure(t *testing.T) {
	if *measured == "" {
		t.Skip("-measure says what")
	}
	for one := range strings.SplitSeq(*measured, ",") {
		name, number, _ := strings.Cut(one, ":")
		var seed uint64
		fmt.Sscan(number, &seed)
		if *only != "incidents" {
			measureBase(t, sizes[name], seed)
		}
		if *only != "base" {
			measureIncidents(t, sizes[name], seed)
		}
	}
}

const weeks = 3 // of history before the rules are measured

func measureBase(t *testing.T, s size, seed uint64) {
	began := time.Now()
	tn := newTenant(s, seed)
	tn.holidays = map[int]float64{31: 0.07, 32: 0.45}
	tn.live(49)
	d := tn.expose(49)
	e := newEvaluator(t, d, loadRules(t, *rulesOf))
	made := time.Since(began)
	alarms := e.run(21*1440, int32(21+*days)*1440)
	type tally struct {
		n, holiday, minutes int
		days                map[int32]bool
		hours               map[int32]int
	}
	tallies := map[string]*tally{}
	for _, a := range alarms {
		k := a.rule.Alert + "/" + a.rule.Labels["severity"] + "/" + a.rule.Labels["of"] + a.rule.Labels["window"]
		if tallies[k] == nil {
			tallies[k] = &tally{days: map[int32]bool{}, hours: map[int32]int{}}
		}
		if d := a.from / 1440; tn.holidays[int(d)] != 0 {
			tallies[k].holiday++
		} else {
			tallies[k].n++
			tallies[k].hours[a.from%1440/60]++
			tallies[k].days[d] = true
			if a.to > 0 {
				tallies[k].minutes += int(a.to - a.from)
			}
		}
	}
	fmt.Printf("== %s seed %d: %d days, %d logins; made in %s, evaluated in %s\n", s.name, seed, *days, len(tn.logins), made.Round(time.Second), (time.Since(began) - made).Round(time.Second))
	keys := make([]string, 0)
	for k := range tallies {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		c := tallies[k]
		fmt.Printf("   %-60s %3d on %2d days, %5.1f h; holidays %d; hours %v\n", k, c.n, len(c.days), float64(c.minutes)/60, c.holiday, c.hours)
	}
	if *details {
		fmt.Print(print(alarms))
	}
	if *timing {
		e.printTiming()
	}
}

func (e *evaluator) printTiming() {
	type one struct {
		name string
		d    time.Duration
	}
	var all []one
	for n, d := range e.spent {
		all = append(all, one{n, d})
	}
	slices.SortFunc(all, func(a, b one) int { return int(b.d - a.d) })
	for _, o := range all[:12] {
		fmt.Printf("     %-70s %s\n", o.name, o.d.Round(time.Millisecond))
	}
}

// packs spread incidents of every kind over working weeks, two a day.
func packs(s size, seed uint64) (all [][]*incident) {
	r := random(seed, "packs")
	var todo []*incident
	for rep := range *times {
		for _, c := range []incident{
			{kind: providerDown}, {kind: givingUp}, {kind: groupDown}, {kind: groupPartly, share: 0.3}, {kind: capacity, share: 0.5}, {kind: knownCode, share: 0.4},
			{kind: noOneComes, share: 1}, {kind: noOneComes, share: 0.8}, {kind: serverDead}, {kind: serverDrawing},
			{kind: agentRollOut, share: 0.35}, {kind: clientRollOut, share: 0.9}, {kind: slowLogins}, {kind: slowGroup}, {kind: guessing},
			{kind: spray}, {kind: spray, share: 1}, {kind: newCode, share: 0.01}, {kind: nightOutage}, {kind: apiDown}, {kind: apiThenOutage},
		} {
			c.group = min(rep, s.groups-1)
			c.seed = len(todo)
			if !strings.Contains(string(c.kind), *focus) {
				continue
			}
			todo = append(todo, &c)
		}
	}
	r.Shuffle(len(todo), func(i, j int) { todo[i], todo[j] = todo[j], todo[i] })
	for len(todo) > 0 {
		var week []*incident
		for d := range 5 {
			for _, onset := range []int64{8*hour + 50*minute, 14*hour + 20*minute} {
				if len(todo) == 0 {
					continue
				}
				c := todo[0]
				todo = todo[1:]
				c.from = int64((7*weeks+d)*day) + onset + r.Int64N(80)*minute
				c.place(s, r)
				week = append(week, c)
			}
		}
		all = append(all, week)
	}
	return all
}

func (c *incident) place(s size, r *rand.Rand) {
	length := int64(hour)
	switch c.kind {
	case agentRollOut, clientRollOut, newCode:
		length = 3 * hour
	case spray:
		length = 10 * minute
	case nightOutage:
		length = 3 * hour
		c.from = c.from/day*day + hour + r.Int64N(120)*minute
	case apiDown:
		c.apiFrom, c.apiTo = c.from, c.from+2*hour
		length = 2 * hour
	case apiThenOutage:
		c.apiFrom, c.apiTo = c.from-90*minute, c.from+30*minute
	}
	c.to = c.from + length
}

func measureIncidents(t *testing.T, s size, seed uint64) {
	var lines []string
	for _, week := range packs(s, seed) {
		tn := newTenant(s, seed, week...)
		slices.SortFunc(week, func(a, b *incident) int { return cmp.Compare(a.from, b.from) })
		for _, c := range week {
			c.server = tn.serversOf[c.group][len(tn.serversOf[c.group])-1]
		}
		tn.live(7*weeks + 6)
		d := tn.expose(7*weeks + 6)
		e := newEvaluator(t, d, loadRules(t, *rulesOf))
		var alarms []*alarm
		for _, c := range week {
			alarms = e.run(int32(min(c.from, cmp.Or(c.apiFrom, c.from))/minute)-60, int32(c.to/minute)+90)
		}
		claimed := map[*alarm]bool{}
		for _, c := range week {
			lines = append(lines, c.summary(t, alarms, claimed))
		}
		for _, a := range alarms {
			if !claimed[a] && a.rule.Labels["severity"] != "info" {
				lines = append(lines, "zz outside of incidents: "+strings.TrimSpace(print([]*alarm{a})))
			}
		}
		if *timing {
			e.printTiming()
		}
	}
	sort.Strings(lines)
	lines = slices.Compact(lines)
	fmt.Printf("== %s seed %d: incidents\n%s\n", s.name, seed, strings.Join(lines, "\n"))
}

// summary is what an incident made: minutes to the first page and mail, how many of them
// Alertmanager sends, and how long after the end the last page is taken back.
func (c *incident) summary(t *testing.T, alarms []*alarm, claimed map[*alarm]bool) string {
	begin, end := int32(c.from/minute), int32(c.to/minute)
	if c.apiFrom > 0 {
		begin = int32(c.apiFrom / minute)
	}
	page, mail := int32(-1), int32(-1)
	var heard []string
	var mine []*alarm
	for _, a := range alarms {
		if a.from < begin || a.from > end+90 {
			continue
		}
		claimed[a] = true
		mine = append(mine, a)
		after := a.from - int32(c.from/minute)
		switch a.rule.Labels["severity"] {
		case "critical":
			if page < 0 || after < page {
				page = after
			}
		case "warning":
			if mail < 0 || after < mail {
				mail = after
			}
		}
		h := fmt.Sprintf("%+d %s..%d", after, strings.NewReplacer("WorkspaceLogin", "", "Workspace", "", "critical", "C", "warning", "w", "info", "i").Replace(a.String()), a.to-end)
		heard = append(heard, h)
	}
	heard = slices.DeleteFunc(heard, func(h string) bool { return strings.Contains(h, "/i") })
	n := len(heard)
	if n > 9 {
		heard = append(heard[:9], fmt.Sprint("… ", n))
	}
	sent, over := deliver(t, mine), "-"
	for _, n := range sent {
		if n.receiver == "pager" {
			if over = fmt.Sprint(n.minute - end); len(n.firing) > 0 {
				over = "never"
			}
		}
	}
	text := fmt.Sprintf("%-44s %3.0f%% g%d %02d:%02d page %3d mail %3d over %5s pages %d mails %d | %s", c.kind, c.share*100, c.group+1, c.from%day/hour, c.from%hour/minute, page, mail, over, sent.count("pager"), sent.count("mail"), strings.Join(heard, "; "))
	if *details && (sent.count("pager") > 1 || sent.count("mail") > 2) {
		text += "\n" + sent.String()
	}
	return text
}
