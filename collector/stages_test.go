package collector

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

func transaction(id string) func(*record.Login) {
	return func(l *record.Login) { l.TransactionID = id }
}

func stagesOf(room int) func(*Options) {
	return func(o *Options) { o.Kind, o.Source, o.StageRoom = AppLaunches, "app_connections", room }
}

// finish ends the lookup that is next.
func (b *bench) finish(o record.StageOutcome) {
	b.t.Helper()
	next, ok, err := b.accumulator.NextStage()
	require.NoError(b.t, err)
	require.True(b.t, ok)
	require.NoError(b.t, b.accumulator.FinishStage(next.ID, o))
}

func (b *bench) nextStage() string {
	b.t.Helper()
	next, _, err := b.accumulator.NextStage()
	require.NoError(b.t, err)
	return next.TransactionID
}

// lookups are the results that are not 0.
func (b *bench) lookups() map[string]float64 {
	values := b.values(stageLookups, "result")
	for result, n := range values {
		if n == 0 {
			delete(values, result)
		}
	}
	return values
}

func foundStage(stage, code string) record.StageOutcome {
	return record.StageOutcome{Result: record.StageFound, Stage: record.FailedStage{Stage: stage, ErrorCode: code}}
}

func TestEachFailedAccessWaitsOnce(t *testing.T) {
	b := newBench(t, stagesOf(3))
	batch := []record.Login{login(1, t0, failing("7"), transaction("one")), login(2, t0, transaction("success")), login(3, t0, failing("7")), login(4, t0, failing("7"), transaction("four"))}
	for range 3 {
		require.NoError(t, b.read(t0, batch...))
	}
	assert.Len(t, b.accumulator.StagesWait(), 1)
	assert.Equal(t, map[string]float64{"": 2}, b.values(stagesWaiting))
	assert.Equal(t, map[string]float64{"no_transaction_id": 1}, b.lookups())
	assert.Equal(t, "one", b.nextStage())
	b.finish(foundStage("MAIN_AUTH", "WKS.1"))
	assert.Equal(t, "four", b.nextStage())
	b.finish(record.StageOutcome{Result: record.StageNone, Invalid: []string{"is_success"}})
	assert.Empty(t, b.nextStage())
	require.NoError(t, b.read(t0.Add(time.Minute), batch...))
	assert.Empty(t, b.nextStage(), "and not again")

	assert.Equal(t, map[string]float64{"MAIN_AUTH/WKS.1": 1}, b.values(accessStageFailures, "stage", "error_code"))
	assert.Equal(t, map[string]float64{"found": 1, "no_failed_stage": 1, "no_transaction_id": 1}, b.lookups())
	assert.Len(t, b.values(stageLookups, "result"), len(record.StageResults), "each begins at 0")
	assert.Equal(t, 1.0, b.values(invalidFields, "field")["is_success"])

	// A success that becomes a failure is a failed access, too.
	require.NoError(t, b.read(t0.Add(time.Minute), login(2, t0, transaction("success"), failing("9"), func(l *record.Login) { l.Updated = t0.Add(time.Minute) })))
	assert.Equal(t, "success", b.nextStage())
}

// What there is no room for is counted and told, once an hour.
func TestStagesBeyondTheBudget(t *testing.T) {
	var logged bytes.Buffer
	b := newBench(t, func(o *Options) { stagesOf(2)(o); o.Logger = log.NewLogfmtLogger(&logged) })
	for i := range 5 {
		require.NoError(t, b.read(t0, login(i, t0, failing("7"), transaction(fmt.Sprint("t", i)))))
	}
	assert.Equal(t, map[string]float64{"left_out": 3}, b.lookups())
	assert.Equal(t, 1, strings.Count(logged.String(), "raise stages.max_per_minute"))
	require.NoError(t, b.read(t0.Add(time.Hour), login(9, t0.Add(time.Hour), failing("7"), transaction("t9"))))
	assert.Contains(t, logged.String(), "accesses=3")
	assert.Equal(t, 2, strings.Count(logged.String(), "raise stages.max_per_minute"))
	assert.NotContains(t, logged.String(), "t9")

	require.NoError(t, b.read(t0.Add(time.Hour), login(10, t0.Add(time.Hour), failing("7"))))
	assert.Contains(t, logged.String(), "set mode: query")
}

