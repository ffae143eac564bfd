package loginlog

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/failurecode"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// full is a disk with room for so many bytes.
type full struct {
	strings.Builder
	room int
}

func (f *full) Write(p []byte) (int, error) {
	n := min(len(p), f.room)
	f.room -= n
	f.Builder.Write(p[:n])
	if n < len(p) {
		return n, errors.New("no space left")
	}
	return n, nil
}

func (*full) Close() error { return nil }

func failures(codes ...string) (events []ledger.Event) {
	for _, code := range codes {
		events = append(events, ledger.Event{Disposition: ledger.Counted, FailedCode: code, Now: time.Unix(1_700_000_000, 0),
			Login: &record.Login{Group: "g", FailedReason: "<user> & co.", User: 7}})
	}
	return events
}

func TestALine(t *testing.T) {
	f := &full{room: 1000}
	l := &Log{Options: Options{Key: func() (string, error) { return "0123456789abcdef", nil }}, out: f}
	l.Write(Origin{Project: "p", Source: "user_connections", Product: "app_streaming"}, failures("1001"))
	assert.Equal(t, `{"time":"2023-11-14T22:13:20Z","msg":"login failed","project":"p","source":"user_connections","product":"app_streaming",`+
		`"desktop_group":"g","machine_name":"","failed_code":"1001","failed_reason":"<user> & co.","client_type":"","client_version":"","agent_version":"",`+
		`"disposition":"counted","user":"`+Pseudonym("0123456789abcdef", 7)+`"}`+"\n", f.String())
}

// A desktop is often named after its person, whose pseudonym stands in the same line.
func TestADesktopHasAPseudonym(t *testing.T) {
	f := &full{room: 1000}
	l := &Log{Options: Options{Key: func() (string, error) { return "0123456789abcdef", nil }}, out: f}
	events := failures("1001")
	events[0].Login.Machine = "VDI-jane.doe"
	l.Write(Origin{Project: "p", Source: "desktop_connections", Product: "desktop", PersonalMachines: true}, events)
	assert.NotContains(t, f.String(), "jane")
	assert.Contains(t, f.String(), `"machine_name":"",`)
	assert.Contains(t, f.String(), `"desktop":"`+Pseudonym("0123456789abcdef", record.PersonOf("VDI-jane.doe"))+`"}`)
	f = &full{room: 1000}
	(&Log{out: f}).Write(Origin{Project: "p", Source: "desktop_connections", Product: "desktop", PersonalMachines: true}, events)
	assert.NotContains(t, f.String(), "jane", "without a key")
	assert.NotContains(t, f.String(), `"desktop":`)
}

func TestALaunchIsNoLogin(t *testing.T) {
	f := &full{room: 1000}
	events := failures("1001")
	events[0].Login.App = "g-Calc"
	(&Log{out: f}).Write(Origin{Project: "p", Source: "app_connections", Product: "app_streaming", Launches: true}, events)
	assert.Contains(t, f.String(), `"msg":"application launch failed","project":"p","source":"app_connections"`)
	assert.Contains(t, f.String(), `"desktop_group":"","app_group":"g","app_name":"g-Calc"`)
}

func TestPseudonym(t *testing.T) {
	jane := Pseudonym("key", record.PersonOf(" jane "))
	assert.Regexp(t, "^[0-9a-f]{16}$", jane)
	assert.Equal(t, jane, Pseudonym("key", record.PersonOf("jane")))
	assert.NotEqual(t, jane, Pseudonym("key", record.PersonOf("john")))
	assert.NotEqual(t, jane, Pseudonym("another key", record.PersonOf("jane")))
	assert.Empty(t, Pseudonym("key", record.PersonOf("")), "a record without a user")
}

// However many bytes a disk takes, each line is whole or counted as lost, and when there
// is room again, lines are whole.
func TestAFullDisk(t *testing.T) {
	var whole int
	{
		f := &full{room: 1 << 20}
		(&Log{out: f}).Write(Origin{Project: "p", Source: "s", Product: "v"}, failures("1"))
		whole = f.Len()
	}
	for room := range 3*whole + 1 {
		f := &full{room: room}
		lost := 0
		l := &Log{Options: Options{Lost: func(n int) { lost += n }, Logger: log.NewNopLogger()}, out: f}
		l.Write(Origin{Project: "p", Source: "s", Product: "v"}, failures("1", "2", "3"))
		l.Write(Origin{Project: "p", Source: "s", Product: "v"}, failures("4")) // no room yet, unless there was for all
		f.room = 1 << 20
		l.Write(Origin{Project: "p", Source: "s", Product: "v"}, failures("5"))
		good := 0
		for _, line := range strings.Split(f.String(), "\n") {
			if strings.HasPrefix(line, "{") && strings.HasSuffix(line, "}") {
				good++
			}
		}
		require.Equal(t, 5, good+lost, "room for %d bytes: %s", room, f)
		require.True(t, strings.HasSuffix(f.String(), `"failed_code":"5","failed_reason":"<user> & co.","client_type":"","client_version":"","agent_version":"","disposition":"counted"}`+"\n"))
		require.Positive(t, good)
	}
}

func TestWithoutAKey(t *testing.T) {
	for name, key := range map[string]func() (string, error){"none": nil, "one that cannot be read": func() (string, error) { return "", errors.New("gone") }} {
		f := &full{room: 1000}
		(&Log{Options: Options{Key: key, Logger: log.NewNopLogger()}, out: f}).Write(Origin{Project: "p", Source: "s", Product: "v"}, failures("1"))
		assert.NotContains(t, f.String(), `"user"`, name)
		assert.Contains(t, f.String(), `"failed_code":"1"`, name)
	}
}

func TestOnlyAFileCanBeOpened(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(Options{Path: dir})
	require.EqualError(t, err, "failed_logins_log.path "+dir+": is not a regular file; - is standard error")
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(filepath.Join(dir, "elsewhere"), link))
	_, err = Open(Options{Path: link})
	require.EqualError(t, err, "failed_logins_log.path "+link+": is not a regular file; - is standard error")
	require.NoFileExists(t, filepath.Join(dir, "elsewhere"))
	_, err = Open(Options{Path: filepath.Join(dir, "none", "file")})
	require.ErrorContains(t, err, "failed_logins_log.path: open ")
}

func TestALineExplainsItsFailure(t *testing.T) {
	f := &full{room: 4000}
	own := failurecode.Rules{{Code: "1001", Explanation: failurecode.Explanation{Class: "capacity", TextZH: "满", Action: "Add servers", ActionZH: "增加服务器", URL: "https://wiki.example.com/"}}}
	(&Log{Options: Options{Explanations: own}, out: f}).Write(Origin{Project: "p", Source: "user_connections", Product: "app_streaming"}, failures("1001", "unknown", "9"))
	lines := strings.Split(f.String(), "\n")
	assert.Contains(t, lines[0], `"disposition":"counted","class":"capacity","explanation":"满","explanation_zh":"满","action":"Add servers","action_zh":"增加服务器","url":"https://wiki.example.com/"}`)
	assert.Contains(t, lines[1], `"class":"unknown","explanation":"The login failed with a reason, but without a code"`)
	assert.True(t, strings.HasSuffix(lines[2], `"disposition":"counted"}`), lines[2])
}
