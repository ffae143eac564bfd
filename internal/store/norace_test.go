//go:build !race

package store

// step is how many places of a file are passed over for one that is damaged.
const step = 1
