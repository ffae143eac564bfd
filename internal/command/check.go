package command

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-kit/log"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/loginlog"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/service"
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

// Pseudonyms writes, for each user name that it reads, what stands for the user in the
// log of failed logins.
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

// doctorWindow is how far back the doctor looks for records.
const doctorWindow = 24 * time.Hour

// examination is the one call that the doctor makes for a source. It lists records,
// whatever the mode of the source: to make an export task would change something.
type examination struct {
	source     string
	permission string
	// untried are permissions that the source's mode needs beside it.
	untried []string
	call    func(ctx context.Context, c *workspace.Client, q workspace.PageQuery) (count int, times []time.Time, err error)
}

// times makes the call of an examination from a call of the client.
func times[T any](call func(*workspace.Client, context.Context, workspace.PageQuery) (*workspace.Page[T], error), at func(*T) time.Time) func(context.Context, *workspace.Client, workspace.PageQuery) (int, []time.Time, error) {
	return func(ctx context.Context, c *workspace.Client, q workspace.PageQuery) (int, []time.Time, error) {
		page, err := call(c, ctx, q)
		if err != nil {
			return 0, nil, err
		}
		times := make([]time.Time, len(page.Items))
		for i := range page.Items {
			times[i] = at(&page.Items[i])
		}
		return page.Count, times, nil
	}
}

// ofTasks are the permissions that every mode with export tasks needs.
var ofTasks = []string{workspace.PermissionListExportTasks, workspace.PermissionDownloadExport}

// examinations are those for the sources of a project that are on.
func examinations(s *config.Sources) []examination {
	var list []examination
	if c := s.UserConnections; c != nil {
		e := examination{source: service.UserConnections, permission: workspace.PermissionListUserConnections,
			call: times((*workspace.Client).ListUserConnections, func(r *record.UserConnection) time.Time { l := r.Login(); return l.Time() })}
		if c.Mode != config.ModeQuery {
			e.untried = append(ofTasks, workspace.PermissionExportUserConnections)
		}
		list = append(list, e)
	}
	if c := s.Sessions; c != nil {
		e := examination{source: service.Sessions, permission: workspace.PermissionListSessions,
			call: times((*workspace.Client).ListSessions, func(r *record.SessionInfo) time.Time { return r.Session().Start })}
		if c.Mode == config.ModeExport {
			e.untried = append(ofTasks, workspace.PermissionExportSessions)
		}
		list = append(list, e)
	}
	if c := s.AccessStatistics; c != nil {
		e := examination{source: service.AccessStatistics, permission: workspace.PermissionListAccessStatistics,
			call: times((*workspace.Client).ListAccessStatistics, func(r *record.AppUserAccess) time.Time { return r.Access().Last })}
		if c.Mode == config.ModeExport {
			e.untried = append(ofTasks, workspace.PermissionExportAccessStatistics)
		}
		list = append(list, e)
	}
	if c := s.DesktopConnections; c != nil {
		e := examination{source: service.DesktopConnections, permission: workspace.PermissionListDesktopConnections,
			call: times((*workspace.Client).ListDesktopConnections, func(r *record.DesktopConnection) time.Time { l := r.Login(); return l.Time() })}
		switch c.Mode {
		case config.ModeExportV2:
			e.untried = []string{workspace.PermissionExportDesktopConnections}
		case config.ModeExportV3:
			e.untried = append(ofTasks, workspace.PermissionExportDesktopConnections)
		}
		list = append(list, e)
	}
	return list
}

// Doctor makes one signed call for each source and says what works, what does not,
// and what to do about it. It changes nothing, and fails if anything is wrong.
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
		for _, e := range examinations(&p.Sources) {
			fmt.Fprintf(out, "%s/%s\n", p.Name, e.source)
			if err := e.examine(ctx, client, out); err != nil {
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

func (e *examination) examine(ctx context.Context, client *workspace.Client, out io.Writer) error {
	host, now := service.HostOf(client, e.source), time.Now()
	if server, ok := host.ServerTime(); ok {
		now = server
	}
	count, found, err := e.call(ctx, client, workspace.PageQuery{From: now.Add(-doctorWindow), To: now, Limit: 100})
	if skew, ok := host.Skew(); ok {
		fmt.Fprintf(out, "  clock of %s: %s\n", host.Name, describeSkew(skew))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  ok: permission %s is granted\n", e.permission)
	for _, p := range e.untried {
		fmt.Fprintf(out, "  not tried, since it would make an export: permission %s\n", p)
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
