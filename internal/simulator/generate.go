package simulator

import (
	"hash/fnv"
	"iter"
	"math"
	"math/rand/v2"
	"time"
)

// Bounds of what is generated, so that a window needs to look at no more than the
// logins that began so long before it.
const (
	maxLogin   = 3 * time.Minute
	maxSession = 10 * time.Hour
	// maxTurn is how long after its start a login may still turn into a failure.
	maxTurn = time.Minute
)

// login is one generated attempt, with all that will ever happen to it. What the
// API shows of it depends on the time: see moments and world.show.
type login struct {
	id           int64
	user, server int32
	agent        string
	address      string // another than the user's own, if not empty
	failure      *failure

	// The connection is asked for at pre and the record appears at appears. The
	// attempt is settled, one way or the other, at settled.
	pre, appears, settled time.Time
	// ended is when the session ends: with a failure if there is one, which may
	// thus come later than the success. Zero if there is no session.
	ended time.Time
}

// failed reports whether the record says, at now, that the attempt has failed.
func (l *login) failed(now time.Time) bool {
	if l.failure == nil {
		return false
	}
	if l.ended.IsZero() {
		return !now.Before(l.settled)
	}
	return !now.Before(l.ended)
}

// moments are the times that the record shows at now. A failure without a
// session has no start time.
func (l *login) moments(now time.Time) moments {
	m := moments{pre: l.pre, update: l.pre}
	if now.Before(l.settled) {
		return m
	}
	m.update = l.settled
	if l.ended.IsZero() {
		return m
	}
	m.start = l.settled
	if !now.Before(l.ended) {
		m.end, m.update = l.ended, l.ended
	}
	return m
}

// bucketKey names a minute of a project: all that is generated is a function of
// it and the seed.
type bucketKey struct {
	project string
	minute  int64
}

// maxBuckets bounds the memory that generated logins may take: a month of minutes.
const maxBuckets = 45_000

// attempts yields the logins whose connection was asked for between the minutes of
// from and to. The caller holds s.mu.
func (s *Simulator) attempts(project string, from, to time.Time) iter.Seq[*login] {
	first := s.started.Add(-s.options.History)
	if from.Before(first) {
		from = first
	}
	return func(yield func(*login) bool) {
		for minute := from.Unix() / 60; minute <= to.Unix()/60; minute++ {
			bucket := s.bucket(bucketKey{project, minute})
			for i := range bucket {
				if !bucket[i].pre.Before(first) && !yield(&bucket[i]) {
					return
				}
			}
		}
	}
}

func (s *Simulator) bucket(key bucketKey) []login {
	if s.options.LoginsPerHour <= 0 {
		return nil
	}
	bucket, ok := s.generated[key]
	if !ok {
		if len(s.generated) >= maxBuckets {
			clear(s.generated)
		}
		bucket = s.world.generate(key)
		s.generated[key] = bucket
	}
	return bucket
}

// generate makes the logins of a minute: the everyday ones, then those that an
// incident adds.
func (w *world) generate(key bucketKey) []login {
	random := rand.New(rand.NewPCG(w.options.Seed^hash(key.project), uint64(key.minute)))
	from := time.Unix(key.minute*60, 0).UTC()
	var logins []login
	for t := range arrivals(random, from, w.everyday(from)) {
		l := w.newLogin(random, t)
		if i := w.incidentAt(t); i != nil {
			i.strike(w, random, &l)
		}
		w.settle(random, &l)
		logins = append(logins, l)
	}
	for t := range arrivals(random, from, w.mostExtra()) {
		if i := w.incidentAt(t); i != nil && random.Float64() < i.extraPerMinute/maxExtra {
			l := w.newLogin(random, t)
			i.attract(w, random, &l)
			w.settle(random, &l)
			logins = append(logins, l)
		}
	}
	for i := range logins {
		logins[i].id = key.minute*1_000_000 + int64(i)
	}
	return logins
}

// everyday is how many logins a minute brings in the mean, without incidents.
func (w *world) everyday(minute time.Time) float64 {
	perHour, allDay := w.options.LoginsPerHour, w.options.AllDay
	if w.options.PastLoginsPerHour > 0 && minute.Before(w.started.Add(-time.Hour)) {
		perHour, allDay = w.options.PastLoginsPerHour, false
	}
	if allDay {
		return perHour / 60
	}
	return perHour / 60 * officeHours(minute)
}

// arrivals yields the times of a Poisson process in the minute that begins at from.
func arrivals(random *rand.Rand, from time.Time, perMinute float64) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		if perMinute <= 0 {
			return
		}
		for at := random.ExpFloat64() / perMinute; at < 1; at += random.ExpFloat64() / perMinute {
			if !yield(from.Add(time.Duration(at * float64(time.Minute))).Truncate(time.Millisecond)) {
				return
			}
		}
	}
}

// newLogin chooses who logs in where, and whether it will fail.
func (w *world) newLogin(random *rand.Rand, pre time.Time) login {
	l := login{pre: pre, user: skewed(random, len(w.users))}
	group := w.users[l.user].group
	servers := w.groups[group].servers
	l.server = servers[random.IntN(len(servers))]
	l.agent = w.servers[l.server].agent
	share := 0.027
	if w.users[l.user].version == flakyVersion {
		share = 0.06
	}
	if random.Float64() < share {
		l.failure = pickFailure(random)
	}
	return l
}

// settle decides when all that happens to the login happens.
func (w *world) settle(random *rand.Rand, l *login) {
	seconds := min(6*math.Exp(0.6*random.NormFloat64()), maxLogin.Seconds())
	l.settled = l.pre.Add(time.Duration(seconds * float64(time.Second)))
	l.appears = l.pre.Add(time.Duration(random.Float64() * float64(2*time.Second)))
	if late := w.options.LateBy; random.Float64() < 0.02 && late > 0 {
		l.appears = l.pre.Add(time.Duration(random.Float64() * float64(late)))
	}
	minutes := min(w.options.ConnectedFor.Minutes()*math.Exp(random.NormFloat64()), maxSession.Minutes())
	turns, turnsAfter := random.Float64() < w.options.Reclassified, 5+random.Float64()*55
	switch {
	case l.failure != nil && l.failure.started:
		l.ended = l.settled
	case l.failure != nil:
	case turns:
		l.ended = l.settled.Add(time.Duration(turnsAfter * float64(time.Second)))
		l.failure = &brokenSession
	default:
		l.ended = l.settled.Add(time.Duration(minutes * float64(time.Minute)))
	}
}

// skewed chooses among n, the first ones far more often than the last ones.
func skewed(random *rand.Rand, n int) int32 {
	// (n+1)^u - 1, where u is uniform, has a density of 1/(x+1): Zipf's law.
	return int32(min(math.Pow(float64(n)+1, random.Float64())-1, float64(n-1)))
}

// busiestHour is how busy the busiest hour is, by officeHours.
const busiestHour = 5

// officeHours is how busy a minute is against the mean of a working day: two
// peaks, quiet nights and weekends. The hours are UTC.
func officeHours(t time.Time) float64 {
	hour := float64(t.Hour()) + float64(t.Minute())/60
	peak := func(at, width float64) float64 { return math.Exp(-(hour - at) * (hour - at) / (width * width) / 2) }
	busy := 0.08 + 5.2*peak(9, 1) + 2.4*peak(13.5, 1.2) + 0.6*peak(17, 2)
	const mean = 1.0492 // of busy over a working day
	if day := t.Weekday(); day == time.Saturday || day == time.Sunday {
		busy *= 0.15
	}
	return busy / mean
}

func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}
