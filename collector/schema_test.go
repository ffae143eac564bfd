package collector

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
	"github.com/workspace-exporter/workspace_exporter/internal/tasknotes"
)

// release is a version of the exporter, as far as its metrics go: an aggregator that
// counts attempts and login durations in metrics of its own.
type release struct {
	counter, histogram *Metric // either may be nil
}

// releaseKind is a kind of source that the tests change between restarts.
const releaseKind Kind = 99

type releaseAggregator struct {
	release
	counts, durations *family
}

func (r *releaseAggregator) observe(e *ledger.Event) {
	if !e.Attempt {
		return
	}
	values := map[Label]string{
		desktopGroup: e.Login.Group, clientType: e.Login.ClientType, agentVersion: e.Login.AgentVersion, machineName: e.Login.Machine,
	}
	of := func(f *family) (labels []pair) {
		for _, l := range f.Labels {
			labels = append(labels, l.is(values[l]))
		}
		return labels
	}
	if r.counts != nil && r.counts.Type == Counter {
		r.counts.add(1, of(r.counts)...)
	}
	if r.counts != nil && r.counts.Type == Histogram {
		r.counts.observe(time.Second, of(r.counts)...)
	}
	if r.durations != nil {
		r.durations.observe(e.Login.Start.Sub(e.Login.PreConnect), of(r.durations)...)
	}
}

// install makes a release the one that runs, until the test ends.
func (r release) install(t testing.TB) {
	before, metrics := aggregators, Metrics
	t.Cleanup(func() { aggregators, Metrics = before, metrics })
	aggregators = slices.DeleteFunc(slices.Clone(aggregators), func(a registration) bool { return slices.Contains(a.kinds, releaseKind) })
	aggregators = append(aggregators, registration{kinds: []Kind{releaseKind}, new: func(f *families, _ Options) aggregator {
		a := &releaseAggregator{release: r}
		if r.counter != nil {
			a.counts = f.of(r.counter)
		}
		if r.histogram != nil {
			a.durations = f.of(r.histogram)
		}
		return a
	}}, registration{newBatchStats, []Kind{releaseKind}})
	Metrics = metricsOf(anyKind)
	for _, m := range []*Metric{r.counter, r.histogram} {
		if m != nil {
			Metrics = append(Metrics, m)
		}
	}
}

func counterOf(name string, labels ...Label) *Metric {
	return &Metric{Name: name, Help: "h", Type: Counter, Labels: labels}
}

func histogramOf(name string, buckets []float64, labels ...Label) *Metric {
	return &Metric{Name: name, Help: "h", Type: Histogram, Labels: labels, Buckets: buckets}
}

// releases is a bench whose accumulator is opened by one release after another.
type releases struct {
	*bench
	logged bytes.Buffer
	n      int
}

func newReleases(t testing.TB, first release) *releases {
	first.install(t)
	r := &releases{}
	r.bench = newBench(t, func(o *Options) { o.Kind, o.Logger = releaseKind, log.NewLogfmtLogger(&r.logged) })
	return r
}

func (r *releases) upgrade(to release) {
	r.t.Helper()
	to.install(r.t)
	r.logged.Reset()
	r.restart()
}

// logins counts one login each of groups, by clients and servers of the same number.
func (r *releases) count(groups ...string) {
	r.t.Helper()
	for _, g := range groups {
		r.n++
		l := login(r.n, t0, inGroup(g))
		l.ClientType, l.Machine = "client-"+g, "m-"+g
		require.NoError(r.t, r.read(t0.Add(time.Minute), l))
	}
}

