package main

import (
	"fmt"
	"math/rand/v2"
)

// incident is something that goes wrong for a while.
type incident struct {
	kind     kind
	from, to int64
	group    int
	seed     int
	share    float64 // of the logins that are hit, or that never come
	server   int

	// The API is not there, which has begun earlier.
	apiFrom, apiTo int64
}

type kind string

const (
	providerDown  kind = "identity provider down"      // everybody fails
	groupDown     kind = "group down"                  // everybody of a group fails
	groupPartly   kind = "part of a group"             // share of the attempts of a group fail
	capacity      kind = "no server free in a group"   // likewise, with a code of its own
	knownCode     kind = "part of a group, known code" // with a code that is there on any day
	noOneComes    kind = "no one reaches the service"  // share of the attempts never arrive
	serverDead    kind = "one server fails"            //
	serverDrawing kind = "failing server draws logins" // the balancer likes the empty server
	agentRollOut  kind = "bad agent version"           // on more and more servers
	clientRollOut kind = "bad client version"          // of a share of the people
	slowLogins    kind = "logins are slow"
	slowGroup     kind = "logins of a group are slow"
	guessing      kind = "password guessing" // one attempt in 10 s on one user
	spray         kind = "password spray"    // one attempt each of 200 users
	newCode       kind = "a new code, rarely"
	nightOutage   kind = "identity provider down at night"
	apiDown       kind = "API away"
	apiThenOutage kind = "identity provider down while the API is away"
	givingUp      kind = "identity provider down, no one tries twice"
)

// blocks is whether an attempt never reaches the service.
func (c *incident) blocks(_ *tenant, _ *person, r *rand.Rand) bool {
	return c.kind == noOneComes && r.Float64() < c.share
}

// meet is what becomes of an attempt in the incident: code, server, and how much slower.
func (c *incident) meet(t *tenant, p *person, server int, at float64, k int, r *rand.Rand) (string, int, float64) {
	by := func(share float64, code string) (string, int, float64) {
		if r.Float64() < share {
			return code, server, 1
		}
		return "", server, 1
	}
	mine := p.group == c.group
	switch c.kind {
	case providerDown, apiThenOutage, nightOutage, givingUp:
		return by(1, "AUTH.0503")
	case groupDown:
		if mine {
			return by(1, "SYS.2002")
		}
	case groupPartly:
		if mine {
			return by(c.share, "SYS.1010")
		}
	case capacity:
		if mine {
			return by(c.share, "CAP.0001")
		}
	case knownCode:
		if mine {
			return by(c.share, "SYS.1001")
		}
	case serverDead, serverDrawing:
		if !mine {
			break
		}
		if c.kind == serverDrawing && r.Float64() < 0.6 {
			server = c.server
		}
		if server == c.server {
			return by(1, "SYS.2001")
		}
	case agentRollOut:
		if c.rolledOut(server, at) {
			return by(c.share, "AGENT.77")
		}
	case clientRollOut:
		if p.newer {
			return by(c.share, "CLIENT.42")
		}
	case slowLogins:
		return "", server, 5
	case slowGroup:
		if mine {
			return "", server, 5
		}
	case newCode:
		if k == 0 {
			return by(c.share, "NEW.01")
		}
	}
	return "", server, 1
}

// rolledOut: the bad agent is on a tenth of the servers in the first hour, on all after
// the third.
func (c *incident) rolledOut(server int, at float64) bool {
	hours := min(3, int(at-float64(c.from))/hour)
	return random(uint64(c.seed), "roll-out", server).Float64() < []float64{0.1, 0.3, 0.6, 1}[hours]
}

func (c *incident) versions(p *person, server int, l *login) {
	switch {
	case c.kind == agentRollOut && c.rolledOut(server, float64(l.at)):
		l.agent = "1.9.0"
	case c.kind == clientRollOut && p.newer:
		l.version = "23.3"
	}
}

// attack adds attempts that no person of the tenant makes.
func (c *incident) attack(t *tenant) {
	r := random(t.seed, "attack", c.seed)
	from, to := float64(c.from), float64(c.to)
	attempt := func(at float64, who int, code string, address int) {
		t.add(at, who, t.anyServer(&t.people[who], r), code, 0, r)
		if address > 0 {
			t.logins[len(t.logins)-1].address = address
		}
	}
	switch c.kind {
	case guessing:
		who := r.IntN(t.users)
		for at := from; at < to; at += 8 + 4*r.Float64() {
			attempt(at, who, wrongPassword, 900)
		}
	case spray:
		n := min(200, t.users)
		for i, who := range r.Perm(t.users)[:n] {
			address := 900
			if c.share > 0 { // from as many addresses
				address += i
			}
			attempt(from+(to-from)*(float64(i)+r.Float64())/float64(n), who, wrongPassword, address)
		}
	case nightOutage: // five people an hour beside those who would come anyway
		for at := from; at < to; at += r.ExpFloat64() * 12 * minute {
			who := r.IntN(t.users)
			for k, again := 0, at; k < 6 && again < to; k++ {
				attempt(again, who, "AUTH.0503", 0)
				again += 20 + 60*r.Float64()
				if k == 2 {
					again += 10 * minute
				}
			}
		}
	}
}

func (c *incident) String() string {
	return fmt.Sprintf("%s, day %d, %02d:%02d", c.kind, c.from/day, c.from%day/hour, c.from%hour/minute)
}
