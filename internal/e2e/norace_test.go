//go:build !race

package e2e

import "testing"

var buildFlags []string

// slowWithRace skips a test that takes too long with the race detector.
func slowWithRace(*testing.T) {}