func TestReleasesOpenTheStoresOfOthers(t *testing.T) {
	const name = "workspace_login_attempts_total"
	byGroup, byBoth := counterOf(name, desktopGroup), counterOf(name, desktopGroup, clientType)
	swapped := counterOf(name, clientType, desktopGroup)
	total := counterOf(name)
	renamed := counterOf("workspace_attempts_total", desktopGroup)
	renamed.Formerly = []string{"workspace_tries_total", name}
	asHistogram := histogramOf(name, []float64{1, 5}, desktopGroup)
	coarse, fine := histogramOf("workspace_wait_seconds", []float64{1, 5}, desktopGroup), histogramOf("workspace_wait_seconds", []float64{1, 2, 5}, desktopGroup)
	coarseTotal := histogramOf("workspace_wait_seconds", []float64{1, 5})
	other := histogramOf("workspace_waiting_seconds", []float64{2}, desktopGroup)
	other.Formerly = []string{coarse.Name}
	type values = map[string]float64
	for title, c := range map[string]struct {
		before, after release
		show          *Metric
		labels        []string
		then, more    values // shown after the change, and after one more login of a and of c
		told          string
	}{
		"nothing":                    {release{counter: byGroup}, release{counter: byGroup}, byGroup, []string{"desktop_group"}, values{"a": 2, "b": 1}, values{"a": 3, "b": 1, "c": 1}, ""},
		"label added":                {release{counter: byGroup}, release{counter: byBoth}, byBoth, []string{"desktop_group", "client_type"}, values{"a/": 2, "b/": 1}, values{"a/": 2, "b/": 1, "a/client-a": 1, "c/client-c": 1}, ""},
		"label removed":              {release{counter: byBoth}, release{counter: byGroup}, byGroup, []string{"desktop_group"}, values{"a": 2, "b": 1}, values{"a": 3, "b": 1, "c": 1}, "summed over"},
		"all removed":                {release{counter: byBoth}, release{counter: total}, total, nil, values{"": 3}, values{"": 5}, "summed over"},
		"renamed, and other buckets": {release{histogram: coarse}, release{histogram: other}, other, []string{"desktop_group"}, values{}, values{"a": 1, "c": 1}, "restart at 0"},
		"reordered":                  {release{counter: byBoth}, release{counter: swapped}, swapped, []string{"desktop_group", "client_type"}, values{"a/client-a": 2, "b/client-b": 1}, values{"a/client-a": 3, "b/client-b": 1, "c/client-c": 1}, ""},
		"family added":               {release{}, release{counter: byGroup}, byGroup, []string{"desktop_group"}, values{}, values{"a": 1, "c": 1}, ""},
		"renamed":                    {release{counter: byGroup}, release{counter: renamed}, renamed, []string{"desktop_group"}, values{"a": 2, "b": 1}, values{"a": 3, "b": 1, "c": 1}, ""},
		"type changed":               {release{counter: byGroup}, release{counter: asHistogram}, asHistogram, []string{"desktop_group"}, values{}, values{"a": 1, "c": 1}, "restart at 0"},
		"buckets added":              {release{histogram: coarse}, release{histogram: fine}, fine, []string{"desktop_group"}, values{}, values{"a": 1, "c": 1}, "restart at 0"},
		"buckets gone":               {release{histogram: fine}, release{histogram: coarse}, coarse, []string{"desktop_group"}, values{}, values{"a": 1, "c": 1}, "restart at 0"},
		"histogram sums":             {release{histogram: coarse}, release{histogram: coarseTotal}, coarseTotal, nil, values{"": 3}, values{"": 5}, "summed over"},
		"family removed":             {release{counter: byGroup, histogram: coarse}, release{histogram: coarse}, coarse, []string{"desktop_group"}, values{"a": 2, "b": 1}, values{"a": 3, "b": 1, "c": 1}, "kept for the release that does"},
	} {
		t.Run(title, func(t *testing.T) {
			r := newReleases(t, c.before)
			r.count("a", "b", "a")
			for range 2 { // the second time, everything is as this release has it
				r.upgrade(c.after)
				assert.Equal(t, c.then, r.values(c.show, c.labels...))
				if c.told == "" {
					assert.Empty(t, r.logged.String())
				} else {
					assert.Contains(t, r.logged.String(), c.told)
				}
				if c.told != "kept for the release that does" {
					c.told = ""
				}
				require.NoError(t, r.read(t0.Add(time.Minute)))
			}
			// Whatever is known stays known.
			require.NoError(t, r.read(t0.Add(time.Minute), login(1, t0), login(2, t0)))
			assert.Equal(t, c.then, r.values(c.show, c.labels...), "records that were counted")
			r.count("a", "c")
			assert.Equal(t, c.more, r.values(c.show, c.labels...))
			r.restart()
			assert.Equal(t, c.more, r.values(c.show, c.labels...))
		})
	}
}

// A release that knows less keeps what it does not know, and gives it back.
func TestGoingBackToTheReleaseBefore(t *testing.T) {
	old := release{counter: counterOf("workspace_a_total", desktopGroup)}
	added := release{counter: old.counter, histogram: histogramOf("workspace_b_seconds", []float64{1, 5}, desktopGroup)}
	r := newReleases(t, added)
	r.count("a", "b")
	r.upgrade(old)
	assert.Contains(t, r.logged.String(), "workspace_b_seconds")
	r.count("a")
	assert.Equal(t, map[string]float64{"a": 2, "b": 1}, r.values(old.counter, "desktop_group"))
	r.upgrade(added)
	assert.Empty(t, r.logged.String())
	assert.Equal(t, map[string]float64{"a": 2, "b": 1}, r.values(old.counter, "desktop_group"))
	assert.Equal(t, map[string]float64{"a": 1, "b": 1}, r.values(added.histogram, "desktop_group"), "as it was when it was known last")
	r.count("b")
	assert.Equal(t, map[string]float64{"a": 1, "b": 2}, r.values(added.histogram, "desktop_group"))
}

