//go:build race

package e2e

// buildFlags have the binary built like the test: a data race in it fails the test.
var buildFlags = []string{"-race"}
