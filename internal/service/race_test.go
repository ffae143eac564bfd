//go:build race

package service

const growthPolls = 300
