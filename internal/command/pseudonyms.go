package command

import (
	"bufio"
	"fmt"
	"io"

	"github.com/workspace-exporter/workspace_exporter/internal/loginlog"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Pseudonyms writes, for each user name that it reads, the user's pseudonym in the log of
// failed logins.
func Pseudonyms(configFile string, in io.Reader, out io.Writer) error {
	cfg, err := load(configFile)
	if err != nil {
		return err
	}
	if cfg.FailedLoginsLog == nil || cfg.FailedLoginsLog.PseudonymKey.String() == "" {
		return fmt.Errorf("%s: failed_logins_log has no pseudonym_key_file, so its lines have no users", configFile)
	}
	key, err := cfg.FailedLoginsLog.PseudonymKey.Read()
	if err != nil {
		return err
	}
	names := bufio.NewScanner(in)
	for names.Scan() {
		fmt.Fprintln(out, loginlog.Pseudonym(key, record.PersonOf(names.Text())))
	}
	return names.Err()
}
