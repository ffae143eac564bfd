package simulator

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// FaultKind is what a fault does to an answer.
type FaultKind string

// The kinds of fault. The first three keep the request from the API; the next corrupt
// the answer that it gives; the last three hit requests that make export tasks, and
// decide what becomes of those.
const (
	// FaultError answers Fault.Status with Fault.Code and Fault.Message.
	FaultError FaultKind = "error"
	// FaultHang sends nothing for Fault.Seconds, or until the client goes away, and
	// then drops the connection.
	FaultHang FaultKind = "hang"
	// FaultDrop closes the connection at once.
	FaultDrop FaultKind = "drop"

	// FaultDropBody closes the connection in the middle of the body.
	FaultDropBody FaultKind = "drop_body"
	// FaultTruncate sends half of the body, as if that were all.
	FaultTruncate FaultKind = "truncate"
	// FaultOversize sends a body that never ends.
	FaultOversize FaultKind = "oversize"
	// FaultGarbage sends a proxy's HTML page in the place of the body.
	FaultGarbage FaultKind = "garbage"
	// FaultSlow takes Fault.Seconds to send the body.
	FaultSlow FaultKind = "slow"
	// FaultEmpty sends no body.
	FaultEmpty FaultKind = "empty"
	// FaultSkew shifts the Date header by Fault.Seconds.
	FaultSkew FaultKind = "skew"
	// FaultCount adds Fault.Count to the "count" or "total_count" of a list.
	FaultCount FaultKind = "count"
	// FaultCountIs makes it Fault.Count, whatever the list holds.
	FaultCountIs FaultKind = "count_is"

	// FaultTaskFail has the task FAIL, with the reason Fault.Message and the error
	// code Fault.Code, which may be empty.
	FaultTaskFail FaultKind = "task_fail"
	// FaultTaskExpire has it EXPIRED instead of SUCCESS.
	FaultTaskExpire FaultKind = "task_expire"
	// FaultTaskHang has it CREATING for ever.
	FaultTaskHang FaultKind = "task_hang"
)

var kinds = []FaultKind{
	FaultError, FaultHang, FaultDrop,
	FaultDropBody, FaultTruncate, FaultOversize, FaultGarbage, FaultSlow, FaultEmpty, FaultSkew, FaultCount, FaultCountIs,
	FaultTaskFail, FaultTaskExpire, FaultTaskHang,
}

// ofTask reports whether the kind is about an export task.
func (k FaultKind) ofTask() bool {
	return k == FaultTaskFail || k == FaultTaskExpire || k == FaultTaskHang
}

// Fault is something that goes wrong.
type Fault struct {
	ID   int       `json:"id"`
	Kind FaultKind `json:"kind"`

	// Which requests it hits: those whose path begins so, and of this project.
	// Empty: all.
	Path    string `json:"path,omitempty"`
	Project string `json:"project,omitempty"`
	// Times is how many requests it hits, then it is gone. 0: until it is removed.
	Times int `json:"times,omitempty"`
	// Probability that it hits a request that it could. 0: it always does.
	Probability float64 `json:"probability,omitempty"`

	Status     int     `json:"status,omitempty"`      // default 503
	Code       string  `json:"error_code,omitempty"`  // default APIGW.0201; of a task, none
	Message    string  `json:"error_msg,omitempty"`   // default says that it is a fault; of a task, none
	RetryAfter string  `json:"retry_after,omitempty"` // the header, as it is
	Seconds    float64 `json:"seconds,omitempty"`
	Count      int     `json:"count,omitempty"`
}

func (f *Fault) validate() error {
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("kind must be one of %v", kinds)
	case f.Times < 0 || f.Probability < 0 || f.Probability > 1:
		return errors.New("times must not be negative, probability must be from 0 to 1")
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return errors.New("status must be from 200 to 599")
	case f.Kind == FaultSlow && f.Seconds <= 0:
		return errors.New("a slow answer needs seconds")
	}
	return nil
}

func (f *Fault) hits(r *request) bool {
	if f.Kind.ofTask() && (r.route == nil || !r.route.task) {
		return false
	}
	return strings.HasPrefix(r.URL.Path, f.Path) && (f.Project == "" || f.Project == r.project)
}

// faults are those in force.
type faults struct {
	mu     sync.Mutex
	random *rand.Rand
	last   int
	list   []Fault
}

// AddFault puts a fault in force and returns its id. Of several that hit a
// request, the first added does. It panics on a fault that makes no sense.
func (s *Simulator) AddFault(f Fault) int {
	if err := f.validate(); err != nil {
		panic("simulator: " + err.Error())
	}
	return s.faults.add(f).ID
}

// RemoveFault ends a fault before its time.
func (s *Simulator) RemoveFault(id int) { s.faults.remove(id) }

// Faults lists those still in force.
func (s *Simulator) Faults() []Fault { return s.faults.all() }

func (fs *faults) add(f Fault) Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.last++
	f.ID = fs.last
	fs.list = append(fs.list, f)
	return f
}

