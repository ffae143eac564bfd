// Package shard divides projects among instances that know nothing of each other: each
// project belongs to exactly one shard, and few change theirs when the number of shards
// changes.
package shard

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// Shard is one of Total parts of all projects. They are numbered from 0.
type Shard struct{ Number, Total int }

// most is more shards than anybody runs.
const most = 1000

// Validate checks the flags that give a shard.
func (s Shard) Validate() error {
	if s.Total < 1 || s.Total > most {
		return fmt.Errorf("--total-shards=%d: must be from 1 to %d", s.Total, most)
	}
	if s.Number < 0 || s.Number >= s.Total {
		if s.Total == 1 {
			return errors.New("--shard is given without --total-shards: it must be 0 then")
		}
		return fmt.Errorf("--shard=%d: must be from 0 to %d, as --total-shards is %d", s.Number, s.Total-1, s.Total)
	}
	return nil
}

// Divides reports whether there are other shards.
func (s Shard) Divides() bool { return s.Total > 1 }

// Has reports whether a project belongs to the shard.
func (s Shard) Has(project string) bool { return Of(project, s.Total) == s.Number }

// String is like "shard 0 of 3".
func (s Shard) String() string { return fmt.Sprintf("shard %d of %d", s.Number, s.Total) }

// Of is the shard to which a project belongs, by rendezvous hashing: that which draws the
// largest number for its name. One more shard takes its own share from all others, and
// moves nothing between them. Instances of two releases must agree, so that this never
// changes.
func Of(project string, total int) int {
	var of int
	var largest uint64
	for number := range total {
		if drawn := xxhash.Sum64String(strconv.Itoa(number) + " " + project); drawn > largest {
			of, largest = number, drawn
		}
	}
	return of
}
