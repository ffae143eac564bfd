package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

const (
	project   = "p"
	accessKey = "EXAMPLEACCESSKEY0001"
	secretKey = "example-secret-key-0001"
)

// world is the simulated API, with a memory of every version of every record.
type world struct {
	*simulator.Simulator
	url  string
	name string // of the project
	// expire tells the oracle that pending_timeout has passed for all.
	expire bool
	now    func() time.Time

	mu        sync.Mutex
	order     []string
	histories map[string]history
}

// newWorld serves the API. Wrap may be nil, or change what answers.
func newWorld(t *testing.T, o simulator.Options, wrap func(http.Handler) http.Handler) *world {
	t.Helper()
	if len(o.ProjectIDs) == 0 {
		o.ProjectIDs = []string{project}
	}
	if o.User == "" && o.StaticToken == "" {
		o.AccessKey, o.SecretKey = accessKey, secretKey
	}
	w := &world{Simulator: simulator.New(o), name: o.ProjectIDs[0], now: time.Now, histories: map[string]history{}}
	if o.Now != nil {
		w.now = o.Now
	}
	var handler http.Handler = w.Simulator
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	w.url = server.URL
	return w
}

// another is the same API seen by another project.
func (w *world) another(name string) *world {
	return &world{Simulator: w.Simulator, url: w.url, name: name, now: w.now, histories: map[string]history{}}
}

// put has the API show records, or newer versions of them.
func (w *world) put(records ...simulator.Record) {
	w.mu.Lock()
	for _, r := range records {
		if w.histories[r.ID] == nil {
			w.order = append(w.order, r.ID)
		}
		w.histories[r.ID] = append(w.histories[r.ID], r)
	}
	w.mu.Unlock()
	w.Put(w.name, records...)
}

// newest is the current version of every record.
func (w *world) newest() []simulator.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []simulator.Record
	for _, id := range w.order {
		h := w.histories[id]
		all = append(all, h[len(h)-1])
	}
	return all
}

// expect is what the metrics must show when all versions have been read.
func (w *world) expect() series {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := newOracle(w.name, w.now(), w.expire)
	for _, h := range w.histories {
		o.count(h)
	}
	return o.finish()
}

// calls is the number of requests that the API has seen.
func (w *world) calls() int {
	total := 0
	for _, n := range w.Calls() {
		total += n
	}
	return total
}

// format writes a time as the API does.
func format(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// attempt is the login number n, asked for at a time and without an outcome yet.
func attempt(n int, at time.Time) simulator.Record {
	return simulator.Record{
		ID: fmt.Sprintf("%08d", n), ConnectType: "2", ConnectFlag: "0", TenantID: "tenant-0001",
		UserName:         fmt.Sprintf("user%d@corp.example", n%37),
		DesktopGroupName: fmt.Sprintf("group-%d", n%4),
		MachineName:      fmt.Sprintf("APS-%d", n%11), MachineSID: fmt.Sprintf("S-1-5-21-77-%d", n%11),
		ClientIP: fmt.Sprintf("10.20.%d.%d", n%3, n%29), ClientMAC: fmt.Sprintf("c8-d9-d2-00-00-%02x", n%29), ClientName: fmt.Sprintf("laptop-%d", n%29),
		ClientType: []string{"Windows 10", "Mac", ""}[n%3], ClientVersion: fmt.Sprintf("23.%d.0", n%5), AgentVersion: fmt.Sprintf("23.%d.0.0423", n%2),
		PreConnTime: format(at), UpdateTime: format(at),
	}
}

// started is the attempt with success, after n%30 seconds.
func started(n int, at time.Time) simulator.Record {
	r := attempt(n, at)
	r.StartTime = format(at.Add(time.Duration(n%30) * time.Second))
	r.UpdateTime = r.StartTime
	return r
}

// end ends a record's connection.
func end(r simulator.Record, after time.Duration) simulator.Record {
	r.EndTime = format(moment(r.StartTime).Add(after))
	r.UpdateTime = r.EndTime
	return r
}

var reasons = map[string]string{
	"1001": "The server is not reachable.",
	"1002": "Wrong password.",
	"":     "Internal trouble.",
}

// failed gives a record an outcome that is a failure, as of a time.
func failed(r simulator.Record, code string, at time.Time) simulator.Record {
	r.FailedCode, r.FailedReason, r.UpdateTime = code, reasons[code], format(at)
	return r
}

// mixed is login number n with any of the outcomes, of which all is known at once.
// Its times are at most 40 s after at.
func mixed(n int, at time.Time) simulator.Record {
	switch n % 10 {
	case 0:
		return failed(attempt(n, at), "1001", at)
	case 1:
		return failed(started(n, at), "1002", at)
	case 2:
		return failed(attempt(n, at), "", at)
	case 3:
		r := started(n, at)
		r.FailedCode = "0"
		return r
	case 4, 5, 6:
		return end(started(n, at), 10*time.Second)
	}
	return started(n, at)
}

// spread makes records n to n+count-1, from a time on, every so often.
func spread(n, count int, from time.Time, every time.Duration) []simulator.Record {
	records := make([]simulator.Record, count)
	for i := range records {
		records[i] = mixed(n+i, from.Add(time.Duration(i)*every))
	}
	return records
}
