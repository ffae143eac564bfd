package workspace

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	signAlgorithm       = "SDK-HMAC-SHA256"
	headerSignDate      = "X-Sdk-Date"
	headerSecurityToken = "X-Security-Token"
	signDateLayout      = "20060102T150405Z"
)

// sign adds to r the headers that prove that its sender knows the secret key. It
// follows the signer of the vendor's SDK (core/auth/signer).
func sign(r *http.Request, body []byte, p credential, now time.Time) {
	date := now.UTC().Format(signDateLayout)
	headers := "host:" + r.URL.Host + "\n" + "x-sdk-date:" + date + "\n"
	names := "host;x-sdk-date"
	r.Header.Set(headerSignDate, date)
	if p.securityToken != "" {
		r.Header.Set(headerSecurityToken, p.securityToken)
		headers += "x-security-token:" + p.securityToken + "\n"
		names += ";x-security-token"
	}
	path := escapePath(r.URL.Path)
	if !strings.HasSuffix(path, "/") {
		path += "/"
	}
	canonical := strings.Join([]string{r.Method, path, canonicalQuery(r.URL.Query()), headers, names, hexSHA256(body)}, "\n")
	mac := hmac.New(sha256.New, []byte(p.secret))
	mac.Write([]byte(signAlgorithm + "\n" + date + "\n" + hexSHA256([]byte(canonical))))
	r.Header.Set("Authorization", signAlgorithm+" Access="+p.access+", SignedHeaders="+names+
		", Signature="+hex.EncodeToString(mac.Sum(nil)))
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// canonicalQuery is sorted by name, then by value.
func canonicalQuery(query url.Values) string {
	var names []string
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	var pairs []string
	for _, name := range names {
		for _, value := range slices.Sorted(slices.Values(query[name])) {
			pairs = append(pairs, escape(name)+"="+escape(value))
		}
	}
	return strings.Join(pairs, "&")
}

func escapePath(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = escape(s)
	}
	return strings.Join(segments, "/")
}

// escape leaves only what RFC 3986 calls unreserved.
func escape(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
