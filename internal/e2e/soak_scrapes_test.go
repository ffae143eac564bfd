package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
)

// What the scrapes of a soak have seen, of one exporter or of several replicas.

// soakScrapes are all scrapes of a run.
type soakScrapes struct {
	mu      sync.Mutex
	highest series             // of what never falls
	shown   map[string][]shown // by project
}

// shown is a project in a scrape.
type shown struct {
	by   string // replica, process and lease
	at   string // replica
	from time.Time
	to   time.Time
}

func newSoakScrapes() soakScrapes { return soakScrapes{highest: series{}, shown: map[string][]shown{}} }

// before is what never falls, as of now.
func (s *soakScrapes) before() series {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.highest)
}

// add takes in what a replica has shown in a scrape that began and ended then.
func (s *soakScrapes) add(replica string, now series, from, to time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, value := range now.cumulative() {
		s.highest[key] = max(s.highest[key], value)
	}
	lease := fmt.Sprint(replica, now["process_start_time_seconds{}"], now["workspace_exporter_leases_taken_total{}"])
	for project := range now.projects() {
		s.shown[project] = append(s.shown[project], shown{lease, replica, from, to})
	}
}

// twice lists the projects that two replicas have shown at a time. What a replica shows in two
// scrapes, while it takes no lease between them, it holds from the one to the other.
func (s *soakScrapes) twice() (problems []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for project, all := range s.shown {
		held := map[string]shown{}
		for _, one := range all {
			whole, known := held[one.by]
			if !known || one.to.Before(whole.from) {
				whole.from = one.to
			}
			if one.from.After(whole.to) {
				whole.to = one.from
			}
			whole.at = one.at
			held[one.by] = whole
		}
		for _, whole := range held {
			for _, other := range all {
				if other.at != whole.at && other.from.After(whole.from) && other.to.Before(whole.to) {
					problems = append(problems, fmt.Sprintf("%s is held by %s from %s to %s, and shown by %s at %s", project, whole.at,
						whole.from.Format(time.TimeOnly), whole.to.Format(time.TimeOnly), other.at, other.from.Format(time.TimeOnly)))
				}
			}
		}
	}
	slices.Sort(problems)
	return slices.Compact(problems)
}

var ofProject = regexp.MustCompile(`project="([^"]*)"`)

// projects are those of which there are record metrics.
func (s series) projects() map[string]bool {
	all := map[string]bool{}
	for key := range s {
		if name := nameOf(key); strings.HasPrefix(name, "workspace_") && !strings.HasPrefix(name, "workspace_exporter_") {
			all[ofProject.FindStringSubmatch(key)[1]] = true
		}
	}
	return all
}

// scrape reads the metrics of a replica until it is stopped: they can always be read, nothing
// that is counted falls or vanishes, and no label set has more failures than attempts. Of
// replicas, one shows a project whole, or not at all.
func (s *soak) scrape(r *soakReplica, end <-chan struct{}) {
	seen := 0
	client := &http.Client{Timeout: time.Second} // of those that a paused process is sent, it answers the last one when it goes on
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-end:
			assert.NotZero(s.t, seen)
			return
		case <-tick.C:
		}
		before, begun := s.seen.before(), time.Now()
		answer, err := r.requestBy(client, http.MethodGet, "/metrics", nil)
		if err != nil {
			continue // it is being killed or started, or is paused
		}
		ended := time.Now()
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(answer.body))
		if !assert.NoError(s.t, err, answer.body) || !assert.Equal(s.t, http.StatusOK, answer.status, answer.body) {
			continue
		}
		now := series{}
		for name, family := range families {
			for _, m := range family.Metric {
				now.read(name, m)
			}
		}
		seen += len(now)
		if s.database != nil {
			here := now.projects()
			maps.DeleteFunc(before, func(key string, _ float64) bool { return !here[ofProject.FindStringSubmatch(key)[1]] })
		}
		problems := append(now.fallen(before), now.moreFailures()...)
		for _, problem := range problems {
			s.tell("a scrape of %s shows: %s", r.name, problem)
		}
		assert.Empty(s.t, problems[:min(5, len(problems))])
		s.seen.add(r.name, now, begun, ended)
	}
}