// remove ends a fault; with id 0, all of them.
func (fs *faults) remove(id int) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = slices.DeleteFunc(fs.list, func(f Fault) bool { return id == 0 || f.ID == id })
}

func (fs *faults) all() []Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return append([]Fault{}, fs.list...)
}

// take finds the fault that hits a request, if any, and uses it up.
func (fs *faults) take(r *request) (Fault, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i, f := range fs.list {
		if !f.hits(r) || f.Probability > 0 && fs.random.Float64() >= f.Probability {
			continue
		}
		if f.Times == 1 {
			fs.list = slices.Delete(fs.list, i, i+1)
		} else if f.Times > 1 {
			fs.list[i].Times--
		}
		return f, true
	}
	return Fault{}, false
}

// serve is the interface to faults over HTTP: see the package's comment.
func (fs *faults) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/-/faults" {
		http.NotFound(w, r)
		return
	}
	switch r.Method {
	case http.MethodGet:
		writeJSON(w, http.StatusOK, fs.all())
	case http.MethodPost:
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		d.DisallowUnknownFields()
		var f Fault
		if err := cmp.Or(d.Decode(&f), f.validate()); err != nil {
			http.Error(w, "not a fault: "+err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, http.StatusCreated, fs.add(f))
	case http.MethodDelete:
		id, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("id"), "0"))
		if err != nil {
			http.Error(w, "id must be a number", http.StatusBadRequest)
			return
		}
		fs.remove(id)
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "GET, POST or DELETE", http.StatusMethodNotAllowed)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client went away
}

// serveFault answers a request that a fault has hit.
func (s *Simulator) serveFault(w http.ResponseWriter, r *request, f Fault) {
	seconds := time.Duration(f.Seconds * float64(time.Second))
	switch f.Kind {
	case FaultError:
		s.send(w, r, f.answer(r))
		return
	case FaultHang, FaultDrop:
		if f.Kind == FaultHang {
			hang(r, seconds)
		}
		s.count(r, 0)
		panic(http.ErrAbortHandler) // closes the connection
	}
	if f.Kind.ofTask() {
		r.fate = f
	}
	a := s.ask(r)
	switch f.Kind {
	case FaultTruncate:
		a.body = a.body[:len(a.body)/2]
	case FaultGarbage:
		a = answer{http.StatusOK, http.Header{"Content-Type": {"text/html"}}, []byte("<html><body><h1>Sign in to the guest network</h1></body></html>")}
	case FaultEmpty:
		a.body = nil
	case FaultSkew:
		r.now = r.now.Add(seconds)
	case FaultCount:
		a.body = changeCount(a.body, func(n int) int { return n + f.Count })
	case FaultCountIs:
		a.body = changeCount(a.body, func(int) int { return f.Count })
	case FaultDropBody, FaultOversize, FaultSlow:
		s.dribble(w, r, a, f.Kind, seconds)
		return
	}
	s.send(w, r, a)
}

func (f *Fault) answer(r *request) answer {
	a := refuse(r, cmp.Or(f.Status, http.StatusServiceUnavailable), cmp.Or(f.Code, "APIGW.0201"),
		cmp.Or(f.Message, "Backend unavailable: an injected fault"))
	if f.RetryAfter != "" {
		a.header = http.Header{"Retry-After": {f.RetryAfter}}
	}
	return a
}

// hang waits; without a time, for the client to go away.
func hang(r *request, d time.Duration) {
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-r.Context().Done():
	}
}

// dribble sends a body in parts: half of it and no more, all of it slowly, or on
// and on.
func (s *Simulator) dribble(w http.ResponseWriter, r *request, a answer, kind FaultKind, d time.Duration) {
	s.count(r, a.status)
	setHeader(w, r, a)
	if kind == FaultDropBody {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	flusher := http.NewResponseController(w)
	switch kind {
	case FaultDropBody:
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = flusher.Flush()
		panic(http.ErrAbortHandler)
	case FaultSlow:
		const parts = 20
		for part := range slices.Chunk(a.body, len(a.body)/parts+1) {
			hang(r, d/parts)
			_, _ = w.Write(part)
			_ = flusher.Flush()
		}
	case FaultOversize:
		_, _ = io.WriteString(w, `{"count":1,"items":[{"id":"`)
		for filler := bytes.Repeat([]byte("0"), 1<<16); ; {
			if _, err := w.Write(filler); err != nil {
				return
			}
		}
	}
}

// changeCount falsifies the count of a list; another body stays as it is.
func changeCount(body []byte, change func(int) int) []byte {
	var list map[string]json.RawMessage
	if json.Unmarshal(body, &list) != nil {
		return body
	}
	name, count := "count", 0
	if list[name] == nil {
		name = "total_count"
	}
	if json.Unmarshal(list[name], &count) != nil {
		return body
	}
	list[name] = []byte(strconv.Itoa(change(count)))
	changed, err := json.Marshal(list)
	if err != nil {
		return body
	}
	return changed
}
