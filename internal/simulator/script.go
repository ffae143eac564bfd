package simulator

import (
	"math/rand/v2"
	"time"
)

// incident is a part of the script's cycle, with a quiet recovery after it.
type incident struct {
	from, to float64 // shares of the cycle
	// extraPerMinute, at most maxExtra, is how many more logins the incident brings;
	// attract makes them part of it.
	extraPerMinute float64
	attract        func(w *world, random *rand.Rand, l *login)
	// strike is what it does to the logins that come anyway.
	strike func(w *world, random *rand.Rand, l *login)
}

// script is the cycle of incidents, counted from the start of the simulator:
//
//  1. The first server of the first group is unreachable, and its users try again
//     and again. It begins soon, and lasts long enough for an alert's `for`.
//  2. A new agent version is rolled out to the servers of the last group. Most
//     logins there fail, with a code never seen before. It is rolled back.
//  3. A password spray: one address tries many users; and one user's device
//     repeats a saved wrong password.
var script = []incident{
	{from: 0.05, to: 0.35, extraPerMinute: 30, attract: toLostServer, strike: loseServer},
	{from: 0.60, to: 0.75, extraPerMinute: 12, attract: toNewAgent, strike: rollOut},
	{from: 0.80, to: 0.95, extraPerMinute: 40, attract: spray, strike: leaveAlone},
}

// maxExtra is the most that an incident brings, a minute.
const maxExtra = 40

// sprayAddress is the attacker's.
const sprayAddress = "198.51.100.66"

// mostExtra is the most that any incident may bring, a minute.
func (w *world) mostExtra() float64 {
	if w.options.Script <= 0 {
		return 0
	}
	return maxExtra
}

// incidentAt is what happens at t; nil if nothing does.
func (w *world) incidentAt(t time.Time) *incident {
	since := t.Sub(w.started)
	if w.options.Script <= 0 || since < 0 {
		return nil
	}
	at := float64(since%w.options.Script) / float64(w.options.Script)
	for i := range script {
		if at >= script[i].from && at < script[i].to {
			return &script[i]
		}
	}
	return nil
}

func leaveAlone(*world, *rand.Rand, *login) {}

func loseServer(w *world, _ *rand.Rand, l *login) {
	if l.server == w.groups[0].servers[0] {
		l.failure = &unreachable
	}
}

func toLostServer(w *world, random *rand.Rand, l *login) {
	l.user = w.keptOut(random, 0, l.pre)
	l.server = w.groups[0].servers[0]
	l.agent = w.servers[l.server].agent
	l.failure = &unreachable
}

func rollOut(w *world, random *rand.Rand, l *login) {
	if w.users[l.user].group != len(w.groups)-1 {
		return
	}
	l.agent = newAgent
	if random.Float64() < 0.7 {
		l.failure = &badAgent
	}
}

func toNewAgent(w *world, random *rand.Rand, l *login) {
	last := len(w.groups) - 1
	l.user = w.keptOut(random, last, l.pre)
	servers := w.groups[last].servers
	l.server = servers[random.IntN(len(servers))]
	rollOut(w, random, l)
}

func spray(w *world, random *rand.Rand, l *login) {
	l.failure = &wrongPassword
	if random.Float64() < 0.3 {
		l.user = 0 // from the user's own device
		return
	}
	l.user, l.address = int32(random.IntN(len(w.users))), sprayAddress
}

// So many people are kept out of a group at once. Each tries again and again and then gives
// up; another begins so long after the one before. Were they more, it would look like a
// password spray, in which each user fails once.
const (
	keptOutAtOnce = 8
	nextKeptOut   = 30 * time.Second
)

// keptOut chooses one of the users of a group who try again and again at t, or anybody if the
// group has no users.
func (w *world) keptOut(random *rand.Rand, group int, t time.Time) int32 {
	users := w.groups[group].users
	if len(users) == 0 {
		return int32(random.IntN(len(w.users)))
	}
	first := int(t.Sub(w.started) / nextKeptOut)
	return users[(first+random.IntN(keptOutAtOnce))%len(users)]
}
