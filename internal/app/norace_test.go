//go:build !race

package app

const growthPolls = 10_000
