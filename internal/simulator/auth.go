package simulator

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	algorithm  = "SDK-HMAC-SHA256"
	dateFormat = "20060102T150405Z"
	// maxSkew is how far a signature's time may be from the server's: the
	// vendor's guide to the gateway's errors says 15 minutes.
	maxSkew = 15 * time.Minute
)

// token is what IAM has issued.
type token struct {
	project string
	expires time.Time
}

// authenticate says what is wrong with the caller's credentials; "" if nothing is.
func (s *Simulator) authenticate(r *request) string {
	switch {
	case r.Header.Get("Authorization") != "":
		return s.checkSignature(r)
	case r.Header.Get("X-Auth-Token") != "":
		return s.checkToken(r)
	}
	return "x-auth-token not found"
}

// RevokeTokens makes every token issued so far worthless.
func (s *Simulator) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

func (s *Simulator) checkToken(r *request) string {
	given := r.Header.Get("X-Auth-Token")
	if equal(given, s.options.StaticToken) {
		return ""
	}
	s.mu.Lock()
	t, ok := s.tokens[given]
	s.mu.Unlock()
	if !ok || !r.now.Before(t.expires) || t.project != r.project {
		return "decrypt token fail"
	}
	return ""
}

// checkSignature verifies a request as the vendor's signing guide has it: the
// key's secret signs the method, path, sorted query, signed headers and body.
func (s *Simulator) checkSignature(r *request) string {
	access, signed, signature, ok := parseAuthorization(r.Header.Get("Authorization"))
	if !ok {
		return "Authorization format is incorrect"
	}
	if s.options.AccessKey == "" || access != s.options.AccessKey {
		return fmt.Sprintf("ak %s not exist", access)
	}
	if problem := s.checkSignedHeaders(r, signed); problem != "" {
		return problem
	}
	want := sign(s.options.SecretKey, r.Header.Get("X-Sdk-Date"), canonicalRequest(r, signed))
	if !equal(signature, want) {
		return "verify aksk signature fail"
	}
	return ""
}

// checkSignedHeaders wants a date near the server's signed, and of a temporary key
// its security token too. The host need not be: the vendor's SDK leaves it out.
func (s *Simulator) checkSignedHeaders(r *request, signed []string) string {
	if !slices.IsSorted(signed) || !contains(signed, "x-sdk-date") {
		return "SignedHeaders must be sorted, with x-sdk-date among them"
	}
	date, err := time.Parse(dateFormat, r.Header.Get("X-Sdk-Date"))
	if err != nil {
		return "x-sdk-date format is incorrect"
	}
	if r.now.Sub(date).Abs() > maxSkew {
		return fmt.Sprintf("calc aksk signature fail:signature expired, signature time:%s,server time:%s",
			date.Format(dateFormat), r.now.Format(dateFormat))
	}
	given := r.Header.Get("X-Security-Token")
	if given != s.options.SecurityToken || given != "" && !contains(signed, "x-security-token") {
		return "verify security token fail"
	}
	return ""
}

func parseAuthorization(h string) (access string, signed []string, signature string, ok bool) {
	rest, ok := strings.CutPrefix(h, algorithm+" ")
	parts := strings.Split(rest, ",")
	if !ok || len(parts) != 3 {
		return "", nil, "", false
	}
	access, okAccess := strings.CutPrefix(strings.TrimSpace(parts[0]), "Access=")
	headers, okHeaders := strings.CutPrefix(strings.TrimSpace(parts[1]), "SignedHeaders=")
	signature, okSignature := strings.CutPrefix(strings.TrimSpace(parts[2]), "Signature=")
	return access, strings.Split(headers, ";"), signature, okAccess && okHeaders && okSignature
}

func sign(secret, date, canonical string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s\n%s\n%s", algorithm, date, hexSHA256([]byte(canonical)))
	return hex.EncodeToString(mac.Sum(nil))
}

func canonicalRequest(r *request, signed []string) string {
	var b strings.Builder
	for _, line := range []string{r.Method, canonicalPath(r.URL.Path), canonicalQuery(r.URL.Query())} {
		b.WriteString(line + "\n")
	}
	for _, name := range signed {
		for _, value := range headerValues(r, name) {
			b.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
		}
	}
	b.WriteString("\n" + strings.Join(signed, ";") + "\n" + hexSHA256(r.body))
	return b.String()
}

func headerValues(r *request, name string) []string {
	if name == "host" {
		return []string{r.Host}
	}
	return slices.Sorted(slices.Values(r.Header.Values(name)))
}

// canonicalPath escapes each segment, and ends in a slash whatever the path does.
func canonicalPath(path string) string {
	segments := strings.Split(path, "/")
	for i := range segments {
		segments[i] = escape(segments[i])
	}
	return strings.TrimSuffix(strings.Join(segments, "/"), "/") + "/"
}

func canonicalQuery(query url.Values) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(query)) {
		for _, value := range slices.Sorted(slices.Values(query[name])) {
			pairs = append(pairs, escape(name)+"="+escape(value))
		}
	}
	return strings.Join(pairs, "&")
}

// escape is RFC 3986's: everything but the unreserved characters.
func escape(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// equal compares secrets; an empty one is equal to nothing.
func equal(given, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(given), []byte(want)) == 1
}

// passwordRequest is the body of a request for a token.
type passwordRequest struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password struct {
				User struct {
					Name     string `json:"name"`
					Password string `json:"password"`
					Domain   struct {
						Name string `json:"name"`
					} `json:"domain"`
				} `json:"user"`
			} `json:"password"`
		} `json:"identity"`
		Scope struct {
			Project struct {
				ID string `json:"id"`
			} `json:"project"`
		} `json:"scope"`
	} `json:"auth"`
}

// issueToken is POST /v3/auth/tokens: a token for one project, by password.
func (s *Simulator) issueToken(r *request) answer {
	var q passwordRequest
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil || !slices.Equal(q.Auth.Identity.Methods, []string{"password"}) {
		return refuseIAM(r, http.StatusBadRequest, "", "The request body is invalid.")
	}
	user, project := q.Auth.Identity.Password.User, q.Auth.Scope.Project.ID
	if user.Name != s.options.User || user.Domain.Name != s.options.Domain || !equal(user.Password, s.options.Password) {
		return refuseIAM(r, http.StatusUnauthorized, "", "The username or password is wrong.")
	}
	if !contains(s.options.ProjectIDs, project) {
		return refuseIAM(r, http.StatusUnauthorized, "", "The request you have made requires authentication.")
	}
	return s.newToken(r, project)
}

func (s *Simulator) newToken(r *request, project string) answer {
	text, expires := rand.Text(), r.now.Add(s.options.TokenLife)
	s.mu.Lock()
	s.tokens[text] = token{project, expires}
	s.mu.Unlock()

	const layout = "2006-01-02T15:04:05.000000Z"
	a := jsonAnswer(http.StatusCreated, map[string]any{"token": map[string]any{
		"methods":    []string{"password"},
		"issued_at":  r.now.Format(layout),
		"expires_at": expires.Format(layout),
		"project":    map[string]string{"id": project},
		"user":       map[string]any{"name": s.options.User, "domain": map[string]string{"name": s.options.Domain}},
	}})
	a.header = http.Header{"X-Subject-Token": {text}}
	return a
}
