package app

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

func FuzzReadJSON(f *testing.F) {
	for _, s := range []string{
		`{"id":"1"}` + "\n" + `{"id":"2","start_time":"2026-01-01T00:00:00Z"}`, `{"count":1,"items":[{"id":"1"},null,7]}`, "null 7 [] {}", "{", "", "\xff", `{"items":null}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		err := readJSON(strings.NewReader(text), func(c *record.UserConnection) error { _ = c.Login(); return nil })
		if err != nil {
			require.Contains(t, err.Error(), "record ")
		}
	})
}
