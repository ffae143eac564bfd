package fetcher

import (
	"context"
	"fmt"
	"slices"

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

	pooled string // the word by which pools were listed last
}

// Words for desktops in pools: that of the vendor's enumeration, and that with which, as the
// vendor's page says, pools are listed.
const (
	typePooled = "POOLED"
	typePool   = "POOL"
)

// ReadNow implements CurrentSource.
func (d *ReadDesktopNumbers) ReadNow(ctx context.Context) (*record.Batch, error) {
	answer, err := d.Get(ctx, "")
	if err != nil {
		return nil, err
	}
	pools, err := d.pools(ctx)
	if err != nil {
		return nil, err
	}
	all := answer.All()
	dedicated, exact := all.Minus(pools)
	if !exact {
		d.Mismatch()
	}
	return &record.Batch{Desktops: append([]record.DesktopCount{dedicated}, pools...)}, nil
}

// pools gets the numbers of each pool, by the word that the API wants.
func (d *ReadDesktopNumbers) pools(ctx context.Context) ([]record.DesktopCount, error) {
	words := []string{typePooled, typePool}
	if d.pooled == typePool {
		slices.Reverse(words)
	}
	var err error
	for _, word := range words {
		var answer record.DesktopStatistics
		answer, err = d.Get(ctx, word)
		switch total := answer.All().Total; {
		case workspace.IsRefused(err):
			continue
		case err != nil:
			return nil, err
		case answer.HasPools():
			d.pooled = word
			return answer.Pools(), nil
		case total == nil || *total == 0:
			return nil, nil
		default:
			err = fmt.Errorf("the API says that pools have %d desktops, and lists none of the pools", *total)
		}
	}
	return nil, err
}
