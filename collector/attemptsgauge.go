package collector

import "slices"

// attemptsGauge is a gauge by the labels of attempts: 0 where there were attempts and nothing
// else is known. It changes where something has changed. Only while there is no room for all
// series, it is counted anew each time: there may be room now.
type attemptsGauge struct {
	family, attempts *family
	variants         [][]pair // the labels that it has beside those of the attempts
	known            int      // of how many series of attempts it has its own
	full             bool     // something had no room, and is in the series for the rest
}

// show brings the gauge up to date: changes adds what has changed since it was last called,
// and all adds everything.
func (g *attemptsGauge) show(changes, all func(adder)) {
	if !g.full {
		add := g.checked(g.family.add)
		g.start(add)
		changes(add)
	}
	if !g.full {
		return
	}
	g.full, g.known = false, 0
	g.family.recount(func(add adder) {
		add = g.checked(add)
		g.start(add)
		all(add)
	})
}

// checked is add, but notes what has no room, and makes no change of nothing.
func (g *attemptsGauge) checked(add adder) adder {
	return func(n int64, labels ...pair) {
		admitted := g.family.admits(labels...)
		if !admitted {
			g.full = true
		}
		if n != 0 || !admitted {
			add(n, labels...)
		}
	}
}

// start makes the series of new label sets of attempts.
func (g *attemptsGauge) start(add adder) {
	for _, made := range g.attempts.made[g.known:] {
		if slices.Contains(made.values, other) {
			continue // it has room anyway, and must take none
		}
		for _, variant := range g.variants {
			add(0, append(g.attempts.pairs(made), variant...)...)
		}
	}
	g.known = len(g.attempts.made)
}
