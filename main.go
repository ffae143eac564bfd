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

// action runs a command with the flags that were parsed.
type action func(l *logging.Log) error

func run(args []string) int {
	cli := kingpin.New(command.Name, "Prometheus exporter for the login records of Huawei Cloud Workspace.")
	cli.HelpFlag.Short('h')
	cli.Version(version.Print(command.Name))
	cli.UsageWriter(os.Stdout)
	terminated := -1
	cli.Terminate(func(code int) { terminated = code })

	logLevel := cli.Flag("log.level", "Log messages of this level and above: debug, info, warn or error.").Default("info").Enum("debug", "info", "warn", "error")
	logFormat := cli.Flag("log.format", "Format of the log: logfmt or json.").Default("logfmt").Enum("logfmt", "json")
	commands := addCommands(cli)

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

func addCommands(cli *kingpin.Application) map[string]action {
	commands := map[string]action{}
	addRun(cli, commands)
	addDemo(cli, commands)
	addSimulate(cli, commands)
	addChecks(cli, commands)
	addBackfill(cli, commands)
	addPseudonym(cli, commands)
	addCodes(cli, commands)
	addMigrateStore(cli, commands)
	addReplay(cli, commands)
	return commands
}

// formatOf finds --log.format in a command line that kingpin has refused, and of which it
// has therefore set no flag.
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

// configFlags are the flags of a configuration of which a shard is read.
func configFlags(c *kingpin.CmdClause) *command.ConfigFile {
	f := &command.ConfigFile{}
	c.Flag("config.file", "Path to the configuration file.").Default(command.Name + ".yml").StringVar(&f.Path)
	c.Flag("shard", "Which of the shards to read, from 0: the projects whose names hash to it.").Default("0").IntVar(&f.Shard.Number)
	c.Flag("total-shards", "Number of shards that the projects are divided into, each read by an exporter with a store of its own.").Default("1").IntVar(&f.Shard.Total)
	c.Validate(func(*kingpin.CmdClause) error { return f.Shard.Validate() })
	return f
}

func webFlags(c *kingpin.CmdClause) *web.Options {
	o := &web.Options{Flags: kingpinflag.AddFlags(c, ":9914")}
	c.Flag("web.telemetry-path", "Path under which to expose metrics.").Default("/metrics").StringVar(&o.TelemetryPath)
	c.Flag("web.enable-lifecycle", "Allow reloading the configuration by POST /-/reload.").BoolVar(&o.EnableLifecycle)
	c.Flag("web.enable-pprof", "Show profiles of the process under /debug/pprof/.").BoolVar(&o.EnablePprof)
	c.Flag("web.openmetrics-created-samples", "Add _created lines to OpenMetrics: a third more series. Protobuf always has the creation times.").BoolVar(&o.OpenMetricsCreatedSamples)
	c.Validate(func(*kingpin.CmdClause) error { return o.Validate() })
	return o
}

func addRun(cli *kingpin.Application, commands map[string]action) {
	c := cli.Command("run", "Fetch login records and serve metrics.").Default()
	file, o := configFlags(c), webFlags(c)
	c.Validate(func(*kingpin.CmdClause) error { return errors.Join(file.Shard.Validate(), o.Validate()) }) // in place of either's
	once := c.Flag("once", "Poll every source once, print the metrics and exit; exit with 1 if a source failed.").Bool()
	commands[c.FullCommand()] = func(l *logging.Log) error {
		if *once {
			return command.Once(*file, os.Stdout, l)
		}
		return command.Run(*file, o, l)
	}
}

func addDemo(cli *kingpin.Application, commands map[string]action) {
	c := cli.Command("demo", "Run against a built-in simulator: needs no account, no configuration and no network.")
	webOptions := webFlags(c)
	var o command.DemoOptions
	c.Flag("seed", "Random seed for simulated data.").Default("1").Uint64Var(&o.Seed)
	c.Flag("cycle", "Time after which the script of incidents repeats.").Default("15m").DurationVar(&o.Cycle)
	commands[c.FullCommand()] = func(l *logging.Log) error { return command.Demo(o, webOptions, l) }
}

func addSimulate(cli *kingpin.Application, commands map[string]action) {
	c := cli.Command("simulate", "Serve a simulator of the Workspace API.")
	var o command.SimulateOptions
	var history string
	c.Flag("listen-address", "Address on which to serve.").Default("127.0.0.1:9915").StringVar(&o.ListenAddress)
	c.Flag("seed", "Random seed for simulated data.").Default("1").Uint64Var(&o.Seed)
	c.Flag("history", "How far back the simulated records go.").Default("1d").StringVar(&history)
	c.Flag("users", "Number of users.").Default("500").IntVar(&o.Users)
	c.Flag("servers", "Number of servers.").Default("20").IntVar(&o.Servers)
	c.Flag("logins-per-hour", "Mean number of logins per working hour.").Default("300").Float64Var(&o.LoginsPerHour)
	c.Validate(func(*kingpin.CmdClause) error {
		d, err := model.ParseDuration(history)
		if err != nil {
			return fmt.Errorf("--history %q: must be a duration like 12h or 30d", history)
		}
		o.History = time.Duration(d)
		isRate := o.LoginsPerHour >= 0 && o.LoginsPerHour <= 1e6 // what is no number is not either
		if o.Users < 1 || o.Servers < 1 || !isRate {
			return errors.New("--users and --servers must be at least 1, --logins-per-hour must be from 0 to 1000000")
		}
		return nil
	})
	commands[c.FullCommand()] = func(l *logging.Log) error { return command.Simulate(o, l) }
}

func addChecks(cli *kingpin.Application, commands map[string]action) {
	check := cli.Command("check-config", "Validate the configuration and print every problem with its line; exit with 1 if there is one.")
	checkFile := configFlags(check)
	commands[check.FullCommand()] = func(*logging.Log) error { return command.CheckConfig(*checkFile, os.Stdout) }

	doctor := cli.Command("doctor", "Make a few calls for each source, and try proxies, the list of export tasks and the database; report what works and what does not; changes nothing.")
	doctorFile := configFlags(doctor)
	commands[doctor.FullCommand()] = func(l *logging.Log) error {
		return command.Doctor(context.Background(), *doctorFile, os.Stdout, l)
	}
}

func addPseudonym(cli *kingpin.Application, commands map[string]action) {
	c := cli.Command("pseudonym", "Read user names from standard input, one per line, and print their pseudonyms in the log of failed logins.")
	file := configFlag(c)
	commands[c.FullCommand()] = func(*logging.Log) error { return command.Pseudonyms(*file, os.Stdin, os.Stdout) }
}

func addCodes(cli *kingpin.Application, commands map[string]action) {
	c := cli.Command("codes", "Print the failure codes that the store has seen, with counts, reasons and explanations: text without personal data, to pass on.")
	file := configFlag(c)
	commands[c.FullCommand()] = func(*logging.Log) error { return command.Codes(*file, os.Stdout) }
}

func addMigrateStore(cli *kingpin.Application, commands map[string]action) {
	c := cli.Command("migrate-store", "Copy a store from a folder to the database of the configuration, or back, and compare the two. Stop all exporters that use either of them first.")
	file := configFlag(c)
	from := c.Flag("from", "A folder with a store, or postgres: storage.postgres of the configuration.").Required().String()
	to := c.Flag("to", "postgres, or a folder without a store.").Required().String()
	commands[c.FullCommand()] = func(l *logging.Log) error { return command.MigrateStore(*file, *from, *to, os.Stdout, l) }
}

func addBackfill(cli *kingpin.Application, commands map[string]action) {
	c := cli.Command("backfill", "Write the API's history as OpenMetrics, for `promtool tsdb create-blocks-from openmetrics`.")
	file := configFlags(c)
	var o backfill.Options
	var since, until, step string
	c.Flag("since", "Start of the history: a time (RFC 3339) or how long ago. The API keeps 30 days.").Default("30d").StringVar(&since)
	c.Flag("until", "End of the history, likewise. Default: where the counters of the store begin or, if it has none, where those of an exporter started now would begin.").StringVar(&until)
	c.Flag("step", "Time between two samples, in whole seconds.").Default("1m").StringVar(&step)
	c.Flag("sparse", "While a series does not change, write only every thirtieth sample: a tenth of the size. On unless --no-sparse.").Default("true").BoolVar(&o.Sparse)
	c.Flag("output", "File to write; - is standard output.").Default("-").StringVar(&o.Output)
	c.Flag("metric", "Write only this metric; repeatable. Default: all.").EnumsVar(&o.Metrics, backfill.Metrics()...)
	labels := c.Flag("label", "Label (name=value) to add to every series, such as job and instance of the live series; repeatable.").StringMap()
	c.Validate(func(*kingpin.CmdClause) error {
		if len(o.Metrics) == 0 {
			o.Metrics = backfill.Metrics()
		}
		if err := errors.Join(file.Shard.Validate(), o.SetTimes(since, until, step, time.Now())); err != nil {
			return err
		}
		return o.SetLabels(*labels)
	})
	commands[c.FullCommand()] = func(l *logging.Log) error { return command.Backfill(*file, o, l) }
}

func addReplay(cli *kingpin.Application, commands map[string]action) {
	c := cli.Command("replay", "Count the records of a file as if they had been fetched; print the metrics, and the reasons to standard error.")
	file := c.Arg("file", "Records as .csv, .xlsx, .jsonl or .json, or a .zip of these.").Required().String()
	var o command.ReplayOptions
	c.Flag("project", "Value of the label `project`; with --config.file, the project to use.").Default("replay").StringVar(&o.Project)
	c.Flag("source", "Source of the file's records: "+strings.Join(command.ReplaySources, ", ")+". Default: recognised by its columns.").EnumVar(&o.Source, command.ReplaySources...)
	c.Flag("config.file", "Configuration file to take success_codes, columns and time_zone from.").StringVar(&o.ConfigFile)
	c.Flag("success-code", "A failed_code that means success; replaces the configured ones; repeatable.").StringsVar(&o.SuccessCodes)
	c.Flag("quiet", "Do not print a line for each record.").BoolVar(&o.Quiet)
	commands[c.FullCommand()] = func(l *logging.Log) error {
		return command.Replay(context.Background(), *file, o, os.Stdout, l.Text())
	}
}
