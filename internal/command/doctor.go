package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-kit/log"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/service"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
)

// doctorWindow is how far back the doctor looks for records.
const doctorWindow = 24 * time.Hour

// Doctor makes one signed call for each source and reports what works, what does not, and
// what to do about it. It changes nothing, and fails if any source does not work.
func Doctor(ctx context.Context, configFile string, out io.Writer, logger log.Logger) error {
	cfg, err := load(configFile)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(out, "warning:", w)
	}
	wrong := 0
	var clients service.Clients
	for _, p := range cfg.Projects {
		client, err := clients.New(cfg, p, nil, logger)
		if err != nil {
			return err
		}
		for _, s := range source.All {
			block := s.Block(&p.Sources)
			if block == nil {
				continue
			}
			fmt.Fprintf(out, "%s/%s\n", p.Name, s.Name)
			if err := probe(ctx, s, block, client, out); err != nil {
				fmt.Fprintf(out, "  WRONG: %v\n", err)
				wrong++
			}
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d source(s) do not work", wrong)
	}
	return nil
}

// describeSkew reports by how much the local clock is ahead of the server's, whose times
// have whole seconds.
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

// probe lists records of a source, whatever its mode: an export task would change something. A
// list of what is there now is read as in a poll.
func probe(ctx context.Context, s *source.Source, block config.Block, client *workspace.Client, out io.Writer) error {
	host, now := s.Host(client), time.Now()
	if server, ok := host.ServerTime(); ok {
		now = server
	}
	count, found, err := s.Probe(ctx, client, now.Add(-doctorWindow), now)
	if skew, ok := host.Skew(); ok {
		fmt.Fprintf(out, "  clock of %s: %s\n", host.Name, describeSkew(skew))
	}
	if err != nil {
		return err
	}
	if s.IsCurrent() {
		for _, p := range s.Permissions(block.Common().Mode) {
			fmt.Fprintf(out, "  ok: permission %s is granted, or was not needed\n", p)
		}
		fmt.Fprintf(out, "  records now: %d\n", count)
		return nil
	}
	fmt.Fprintf(out, "  ok: permission %s is granted\n", s.List.Permission)
	for _, p := range s.Permissions(block.Common().Mode) {
		if p != s.List.Permission {
			fmt.Fprintf(out, "  not tried, since it would make an export: permission %s\n", p)
		}
	}
	if count >= 0 {
		fmt.Fprintf(out, "  records in the last %s: %d\n", doctorWindow, count)
	}
	newest := slices.MaxFunc(append(found, time.Time{}), time.Time.Compare)
	if newest.IsZero() {
		fmt.Fprintln(out, "  newest record: none; if there should be some, check project_id and the endpoints")
		return nil
	}
	fmt.Fprintf(out, "  newest of the %d records read: %s\n", len(found), newest.Format(time.RFC3339))
	return nil
}
