package collector

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Leases is what an exporter has to do with other replicas.
type Leases struct {
	// Held says of each project whether it is read here.
	Held map[string]bool
	// Taken and Lost are how many leases were taken, and lost other than by being given back.
	Taken, Lost int64
	// LostCommits are how many commits the database has lost.
	LostCommits int64
	// Alike are the replicas with the same configuration of projects, this one included; Unlike
	// are those with another.
	Alike, Unlike int
}

// ShowLeases shows leases, if there are any.
func (e *Exporter) ShowLeases(leases func() (l Leases, ok bool)) { e.leases.leases = leases }

// leaseMetrics are the metrics of leases. They are asked for at each scrape, since a lease may
// have run out since.
type leaseMetrics struct {
	leases                      func() (Leases, bool)
	held, taken, lost, replicas *prometheus.Desc
	lostCommits                 *prometheus.Desc
}

func newLeaseMetrics() *leaseMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("workspace_exporter_"+name, help, labels, nil)
	}
	return &leaseMetrics{
		leases:      func() (Leases, bool) { return Leases{}, false },
		held:        desc("lease_held", "1 if this replica holds the lease of the project: then it reads and shows it. Only with storage.postgres.", "project"),
		taken:       desc("leases_taken_total", "Leases of projects that this replica has taken. Only with storage.postgres."),
		lost:        desc("leases_lost_total", "Leases of projects that this replica has lost, other than by giving them back: it was paused, or without the database. Only with storage.postgres."),
		lostCommits: desc("store_lost_commits_total", "Commits that the database has lost, as far as this replica knew them: it was restored, or failed over to a server that was behind. Counters have fallen, and count the same records again. Only with storage.postgres."),
		replicas:    desc("replicas", "Replicas that share the store, as this one sees them, by whether their configuration of projects is the same or another. Only with storage.postgres.", "config"),
	}
}

// Describe implements prometheus.Collector.
func (m *leaseMetrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.held, m.taken, m.lost, m.lostCommits, m.replicas} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (m *leaseMetrics) Collect(c chan<- prometheus.Metric) {
	l, ok := m.leases()
	if !ok {
		return
	}
	for project, held := range l.Held {
		value := 0.0
		if held {
			value = 1
		}
		c <- prometheus.MustNewConstMetric(m.held, prometheus.GaugeValue, value, project)
	}
	c <- prometheus.MustNewConstMetric(m.taken, prometheus.CounterValue, float64(l.Taken))
	c <- prometheus.MustNewConstMetric(m.lost, prometheus.CounterValue, float64(l.Lost))
	c <- prometheus.MustNewConstMetric(m.lostCommits, prometheus.CounterValue, float64(l.LostCommits))
	c <- prometheus.MustNewConstMetric(m.replicas, prometheus.GaugeValue, float64(l.Alike), "same")
	c <- prometheus.MustNewConstMetric(m.replicas, prometheus.GaugeValue, float64(l.Unlike), "other")
}
