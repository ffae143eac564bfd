package command

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

// TestDemoExplainsInBothLanguages compares the number of texts of its failure codes.
func TestDemoExplainsInBothLanguages(t *testing.T) {
	_, codes, found := strings.Cut(demoConfig, "\nfailure_codes:")
	require.True(t, found)
	for _, key := range []string{"text: ", "text_zh: ", "action: ", "action_zh: "} {
		assert.Equal(t, strings.Count(codes, "reason: "), strings.Count(codes, key), key)
	}
}
