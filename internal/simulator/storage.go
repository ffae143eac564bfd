package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// linkLife is how long the link to a file is good for.
const linkLife = 5 * time.Minute

// RedirectDownloads has downloads of export tasks answered by a redirect to a URL,
// where Storage is to be served; with an empty URL, by the file itself again.
func (s *Simulator) RedirectDownloads(storageURL string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.storageURL = storageURL
}

// Storage is the object storage that holds the files of export tasks. It honours
// the signed links of the redirects only, and refuses whatever comes with the
// credentials of the API: they must not follow a redirect. What it refuses is among
// the Violations. Faults hit it too; its paths begin with /exports/.
func (s *Simulator) Storage() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, s.newRequest(w, r, storageRoutes))
	})
}

var storageRoutes = []route{{
	method: http.MethodGet, path: "/exports/{project_id}/{task_id}", public: true, storage: true,
	answer: (*Simulator).fetchObject, refuse: refuseObject,
}}

// credentialHeaders must never reach the storage.
var credentialHeaders = []string{"Authorization", "X-Auth-Token", "X-Security-Token", "X-Sdk-Date"}

// redirect sends the caller of a download to the storage.
func (s *Simulator) redirect(r *request, storageURL string) answer {
	path := "/exports/" + r.project + "/" + r.task
	expires := strconv.FormatInt(r.now.Add(linkLife).Unix(), 10)
	link := url.Values{"Expires": {expires}, "Signature": {s.signLink(path, expires)}}
	return answer{status: http.StatusFound, header: http.Header{"Location": {storageURL + path + "?" + link.Encode()}}}
}

func (s *Simulator) signLink(path, expires string) string {
	mac := hmac.New(sha256.New, []byte(s.storageKey))
	fmt.Fprintf(mac, "%s\n%s", path, expires)
	return hex.EncodeToString(mac.Sum(nil))
}

// fetchObject answers a signed link with its file.
func (s *Simulator) fetchObject(r *request) answer {
	for _, name := range credentialHeaders {
		if _, given := r.Header[name]; given {
			return refuseObject(r, http.StatusBadRequest, "InvalidArgument", "Credentials of another service: "+name)
		}
	}
	link := r.URL.Query()
	if !equal(link.Get("Signature"), s.signLink(r.URL.Path, link.Get("Expires"))) {
		return refuseObject(r, http.StatusForbidden, "SignatureDoesNotMatch", "The signature of the link is wrong.")
	}
	if expires, err := strconv.ParseInt(link.Get("Expires"), 10, 64); err != nil || r.now.Unix() > expires {
		return refuseObject(r, http.StatusForbidden, "AccessDenied", "The link has expired.")
	}
	s.mu.Lock()
	t := s.task(r)
	s.mu.Unlock()
	if t == nil {
		return refuseObject(r, http.StatusNotFound, "NoSuchKey", "The file does not exist.")
	}
	return fileAnswer(t.fileName, t.file())
}

// refuseObject is refuse in the form of the storage.
func refuseObject(r *request, status int, code, message string) answer {
	body, err := xml.Marshal(struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string
		Message   string
		RequestID string `xml:"RequestId"`
	}{Code: code, Message: message, RequestID: r.id})
	if err != nil {
		panic("simulator: " + err.Error()) // strings only
	}
	return answer{status, http.Header{"Content-Type": {"application/xml"}}, body}
}
