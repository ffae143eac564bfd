// Package loginlog writes failed logins, each as a line of JSON, for a store of logs
// such as Loki. No line tells who it was: a user is a pseudonym made with a key, or is
// left out.
package loginlog

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/internal/failurecode"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// What a line says in msg.
const (
	Message       = "login failed"
	LaunchMessage = "application launch failed"
)

// Origin is where failed logins come from.
type Origin struct {
	Project, Source, Product string
	// PersonalMachines is true of machines that are often named after their persons.
	PersonalMachines bool
	// Launches is true of launches of applications, whose groups are not those of desktops.
	Launches bool
}

// Options of a Log.
type Options struct {
	// Path is a file, or - for Stderr, which is where the program's own log goes.
	Path   string
	Stderr io.Writer
	// Key returns the key of the pseudonyms. It is asked for each batch of lines; nil
	// leaves users out.
	Key func() (string, error)
	// Explanations say what failures mean.
	Explanations failurecode.Rules
	// Lost is called with how many lines could not be written.
	Lost   func(lines int)
	Logger log.Logger
}

// Log is an open log. It is safe for concurrent use.
type Log struct {
	Options
	mu   sync.Mutex
	out  io.WriteCloser
	torn bool // the last line was written in part
}

// Open opens a log. Lines go to the end of the file, which only its owner can read.
func Open(o Options) (*Log, error) {
	out, err := o.open()
	if err != nil {
		return nil, err
	}
	return &Log{Options: o, out: out}, nil
}

func (o *Options) open() (io.WriteCloser, error) {
	if o.Path == "-" {
		return unclosed{o.Stderr}, nil
	}
	// To open a pipe would wait for a reader; who can set a symbolic link could have us
	// write into any file.
	if info, err := os.Lstat(o.Path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("failed_logins_log.path %s: is not a regular file; - is standard error", o.Path)
	}
	f, err := os.OpenFile(o.Path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("failed_logins_log.path: %w", err)
	}
	named, err := os.Lstat(o.Path)
	opened, errOpened := f.Stat()
	if err != nil || errOpened != nil || !os.SameFile(named, opened) { // another one came in between
		return nil, errors.Join(fmt.Errorf("failed_logins_log.path %s: changed while it was opened", o.Path), f.Close())
	}
	return f, nil
}

// Reopen opens the file again: it may have been moved away. If it cannot be opened, the
// old one stays. A log that is off stays so.
func (l *Log) Reopen() error {
	if l == nil {
		return nil
	}
	out, err := l.open()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.out
	l.out, l.torn = out, false
	return old.Close()
}

// unclosed stays open for others.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// Close closes the file. A log that is off may be closed, too.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	return l.out.Close()
}

// line is what is written. Its names are what queries rely on.
type line struct {
	Time          time.Time          `json:"time"` // the record's own
	Msg           string             `json:"msg"`
	Project       string             `json:"project"`
	Source        string             `json:"source"`
	Product       string             `json:"product"`
	DesktopGroup  string             `json:"desktop_group"`
	AppGroup      string             `json:"app_group,omitempty"`
	AppName       string             `json:"app_name,omitempty"`
	MachineName   string             `json:"machine_name"`
	FailedCode    string             `json:"failed_code"`
	FailedReason  string             `json:"failed_reason"`
	ClientType    string             `json:"client_type"`
	ClientVersion string             `json:"client_version"`
	AgentVersion  string             `json:"agent_version"`
	Disposition   ledger.Disposition `json:"disposition"`
	User          string             `json:"user,omitempty"`
	Desktop       string             `json:"desktop,omitempty"`
	Class         string             `json:"class,omitempty"`
	Explanation   string             `json:"explanation,omitempty"`
	ExplanationZH string             `json:"explanation_zh,omitempty"`
	Action        string             `json:"action,omitempty"`
	ActionZH      string             `json:"action_zh,omitempty"`
	URL           string             `json:"url,omitempty"`
}

// Write writes a line for each event that is a failure. What cannot be written is lost,
// and said to be: a log must not keep logins from being counted.
func (l *Log) Write(from Origin, failures []ledger.Event) {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	encoder.SetEscapeHTML(false) // a reason may have <user> in it
	pseudonym := l.pseudonyms()
	meanings := map[[2]string]failurecode.Explanation{} // most failures of a batch are alike
	for i := range failures {
		e := &failures[i]
		at := e.Login.Time()
		if at.IsZero() {
			at = e.Now
		}
		failure := [2]string{e.FailedCode, e.Login.FailedReason}
		meaning, known := meanings[failure]
		if !known {
			meaning = l.Explanations.Explain(e.FailedCode, e.Login.FailedReason)
			meanings[failure] = meaning
		}
		line := line{at.UTC(), Message, from.Project, from.Source, from.Product, e.Login.Group, "", e.Login.App, e.Login.Machine, e.FailedCode, e.Login.FailedReason,
			e.Login.ClientType, e.Login.ClientVersion, e.Login.AgentVersion, e.Disposition, pseudonym(e.Login.User), "",
			meaning.Class, meaning.Text, meaning.TextZH, meaning.Action, meaning.ActionZH, meaning.URL}
		if from.Launches {
			line.Msg, line.DesktopGroup, line.AppGroup = LaunchMessage, "", e.Login.Group
		}
		if from.PersonalMachines {
			line.MachineName, line.Desktop = "", pseudonym(record.PersonOf(e.Login.Machine))
		}
		_ = encoder.Encode(line) // to memory
	}
	l.append(lines.Bytes())
}

func (l *Log) append(lines []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.torn {
		lines = append([]byte{'\n'}, lines...)
	}
	n, err := l.out.Write(lines)
	if n > 0 {
		l.torn = lines[n-1] != '\n'
	}
	if err == nil {
		return
	}
	lost := bytes.Count(lines[n:], []byte{'\n'})
	if lines[n] == '\n' {
		lost-- // only the end of a line is missing, which the next lines begin with
	}
	l.Lost(lost)
	level.Error(l.Logger).Log("msg", "failed logins are counted, but not in their log", "lines", lost, "path", l.Path, "err", err)
}

// pseudonyms returns what makes a pseudonym of a user, as of the key at this moment.
func (l *Log) pseudonyms() func(record.Person) string {
	none := func(record.Person) string { return "" }
	if l.Key == nil {
		return none
	}
	key, err := l.Key()
	if err != nil {
		level.Error(l.Logger).Log("msg", "failed logins go to their log without users: the key cannot be read", "err", err)
		return none
	}
	return func(p record.Person) string { return Pseudonym(key, p) }
}

// Pseudonym is 16 hexadecimal digits that stand for a user. Without the key nobody can
// tell whose they are, nor try names until one fits. It is made of the hash that stands
// for a user everywhere else, so that no name has to come this far.
func Pseudonym(key string, p record.Person) string {
	if p == 0 {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(key))
	_ = binary.Write(mac, binary.BigEndian, uint64(p)) // a hash takes all
	return hex.EncodeToString(mac.Sum(nil))[:16]
}
