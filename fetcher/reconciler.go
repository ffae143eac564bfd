package fetcher

import (
	"context"
	"errors"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Reconciler compares what two sources have of the same closed hour. It counts
// nothing: it only says whether they agree.
type Reconciler struct {
	One, Other LoginReader
	Interval   time.Duration
	// Lookback is how long after its end an hour is closed.
	Lookback   time.Duration
	ServerTime func() (time.Time, bool)
	// Show is called with in how many records the sources differ.
	Show   func(difference int)
	Logger log.Logger
}

// untilClock is how long to wait for the first poll to learn the server's time.
const untilClock = time.Second

var errNoClock = errors.New("the server's time is not known yet")

// Run compares an hour, now and after each interval, until ctx ends.
func (r *Reconciler) Run(ctx context.Context) {
	for {
		wait := r.Interval
		difference, err := r.Compare(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errNoClock):
			wait = min(wait, untilClock)
		case err != nil:
			level.Warn(r.Logger).Log("msg", "reconciliation failed, will retry", "err", err)
		default:
			r.Show(difference)
			if difference != 0 {
				level.Warn(r.Logger).Log("msg", "pages and export disagree for one hour", "records", difference)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// Compare returns in how many records the sources differ in the newest closed hour.
func (r *Reconciler) Compare(ctx context.Context) (int, error) {
	now, ok := r.ServerTime()
	if !ok {
		return 0, errNoClock
	}
	to := now.Add(-r.Lookback).UTC().Truncate(time.Hour)
	hour := cursor.Window{From: to.Add(-time.Hour), To: to}
	balance := map[compareKey]int{}
	for sign, source := range map[int]LoginReader{1: r.One, -1: r.Other} {
		logins, err := gather(ctx, source, cursor.Window{From: hour.From.Add(-cursor.Seam), To: hour.To.Add(cursor.Seam)}, 0)
		if err != nil {
			return 0, err
		}
		for i := range logins {
			if at := logins[i].Time(); !at.Before(hour.From) && at.Before(hour.To) {
				balance[compareKey{logins[i].Invariant, logins[i].FailedCode}] += sign
			}
		}
	}
	difference := 0
	for _, n := range balance {
		difference += max(n, -n)
	}
	return difference, nil
}

// compareKey is what both sources should have of a record.
type compareKey struct {
	record record.Identity
	code   string
}
