package command

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReplaySaysWhatHasNoTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "logins.csv")
	require.NoError(t, os.WriteFile(file, []byte("id,start_time,failed_code\n1,2026-11-27 09:00:00,\n2,01/05/2026 09:00,1003\n3,,1003\n"), 0o600))
	var why strings.Builder
	require.NoError(t, Replay(t.Context(), file, ReplayOptions{Project: "p"}, io.Discard, &why))
	assert.Contains(t, why.String(), "; time none, ")
	assert.Contains(t, why.String(), "invalid: not a record: a row needs a time, ")
}
