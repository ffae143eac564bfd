package oracle

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/signer"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/request"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
)

// recorder keeps the request that it is given, and answers it with a refusal.
type recorder struct {
	*http.Request
	body string
}

func (r *recorder) RoundTrip(sent *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(sent.Body)
	r.Request, r.body = sent, string(body)
	return &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{}, Body: io.NopCloser(&bytes.Buffer{}), Request: sent}, err
}

// odd are characters that are easily signed wrong, beside plain ones.
var odd = []rune("abcXYZ019-_.~ !*'()+&=%:/@,;#?\"\\<>[]{}|^`$äß中文😀")

func oddText(random *rand.Rand, most int) string {
	text := make([]rune, 1+random.IntN(most))
	for i := range text {
		text[i] = odd[random.IntN(len(odd))]
	}
	return string(text)
}

// plainText can stand in a key, a token or an id.
func plainText(random *rand.Rand, most int) string {
	const plain = "abcdefXYZ0123456789-_"
	text := make([]byte, 1+random.IntN(most))
	for i := range text {
		text[i] = plain[random.IntN(len(plain))]
	}
	return string(text)
}

// TestSignerEqualsSDKs sends 2,000 random requests with the product's client and has
// the SDK's signer sign each again.
func TestSignerEqualsSDKs(t *testing.T) {
	const seed = 20260311
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		access, secret, token := plainText(random, 20), plainText(random, 40), ""
		if random.IntN(2) == 0 {
			token = plainText(random, 200) + "+/="
		}
		at := time.Unix(random.Int64N(1<<32), 0).UTC()
		sent := sendOne(t, random, access, secret, token, at)

		want, err := signer.Sign(asSDK(sent, token), access, secret)
		require.NoError(t, err)
		require.Equal(t, want["Authorization"], sent.Header.Get("Authorization"), "%s %s", sent.Method, sent.URL)
		require.Equal(t, at.Format("20060102T150405Z"), sent.Header.Get("X-Sdk-Date"))
		require.Equal(t, token, sent.Header.Get("X-Security-Token"))
	}
}

// sendOne has a new client make a random call.
func sendOne(t *testing.T, random *rand.Rand, access, secret, token string, at time.Time) *recorder {
	t.Helper()
	is := func(s string) func() (string, error) { return func() (string, error) { return s, nil } }
	credentials := workspace.AKSK(is(access), is(secret), nil)
	if token != "" {
		credentials = workspace.AKSK(is(access), is(secret), is(token))
	}
	sent := &recorder{}
	host := "https://" + []string{"workspace.example.com", "127.0.0.1:9915", "[::1]:443"}[random.IntN(3)]
	client, err := workspace.New(workspace.Options{
		ProjectID:   plainText(random, 40),
		Endpoints:   workspace.Endpoints{AppStream: host + []string{"", "/gateway", "/a b/ü~*+"}[random.IntN(3)]},
		Credentials: credentials, Transport: sent, Now: func() time.Time { return at },
	})
	require.NoError(t, err)
	err = call(t.Context(), client, random)
	var refused *workspace.Error
	require.True(t, errors.As(err, &refused), "%v", err)
	require.NotNil(t, sent.Request)
	return sent
}

func call(ctx context.Context, client *workspace.Client, random *rand.Rand) (err error) {
	from := time.Unix(random.Int64N(1<<32), random.Int64N(1e9))
	to := from.Add(time.Duration(random.Int64N(int64(30 * 24 * time.Hour))))
	q := workspace.PageQuery{From: from, To: to, Limit: 1 + random.IntN(100), Offset: random.IntN(1e6)}
	s := source.All[random.IntN(len(source.All))]
	switch random.IntN(3) {
	case 0:
		list := workspace.List[struct{}]{Operation: *s.List, Count: "count", Items: "items"}
		_, err = list.Page(ctx, client, q)
	case 1:
		export := cmp.Or(s.Export, s.List).With("language", oddText(random, 30))
		_, err = client.CreateExportTask(ctx, &export, from, to)
	default:
		list := s.List.With("language", oddText(random, 30))
		err = client.DownloadFile(ctx, &list, from, to, io.Discard, 1)
	}
	return err
}

// asSDK is a request as the SDK's signer wants it.
func asSDK(sent *recorder, token string) *request.DefaultHttpRequest {
	b := request.NewHttpRequestBuilder().WithEndpoint(sent.URL.Scheme+"://"+sent.URL.Host).WithPath(sent.URL.Path).
		WithMethod(sent.Method).WithBody("", sent.body).
		AddHeaderParam("Content-Type", sent.Header.Get("Content-Type")).
		AddHeaderParam("Host", sent.URL.Host).
		AddHeaderParam("X-Sdk-Date", sent.Header.Get("X-Sdk-Date"))
	if token != "" {
		b.AddHeaderParam("X-Security-Token", token)
	}
	for name, values := range sent.URL.Query() {
		b.AddQueryParam(name, reflect.ValueOf(values))
	}
	return b.Build()
}