// What waits is in the store, in the order in which it came, and so is what is counted.
func TestStagesSurviveARestart(t *testing.T) {
	b := newBench(t, stagesOf(9))
	long := strings.Repeat("0123456789", 20)
	for i, id := range []string{"a", long, "b", strings.Repeat("x", 16)} {
		at := t0.Add(time.Duration(i) * time.Second)
		require.NoError(t, b.read(at, login(i, at, failing("7"), transaction(id))))
	}
	b.finish(foundStage("LOGIN", "1"))
	for _, id := range []string{long, "b", strings.Repeat("x", 16)} {
		b.restart()
		assert.Equal(t, id, b.nextStage())
		b.finish(foundStage("LOGIN", "1"))
	}
	b.restart()
	assert.Empty(t, b.nextStage())
	assert.Equal(t, map[string]float64{"LOGIN/1": 4}, b.values(accessStageFailures, "stage", "error_code"))
	for key := range b.storage.rows {
		assert.False(t, strings.HasPrefix(key, stagesTable), "%q is left over", key)
	}
}

// What cannot be stored is not shown, and waits on.
func TestStageThatCannotBeStored(t *testing.T) {
	b := newBench(t, stagesOf(9))
	require.NoError(t, b.read(t0, login(1, t0, failing("7"), transaction("one"))))
	next, _, err := b.accumulator.NextStage()
	require.NoError(t, err)
	b.storage.fail = errors.New("no space left on device")
	require.Error(t, b.accumulator.FinishStage(next.ID, foundStage("LOGIN", "1")))
	assert.Empty(t, b.values(accessStageFailures, "stage"))
	assert.Equal(t, "one", b.nextStage())
	b.storage.fail = nil
	require.NoError(t, b.accumulator.FinishStage(next.ID, foundStage("LOGIN", "1")))
	require.NoError(t, b.accumulator.FinishStage(next.ID, foundStage("LOGIN", "1")))
	assert.Equal(t, map[string]float64{"LOGIN": 1}, b.values(accessStageFailures, "stage"), "and only once")
}

// A new stage is held at 0, so that increase() sees it.
func TestNewStageIsHeld(t *testing.T) {
	b := newBench(t, func(o *Options) { stagesOf(9)(o); o.NewSeriesHold = 2 * time.Minute })
	require.NoError(t, b.read(t0, login(1, t0, failing("7"), transaction("one"))))
	b.finish(foundStage("LOGIN", "1"))
	assert.Equal(t, map[string]float64{"LOGIN": 0}, b.values(accessStageFailures, "stage"))
	b.clock = t0.Add(2 * time.Minute)
	assert.Equal(t, map[string]float64{"LOGIN": 1}, b.values(accessStageFailures, "stage"))
}

// Turned off, nothing waits any more, and what was counted stays.
func TestStagesTurnedOff(t *testing.T) {
	b := newBench(t, stagesOf(9))
	require.NoError(t, b.read(t0, login(1, t0, failing("7"), transaction("one")), login(2, t0, failing("7"), transaction("two"))))
	b.finish(foundStage("LOGIN", "1"))
	b.options.StageRoom = 0
	b.restart()
	require.NoError(t, b.read(t0.Add(time.Minute), login(3, t0.Add(time.Minute), failing("7"), transaction("three"))))
	assert.Empty(t, b.nextStage())
	assert.Equal(t, map[string]float64{"found": 1, "left_out": 1}, b.lookups())
	assert.Empty(t, b.values(stagesWaiting))
	b.options.StageRoom = 9
	b.restart()
	require.NoError(t, b.read(t0.Add(2*time.Minute), login(4, t0.Add(2*time.Minute), failing("7"), transaction("four"))))
	assert.Equal(t, "four", b.nextStage())
	assert.Equal(t, map[string]float64{"LOGIN": 1}, b.values(accessStageFailures, "stage"))
}

