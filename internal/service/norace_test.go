//go:build !race

package service

const growthPolls = 10_000
