package main

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
)

// What follows makes up a tenant and its logins: people with habits who come on weekdays,
// mistype passwords, try again, and meet incidents. The same seed makes the same tenant,
// and all that happens before an incident is the same with and without it.

const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
	// epoch is a Monday, 0:00 UTC. All times of the simulation are seconds since then.
	epoch = 1785715200
)

// size is how large a tenant is.
type size struct {
	name                            string
	users, servers, groups, offices int
}

var (
	small  = size{"small", 40, 8, 2, 1}
	medium = size{"medium", 500, 40, 8, 3}
	large  = size{"large", 8000, 600, 40, 12}
)

// Failure codes of ordinary days: of users who mistype, and of everything else.
const (
	wrongPassword = "AUTH.0001"
	accountLocked = "AUTH.0005"
	rareCode      = "SYS.1009"
)

type person struct {
	group         int
	address       int
	habit         float64 // seconds after midnight at which they come
	clumsiness    float64
	hired         float64 // 0 to 1: the later ones come in the course of the weeks
	shift         bool
	client        string
	clientVersion string
	newer         bool // gets new client versions first
}

type tenant struct {
	size
	seed      uint64
	people    []person
	groupName []string
	serversOf [][]int
	holidays  map[int]float64 // attendance, by day
	incidents []*incident
	logins    []login
}

// login is one attempt.
type login struct {
	at, shown int64 // its own time, and when the API shows it
	person    int
	server    int
	address   int
	code      string // empty: it succeeds
	took      float64
	agent     string
	version   string // of the client
}

// random is a source of chance of its own for each purpose.
func random(seed uint64, purpose string, parts ...int) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, seed, purpose, parts)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

func newTenant(s size, seed uint64, incidents ...*incident) *tenant {
	t := &tenant{size: s, seed: seed, incidents: incidents, holidays: map[int]float64{}}
	r := random(seed, "tenant")
	weights, sum := make([]float64, s.groups), 0.0
	for g := range weights {
		weights[g] = 1 / math.Pow(float64(g+1), 0.7)
		sum += weights[g]
		t.groupName = append(t.groupName, fmt.Sprintf("Group %02d", g+1))
	}
	byWeight := func() (g int) {
		for x := r.Float64() * sum; g < s.groups-1 && x > weights[g]; g++ {
			x -= weights[g]
		}
		return g
	}
	t.serversOf = make([][]int, s.groups)
	for server := range s.servers { // one for each group, the others by weight
		g := server
		if g >= s.groups {
			g = byWeight()
		}
		t.serversOf[g] = append(t.serversOf[g], server)
	}
	for i := range s.users {
		p := person{group: byWeight(), hired: r.Float64(), clumsiness: math.Exp(0.6*r.NormFloat64() - 0.18), newer: r.Float64() < 0.15}
		p.shift = p.group%5 == 4
		p.habit = 8*hour + 40*minute + 35*minute*r.NormFloat64()
		if p.shift {
			p.habit = []float64{6*hour + 20*minute, 13*hour + 40*minute, 21*hour + 30*minute}[min(2, int(r.Float64()*2.3))] + 8*minute*r.NormFloat64()
		}
		p.address = min(int(math.Pow(float64(s.offices)+1, r.Float64()))-1, s.offices-1) // the first office is the largest
		if r.Float64() < 0.25 {
			p.address = 1000 + i // at home
		}
		p.client, p.clientVersion = []string{"windows", "windows", "windows", "windows", "macos", "thin-client"}[r.IntN(6)], []string{"23.1", "23.2", "23.2", "23.2"}[r.IntN(4)]
		t.people = append(t.people, p)
	}
	return t
}

// live makes all logins of so many days.
func (t *tenant) live(days int) {
	for d := range days {
		for i := range t.people {
			t.liveDay(i, d)
		}
	}
	for _, c := range t.incidents {
		c.attack(t)
	}
	slices.SortStableFunc(t.logins, func(a, b login) int { return cmp.Compare(a.shown, b.shown) })
}

func (t *tenant) liveDay(who, d int) {
	p, r := &t.people[who], random(t.seed, "day", who, d)
	midnight := float64(d * day)
	switch {
	case t.comes(p, d, r):
		start := p.habit + 12*minute*r.NormFloat64()
		if d%7 == 0 && !p.shift { // on Mondays all come at once
			const peak = 8*hour + 35*minute
			start = peak + 0.6*(start-peak)
		}
		t.visit(midnight+start, who, r)
		if !p.shift && r.Float64() < 0.4 {
			t.visit(midnight+13*hour+10*minute+20*minute*r.NormFloat64(), who, r)
		}
		for r.Float64() < 0.3 {
			t.visit(midnight+start+30*minute+r.Float64()*8*hour, who, r)
		}
	case r.Float64() < 0.02:
		t.visit(midnight+r.Float64()*day, who, r)
	}
	if r.Float64() < 0.002/7 { // a device with an old password: one person of 500 a week
		n, gap := int(30*math.Exp(r.Float64()*math.Log(200.0/30))), []float64{5, 10, 20, 30, 60}[r.IntN(5)]
		for at := midnight + 7*hour + r.Float64()*12*hour; n > 0; n-- {
			t.add(at, who, t.anyServer(p, r), wrongPassword, 0, r)
			at += gap * (0.9 + 0.2*r.Float64())
		}
	}
}

