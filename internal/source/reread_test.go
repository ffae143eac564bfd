package source

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// shuffles is an API whose pages never prove anything: its order is another one for each request,
// some records stand there twice, and its count is false.
func shuffles() server {
	r := rand.New(rand.NewPCG(7, 5))
	return func(w http.ResponseWriter, request *http.Request) {
		offset, _ := strconv.Atoi(request.URL.Query().Get("offset"))
		limit, _ := strconv.Atoi(request.URL.Query().Get("limit"))
		items := []map[string]string{}
		ids := append(r.Perm(300), r.Perm(300)[:r.IntN(5)]...)
		for _, id := range ids[min(offset, len(ids)):min(offset+limit, len(ids))] {
			items = append(items, map[string]string{"id": strconv.Itoa(id)})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"count": 7, "items": items})
	}
}

// What pages do not prove is taken after a while, when it is new. When open records are read
// again it never is, whatever the mode: those that it lacks would be ended.
func TestWhatIsReadAgainIsProved(t *testing.T) {
	s := userConnections
	for _, mode := range []string{config.ModeQuery, config.ModeAuto, config.ModeExport} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				block := s.Defaults()
				block.Common().Mode = mode
				fresh, again, err := s.way.(*incremental).sources(&Opening{
					Source: s, Block: block, Client: newClient(t, shuffles()), Tasks: export.NoMemory{}, Logger: log.NewNopLogger(),
					Metrics: collector.NewExporter(prometheus.NewRegistry()).Source("p", s.Name),
				})
				require.NoError(t, err)
				second := time.Now().UTC().Truncate(time.Second)
				read := func(from fetcher.LoginReader) error {
					return from.Read(t.Context(), second, second.Add(time.Second), 0, func(time.Time, []record.Login) error { return nil })
				}
				if mode == config.ModeQuery {
					for end := time.Now().Add(2 * paging.Patience); read(fresh) != nil; time.Sleep(time.Minute) {
						require.True(t, time.Now().Before(end), "what is new has no end of patience")
					}
				}
				for range 4 {
					assert.ErrorIs(t, read(again), paging.ErrMoved)
					time.Sleep(paging.Patience)
				}
			})
		})
	}
}