// The accesses of another project are not asked for in this one.
func TestStagesOfAnotherProject(t *testing.T) {
	b := newBench(t, func(o *Options) { stagesOf(9)(o); o.ProjectID = "one" })
	require.NoError(t, b.read(t0, login(1, t0, failing("7"), transaction("one"))))
	b.options.ProjectID = "other"
	b.restart()
	assert.Empty(t, b.nextStage())
	require.NoError(t, b.read(t0.Add(time.Minute), login(2, t0.Add(time.Minute), failing("7"), transaction("two"))))
	b.restart()
	assert.Equal(t, "two", b.nextStage())
}

// Many stages and codes fold into one series.
func TestStagesAreLimited(t *testing.T) {
	b := newBench(t, func(o *Options) { stagesOf(9)(o); o.Limits = NewLimits(3, nil) })
	for i := range 6 {
		require.NoError(t, b.read(t0, login(i, t0, failing("7"), transaction(fmt.Sprint(i)))))
		b.finish(foundStage("LOGIN", fmt.Sprint(i)))
	}
	assert.Equal(t, map[string]float64{"0": 1, "1": 1, "2": 1, "other": 3}, b.values(accessStageFailures, "error_code"))
}

// Whatever happens in between, each failed access is counted under one result or waits, each
// stage is counted once, and logins are counted as they are without stages.
func TestStagesAddUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b, plain := newBench(t, stagesOf(5)), newBench(t, stagesOf(0))
		var all []record.Login
		failed, found, asked := 0, 0, map[string]int{}
		now := t0
		rt.Repeat(map[string]func(*rapid.T){
			"read": func(rt *rapid.T) {
				now = now.Add(time.Second)
				for range rapid.IntRange(0, 4).Draw(rt, "new") {
					l := login(len(all), now)
					switch rapid.IntRange(0, 3).Draw(rt, "kind") {
					case 0, 1:
						l = login(len(all), now, failing("7"), transaction(fmt.Sprint("t", len(all))))
						failed++
					case 2:
						l = login(len(all), now, failing("8"))
						failed++
					}
					all = append(all, l)
				}
				require.NoError(rt, b.read(now, all...))
				require.NoError(rt, plain.read(now, all...))
			},
			"finish": func(rt *rapid.T) {
				next, ok, err := b.accumulator.NextStage()
				require.NoError(rt, err)
				if !ok {
					return
				}
				if rapid.IntRange(0, 3).Draw(rt, "fails") == 0 {
					b.storage.fail = errors.New("full")
					require.Error(rt, b.accumulator.FinishStage(next.ID, foundStage("LOGIN", "1")))
					b.storage.fail = nil
					return
				}
				asked[next.TransactionID]++
				if rapid.Bool().Draw(rt, "found") {
					found++
					require.NoError(rt, b.accumulator.FinishStage(next.ID, foundStage("LOGIN", "1")))
				} else {
					require.NoError(rt, b.accumulator.FinishStage(next.ID, record.StageOutcome{Result: record.StageFailed}))
				}
			},
			"crash": func(*rapid.T) { b.restart() },
			"": func(rt *rapid.T) {
				total := b.values(stagesWaiting)[""]
				for _, n := range b.lookups() {
					total += n
				}
				assert.Equal(rt, float64(failed), total)
				assert.Equal(rt, float64(found), b.values(accessStageFailures, "stage")["LOGIN"])
				assert.Equal(rt, plain.values(appLaunchFailures, "failed_code"), b.values(appLaunchFailures, "failed_code"))
				assert.Equal(rt, plain.values(recordsTotal, "disposition"), b.values(recordsTotal, "disposition"))
				for id, n := range asked {
					assert.Equal(rt, 1, n, id)
				}
			},
		})
	})
}
