package fetcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
)

func TestEveryErrorHasAReason(t *testing.T) {
	api := func(status int, err error) error {
		return fmt.Errorf("window: %w", &workspace.Error{Status: status, Err: err})
	}
	for name, c := range map[string]struct {
		err  error
		want Reason
	}{
		"none":                       {nil, ""},
		"no answer":                  {api(0, errors.New("connection refused")), Unreachable},
		"half an answer":             {api(200, fmt.Errorf("%w: EOF", workspace.ErrCut)), Unreachable},
		"no answer in time":          {api(200, context.DeadlineExceeded), Unreachable},
		"no JSON":                    {api(200, errors.New("invalid character")), Unreadable},
		"502":                        {api(502, nil), ServerError},
		"401":                        {api(401, nil), Credentials},
		"a key that is not there":    {api(0, fmt.Errorf("%w: %w", workspace.ErrCredentials, errors.New("empty"))), Credentials},
		"a key in no file":           {api(0, fmt.Errorf("%w: %w", workspace.ErrCredentials, &fs.PathError{Op: "open", Path: "key", Err: fs.ErrPermission})), Credentials},
		"a password, refused by 400": {api(400, workspace.ErrSignIn), Credentials},
		"403":                        {api(403, nil), Permission},
		"400":                        {api(400, nil), Refused},
		"a redirect":                 {api(302, nil), Refused},
		"a task":                     {fmt.Errorf("window: %w", &export.TaskError{Status: "FAIL"}), ExportTask},
		"a file of unknown columns":  {errors.New("no column is known"), Unreadable},
		"a list that moves":          {paging.ErrMoved, Unreadable},
		"a clock":                    {(&progress{}).clockBehind(noon, noon), Clock},
		"notes in a database":        {fmt.Errorf("task: %w", ofDatabase{errors.New("connection refused")}), Storage},
		"a temporary file":           {api(200, &fs.PathError{Op: "write", Path: "/tmp/x", Err: errors.New("no space")}), Disk},
	} {
		assert.Equal(t, c.want, reasonOf(c.err), name)
	}
}

func TestAPollTellsItsReason(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.poller()
		w.commitErr = errors.New("no space left on device")
		require.ErrorIs(t, p.Poll(t.Context()), w.commitErr)
		w.commitErr = nil
		require.NoError(t, p.Poll(t.Context()))
		assert.Equal(t, []Reason{Disk, ""}, w.failing)
		assert.Contains(t, w.log.String(), "reason=disk")
		w.commitErr = fmt.Errorf("p/s: %w", ofDatabase{errors.New("connection refused")})
		require.ErrorIs(t, p.Poll(t.Context()), w.commitErr)
		assert.Equal(t, Storage, w.failing[2])
	})
}

type ofDatabase struct{ error }

func (ofDatabase) OfDatabase() {}

func TestTheRunbooksKnowEveryReason(t *testing.T) {
	text, err := os.ReadFile("../docs/runbooks.md")
	require.NoError(t, err)
	var documented []Reason
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| [A-Z]").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, row[1])
	}
	assert.ElementsMatch(t, Reasons, documented)
	assert.False(t, slices.Contains(Reasons, ""))
}
