package simulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Error codes of the service. Only codeEmpty is in the vendor's list with this
// meaning; the others are in its style, since that list names none.
const (
	codeEmpty        = "WKS.0001"
	codeParameter    = "WKS.0002"
	codeDenied       = "WKS.0003"
	codeTaskNotDone  = "WKS.0010"
	codeTooManyTasks = "WKS.0011"
	codeNotFound     = "WKS.0404"
	codeMethod       = "WKS.0405"
	codeMediaType    = "WKS.0415"
)

// answer is what the API says, before a fault corrupts it.
type answer struct {
	status int
	header http.Header // beside those that every answer has
	body   []byte
}

func jsonAnswer(status int, v any) answer {
	body, err := json.Marshal(v)
	if err != nil {
		// Only a Record whose Raw is no JSON can bring this about.
		return answer{status: http.StatusInternalServerError, body: []byte(err.Error())}
	}
	return answer{status: status, body: body}
}

// serviceError is the form of the service's and the gateway's errors.
type serviceError struct {
	Code      string `json:"error_code"`
	Message   string `json:"error_msg"`
	RequestID string `json:"request_id,omitempty"`
	Encoded   string `json:"encoded_authorization_message,omitempty"`
}

func refuse(r *request, status int, code, message string) answer {
	e := serviceError{Code: code, Message: message}
	if strings.HasPrefix(code, "APIG") {
		e.RequestID = r.id // the gateway repeats it in the body
	}
	return jsonAnswer(status, e)
}

// invalid refuses a request for a parameter or its body.
func invalid(r *request, err error) answer {
	return refuse(r, http.StatusBadRequest, codeParameter, "Invalid parameter: "+err.Error())
}

// refuseIAM is refuse in the form of IAM, which has no codes of its own here.
func refuseIAM(_ *request, status int, _, message string) answer {
	var body struct {
		Error struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
			Title   string `json:"title"`
		} `json:"error"`
	}
	body.Error.Code, body.Error.Message, body.Error.Title = status, message, http.StatusText(status)
	return jsonAnswer(status, body)
}

func denied(r *request) answer {
	return jsonAnswer(http.StatusForbidden, serviceError{
		Code:    codeDenied,
		Message: fmt.Sprintf("Policy doesn't allow %s to be performed.", r.route.permission),
		Encoded: base64.StdEncoding.EncodeToString([]byte("denied:" + r.route.permission)),
	})
}

func (s *Simulator) throttled(r *request) answer {
	a := refuse(r, http.StatusTooManyRequests, "APIGW.0308", fmt.Sprintf(
		"The throttling threshold has been reached: policy user over ratelimit,limit:%g,time:1 second", s.options.RequestsPerSecond))
	if s.options.RetryAfter > 0 {
		a.header = http.Header{"Retry-After": {strconv.Itoa(s.options.RetryAfter)}}
	}
	return a
}

// send writes an answer whole, as it should be.
func (s *Simulator) send(w http.ResponseWriter, r *request, a answer) {
	s.count(r, a.status)
	setHeader(w, r, a)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that went away is no concern of ours
}

func setHeader(w http.ResponseWriter, r *request, a answer) {
	h := w.Header()
	h.Set("Content-Type", "application/json;charset=utf-8")
	h.Set("X-Request-Id", r.id)
	h.Set("Date", r.now.Format(http.TimeFormat))
	for name, values := range a.header {
		h[name] = values
	}
}

func isJSON(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	charset := strings.ToLower(params["charset"])
	return err == nil && media == "application/json" && (charset == "" || charset == "utf-8")
}

func contains(list []string, s string) bool { return slices.Contains(list, s) }
