package shard

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func TestEachProjectHasExactlyOneShard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		project, total := rapid.String().Draw(t, "project"), rapid.IntRange(1, 40).Draw(t, "total")
		owners := 0
		for number := range total {
			if (Shard{number, total}).Has(project) {
				owners++
			}
		}
		if owners != 1 {
			t.Fatalf("%d of %d shards have %q", owners, total, project)
		}
	})
}

// TestOneMoreShardTakesItsShare: no project moves between shards that stay.
func TestOneMoreShardTakesItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		project, total := rapid.String().Draw(t, "project"), rapid.IntRange(1, 40).Draw(t, "total")
		before, after := Of(project, total), Of(project, total+1)
		if after != before && after != total {
			t.Fatalf("%q moves from shard %d to %d when %d become %d", project, before, after, total, total+1)
		}
	})
}

// TestSharesAreEven: names that differ little are divided evenly, too.
func TestSharesAreEven(t *testing.T) {
	const projects = 3000
	for _, name := range []string{"p%d", "production-%04d", "%d", "公司%d"} {
		for total := 2; total <= 12; total++ {
			counts := make([]float64, total)
			for i := range projects {
				counts[Of(fmt.Sprintf(name, i), total)]++
			}
			for number, count := range counts {
				assert.InEpsilon(t, float64(projects)/float64(total), count, 0.25, "%s: %v", name, Shard{number, total})
			}
		}
	}
}

// TestShardsStayAsTheyAre: another release that divided otherwise would read a project
// twice while both run, and begin anew with most.
func TestShardsStayAsTheyAre(t *testing.T) {
	var got []int
	for _, project := range []string{"production", "test", "北京", "a", "b", "c", "d", "e"} {
		got = append(got, Of(project, 2), Of(project, 3), Of(project, 10))
	}
	assert.Equal(t, []int{0, 0, 7, 1, 1, 1, 1, 1, 8, 0, 2, 2, 1, 2, 4, 1, 1, 4, 1, 2, 2, 1, 1, 1}, got)
}

func TestValidate(t *testing.T) {
	for s, want := range map[Shard]string{
		{0, 1}:    "",
		{0, 3}:    "",
		{2, 3}:    "",
		{3, 3}:    "--shard=3: must be from 0 to 2, as --total-shards is 3",
		{-1, 3}:   "--shard=-1: must be from 0 to 2, as --total-shards is 3",
		{1, 1}:    "--shard is given without --total-shards: it must be 0 then",
		{0, 0}:    "--total-shards=0: must be from 1 to 1000",
		{0, 1001}: "--total-shards=1001: must be from 1 to 1000",
		{0, -2}:   "--total-shards=-2: must be from 1 to 1000",
	} {
		err := s.Validate()
		if want == "" {
			assert.NoError(t, err, "%v", s)
			continue
		}
		assert.EqualError(t, err, want)
	}
}
