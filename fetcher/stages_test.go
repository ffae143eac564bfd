package fetcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// stageQueue is a StageQueue in memory.
type stageQueue struct {
	mu       sync.Mutex
	wake     chan struct{}
	waiting  []string
	finished []string // with their results
	fail     error    // of FinishStage
}

func newStageQueue(ids ...string) *stageQueue {
	return &stageQueue{wake: make(chan struct{}, 1), waiting: ids}
}

func (q *stageQueue) StagesWait() <-chan struct{} { return q.wake }

func (q *stageQueue) NextStage() (next record.StageLookup, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return next, false, nil
	}
	return record.StageLookup{TransactionID: q.waiting[0]}, true, nil
}

func (q *stageQueue) FinishStage(_ record.Identity, o record.StageOutcome) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail != nil {
		return q.fail
	}
	q.finished = append(q.finished, q.waiting[0]+" "+string(o.Result))
	q.waiting = q.waiting[1:]
	return nil
}

func (q *stageQueue) add(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, id)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// stageAPI answers questions for stages, each by what stands for its access.
type stageAPI struct {
	answers map[string]http.HandlerFunc // others have no failed stage
	asked   []string
	at      []time.Duration
}

func (a *stageAPI) stages(t *testing.T, q *stageQueue, logged *bytes.Buffer) *Stages {
	t.Helper()
	begun := time.Now()
	client := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		id := r.URL.Query().Get("transaction_id")
		a.asked, a.at = append(a.asked, id), append(a.at, time.Since(begun))
		if answer := a.answers[id]; answer != nil {
			answer(w, r)
			return
		}
		fmt.Fprint(w, `{"stages":[]}`)
	}).Aside(workspace.Aside{Budget: &workspace.Budget{}, PerMinute: 30, Pause: &workspace.Pause{}})
	show := workspace.Operation{Name: "ShowUserAccessStages", Permission: "workspace:statistics:getUserAccessStages",
		Endpoint: workspace.Workspace, Method: http.MethodGet, Path: "/v2/{project_id}/statistics/metrics/access-stages"}
	return &Stages{Queue: q, Permission: show.Permission, Logger: log.NewLogfmtLogger(logged), Ask: func(ctx context.Context, id string) (record.AccessStages, error) {
		of := show.With("transaction_id", id)
		return workspace.Get[record.AccessStages](ctx, client, &of)
	}}
}

// handler is a server without a network, which a bubble of synctest cannot have.
type handler http.HandlerFunc

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func clientOf(t *testing.T, h handler) *workspace.Client {
	t.Helper()
	client, err := workspace.New(workspace.Options{
		ProjectID: "p", Endpoints: workspace.Endpoints{AppStream: "https://api.test"}, Transport: h,
		Credentials: workspace.Token(func() (string, error) { return "token", nil }),
	})
	require.NoError(t, err)
	return client
}