// A table that this release does not know stays, and so does a row of the head.
func TestWhatIsNotKnownIsKept(t *testing.T) {
	old := release{counter: counterOf("workspace_a_total", desktopGroup)}
	r := newReleases(t, old)
	r.count("a")
	r.storage.rows["people_v9\x00k"] = "of a later release"
	r.storage.rows[store.Head+"\x00weather"] = "fair"
	r.restart()
	assert.Contains(t, r.logged.String(), "people_v9")
	r.count("a")
	r.restart()
	assert.Equal(t, "of a later release", r.storage.rows["people_v9\x00k"])
	assert.Equal(t, "fair", r.storage.rows[store.Head+"\x00weather"])
	assert.Equal(t, map[string]float64{"a": 2}, r.values(old.counter, "desktop_group"))
}

// A name that a metric had is not free for another one: what was counted under it is the
// first one's.
func TestNoNameIsUsedTwice(t *testing.T) {
	taken := map[string]string{}
	for _, m := range Metrics {
		for _, name := range append(slices.Clone(m.Formerly), m.Name) {
			assert.Empty(t, taken[name], "%s is a name of %s, too", name, m.Name)
			taken[name] = m.Name
		}
	}
}

// A metric whose buckets changed has a new creation time.
func TestChangedBucketsBeginAnew(t *testing.T) {
	r := newReleases(t, release{histogram: histogramOf("workspace_b_seconds", []float64{1, 5})})
	r.count("a")
	r.upgrade(release{histogram: histogramOf("workspace_b_seconds", []float64{5})})
	r.n++
	require.NoError(t, r.read(t0.Add(time.Hour), login(r.n, t0.Add(time.Hour))))
	h := r.families()["workspace_b_seconds"].Metric[0].Histogram
	assert.Equal(t, uint64(1), h.GetSampleCount())
	assert.Equal(t, t0.Add(time.Hour), h.CreatedTimestamp.AsTime())
}

// What a release changes is written with the next commit, which is whole or not at all.
// Loading itself leaves the store as it is.
func TestAConversionIsWholeOrNot(t *testing.T) {
	both, one := counterOf("workspace_a_total", desktopGroup, clientType), counterOf("workspace_a_total", desktopGroup)
	for name, fails := range map[string]func(*memory, error){
		"before":      func(m *memory, err error) { m.fail = err },
		"when it was": func(m *memory, err error) { m.failAfter = err },
	} {
		t.Run(name, func(t *testing.T) {
			r := newReleases(t, release{counter: both})
			r.count("a", "a", "b")
			before := maps.Clone(r.storage.rows)
			r.upgrade(release{counter: one})
			assert.Equal(t, before, r.storage.rows)
			killed := errors.New("killed")
			fails(r.storage, killed)
			again := login(1, t0, inGroup("a"))
			require.ErrorIs(t, r.read(t0.Add(time.Minute), again), killed)
			r.storage.fail, r.storage.failAfter = nil, nil
			for range 2 {
				r.restart()
				assert.Equal(t, map[string]float64{"a": 2, "b": 1}, r.values(one, "desktop_group"))
				require.NoError(t, r.read(t0.Add(time.Minute), again))
			}
			assert.NotEqual(t, before, r.storage.rows)
		})
	}
}

// Whatever releases follow each other, with whatever labels: a metric is what a ten-line
// reference makes of it.
func TestReleasesAgreeWithTheReference(t *testing.T) {
	all := []Label{desktopGroup, clientType, machineName}
	names := []string{"workspace_x_total", "workspace_y_total"}
	rapid.Check(t, func(rt *rapid.T) {
		draw := func() *Metric {
			labels := slices.DeleteFunc(rapid.Permutation(all).Draw(rt, "labels"), func(Label) bool { return rapid.Bool().Draw(rt, "without") })
			m := counterOf(rapid.SampledFrom(names).Draw(rt, "name"), labels...)
			m.Formerly = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == m.Name })
			return m
		}
		now := draw()
		r := newReleases(t, release{counter: now})
		want := map[string]float64{} // by all labels, in their order
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			if rapid.Bool().Draw(rt, "upgrades") {
				now = draw()
				r.upgrade(release{counter: now})
				summed := map[string]float64{}
				for key, n := range want {
					values := strings.Split(key, "/")
					for i, l := range all {
						if !slices.Contains(now.Labels, l) {
							values[i] = ""
						}
					}
					summed[strings.Join(values, "/")] += n
				}
				want = summed
			}
			g := rapid.SampledFrom([]string{"a", "b", ""}).Draw(rt, "group")
			r.count(g)
			key := map[Label]string{desktopGroup: g, clientType: "client-" + g, machineName: "m-" + g}
			values := make([]string, len(all))
			for i, l := range all {
				if slices.Contains(now.Labels, l) {
					values[i] = key[l]
				}
			}
			want[strings.Join(values, "/")]++
			got := map[string]float64{}
			for _, m := range r.families()[now.Name].GetMetric() {
				values := make([]string, len(all))
				for _, l := range m.Label {
					if i := slices.Index(all, Label(l.GetName())); i >= 0 {
						values[i] = l.GetValue()
					}
				}
				got[strings.Join(values, "/")] += m.Counter.GetValue()
			}
			require.Equal(rt, sortedText(want), sortedText(got))
		}
	})
}