func (t *tenant) comes(p *person, d int, r *rand.Rand) bool {
	if p.hired > 0.92+0.01*float64(d)/7 { // one per cent more people a week
		return false
	}
	share := []float64{0.90, 0.86, 0.86, 0.85, 0.76, 0.04, 0.03}[d%7]
	if holiday, ok := t.holidays[d]; ok {
		share = holiday
	}
	if p.shift {
		share = max(share, 0.35)
	}
	return r.Float64() < share
}

func (t *tenant) anyServer(p *person, r *rand.Rand) int {
	return t.serversOf[p.group][r.IntN(len(t.serversOf[p.group]))]
}

// visit is somebody who wants to log in, and tries until it works or they give up.
func (t *tenant) visit(at float64, who int, r *rand.Rand) {
	p := &t.people[who]
	slips := 0.017 * p.clumsiness
	if int(at)/day%7 == 0 {
		slips *= 1.5
	}
	if r.Float64() < slips {
		for n := 1; ; n++ {
			t.try(at, who, wrongPassword, r)
			at += 12 + 33*r.Float64()
			if n == 5 {
				t.try(at, who, accountLocked, r)
				at += (15 + 30*r.Float64()) * minute
				break
			}
			if r.Float64() > 0.45 {
				break
			}
		}
	}
	if r.Float64() < 0.0025 {
		x, code := r.Float64(), "SYS.1001"
		switch {
		case x > 0.995:
			code = rareCode
		case x > 0.9:
			code = "SYS.1003"
		case x > 0.6:
			code = "SYS.1002"
		}
		t.try(at, who, code, r)
		at += 20 + 20*r.Float64()
	}
	t.try(at, who, "", r)
}

// try is an attempt that would end as the code says, if no incident has its way.
func (t *tenant) try(at float64, who int, code string, r *rand.Rand) {
	p := &t.people[who]
	server, took := t.anyServer(p, r), 8*math.Exp(0.316*r.NormFloat64())
	c := t.during(at)
	if c == nil {
		t.add(at, who, server, code, took, r)
		return
	}
	own := random(t.seed, "incident", who, int(at*10), c.seed) // leaves the everyday as it is
	switch {
	case c.blocks(t, p, own):
		t.add(-1, who, server, code, took, r) // chance goes on as without the incident
	case code != "":
		t.add(at, who, server, code, took, r)
	default:
		t.add(-1, who, server, code, took, r)
		t.insist(c, at, who, server, took, own)
	}
}

// insist is what people do in an incident: they try three times, then again after a
// while, up to five times over.
func (t *tenant) insist(c *incident, at float64, who, server int, took float64, r *rand.Rand) {
	p := &t.people[who]
	for k := range 15 {
		if c != t.during(at) {
			t.add(at, who, t.anyServer(p, r), "", took, r)
			return
		}
		code, server, slower := c.meet(t, p, server, at, k, r)
		t.add(at, who, server, code, took*slower, r)
		if code == "" || c.kind == givingUp {
			return
		}
		if k%3 < 2 {
			at += 20 + 60*r.Float64()
			continue
		}
		at += (8 + 10*r.Float64()) * minute
		if r.Float64() < 0.3 {
			return // calls the help desk, or goes home
		}
	}
}

// add is an attempt for the API to show; a time below 0 uses up chance, and nothing else.
func (t *tenant) add(at float64, who, server int, code string, took float64, r *rand.Rand) {
	delay := 5 + 20*r.ExpFloat64()
	if r.Float64() < 0.01 {
		delay = 300 * r.Float64()
	}
	if at < 0 {
		return
	}
	p := &t.people[who]
	settled := 2.0
	if code == "" {
		settled = took
	}
	l := login{at: int64(at), shown: int64(at+settled+delay) + 1, person: who, server: server, address: p.address, code: code, took: took, agent: "1.8.0", version: p.clientVersion}
	if c := t.during(at); c != nil {
		c.versions(p, server, &l)
	}
	t.logins = append(t.logins, l)
}

func (t *tenant) during(at float64) *incident {
	for _, c := range t.incidents {
		if at >= float64(c.from) && at < float64(c.to) {
			return c
		}
	}
	return nil
}
