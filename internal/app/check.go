package app

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/go-kit/log"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
)

// CheckConfig loads a configuration and says what is wrong with it, or what it means.
func CheckConfig(configFile string, out io.Writer) error {
	cfg, err := load(configFile)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(out, "warning:", w)
	}
	fmt.Fprintf(out, "%s is valid: %d project(s)\n", configFile, len(cfg.Projects))
	return nil
}

// doctorWindow is how far back the doctor looks for records.
const doctorWindow = 24 * time.Hour

// Doctor makes one signed call for each source and says what works, what does not,
// and what to do about it. It changes nothing, and fails if anything is wrong.
func Doctor(ctx context.Context, configFile string, out io.Writer, logger log.Logger) error {
	cfg, err := load(configFile)
	if err != nil {
		return err
	}
	wrong := 0
	for _, w := range cfg.Warnings {
		fmt.Fprintln(out, "warning:", w)
	}
	for _, p := range cfg.Projects {
		if p.Sources.UserConnections == nil {
			continue
		}
		fmt.Fprintf(out, "%s/%s\n", p.Name, userConnections)
		if err := examine(ctx, cfg, p, out, logger); err != nil {
			fmt.Fprintf(out, "  WRONG: %v\n", err)
			wrong++
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d source(s) do not work", wrong)
	}
	return nil
}

// describeSkew says by how much the local clock is ahead of the server's, whose
// times come in whole seconds.
func describeSkew(skew time.Duration) string {
	switch skew = skew.Round(time.Second); {
	case skew.Abs() <= 2*time.Second:
		return "the local clock and the server's agree"
	case skew > 0:
		return fmt.Sprintf("the local clock is %s ahead of the server's; set it by NTP", skew)
	default:
		return fmt.Sprintf("the local clock is %s behind the server's; set it by NTP", -skew)
	}
}

func examine(ctx context.Context, cfg *config.Config, p *config.Project, out io.Writer, logger log.Logger) error {
	client, err := newClient(cfg, p, nil, logger)
	if err != nil {
		return err
	}
	now := time.Now()
	page, err := client.ListUserConnections(ctx, workspace.UserConnectionQuery{From: now.Add(-doctorWindow), To: now, Limit: 100})
	if skew, ok := client.Skew(); ok {
		fmt.Fprintf(out, "  clock: %s\n", describeSkew(skew))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  ok: permission %s is granted\n", workspace.PermissionListUserConnections)
	if page.Count >= 0 {
		fmt.Fprintf(out, "  records in the last %s: %d\n", doctorWindow, page.Count)
	}
	var newest time.Time
	for i := range page.Items {
		if l := page.Items[i].Login(); l.Time().After(newest) {
			newest = l.Time()
		}
	}
	if newest.IsZero() {
		fmt.Fprintln(out, "  newest record: none; if people did log in, check project_id and the endpoint appstream")
		return nil
	}
	fmt.Fprintf(out, "  newest of the %d records read: %s\n", len(page.Items), newest.Format(time.RFC3339))
	return nil
}
