package collector

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
	"github.com/workspace-exporter/workspace_exporter/internal/tasknotes"
)

// formatKinds are the sources of the stores below.
var formatKinds = []Kind{Logins, DesktopLogins, Sessions, AccessStatistics}

// benchOn is a bench whose accumulator of a kind is in a real store.
func benchOn(t testing.TB, s store.Store, k Kind) *bench {
	b := newBench(t, ofKind(k))
	b.clock = t0.Add(time.Hour)
	var err error
	b.accumulator, err = Open(s.Partition("p", b.options.Source, nil), b.options)
	require.NoError(t, err)
	return b
}

// A store that a release of each format wrote is read by every later one, and shows what
// it showed then. A test that rewrote it would prove nothing: where the layout must
// change, the format's number does, what is old is converted, and these files stay.
func TestStoreOfEachFormat(t *testing.T) {
	if os.Getenv("WRITE_STORE") != "" {
		writeStore(t, t.TempDir())
	}
	for format := 1; format <= store.Format; format++ {
		t.Run(strconv.Itoa(format), func(t *testing.T) {
			dir := storeOfFormat(t, format)
			want, err := os.ReadFile(fmt.Sprintf("testdata/format%d.prom", format))
			require.NoError(t, err)
			require.NotEmpty(t, want)

			s, err := store.Open(dir, store.Converting(FromFormat1))
			require.NoError(t, err)
			shown := map[string]bool{}
			for line := range strings.Lines(textOf(t, s)) {
				shown[withoutEmptyLabels(line)] = true
			}
			for line := range strings.Lines(string(want)) {
				if strings.HasPrefix(line, "# HELP ") {
					continue // no text stands in a store
				}
				assert.True(t, shown[withoutEmptyLabels(line)], "%s is not shown", line)
			}
			// What was counted then is known, and what is new counts.
			b := benchOn(t, s, Logins)
			before := b.values(loginAttempts)[""]
			require.NoError(t, b.read(t0.Add(2*time.Minute), login(1, t0), login(2, t0), login(9, t0.Add(time.Minute))))
			require.Equal(t, before+1, b.values(loginAttempts)[""])
			notes, err := tasknotes.Open(s.Partition("p", b.options.Source, nil), "")
			require.NoError(t, err)
			task, _, err := notes.Get("a window")
			require.NoError(t, err)
			require.Equal(t, "task-1", task)
			require.NoError(t, s.Close())
		})
	}
}

// What stood for persons and records in the clear is gone with the first start, from free
// pages too, and also of sources that are not read any more.
func TestNothingPersonalIsInTheClear(t *testing.T) {
	dir := storeOfFormat(t, 1)
	person, id := login(1, t0).User.Block(), login(1, t0).ID
	content := func() string {
		file, err := os.ReadFile(filepath.Join(dir, "state.db"))
		require.NoError(t, err)
		return string(file)
	}
	require.Contains(t, content(), string(id[:]))
	_, err := store.Open(dir)
	require.ErrorIs(t, err, store.ErrRefused)
	s, err := store.Open(dir, store.Converting(FromFormat1))
	require.NoError(t, err)
	require.NoError(t, benchOn(t, s, Logins).read(t0.Add(time.Minute), login(1, t0), login(3, t0, failing("7"))))
	require.NoError(t, s.Close())
	for _, clear := range [][]byte{id[:], person[:]} {
		require.NotContains(t, content(), string(clear))
	}
}

// withoutEmptyLabels is a sample with the labels that Prometheus sees: one that a release
// has added is empty in what was counted before.
func withoutEmptyLabels(line string) string {
	return strings.ReplaceAll(emptyLabel.ReplaceAllString(strings.TrimSpace(line), ""), ",}", "}")
}

var emptyLabel = regexp.MustCompile(`\w+="",?`)

// storeOfFormat unpacks the store that a release of a format wrote.
func storeOfFormat(t *testing.T, format int) (dir string) {
	dir = t.TempDir()
	packed, err := os.Open(fmt.Sprintf("testdata/format%d.db.gz", format))
	require.NoError(t, err)
	defer func() { _ = packed.Close() }()
	z, err := gzip.NewReader(packed)
	require.NoError(t, err)
	file, err := io.ReadAll(z)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "state.db"), file, 0o600))
	return dir
}

// textOf is what all accumulators of a store show.
func textOf(t testing.TB, s store.Store) string {
	e := NewExposition(prometheus.NewRegistry())
	var accumulators []*Accumulator
	for _, k := range formatKinds {
		accumulators = append(accumulators, benchOn(t, s, k).accumulator)
	}
	e.Publish(accumulators, nil)
	families, err := e.Gather()
	require.NoError(t, err)
	var text bytes.Buffer
	for _, f := range families {
		_, err := expfmt.MetricFamilyToText(&text, f)
		require.NoError(t, err)
	}
	return text.String()
}

