package service

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/internal/logging"
	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// slowService is a service whose API takes its time, and what loads its configuration.
func slowService(t *testing.T, takes time.Duration) (s *Service, load func(window string) (*config.Config, error), closeAPI func()) {
	api := simulator.New(simulator.Options{Seed: 1, History: time.Hour, LoginsPerHour: 400, AllDay: true})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // or the server does not notice that the client has gone
		r.Body = io.NopCloser(bytes.NewReader(body))
		select {
		case <-time.After(takes):
			api.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "c.yml")
	load = func(window string) (*config.Config, error) {
		text := fmt.Sprintf("projects:\n- name: p\n  project_id: %s\n  endpoints: {appstream: %q, workspace: %[2]q}\n  credentials: {aksk: {access_key: %s, secret_key: %s}}\n"+
			"  rate_limit: {requests_per_second: 1000, burst: 1000}\n  sources: {user_connections: {mode: query, poll_interval: 100ms}, sessions: {mode: query, poll_interval: 100ms}}\n"+
			"metrics: {user_windows: [%s]}\nstorage: {path: data}\n",
			simulator.DefaultProjectID, server.URL, simulator.DefaultAccessKey, simulator.DefaultSecretKey, window)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return config.Load(file)
	}
	cfg, err := load("15m")
	require.NoError(t, err)
	s, err = New(cfg, logging.New(io.Discard, "error", "logfmt"))
	require.NoError(t, err)
	s.Start()
	return s, load, server.Close
}

// However often a reload comes, and whether or not it changes anything, logins are counted
// and nothing is left behind.
func TestAStormOfReloads(t *testing.T) {
	for name, windows := range map[string][]string{"the same": {"15m"}, "another": {"30m", "1h"}} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			s, load, closeAPI := slowService(t, 20*time.Millisecond) // a poll takes some requests
			most, reloads := 0, 0
			deadline := time.Now().Add(20 * time.Second)
			for counted := 0; counted < 2 && time.Now().Before(deadline); reloads++ {
				cfg, err := load(windows[reloads%len(windows)])
				require.NoError(t, err)
				require.NoError(t, s.Reload(func() (*config.Config, error) { return cfg, nil }))
				counted = 0
				for _, src := range s.Sources() {
					if src.Status().Position.Complete {
						counted++
					}
				}
				time.Sleep(10 * time.Millisecond)
			}
			assert.Less(t, time.Now(), deadline, "all sources have polled")
			for i := range 8 {
				cfg, err := load(windows[i%len(windows)])
				require.NoError(t, err)
				require.NoError(t, s.Reload(func() (*config.Config, error) { return cfg, nil }))
				most = max(most, runtime.NumGoroutine())
			}
			assert.Less(t, most, 60, "goroutines")
			require.NoError(t, s.Close())
			closeAPI()
		})
	}
}

// Reloads that are asked for while one is under way share the next.
func TestReloadsAtTheSameTimeAreOne(t *testing.T) {
	s, load, _ := slowService(t, 0)
	defer func() { require.NoError(t, s.Close()) }()
	cfg, err := load("15m")
	require.NoError(t, err)
	var loaded, asked atomic.Int64
	begun, goOn := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	reload := func() {
		asked.Add(1)
		assert.NoError(t, s.Reload(func() (*config.Config, error) {
			if loaded.Add(1) == 1 {
				close(begun)
				<-goOn
			}
			return cfg, nil
		}))
	}
	all.Go(reload)
	<-begun
	for range 100 {
		all.Go(reload)
	}
	waits := func() bool {
		s.reloads.mu.Lock()
		defer s.reloads.mu.Unlock()
		return s.reloads.next != nil
	}
	for asked.Load() <= 100 || !waits() { // until all have come, and one of them waits for its turn
		runtime.Gosched()
	}
	close(goOn)
	all.Wait()
	assert.LessOrEqual(t, loaded.Load(), int64(100))
	s.Stop()
	assert.ErrorIs(t, s.Reload(func() (*config.Config, error) { return cfg, nil }), errShutDown)
}

// A reload changes to another store, or leaves all as it was. A store that is left can be opened.
func TestReloadToAnotherStore(t *testing.T) {
	s, load, _ := slowService(t, 0)
	defer func() { require.NoError(t, s.Close()) }()
	old, err := load("15m")
	require.NoError(t, err)
	reload := func(change func(*config.Config)) error {
		return s.Reload(func() (*config.Config, error) {
			cfg, err := load("15m")
			change(cfg)
			return cfg, err
		})
	}
	polls := func() {
		t.Helper()
		since := time.Now()
		require.Eventually(t, func() bool {
			return !slices.ContainsFunc(s.Sources(), func(src *Source) bool { return src.Status().Position.LastSuccess.Before(since) })
		}, 20*time.Second, 10*time.Millisecond)
	}
	free := func(dir string) {
		t.Helper()
		st, err := store.Open(dir)
		require.NoError(t, err)
		require.NoError(t, st.Close())
	}
	polls()
	unused := t.TempDir()
	inTheWay := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(inTheWay, nil, 0o600))
	for name, change := range map[string]func(*config.Config){
		"store":  func(c *config.Config) { c.Storage.Path = inTheWay },
		"client": func(c *config.Config) { c.Projects[0].Endpoints.AppStream = "::"; c.Storage.Path = unused },
		"log":    func(c *config.Config) { c.FailedLoginsLog = &config.FailedLoginsLog{Path: t.TempDir()} },
	} {
		require.Error(t, reload(change), name)
		assert.Equal(t, old.Storage.Path, s.Config().Storage.Path, name)
		polls()
	}
	free(unused)
	other := t.TempDir()
	require.NoError(t, reload(func(c *config.Config) { c.Storage.Path = other }))
	assert.Equal(t, other, s.Config().Storage.Path)
	polls()
	free(old.Storage.Path)
	require.NoError(t, reload(func(c *config.Config) { c.Storage.Path = other; c.Metrics.MaxSeries++ }))
	polls()
	require.NoError(t, reload(func(c *config.Config) {}))
	polls()
	free(other)
}

// The end does not wait for a reload that waits for a poll.
func TestTheEndWaitsForNoReload(t *testing.T) {
	s, load, _ := slowService(t, time.Minute)
	cfg, err := load("1h")
	require.NoError(t, err)
	begun := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_ = s.Reload(func() (*config.Config, error) { close(begun); return cfg, nil }) // it may come too late
	})
	<-begun
	start := time.Now()
	require.NoError(t, s.Close())
	assert.Less(t, time.Since(start), pollTimeout/2)
	all.Wait()
}
