package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hurry is how much faster than in life Alertmanager sees an incident.
const hurry = 120

var (
	durations = regexp.MustCompile(`(group_wait|group_interval|repeat_interval): (\w+)`)
	receiver  = regexp.MustCompile(`(?m)^  - name: (pager|mail|nobody)$`)
	listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)
)

// TestOneIncidentIsOnePage plays the alarms of whole incidents, each as a project of its
// own, to a real Alertmanager with the example's configuration.
func TestOneIncidentIsOnePage(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes two minutes of waiting")
	}
	sent := newReceivers(t)
	url := startAlertmanager(t, hurried(t, sent.server.URL))
	var all []*playing
	for _, s := range []size{small, medium} {
		p := play(t, s)
		for i, c := range p.cases {
			all = append(all, &playing{name: fmt.Sprintf("%s %d", s.name, i), c: c, alarms: p.of(c)})
		}
	}
	tick := time.NewTicker(time.Minute / hurry)
	defer tick.Stop()
	for m := int32(0); m < 200; m++ {
		<-tick.C
		post(t, url, all, m)
	}
	for _, r := range all {
		pages, mails := sent.of("pager", r.name), sent.of("mail", r.name)
		t.Logf("%s, %s: %d pages, %d mails", r.name, &r.c.incident, pages, mails)
		if first(r.alarms, "critical") >= 0 {
			assert.Positive(t, pages, "%s, %s: no page", r.name, &r.c.incident)
			assert.LessOrEqual(t, pages, max(1, r.c.pages), "%s, %s: pages", r.name, &r.c.incident)
		} else {
			assert.Zero(t, pages, "%s, %s: pages", r.name, &r.c.incident)
			assert.Positive(t, mails, "%s, %s: no mail", r.name, &r.c.incident)
		}
		assert.LessOrEqual(t, mails, 2, "%s, %s: mails", r.name, &r.c.incident)
	}
}

// playing is an incident that is played.
type playing struct {
	name   string
	c      *told
	alarms []*alarm
}

// post tells Alertmanager what Prometheus would at a minute after the onset.
func post(t *testing.T, url string, all []*playing, m int32) {
	t.Helper()
	type alert struct {
		Labels map[string]string `json:"labels"`
		EndsAt time.Time         `json:"endsAt"`
	}
	var alerts []alert
	for _, r := range all {
		at := int32(r.c.incident.from/minute) + m
		for _, a := range r.alarms {
			if a.from > at || a.to > 0 && a.to < at-5 {
				continue
			}
			one := alert{Labels: map[string]string{}, EndsAt: time.Now().Add(4 * time.Minute / hurry)}
			a.labels.Range(func(l labels.Label) { one.Labels[l.Name] = l.Value })
			one.Labels["project"] = r.name
			if a.to > 0 && a.to <= at {
				one.EndsAt = time.Now()
			}
			alerts = append(alerts, one)
		}
	}
	body, err := json.Marshal(alerts)
	require.NoError(t, err)
	resp, err := http.Post(url+"/api/v2/alerts", "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

// receivers count what is sent to whom, by project. What is resolved is no page.
type receivers struct {
	server *httptest.Server
	mu     sync.Mutex
	n      map[[2]string]int
}

func newReceivers(t *testing.T) *receivers {
	r := &receivers{n: map[[2]string]int{}}
	r.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		var sent struct {
			Status      string
			GroupLabels map[string]string `json:"groupLabels"`
		}
		if json.NewDecoder(req.Body).Decode(&sent) == nil && sent.Status == "firing" {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.n[[2]string{strings.Trim(req.URL.Path, "/"), sent.GroupLabels["project"]}]++
		}
	}))
	t.Cleanup(r.server.Close)
	return r
}

func (r *receivers) of(receiver, project string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n[[2]string{receiver, project}]
}

// hurried is the example with receivers that can be asked, and with shorter waits.
func hurried(t *testing.T, url string) string {
	t.Helper()
	text, err := os.ReadFile("../../rules/alertmanager.example.yml")
	require.NoError(t, err)
	config := durations.ReplaceAllStringFunc(string(text), func(s string) string {
		m := durations.FindStringSubmatch(s)
		d, err := time.ParseDuration(m[2])
		require.NoError(t, err)
		return m[1] + ": " + strconv.FormatInt((d/hurry).Milliseconds(), 10) + "ms"
	})
	config = receiver.ReplaceAllString(config, "  - name: $1\n    webhook_configs: [{url: \""+url+"/$1\"}]")
	file := filepath.Join(t.TempDir(), "alertmanager.yml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	return file
}

func startAlertmanager(t *testing.T, config string) (url string) {
	t.Helper()
	tool := exec.Command("../../../scripts/tool", "prometheus-alertmanager")
	tool.Stderr = os.Stderr
	program, err := tool.Output()
	require.NoError(t, err)
	path := strings.TrimSpace(string(program))
	command := exec.Command(path, "--config.file="+config, "--storage.path="+t.TempDir(), "--cluster.listen-address=", "--web.listen-address=127.0.0.1:0")
	if root, unpacked := strings.CutSuffix(path, "/usr/bin/prometheus-alertmanager"); unpacked {
		command.Dir = root
	}
	stderr, err := command.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	found := make(chan string, 1)
	go func() {
		var all []byte
		chunk := make([]byte, 4096)
		for {
			n, err := stderr.Read(chunk)
			if all = append(all, chunk[:n]...); err != nil {
				return
			}
			if m := listening.FindSubmatch(all); m != nil && len(found) == 0 {
				found <- "http://" + string(m[1])
			}
		}
	}()
	select {
	case url = <-found:
	case <-time.After(time.Minute):
		require.Fail(t, "Alertmanager does not listen")
	}
	return url
}
