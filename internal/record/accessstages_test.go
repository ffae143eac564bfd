package record

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func readStages(text string) (StageOutcome, error) {
	var a AccessStages
	err := json.Unmarshal([]byte(text), &a, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return a.Outcome(), err
}

func TestAccessStages(t *testing.T) {
	const good = `{"stage":"LOGIN","duration":3,"is_success":true,"start_time":1724328355052,"end_time":1724328355055,"error_code":"WKS.00000000","error_msg":"OK"}`
	none := StageOutcome{Result: StageNone}
	found := func(stage, code string, invalid ...string) StageOutcome {
		return StageOutcome{StageFound, FailedStage{stage, code}, invalid}
	}
	for name, c := range map[string]struct {
		stages string
		want   StageOutcome
	}{
		"none":                  {`[]`, none},
		"null":                  {`null`, none},
		"all good":              {`[` + good + `]`, none},
		"as the page has it":    {`[` + good + `,{"stage":"MAIN_AUTH","is_success":false,"start_time":1724328355055,"error_code":"WKS.40010001","error_msg":"login failed."}]`, found("MAIN_AUTH", "WKS.40010001")},
		"the first of two":      {`[{"stage":"MFA_AUTH","is_success":false,"error_code":"1"},{"stage":"CONNECT","is_success":false,"error_code":"2"}]`, found("MFA_AUTH", "1")},
		"in the wrong order":    {`[{"stage":"CONNECT","is_success":false,"start_time":1724328355100,"error_code":"2"},{"stage":"LOGIN","is_success":false,"start_time":1724328355052,"error_code":"1"}]`, found("LOGIN", "1")},
		"one without a time":    {`[{"stage":"CONNECT","is_success":false,"error_code":"2"},{"stage":"LOGIN","is_success":false,"start_time":1724328355052,"error_code":"1"}]`, found("CONNECT", "2")},
		"times as text":         {`[{"stage":"B","is_success":"false","start_time":"1724328355100"},{"stage":"A","is_success":"false","start_time":"1724328355052"}]`, found("A", "unknown")},
		"words for success":     {`[{"stage":"A","is_success":"yes"},{"stage":"B","is_success":1},{"stage":"C","is_success":"TRUE","error_code":"success"},{"stage":"D","is_success":true,"error_code":"成功"},{"stage":"E","error_msg":"OK"},{"stage":"F","error_code":0}]`, none},
		"words for failure":     {`[{"stage":"A","is_success":"no","error_code":"9"}]`, found("A", "9")},
		"a code alone":          {`[{"stage":"A","error_code":"WKS.7"}]`, found("A", "WKS.7")},
		"a code beside success": {`[{"stage":"A","is_success":true,"error_code":"WKS.7"}]`, found("A", "WKS.7")},
		"a message alone":       {`[{"stage":"A","error_msg":"login failed."}]`, found("A", "unknown")},
		"a message of success":  {`[{"stage":"A","is_success":true,"error_msg":"done in 3 ms"}]`, none},
		"failure, no code":      {`[{"stage":"A","is_success":false,"error_code":null}]`, found("A", "unknown")},
		"failure, good code":    {`[{"stage":"A","is_success":false,"error_code":"WKS.00000000"}]`, found("A", "unknown")},
		"no name":               {`[{"is_success":false,"error_code":"1"}]`, found("unknown", "1")},
		"a name never seen":     {`[{"stage":" QUANTUM\u0000LINK ","is_success":false,"error_code":"1"}]`, found("QUANTUM LINK", "1")},
		"nulls":                 {`[{"stage":null,"is_success":null,"start_time":null,"error_code":null,"error_msg":null}]`, none},
		"no objects":            {`[1,"LOGIN",null,[],{"stage":"A","is_success":false,"error_code":"1"}]`, found("A", "1", "stages")},
		"unreadable":            {`[{"stage":{},"is_success":"perhaps","start_time":"soon","error_code":[1]}]`, StageOutcome{StageNone, FailedStage{}, []string{"stage", "is_success", "start_time", "error_code"}}},
		"a number for a code":   {`[{"stage":"A","is_success":false,"error_code":6008}]`, found("A", "6008")},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readStages(`{"username":"jane@corp.example","biz_type":"APP","stages":` + c.stages + `}`)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
	got, err := readStages(`{"stages":[{"stage":"` + strings.Repeat("x", 1000) + `","is_success":false}]}`)
	require.NoError(t, err)
	assert.Len(t, got.Stage.Stage, MaxLabelBytes)
}

// What has no list of stages is no answer.
func TestAccessStagesThatAreNone(t *testing.T) {
	for _, text := range []string{`{}`, `{"error_code":"WKS.1"}`, `{"stages":{}}`, `{"stages":"LOGIN"}`, `{"stages":7}`, `{"stages":[}`, `{"stages":[{]}`, `{"stages":[`} {
		_, err := readStages(text)
		assert.Error(t, err, text)
	}
	_, err := readStages(`{"stages":[` + strings.Repeat("{},", maxStages) + `{}]}`)
	assert.ErrorContains(t, err, "more than 1000 stages")
}

// The id of an access is kept whatever its outcome: what a success is, the configuration says.
func TestTransactionIDsAreKept(t *testing.T) {
	for text, want := range map[string]string{
		`{"transaction_id":"t","failed_code":"7"}`:                                     "t",
		`{"transaction_id":"t","connection_failure_reason":"No server"}`:               "t",
		`{"transaction_id":"t"}`:                                                       "t",
		`{"transaction_id":"t","brokering_time":"2022-03-07T10:40:43Z"}`:               "t",
		`{"transaction_id":"null","failed_code":"7"}`:                                  "",
		`{"failed_code":"7"}`:                                                          "",
		`{"transaction_id":"t","failed_code":"7","brokering_time":"2022-03-07 10:40"}`: "t",
	} {
		assert.Equal(t, want, app(t, text).TransactionID, text)
	}
	var c DesktopConnection
	decodeInto(t, `{"transaction_id":"t","connection_start_time":"2022-03-07T10:40:43Z","connection_failure_reason":"No desktop"}`, &c)
	assert.Equal(t, "t", c.Login().TransactionID)
}
