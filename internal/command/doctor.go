package command

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/common/model"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/service"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
)

// doctorWindow is how far back the doctor looks for records.
const doctorWindow = 24 * time.Hour

// Doctor makes one signed call for each source, and one for export tasks where a source
// needs them, and reports what works, what does not, and what to do about it. It changes
// nothing, and fails if anything does not work.
func Doctor(ctx context.Context, file ConfigFile, out io.Writer, logger log.Logger) error {
	cfg, err := file.load()
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(out, "warning:", w)
	}
	if s := cfg.Shard; s.Divides() {
		fmt.Fprintf(out, "%s: %d of %d projects, the others are not tried\n", s, len(cfg.Projects), len(cfg.Projects)+len(cfg.Elsewhere))
	}
	d := &doctor{out: out}
	if cfg.Storage.Postgres != nil {
		d.database(ctx, cfg, logger)
	}
	var clients service.Clients
	made, err := clients.New(cfg, nil, logger)
	if err != nil {
		return err
	}
	for i, p := range cfg.Projects {
		d.project(ctx, p, made[i])
	}
	if d.wrong > 0 {
		return fmt.Errorf("%d thing(s) do not work: see WRONG", d.wrong)
	}
	return nil
}

// doctor reports what it finds, and counts what is wrong.
type doctor struct {
	out   io.Writer
	wrong int
}

func (d *doctor) say(format string, args ...any) { fmt.Fprintf(d.out, "  "+format+"\n", args...) }

// check reports an error, if there is one.
func (d *doctor) check(err error) {
	if err != nil {
		d.say("WRONG: %v", err)
		d.wrong++
	}
}

// database looks at the database of the store.
func (d *doctor) database(ctx context.Context, cfg *config.Config, logger log.Logger) {
	fmt.Fprintln(d.out, cfg.Storage.Place())
	database, err := service.OpenDatabase(cfg, true, logger)
	if err != nil {
		d.check(err)
		return
	}
	defer database.Close()
	found, err := database.Examine(ctx)
	if found.Version != "" {
		d.say("PostgreSQL %s; %s", found.Version, describeSkew(found.Skew))
	}
	if err == nil && !found.TLS {
		d.say("the connection is not encrypted")
	}
	if d.check(err); err != nil {
		return
	}
	if found.Tables == 0 {
		d.say("ok: the role may make the tables; the first start does")
		return
	}
	d.say("ok: the role may read and write the tables, which have version %d", found.Tables)
	d.say("sources that have been counted: %d; replicas that are alive: %d", found.Partitions, found.Replicas)
}

func (d *doctor) project(ctx context.Context, p *config.Project, client *workspace.Client) {
	fmt.Fprintln(d.out, p.Name)
	d.hosts(ctx, p)
	tasks := false
	for _, s := range source.All {
		if block := s.Block(&p.Sources); block != nil {
			fmt.Fprintf(d.out, "%s/%s\n", p.Name, s.Name)
			d.check(d.probe(ctx, s, block, client))
			if config.StagesOf(block) != nil {
				d.check(d.stages(ctx, s, client))
			}
			tasks = tasks || slices.Contains(s.Permissions(block.Common().Mode), workspace.PermissionListExportTasks)
		}
	}
	if tasks {
		fmt.Fprintf(d.out, "%s/export tasks\n", p.Name)
		err := client.CheckExportTasks(ctx)
		if d.check(err); err == nil {
			d.say("ok: permission %s is granted", workspace.PermissionListExportTasks)
		}
	}
}

// proxyTimeout is how long a proxy may take to accept a connection.
const proxyTimeout = 10 * time.Second

// hosts names the hosts of a project, and tries the proxies on the way to them.
func (d *doctor) hosts(ctx context.Context, p *config.Project) {
	tried := map[string]bool{}
	for _, e := range p.NeededEndpoints() {
		proxy, err := p.ProxyOf(e.URL)
		via := ""
		if proxy != "" {
			via = ", by the proxy " + proxy
		}
		d.say("%s: %s%s", e.Name, e.URL, via)
		d.check(err)
		if proxy == "" || tried[proxy] {
			continue
		}
		tried[proxy] = true
		dialer := net.Dialer{Timeout: proxyTimeout}
		conn, err := dialer.DialContext(ctx, "tcp", proxy)
		if err != nil {
			d.check(fmt.Errorf("the proxy cannot be reached: %w; check proxy_url, or the environment if proxy_from_environment is on", err))
			continue
		}
		_ = conn.Close()
		d.say("the proxy %s accepts connections", proxy)
	}
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
func (d *doctor) probe(ctx context.Context, s *source.Source, block config.Block, client *workspace.Client) error {
	host, now := s.Host(client), nowAt(s.Host(client))
	count, found, err := s.Probe(ctx, client, now.Add(-doctorWindow), now)
	if skew, ok := host.Skew(); ok {
		d.say("clock of %s: %s", host.Name, describeSkew(skew))
	}
	permissions := s.Permissions(block.Common().Mode)
	if workspace.IsForbidden(err) && !slices.Contains(permissions, s.List.Permission) {
		d.say("not tried, since it would make an export: permissions %s", strings.Join(permissions, ", "))
		d.say("newest record: not known; the list shows it, and permission %s, which no poll of this mode needs, is missing", s.List.Permission)
		return nil
	}
	if err != nil {
		return err
	}
	if s.IsCurrent() {
		for _, p := range permissions {
			d.say("ok: permission %s is granted, or was not needed", p)
		}
		d.say("records now: %d", count)
		return nil
	}
	d.say("ok: permission %s is granted", s.List.Permission)
	for _, p := range permissions {
		if p != s.List.Permission && p != workspace.PermissionListExportTasks {
			d.say("not tried, since it would make an export: permission %s", p)
		}
	}
	if count >= 0 {
		d.say("records in the last %s: %d", model.Duration(doctorWindow), count)
	}
	newest := slices.MaxFunc(append(found, time.Time{}), time.Time.Compare)
	if newest.IsZero() {
		d.say("newest record: none; if there should be some, check project_id and the endpoints")
		return nil
	}
	d.say("newest of the %d records read: %s", len(found), newest.Format(time.RFC3339))
	return nil
}

// nowAt is the time of a host's clock, or the local one while that is not known.
func nowAt(host workspace.Host) time.Time {
	if server, ok := host.ServerTime(); ok {
		return server
	}
	return time.Now()
}

// stages asks for the stages of an access, if there is one to ask for.
func (d *doctor) stages(ctx context.Context, s *source.Source, client *workspace.Client) error {
	now := nowAt(s.Host(client))
	tried, err := s.ProbeStages(ctx, client, now.Add(-doctorWindow), now)
	switch {
	case err != nil:
		return err
	case tried:
		d.say("ok: permission %s is granted", s.Stages.Permission)
	default:
		d.say("not tried, since no access has a transaction_id: permission %s", s.Stages.Permission)
	}
	return nil
}
