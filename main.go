// Command workspace_exporter turns the login records of Huawei Cloud Workspace into
// Prometheus metrics, and counts each record exactly once.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/internal/backfill"
	"github.com/workspace-exporter/workspace_exporter/internal/command"
	"github.com/workspace-exporter/workspace_exporter/internal/logging"
	"github.com/workspace-exporter/workspace_exporter/internal/web"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // at run time
	exitUsage  = 2 // bad flags or configuration
)

func main() { os.Exit(run(os.Args[1:])) }

// action is what a command line means.
type action func(l *logging.Log) error

func run(args []string) int {
	cli := kingpin.New(command.Name, "Prometheus exporter for the login records of Huawei Cloud Workspace.")
	cli.HelpFlag.Short('h')
	cli.Version(version.Print(command.Name))
	cli.UsageWriter(os.Stdout)
	terminated := -1
	cli.Terminate(func(code int) { terminated = code })

	logLevel := cli.Flag("log.level", "Only log messages with this severity or above.").Default("info").Enum("debug", "info", "warn", "error")
	logFormat := cli.Flag("log.format", "Format of the log.").Default("logfmt").Enum("logfmt", "json")
	commands := map[string]action{}
	addRun(cli, commands)
	addDemo(cli, commands)
	addSimulate(cli, commands)
	addChecks(cli, commands)
	addBackfill(cli, commands)
	addPseudonym(cli, commands)
	addReplay(cli, commands)

	name, err := cli.Parse(args)
	if terminated >= 0 { // --help or --version
		return terminated
	}
	if err != nil {
		logging.New(os.Stderr, "info", formatOf(args)).Fatal(command.Name, fmt.Errorf("%w; see --help", err))
		return exitUsage
	}
	l := logging.New(os.Stderr, *logLevel, *logFormat)
	l.Capture()
	if err := commands[name](l); err != nil {
		l.Fatal(command.Name, err)
		if errors.Is(err, command.ErrConfig) && !strings.HasPrefix(name, "check-config") {
			return exitUsage
		}
		return exitFailed
	}
	return exitOK
}

// formatOf is the format of the log that a command line asks for, of which kingpin tells
// nothing if there is anything wrong with it.
func formatOf(args []string) string {
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--log.format="); ok {
			return value
		}
		if arg == "--log.format" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

func configFlag(c *kingpin.CmdClause) *string {
	return c.Flag("config.file", "Path to the configuration file.").Default(command.Name + ".yml").String()
}

func webFlags(c *kingpin.CmdClause) *command.WebOptions {
	o := &command.WebOptions{Options: web.Options{Flags: kingpinflag.AddFlags(c, ":9914")}}
	c.Flag("web.telemetry-path", "Path under which to expose metrics.").Default("/metrics").StringVar(&o.TelemetryPath)
	c.Flag("web.enable-lifecycle", "Allow reloading the configuration by POST /-/reload.").BoolVar(&o.EnableLifecycle)
	c.Flag("web.enable-pprof", "Show profiles of the process under /debug/pprof/.").BoolVar(&o.EnablePprof)
	c.Flag("web.openmetrics-created-samples", "Add _created lines to OpenMetrics: a third more series. Protobuf has the creation times always.").BoolVar(&o.OpenMetricsCreatedSamples)
	return o
}

func addRun(cli *kingpin.Application, commands map[string]action) {
	c := cli.Command("run", "Fetch login records and serve metrics.").Default()
	file, o := configFlag(c), webFlags(c)
	once := c.Flag("once", "Poll every source once, print the metrics, and end: with 1 if a source failed.").Bool()
	c.Validate(func(*kingpin.CmdClause) error { return o.Validate() })
	commands[c.FullCommand()] = func(l *logging.Log) error {
		if *once {
			return command.Once(*file, os.Stdout, l)
		}
		return command.Run(*file, *o, l)
	}
}

func addDemo(cli *kingpin.Application, commands map[string]action) {
	c := cli.Command("demo", "Run against a simulator inside: no account, no configuration, no network.")
	served := webFlags(c)
	var o command.DemoOptions
	c.Flag("seed", "Decides all that is made up.").Default("1").Uint64Var(&o.Seed)
	c.Flag("cycle", "How long the script of incidents takes until it begins again.").Default("15m").DurationVar(&o.Cycle)
	c.Validate(func(*kingpin.CmdClause) error { return served.Validate() })
	commands[c.FullCommand()] = func(l *logging.Log) error { return command.Demo(o, *served, l) }
}

