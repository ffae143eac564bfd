package collector

import "github.com/workspace-exporter/workspace_exporter/internal/record"

// people are distinct persons, and what each window holds of them. It finds a person once,
// however many windows a sample of it passes through.
type people struct {
	persons map[record.Person]*person
	windows []headcount
}

// person is a user, or a client address, with how many samples of it there are.
type person struct {
	record.Person
	samples int // in a window or not
	windows []personCount
	usual   [usualWindows]personCount // what windows is of, where there are not more
}

// usualWindows is how many windows there are unless the configuration has others.
const usualWindows = 2

// personCount is how many samples of a person a window holds, and how many of them failed.
type personCount struct{ samples, failures int64 }

// headcount is how many persons a window holds, and with how many failures.
type headcount struct {
	persons, failed int64
	with            map[int64]int // how many persons have so many failures
	mostFailures    int64         // of one person
}

func newPeople(windows int) people {
	p := people{persons: map[record.Person]*person{}, windows: make([]headcount, windows)}
	for i := range p.windows {
		p.windows[i].with = map[int64]int{}
	}
	return p
}

// name is the person's pseudonym; none of a nil person.
func (p *person) name() record.Person {
	if p == nil {
		return 0
	}
	return p.Person
}

// meet is the person of a new sample; nil if it has none.
func (p *people) meet(name record.Person) *person {
	if name == 0 {
		return nil
	}
	who := p.persons[name]
	if who == nil {
		who = &person{Person: name}
		if who.windows = who.usual[:]; len(p.windows) > usualWindows {
			who.windows = make([]personCount, len(p.windows))
		}
		p.persons[name] = who
	}
	who.samples++
	return who
}

// part ends a sample, which is in no window any more.
func (p *people) part(who *person) {
	if who == nil {
		return
	}
	if who.samples--; who.samples == 0 {
		delete(p.persons, who.Person)
	}
}

// count adds a sample of a person to a window, or takes it away. A nil person counts nothing.
func (p *people) count(window int, who *person, failed bool, n int64) {
	if who == nil {
		return
	}
	in, head := &who.windows[window], &p.windows[window]
	before := *in
	in.samples += n
	head.persons += appeared(before.samples, in.samples)
	if failed {
		in.failures += n
		head.failed += appeared(before.failures, in.failures)
		head.rank(before.failures, in.failures)
	}
}

// appeared is 1 if a number was 0 and is not, and -1 if it is 0 and was not.
func appeared(before, now int64) int64 {
	switch {
	case before == 0 && now != 0:
		return 1
	case before != 0 && now == 0:
		return -1
	}
	return 0
}

// rank notes that a person has more failures than before, or fewer.
func (h *headcount) rank(before, now int64) {
	if before > 0 {
		if h.with[before]--; h.with[before] == 0 {
			delete(h.with, before)
		}
	}
	if now > 0 {
		h.with[now]++
	}
	h.mostFailures = max(h.mostFailures, now)
	for h.mostFailures > 0 && h.with[h.mostFailures] == 0 {
		h.mostFailures--
	}
}
