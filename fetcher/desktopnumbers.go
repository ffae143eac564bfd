package fetcher

import (
	"context"
	"slices"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// ReadDesktopNumbers reads how many desktops there are, by two calls: of all desktops, and of
// those in pools, pool by pool. Dedicated desktops are what the second leaves of the first.
type ReadDesktopNumbers struct {
	// Get gets the numbers of desktops of a type; of all if it is empty.
	Get func(ctx context.Context, desktopType string) (record.DesktopStatistics, error)
	// Mismatch is called if pools have more desktops than there are.
	Mismatch func()
	Logger   log.Logger

	poolWord
}

// poolWord is how the API is known to list pools, which outlives a reload.
type poolWord struct {
	pooled string // the word by which pools were asked for last
	// unlistedAt is when no word had the API list the pools that it has.
	unlistedAt time.Time
}

// Words for desktops in pools: that of the vendor's enumeration, and that with which, as the
// vendor's page says, pools are listed.
const (
	typePooled = "POOLED"
	typePool   = "POOL"
)

// Inherit implements CurrentSource.
func (d *ReadDesktopNumbers) Inherit(before CurrentSource) {
	if b, ok := before.(*ReadDesktopNumbers); ok {
		d.poolWord = b.poolWord
	}
}

// ReadNow implements CurrentSource.
func (d *ReadDesktopNumbers) ReadNow(ctx context.Context) (*record.Batch, error) {
	answer, err := d.Get(ctx, "")
	if err != nil {
		return nil, err
	}
	pooled, pools, err := d.pools(ctx)
	if err != nil {
		return nil, err
	}
	all := answer.All()
	dedicated, exact := all.Minus(&pooled, pools)
	if !exact {
		d.Mismatch()
	}
	return &record.Batch{Desktops: append([]record.DesktopCount{dedicated}, pools...)}, nil
}

// pools gets the numbers of all pools together and of each, by the word that the API wants. If
// it lists none by any word, they are one pool.
func (d *ReadDesktopNumbers) pools(ctx context.Context) (pooled record.DesktopCount, pools []record.DesktopCount, err error) {
	word := ""
	for _, next := range d.words() {
		answer, refusal := d.Get(ctx, next)
		if workspace.IsRefused(refusal) {
			err = refusal
			continue
		}
		if refusal != nil {
			return pooled, nil, refusal
		}
		word, pooled = next, answer.All()
		if total := pooled.Total; answer.HasPools() || total == nil || *total == 0 {
			d.pooled, d.unlistedAt = next, time.Time{}
			return pooled, answer.Pools(), nil
		}
	}
	if word == "" {
		return pooled, nil, err
	}
	if isDue(d.unlistedAt) {
		level.Warn(d.Logger).Log("msg", "there are desktops in pools, and the API lists none of the pools: report it to the vendor; until then they are shown as one pool",
			"desktop_pool", record.UnknownPool, "desktops", *pooled.Total)
		d.unlistedAt = time.Now()
	}
	d.pooled, pooled.Pool = word, record.UnknownPool
	return pooled, []record.DesktopCount{pooled}, nil
}

// words are those to ask by, the one that is known to work first. If none has the API list
// pools, the other is tried again an hour later.
func (d *ReadDesktopNumbers) words() []string {
	words := []string{typePooled, typePool}
	if d.pooled == typePool {
		slices.Reverse(words)
	}
	if !isDue(d.unlistedAt) {
		words = words[:1]
	}
	return words
}
