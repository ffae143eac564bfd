package collector

import (
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// reasons remembers the latest reason text of each failure code.
type reasons struct {
	info    *family
	texts   map[string]string
	changed map[string]bool
}

func newReasons(t *tables) *reasons {
	return &reasons{info: t.volatileFamily(failureCodeInfo), texts: map[string]string{}, changed: map[string]bool{}}
}

func (r *reasons) observe(e *ledger.Event) {
	if e.FailedCode == "" {
		return
	}
	text := e.Login.FailedReason
	if e.Disposition == ledger.Expired {
		text = "No outcome within pending_timeout."
	}
	known, ok := r.texts[e.FailedCode]
	if text == "" && ok || text == known && ok || !ok && len(r.texts) >= r.info.limits.max {
		return
	}
	r.texts[e.FailedCode] = text
	r.changed[e.FailedCode] = true
}

func (r *reasons) refresh(time.Time, *ledger.Ledger) {
	if len(r.changed) == 0 && len(r.info.series) > 0 {
		return
	}
	r.info.clear()
	for code, text := range r.texts {
		r.info.add(1, failedCode.is(code), reasonText.is(text), class.is(""), explanation.is(""))
	}
}

func (r *reasons) table() string { return "reasons" }

func (r *reasons) load(key, value []byte) error {
	r.texts[string(key)] = string(value)
	return nil
}

func (r *reasons) save(batch *store.Batch) {
	for code := range r.changed {
		batch.Put(r.table(), []byte(code), []byte(r.texts[code]))
	}
	clear(r.changed)
}
