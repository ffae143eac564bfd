package fetcher

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

// failedEachSecond is a file of failed logins, one in each second of a window.
func failedEachSecond(w cursor.Window) string {
	rows := strings.Builder{}
	rows.WriteString(loginHeader)
	for at := w.From.UTC(); at.Before(w.To); at = at.Add(time.Second) {
		fmt.Fprintf(&rows, "%[1]d,user%[1]d,g,%[2]s,,,%[2]s,1001\n", at.Unix(), at.Format(time.RFC3339))
	}
	return rows.String()
}

// pollsOfFiles reads such logins by export task, and returns how many are counted.
func pollsOfFiles(t *testing.T, polls int, file func(poll int, w cursor.Window) string) float64 {
	t.Helper()
	poll := 0
	c := newCloud(func(w cursor.Window) string { return file(poll, w) })
	storage := newShelf()
	var a *collector.Accumulator
	var p *Poller
	for poll = range polls {
		if poll%7 == 0 { // restarts
			var err error
			a = openAccumulator(t, storage, collector.Logins, lookback)
			p, err = NewPoller(incremental(c.logins(), nil, lookback), a, nothing{}, options())
			require.NoError(t, err)
		}
		require.NoError(t, p.Poll(t.Context()))
		time.Sleep(interval)
	}
	return counted(t, a)["workspace_login_attempts_total g"]
}

// Files that have all there is, whatever their window, and are counted in parts.
func TestFilesThatIgnoreTheirWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, last := time.Now().UTC(), time.Time{}
		time.Sleep(5 * time.Hour)
		n := pollsOfFiles(t, 9, func(_ int, w cursor.Window) string {
			last = w.To
			return failedEachSecond(cursor.Window{From: begin, To: w.To})
		})
		assert.Equal(t, last.Sub(begin).Seconds(), n)
	})
}

// A file of another window has records that are counted and forgotten.
func TestAFileOfAnotherWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, last := time.Now().UTC(), time.Time{}
		time.Sleep(initial)
		n := pollsOfFiles(t, 80, func(poll int, w cursor.Window) string {
			if poll == 73 {
				return failedEachSecond(cursor.Window{From: begin, To: begin.Add(w.Length())})
			}
			last = w.To
			return failedEachSecond(w)
		})
		assert.Equal(t, last.Sub(begin).Seconds(), n)
	})
}
