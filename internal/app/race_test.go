//go:build race

package app

const growthPolls = 300
