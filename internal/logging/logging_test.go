package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log/level"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// disk takes so many bytes before it is full.
type disk struct {
	bytes.Buffer
	room int
}

func (d *disk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.room -= n
	d.Buffer.Write(p[:n])
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

func lines(text string) []string { return strings.Split(strings.TrimSuffix(text, "\n"), "\n") }

// messages are those of lines that must be JSON.
func messages(t *testing.T, text string) (all []string) {
	t.Helper()
	for _, line := range lines(text) {
		var l struct{ Msg, TS, Level string }
		require.NoError(t, json.Unmarshal([]byte(line), &l), "%q", line)
		assert.NotEmpty(t, l.TS)
		assert.NotEmpty(t, l.Level)
		all = append(all, l.Msg)
	}
	return all
}

func TestAFullDiskTearsNoLine(t *testing.T) {
	for room := range 130 {
		d := &disk{room: room}
		l := New(d, "info", JSON)
		_ = level.Info(l).Log("msg", "first")
		_ = level.Info(l).Log("msg", "second")
		_ = level.Info(l).Log("msg", "third")
		lost := l.Lost()
		d.room = math.MaxInt
		_ = level.Info(l).Log("msg", "fourth")
		got := messages(t, d.String())
		assert.Contains(t, got, "fourth")
		if assert.NotZero(t, lost); room == 0 {
			assert.EqualValues(t, 3, lost)
			assert.Equal(t, []string{"fourth", "lines of this log are lost: it could not be written"}, got)
			assert.Contains(t, d.String(), `"lines":3`)
		}
		assert.Len(t, got, 4-int(lost)+1, "room for %d bytes", room)
	}
}

// A batch of lines, as the log of failed logins writes it.
func TestHowMuchOfABatchIsWritten(t *testing.T) {
	for room, want := range map[int]int{0: 0, 1: 4, 3: 4, 4: 4, 5: 8, 12: 12} {
		d := &disk{room: room}
		o := &Output{to: d}
		n, err := o.Write([]byte("one\ntwo\nsix\n"))
		assert.Equal(t, want, n, room)
		assert.Equal(t, want < 12, err != nil, room)
		assert.EqualValues(t, (12-want)/4, o.Lost(), room)
		d.room = 100
		_, err = o.Write([]byte("end\n"))
		require.NoError(t, err)
		assert.Equal(t, "one\ntwo\nsix\n"[:want]+"end\n", d.String(), room)
	}
}

// pipe has a reader that reads on demand.
type pipe struct {
	reads chan struct{}
	mu    sync.Mutex
	read  bytes.Buffer
}

func (p *pipe) Write(b []byte) (int, error) {
	<-p.reads
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.read.Write(b)
}

func TestAReaderThatStopsStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipe{reads: make(chan struct{})}
		l := New(p, "info", JSON)
		begun := time.Now()
		for range 1000 {
			_ = level.Info(l).Log("msg", "again")
		}
		assert.Equal(t, patience, time.Since(begun), "only the first line waits")
		assert.EqualValues(t, 1000, l.Lost())
		close(p.reads)
		synctest.Wait()
		_ = level.Info(l).Log("msg", "the reader is back")
		assert.Equal(t, []string{"again", "the reader is back", "lines of this log are lost: it could not be written"}, messages(t, p.read.String()))
	})
}

func TestWhatLibrariesWriteIsOfTheLog(t *testing.T) {
	var out bytes.Buffer
	l := New(&out, "info", JSON)
	l.Capture()
	defer func() { log.SetFlags(log.LstdFlags); log.SetOutput(os.Stderr) }()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }))
	server.Config.ErrorLog = nil
	_, err := server.Client().Get(server.URL)
	require.Error(t, err)
	server.Close()
	got := messages(t, out.String())
	require.Len(t, got, 1)
	assert.Contains(t, got[0], "boom")
	assert.Contains(t, out.String(), "goroutine")
}

func TestEachLineIsOfTheFormat(t *testing.T) {
	write := func(format string) string {
		var out bytes.Buffer
		l := New(&out, "error", format)
		_ = level.Info(l).Log("msg", "not shown")
		_ = level.Error(l).Log("msg", "shown", "value", math.Inf(1), "channel", make(chan int))
		fmt.Fprintf(l.Text(), "an explanation\nand another\n")
		l.Fatal("program", errors.New("line 1: wrong\nline 2: \"wrong\" too"))
		return out.String()
	}
	assert.Equal(t, []string{"shown", "an explanation", "and another", "line 1: wrong\nline 2: \"wrong\" too"}, messages(t, write(JSON)))
	assert.Contains(t, write("logfmt"), "an explanation\nand another\nprogram: line 1: wrong\nline 2: \"wrong\" too\n")
}
