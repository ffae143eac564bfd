//go:build race

package e2e

import "testing"

// buildFlags have the binary built like the test: a data race in it fails the test.
var buildFlags = []string{"-race"}

// slowWithRace skips a test that takes too long with the race detector: the Makefile runs
// it without.
func slowWithRace(t *testing.T) { t.Skip("too slow with -race") }
