package command

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
)

func TestWhatTakesTooLongIsAbandoned(t *testing.T) {
	for _, takes := range []time.Duration{time.Millisecond, 5 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			err := abandon(ctx, log.NewNopLogger(), func() error {
				time.Sleep(takes)
				return errors.New("late")
			})
			assert.Equal(t, takes < shutdownTimeout, err != nil)
			assert.Equal(t, min(takes, time.Second+shutdownTimeout), time.Since(start))
			time.Sleep(takes)
		})
	}
}
