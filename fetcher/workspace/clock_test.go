package workspace

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A slow answer, whose Date is of when it was begun, does not set the clock back; a
// Date that no delay explains does.
func TestSlowAnswersDoNotSetTheClockBack(t *testing.T) {
	start := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		date, took, want time.Duration // since start; the answer comes after 20 s
	}{
		"quick":                      {20 * time.Second, 100 * time.Millisecond, 20 * time.Second},
		"quick, set back":            {15 * time.Second, 100 * time.Millisecond, 15 * time.Second},
		"slow, written at the end":   {20 * time.Second, 18 * time.Second, 20 * time.Second},
		"slow, written at the start": {2 * time.Second, 18 * time.Second, 20 * time.Second},
		"cut to a second":            {time.Second, 18 * time.Second, 20 * time.Second},
		"before it was asked for":    {0, 18 * time.Second, 0},
		"slow, set back":             {-time.Hour, 18 * time.Second, -time.Hour},
		"slow, ahead":                {time.Minute, 18 * time.Second, time.Minute},
	} {
		now := start
		k := clock{local: func() time.Time { return now }}
		date := func(since time.Duration) http.Header {
			return http.Header{"Date": {start.Add(since).Format(http.TimeFormat)}}
		}
		k.observe(date(0), 0)
		now = start.Add(20 * time.Second)
		k.observe(date(c.date), c.took)
		got, ok := k.server()
		assert.True(t, ok)
		assert.Equal(t, c.want, got.Sub(start), name)
	}
}