func sortedText(m map[string]float64) string {
	var text strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintln(&text, k, m[k])
	}
	return text.String()
}

// Another project under the same name: its ids are those of other records.
func TestAnotherProjectIDIsOtherRecords(t *testing.T) {
	var logged bytes.Buffer
	b := newBench(t, func(o *Options) { o.ProjectID, o.Logger = "one", log.NewLogfmtLogger(&logged) })
	require.NoError(t, b.read(t0, login(1, t0), login(2, t0, failing("7"))))
	aTask := tasknotes.Table + "\x00a window"
	b.storage.rows[aTask] = "task-1"
	b.restart()
	require.NoError(t, b.read(t0.Add(time.Minute), login(1, t0), login(2, t0, failing("7"))))
	assert.Equal(t, map[string]float64{"g": 2}, b.values(loginAttempts, "desktop_group"), "the same project")
	assert.Empty(t, logged.String())

	before := maps.Clone(b.storage.rows)
	b.options.ProjectID = "a slip of the pen"
	b.restart()
	b.options.ProjectID = "one"
	b.restart()
	assert.Equal(t, before, b.storage.rows, "nothing was read of the other project")
	require.NoError(t, b.read(t0.Add(time.Minute), login(1, t0)))
	assert.Equal(t, map[string]float64{"g": 2}, b.values(loginAttempts, "desktop_group"), "the same project")

	logged.Reset()
	b.options.ProjectID = "other"
	b.restart()
	assert.Contains(t, logged.String(), "project_id has changed")
	assert.Equal(t, map[string]float64{"g": 2}, b.values(loginAttempts, "desktop_group"), "counters go on")
	p, err := b.accumulator.Position()
	require.NoError(t, err)
	assert.Zero(t, p.Cursor, "its history is read as at the start")
	for range 2 {
		require.NoError(t, b.read(t0.Add(2*time.Minute), login(1, t0), login(2, t0, failing("7"))))
		assert.Equal(t, map[string]float64{"g": 4}, b.values(loginAttempts, "desktop_group"))
	}
	assert.Equal(t, 2.0, b.values(loginUsers, "window")["1h"], "users of the other project alone")
	assert.NotContains(t, b.storage.rows, aTask, "the task is the other project's")
	logged.Reset()
	b.restart()
	assert.Empty(t, logged.String(), "logged once")
	require.NoError(t, b.read(t0.Add(3*time.Minute), login(1, t0)))
	assert.Equal(t, map[string]float64{"g": 4}, b.values(loginAttempts, "desktop_group"))
}

// A sum has counted since the first of its parts has, and does not fall while one of them
// is still held.
func TestASumBeginsWithItsFirstPart(t *testing.T) {
	both, one := counterOf("workspace_a_total", desktopGroup, clientType), counterOf("workspace_a_total", desktopGroup)
	release{counter: both}.install(t)
	b := newBench(t, func(o *Options) { o.Kind, o.NewSeriesHold = releaseKind, 2*time.Minute })
	count := func(n int, client string, now time.Time) {
		require.NoError(t, b.read(now, login(n, now, func(l *record.Login) { l.ClientType = client })))
	}
	count(1, "a", t0)
	count(2, "b", t0.Add(time.Minute))
	require.Equal(t, map[string]float64{"a": 1, "b": 0}, b.values(both, "client_type"))
	release{counter: one}.install(t)
	b.restart()
	assert.Equal(t, map[string]float64{"g": 2}, b.values(one, "desktop_group"))
	created := b.families()[one.Name].Metric[0].Counter.CreatedTimestamp.AsTime()
	assert.Equal(t, t0.Add(-time.Hour), created, "the beginning of the first window")
}