func addSimulate(cli *kingpin.Application, commands map[string]action) {
	c := cli.Command("simulate", "Serve a simulator of the Workspace API.")
	var o command.SimulateOptions
	var history string
	c.Flag("listen-address", "Address on which to serve.").Default("127.0.0.1:9915").StringVar(&o.ListenAddress)
	c.Flag("seed", "Decides all that is made up.").Default("1").Uint64Var(&o.Seed)
	c.Flag("history", "How far back there are records.").Default("1d").StringVar(&history)
	c.Flag("users", "Number of users.").Default("500").IntVar(&o.Users)
	c.Flag("servers", "Number of servers.").Default("20").IntVar(&o.Servers)
	c.Flag("logins-per-hour", "Mean of the logins in an hour of a working day.").Default("300").Float64Var(&o.LoginsPerHour)
	c.Validate(func(*kingpin.CmdClause) error {
		d, err := model.ParseDuration(history)
		if err != nil {
			return fmt.Errorf("--history: %w", err)
		}
		o.History = time.Duration(d)
		if o.Users < 1 || o.Servers < 1 || o.LoginsPerHour < 0 {
			return errors.New("--users and --servers must be at least 1, --logins-per-hour must not be negative")
		}
		return nil
	})
	commands[c.FullCommand()] = func(l *logging.Log) error { return command.Simulate(o, l) }
}

func addChecks(cli *kingpin.Application, commands map[string]action) {
	check := cli.Command("check-config", "Load and validate the configuration; print every problem with its line.")
	checkFile := configFlag(check)
	commands[check.FullCommand()] = func(*logging.Log) error { return command.CheckConfig(*checkFile, os.Stdout) }

	doctor := cli.Command("doctor", "Make one call for each source, and say what works and what does not; changes nothing.")
	doctorFile := configFlag(doctor)
	commands[doctor.FullCommand()] = func(l *logging.Log) error {
		return command.Doctor(context.Background(), *doctorFile, os.Stdout, l)
	}
}

func addPseudonym(cli *kingpin.Application, commands map[string]action) {
	c := cli.Command("pseudonym", "Read user names, a line each, from standard input; print what stands for them in the log of failed logins.")
	file := configFlag(c)
	commands[c.FullCommand()] = func(*logging.Log) error { return command.Pseudonyms(*file, os.Stdin, os.Stdout) }
}

func addBackfill(cli *kingpin.Application, commands map[string]action) {
	c := cli.Command("backfill", "Write the API's history as OpenMetrics, for `promtool tsdb create-blocks-from openmetrics`.")
	file := configFlag(c)
	var o backfill.Options
	var since, until, step string
	c.Flag("since", "Where history begins: a time (RFC 3339), or how long ago. The API keeps 30 days.").Default("30d").StringVar(&since)
	c.Flag("until", "Where it ends, likewise. Default: where the counters of the store begin; without any, where those of an exporter that is started now begin.").StringVar(&until)
	c.Flag("step", "Time between two samples, in whole seconds.").Default("1m").StringVar(&step)
	c.Flag("sparse", "While a series rests, a sample at every thirtieth step only: a tenth as large.").BoolVar(&o.Sparse)
	c.Flag("output", "File to write; - is standard output.").Default("-").StringVar(&o.Output)
	c.Flag("metric", "Write only this metric; repeatable. Default: all.").EnumsVar(&o.Metrics, backfill.Metrics()...)
	labels := c.Flag("label", "Label (name=value) to add to every series, such as the job and instance of the live ones; repeatable.").StringMap()
	c.Validate(func(*kingpin.CmdClause) error {
		if len(o.Metrics) == 0 {
			o.Metrics = backfill.Metrics()
		}
		if err := o.SetTimes(since, until, step, time.Now()); err != nil {
			return err
		}
		return o.SetLabels(*labels)
	})
	commands[c.FullCommand()] = func(l *logging.Log) error { return command.Backfill(*file, o, l) }
}

func addReplay(cli *kingpin.Application, commands map[string]action) {
	c := cli.Command("replay", "Count the records of a file as if they had been fetched; print the metrics, and on standard error why.")
	file := c.Arg("file", "Records as .csv, .xlsx, .jsonl or .json, or a .zip of these.").Required().String()
	o := command.ReplayOptions{UserWindows: config.DefaultMetrics().UserWindows}
	c.Flag("project", "The label `project`; with --config.file also which of its projects.").Default("replay").StringVar(&o.Project)
	c.Flag("source", "What the file holds. Default: what its columns tell.").EnumVar(&o.Source, command.ReplaySources...)
	c.Flag("config.file", "Configuration file from which to take success_codes, columns and time_zone.").StringVar(&o.ConfigFile)
	c.Flag("success-code", "A failed_code that means success, instead of those configured; repeatable.").StringsVar(&o.SuccessCodes)
	c.Flag("quiet", "Leave out the line for each record.").BoolVar(&o.Quiet)
	commands[c.FullCommand()] = func(l *logging.Log) error {
		return command.Replay(context.Background(), *file, o, os.Stdout, l.Text())
	}
}
