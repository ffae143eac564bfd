package workspace

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Two hosts of a cloud whose clocks are apart: each is asked by its own.
func TestEachHostHasItsClock(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		ahead := map[string]time.Duration{"appstream.test": 90 * time.Second, "workspace.test": -90 * time.Second, "iam.test": time.Hour}
		signed := map[string]string{}
		c := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(ahead[r.URL.Host]).UTC().Format(http.TimeFormat))
			signed[r.URL.Host] = r.Header.Get("X-Sdk-Date")
			ok(w)
		}), nil)
		_, known := c.Host(Workspace).ServerTime()
		assert.False(t, known)
		_, err := list(t.Context(), c)
		require.NoError(t, err)
		guess, known := c.Host(Workspace).ServerTime()
		assert.True(t, known, "the other host's is the best guess")
		assert.Equal(t, 90*time.Second, time.Until(guess))
		_, known = c.Host(Workspace).Skew()
		assert.False(t, known, "but it is a guess")
		for range 2 {
			q := PageQuery{From: time.Now().Add(-time.Hour), To: time.Now(), Limit: 100}
			_, err = sessionList.Page(t.Context(), c, q)
			require.NoError(t, err)
			other := *sessionList
			other.Endpoint = Workspace
			_, err = other.Page(t.Context(), c, q)
			require.NoError(t, err)
		}
		for _, h := range []Host{c.Host(AppStream), c.Host(Workspace)} {
			at, known := h.ServerTime()
			require.True(t, known)
			assert.Equal(t, ahead[h.Name], time.Until(at), h.Name)
			skew, known := h.Skew()
			require.True(t, known)
			assert.Equal(t, -ahead[h.Name], skew, h.Name)
			assert.Equal(t, at.Format(signDateLayout), signed[h.Name])
		}
	})
}