func answerStatus(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// What an answer means for the access "x", and for when the next one, "y", is asked for.
func TestStageAnswers(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, c := range map[string]struct {
		answer      http.HandlerFunc
		result      record.StageResult
		least, most time.Duration // until the next
		says        string
	}{
		"found":           {answerStatus(200, `{"stages":[{"stage":"LOGIN","is_success":false}]}`), record.StageFound, 0, 0, ""},
		"none":            {answerStatus(200, `{"stages":null}`), record.StageNone, 0, 0, ""},
		"unknown":         {answerStatus(404, `{"error_code":"WKS.1","error_msg":"no x-0123456789"}`), record.StageNotFound, 0, 0, "does not know"},
		"bad":             {answerStatus(400, `{}`), record.StageNotFound, 0, 0, "does not know"},
		"denied":          {answerStatus(403, `{}`), record.StageDenied, 15 * time.Minute, 15 * time.Minute, "grant workspace:statistics:getUserAccessStages"},
		"refused":         {answerStatus(401, `{}`), record.StageFailed, time.Second, 10 * time.Second, "could not be asked for"},
		"unavailable":     {answerStatus(503, ``), record.StageFailed, time.Second, 10 * time.Second, "could not be asked for"},
		"later":           {answerStatus(503, ``, "Retry-After", "40"), record.StageFailed, 40 * time.Second, 40 * time.Second, "could not be asked for"},
		"redirect":        {answerStatus(302, ``, "Location", "https://elsewhere.test"), record.StageFailed, time.Second, 10 * time.Second, "elsewhere.test"},
		"array":           {answerStatus(200, `[]`), record.StageFailed, 0, 0, "cannot be read"},
		"HTML":            {answerStatus(200, `<html>`), record.StageFailed, 0, 0, "cannot be read"},
		"too large":       {answerStatus(200, `{"stages":[`+strings.Repeat(" ", 2<<20)+`]}`), record.StageFailed, 0, 0, "larger than 1 MiB"},
		"silence":         {hang, record.StageFailed, 31 * time.Second, 45 * time.Second, "could not be asked for"},
		"another's words": {answerStatus(429, `{"error_code":"APIGW.0308"}`, "Retry-After", "300"), "", 0, 0, "throttles"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const x = "x-0123456789"
				var logged bytes.Buffer
				q := newStageQueue(x, "y")
				api := &stageAPI{answers: map[string]http.HandlerFunc{x: c.answer}}
				s := api.stages(t, q, &logged)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
				defer cancel()
				if c.result == "" { // it is asked for again, once that is allowed
					begun := time.Now()
					api.answers[x] = func(w http.ResponseWriter, r *http.Request) {
						if time.Since(begun) > time.Minute {
							c.answer = answerStatus(200, `{"stages":[]}`)
						}
						c.answer(w, r)
					}
					s.Run(ctx)
					assert.Equal(t, []string{x, x, "y"}, api.asked)
					assert.GreaterOrEqual(t, api.at[1], 5*time.Minute)
					assert.Equal(t, []string{x + " no_failed_stage", "y no_failed_stage"}, q.finished)
				} else {
					s.Run(ctx)
					assert.Equal(t, []string{x, "y"}, api.asked, "each once")
					assert.GreaterOrEqual(t, api.at[1], c.least)
					assert.LessOrEqual(t, api.at[1], c.most)
					assert.Equal(t, []string{x + " " + string(c.result), "y no_failed_stage"}, q.finished)
				}
				assert.Contains(t, logged.String(), c.says)
				assert.Equal(t, c.says == "", logged.Len() == 0, logged.String())
				assert.NotContains(t, logged.String(), x)
			})
		})
	}
}

// An API that answers nothing is asked less and less often, and that is told once.
func TestStagesBackOff(t *testing.T) {
	for _, status := range []int{429, 403, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var logged bytes.Buffer
				api := &stageAPI{answers: map[string]http.HandlerFunc{}}
				q := newStageQueue()
				for i := range 200 {
					id := fmt.Sprint("t", i)
					q.waiting, api.answers[id] = append(q.waiting, id), answerStatus(status, "")
				}
				ctx, cancel := context.WithTimeout(t.Context(), 6*time.Hour)
				defer cancel()
				api.stages(t, q, &logged).Run(ctx)
				assert.Less(t, len(api.asked), 130)
				assert.Greater(t, len(api.asked), 20)
				assert.Equal(t, 1, strings.Count(logged.String(), "\n"), logged.String())
				if status == 429 {
					assert.Empty(t, q.finished, "it waits on")
				}
			})
		})
	}
}

// It sleeps while none waits, is woken by the next, and ends at once.
func TestStagesAreWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, api := newStageQueue(), &stageAPI{answers: map[string]http.HandlerFunc{"hangs": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}}
		s := api.stages(t, q, &bytes.Buffer{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.Run(ctx); close(ended) }()
		time.Sleep(time.Hour)
		q.add("a")
		synctest.Wait()
		assert.Equal(t, []string{"a no_failed_stage"}, q.finished)
		q.add("hangs")
		synctest.Wait()
		start := time.Now()
		cancel()
		<-ended
		assert.Zero(t, time.Since(start))
		assert.Len(t, q.finished, 1, "what was not answered waits on")
	})
}

// While the store cannot be written, an answer is kept, and nothing is asked for.
func TestStageAnswerIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		q, api := newStageQueue("a", "b"), &stageAPI{}
		q.fail = errors.New("no space left on device")
		time.AfterFunc(time.Hour, func() { q.mu.Lock(); defer q.mu.Unlock(); q.fail = nil })
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		api.stages(t, q, &logged).Run(ctx)
		assert.Equal(t, []string{"a", "b"}, api.asked)
		assert.GreaterOrEqual(t, api.at[1], time.Hour)
		assert.Contains(t, logged.String(), "no space left")
	})
}

// Once, it asks for what waits, and not beyond a refusal.
func TestStagesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, api := newStageQueue("a", "b", "c"), &stageAPI{answers: map[string]http.HandlerFunc{"b": answerStatus(503, "")}}
		start := time.Now()
		api.stages(t, q, &bytes.Buffer{}).RunOnce(t.Context())
		require.Zero(t, time.Since(start))
		assert.Equal(t, []string{"a", "b"}, api.asked)
	})
}