// writeStore writes the store of the present format for the test above: a row of every
// table in it, every state of a record, every kind of series.
func writeStore(t *testing.T, dir string) {
	s, err := store.Open(dir, store.Converting(FromFormat1))
	require.NoError(t, err)
	ms := func(n int) *time.Duration { d := time.Duration(n) * time.Millisecond; return &d }
	pending := func(l *record.Login) { l.Start = time.Time{} }
	ended := func(l *record.Login) { l.End = l.Start.Add(20 * time.Minute) }
	measured := func(l *record.Login) { l.Setup, l.NetworkRTT, l.EndToEndRTT = l.Start.Add(time.Second), ms(20), ms(45) }
	reason := func(l *record.Login) { l.FailedReason = "The server is not reachable." }
	odd := func(l *record.Login) { l.Invalid = []string{"end_time"} }
	for _, k := range formatKinds[:2] {
		b := benchOn(t, s, k)
		for n := range 3 { // three polls
			now := t0.Add(time.Duration(n) * time.Second)
			require.NoError(t, b.read(now, login(1, t0), login(2, t0, ended), login(3, t0, failing("7"), reason), login(4, t0, pending),
				login(5, t0, inGroup("h"), odd), login(6, t0, measured), login(7, t0.Add(-2*time.Hour)), record.Login{Malformed: true, ID: record.Identity{8}}))
		}
		notes, err := tasknotes.Open(s.Partition("p", b.options.Source, nil), "")
		require.NoError(t, err)
		require.NoError(t, notes.Set("a window", "task-1"))
	}
	failed := session(1, "m", record.StateFailed)
	failed.FailedCode = "7"
	benchOn(t, s, Sessions).snapshot(t0, failed, session(2, "m", "Active"))
	benchOn(t, s, AccessStatistics).statistics(t0.Add(-time.Hour), t0, record.Access{User: 1, Failures: 3, Code: "E1", Last: t0})
	require.NoError(t, os.WriteFile(fmt.Sprintf("testdata/format%d.prom", store.Format), []byte(textOf(t, s)), 0o600))
	require.NoError(t, s.Close())

	file, err := os.ReadFile(filepath.Join(dir, "state.db"))
	require.NoError(t, err)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err = z.Write(file)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, os.WriteFile(fmt.Sprintf("testdata/format%d.db.gz", store.Format), packed.Bytes(), 0o600))
}

func TestHistogramThatDoesNotAddUp(t *testing.T) {
	whole := func() *histogram {
		h := newHistogram([]float64{1, 10})
		for _, d := range []time.Duration{0, time.Second, 5 * time.Second, time.Minute} {
			h.observe([]float64{1, 10}, d)
		}
		return h
	}
	for name, corrupt := range map[string]func(*histogram){
		"whole":                 func(*histogram) {},
		"too many in a bucket":  func(h *histogram) { h.classic[1] = 3 },
		"fewer than none":       func(h *histogram) { h.classic[0] = -1 },
		"too many natively":     func(h *histogram) { h.native[7] = 1 },
		"fewer than none there": func(h *histogram) { h.native[7] = -1 },
		"too few natively":      func(h *histogram) { h.native[0]-- },
		"none natively":         func(h *histogram) { clear(h.native) },
		"too few zeros":         func(h *histogram) { h.zero = 0 },
		"nothing but a count":   func(h *histogram) { *h = *newHistogram([]float64{1, 10}); h.count = 1 },
		"a bucket far away":     func(h *histogram) { h.native[1<<20], h.native[0] = h.native[0], 0 },
		"too many zeros":        func(h *histogram) { h.zero = 2 },
		"fewer zeros than none": func(h *histogram) { h.zero = -1 },
		"no count":              func(h *histogram) { h.count = 0 },
		"a bucket of no number": func(h *histogram) { h.native[1<<40] = 0 },
	} {
		h := whole()
		corrupt(h)
		var row store.Row
		h.save(&row)
		got := newHistogram([]float64{1, 10})
		err := got.load(store.ReadRow(row))
		if name == "whole" {
			require.NoError(t, err)
			require.Equal(t, h, got)
			continue
		}
		require.ErrorIs(t, err, errHistogram, name)
	}
}

// Whatever a row of the store holds, it is refused, or the accumulator that has it can count
// and be shown.
func FuzzStoredRow(f *testing.F) {
	for _, k := range formatKinds {
		b := newBench(f, ofKind(k))
		require.NoError(f, b.read(t0, login(1, t0), login(2, t0, failing("7")), login(3, t0, func(l *record.Login) { l.FailedCode, l.FailedReason = "8", "no server" })))
		b.snapshot(t0, session(1, "m", record.StateFailed))
		b.statistics(t0.Add(-time.Hour), t0, record.Access{User: 1, Failures: 3, Code: "E1", Last: t0})
		for row, value := range b.storage.rows {
			table, key, _ := strings.Cut(row, "\x00")
			f.Add(int(k), table, []byte(key), []byte(value))
		}
	}
	f.Fuzz(func(t *testing.T, kind int, table string, key, value []byte) {
		b := newBench(t, ofKind(formatKinds[uint(kind)%uint(len(formatKinds))]))
		b.storage.rows[table+"\x00"+string(key)] = string(value)
		accumulator, err := Open(b.storage, b.options)
		if err != nil {
			return
		}
		b.accumulator = accumulator
		require.NoError(t, b.read(t0.Add(time.Minute), login(1, t0), login(2, t0, failing("7"))))
		e := NewExposition(prometheus.NewRegistry())
		e.Publish([]*Accumulator{b.accumulator}, nil)
		families, err := e.Gather()
		require.NoError(t, err)
		for _, family := range families {
			_, err := expfmt.MetricFamilyToText(io.Discard, family)
			require.NoError(t, err)
		}
	})
}
