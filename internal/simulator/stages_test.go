package simulator

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func stagesOf(id string) *http.Request { return get(stagesPath + "?transaction_id=" + id) }

// Each access that a list shows has stages; one that failed has its code at the last, and
// none behind it.
func TestStages(t *testing.T) {
	o := everything(&clock{noon})
	o.Users, o.Servers, o.LoginsPerHour, o.History, o.AllDay, o.LateBy, o.Reclassified = 50, 8, 60, 2*time.Hour, true, -1, -1
	s := New(o)
	failed, shown := map[string]bool{}, 0
	check := func(id string, hasFailed bool, kind string) {
		r := stagesOf(id)
		a := ask[AccessStages](t, s, r)
		shown++
		assert.Contains(t, kind, a.BizType)
		require.NotEmpty(t, a.Stages)
		truth, ok := s.TruthStages(DefaultProjectID, id)
		assert.True(t, ok)
		assert.Equal(t, truth, a)
		for i, stage := range a.Stages {
			assert.Equal(t, stage.EndTime, stage.StartTime+stage.Duration)
			if hasFailed && i == len(a.Stages)-1 {
				assert.False(t, stage.IsSuccess)
				assert.NotEqual(t, stageSuccess, stage.ErrorCode)
				failed[stage.Stage] = true
				continue
			}
			assert.True(t, stage.IsSuccess)
			assert.Equal(t, stageSuccess+stageSuccessText, stage.ErrorCode+stage.ErrorMsg)
		}
	}
	from := noon.Add(-90 * time.Minute)
	for _, d := range s.TruthDesktops(DefaultProjectID, from, noon) {
		check(d.TransactionID, d.ConnectionFailureReason != "", "DESKTOP APP")
	}
	s.minutes = map[string][]time.Time{}
	for _, a := range s.TruthApps(DefaultProjectID, from, noon) {
		check(a.TransactionID, a.FailedCode != "" && a.FailedCode != stageSuccess, "APP")
	}
	assert.Greater(t, shown, 50)
	assert.NotEmpty(t, failed)
	assert.Empty(t, s.Violations())
}

func TestStagesAreStrict(t *testing.T) {
	s := New(everything(&clock{noon}))
	s.PutStages(DefaultProjectID, "t", AccessStages{Raw: []byte(`{"stages":null}`)})
	for query, want := range map[string]int{
		"?transaction_id=t": 200, "?transaction_id=unknown": 404, "?transaction_id=" + strings.Repeat("0", 32): 404,
		"": 400, "?transaction_id=": 400, "?transaction_id=t&transaction_id=t": 400, "?transactionId=t": 400, "?transaction_id=" + strings.Repeat("t", 129): 400,
	} {
		assert.Equal(t, want, serve(s, get(stagesPath+query)).Code, query)
	}
	assert.Contains(t, serve(s, stagesOf("t")).Body.String(), `{"stages":null}`)
}

// The API answers 200 of these a minute, and its other calls all the same.
func TestStagesQuota(t *testing.T) {
	c := &clock{noon}
	s := New(everything(c))
	s.PutStages(DefaultProjectID, "t", AccessStages{})
	for range 200 {
		require.Equal(t, 200, serve(s, stagesOf("t")).Code)
	}
	w := serve(s, stagesOf("t"))
	assert.Equal(t, 429, w.Code)
	assert.Contains(t, w.Body.String(), "APIGW.0308")
	assert.Equal(t, 200, serve(s, get(numbersPath)).Code)
	c.now = noon.Add(time.Minute)
	assert.Equal(t, 200, serve(s, stagesOf("t")).Code)
}
