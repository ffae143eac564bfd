package collector

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	promodel "github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Records whose texts hold every character that could break a line, a label or a
// terminal, broken UTF-8 and megabytes leave an exposition that Prometheus reads, with
// each record in it.
func TestHostileTextsLeaveAValidExposition(t *testing.T) {
	texts := []string{"\xff\xfe", "\xed\xa0\x80", strings.Repeat("長", 1<<17), `"} 1` + "\n# EOF\n", `\`, `\n`, "{", "",
		"\u2028\u2029\u0085", "\u202e\u200b\ufeff", "\U0010ffff\ufffe"}
	for c := range rune(0xa0) {
		texts = append(texts, fmt.Sprintf("a%cb", c), string(c))
	}
	b := newBench(t, func(o *Options) { o.Limits = NewLimits(100_000, o.Limits.limited) })
	var logins []record.Login
	for i, text := range texts {
		row := map[string]string{"id": fmt.Sprint(i), "start_time": t0.Format(time.RFC3339)}
		for _, name := range []string{"user_name", "desktop_group_name", "machine_name", "client_type", "client_version", "agent_version", "failed_code", "failed_reason", "client_ip"} {
			row[name] = text
		}
		page, err := json.Marshal(row, jsontext.AllowInvalidUTF8(true))
		require.NoError(t, err)
		var c record.UserConnection
		require.NoError(t, json.Unmarshal(page, &c, jsontext.AllowInvalidUTF8(true)))
		logins = append(logins, c.Login())
	}
	require.NoError(t, b.read(t0.Add(time.Minute), logins...))
	total := 0.0
	for _, v := range b.values(loginAttempts) {
		total += v
	}
	require.Equal(t, float64(len(texts)), total)

	e := NewExposition(prometheus.NewRegistry())
	e.Publish([]*Accumulator{b.accumulator}, nil)
	families, err := e.Gather()
	require.NoError(t, err)
	for _, format := range []expfmt.Format{expfmt.NewFormat(expfmt.TypeTextPlain), expfmt.NewFormat(expfmt.TypeOpenMetrics)} {
		var out bytes.Buffer
		encoder := expfmt.NewEncoder(&out, format)
		for _, f := range families {
			require.NoError(t, encoder.Encode(f))
		}
		for line := range strings.Lines(out.String()) {
			require.NotContains(t, strings.TrimSuffix(line, "\n"), "\r")
			require.False(t, strings.ContainsFunc(strings.TrimSuffix(line, "\n"), unicode.IsControl), "%q", line)
			require.Less(t, len(line), 2000)
		}
		if format.FormatType() == expfmt.TypeTextPlain {
			parser := expfmt.NewTextParser(promodel.UTF8Validation)
			parsed, err := parser.TextToMetricFamilies(&out)
			require.NoError(t, err)
			require.Len(t, parsed, len(families))
		}
	}
}

// However many logins a second holds, they take as long as those of many seconds: inserted
// one by one, they would take twenty times that.
func TestManyLoginsAreInsertedAtOnce(t *testing.T) {
	const n = 50_000
	took := func(after func(i int) time.Duration) time.Duration {
		b := newBench(t, func(o *Options) { o.Lookback = time.Hour })
		logins := make([]record.Login, n)
		for i := range logins {
			logins[i] = login(i, t0.Add(after(i)))
			binary.BigEndian.PutUint64(logins[i].ID[8:], uint64(i))
			binary.BigEndian.PutUint64(logins[i].Invariant[8:], uint64(i))
		}
		begun := time.Now()
		require.NoError(t, b.read(t0.Add(3*time.Minute), logins...))
		took := time.Since(begun)
		require.Equal(t, float64(n), b.values(loginUsers, "window")["1h"])
		return took
	}
	for range 5 { // the machine may have been busy with other things during one of the two
		inOrder := took(func(i int) time.Duration { return time.Duration(i) * time.Millisecond })
		if took(func(int) time.Duration { return 0 }) < 5*inOrder {
			return
		}
	}
	require.Fail(t, "logins of one moment take more than five times as long as others, five times in a row")
}
