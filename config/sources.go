package config

import (
	"iter"
	"reflect"
	"slices"

	"github.com/prometheus/common/model"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Sources are the lists that are read. One that is named is on; without any, user_connections
// is. The key of each is its name everywhere.
type Sources struct {
	UserConnections    *UserConnections    `yaml:"user_connections,omitempty"`
	Sessions           *Sessions           `yaml:"sessions,omitempty"`
	AccessStatistics   *AccessStatistics   `yaml:"access_statistics,omitempty"`
	DesktopConnections *DesktopConnections `yaml:"desktop_connections,omitempty"`
	Servers            *Servers            `yaml:"servers,omitempty"`
	Desktops           *Desktops           `yaml:"desktops,omitempty"`
	AppConnections     *AppConnections     `yaml:"app_connections,omitempty"`
}

// defaultSources are on where the file has no sources.
func defaultSources() Sources {
	on := &UserConnections{}
	on.setDefaults()
	return Sources{UserConnections: on}
}

// Block is the block of one source. Each has a type of its own, and a field of Sources.
type Block interface {
	hasDefaults
	// Polls is how often the source is read.
	Polls() *Polling
	// Common are the settings of a source of records. Others have the defaults.
	Common() *Source
	// Modes are the values of its mode. The first is the default.
	Modes() []string
	traits() traits
	// check refuses values of settings that only this source has.
	check(r *reader, at string)
}

// traits are what the settings of a source are checked by.
type traits struct {
	endpoint string   // the one that has its records
	fields   []string // of its records
}

// How a source gets its records.
const (
	ModeAuto     = "auto"      // pages, or an export task where there are many records
	ModeQuery    = "query"     // pages
	ModeExport   = "export"    // an export task
	ModeExportV2 = "export_v2" // a file in the answer itself; desktop connections only
	ModeExportV3 = "export_v3" // an export task; desktop connections only
)

// The endpoints that have records. Export tasks are on the second.
const (
	endpointAppStream = "appstream"
	endpointWorkspace = "workspace"
)

// Polling is what every source has.
type Polling struct {
	// PollInterval is the time from one poll to the next. Without it, that of `global` counts,
	// if it is given.
	PollInterval model.Duration `yaml:"poll_interval"`
}

// Polls implements Block.
func (p *Polling) Polls() *Polling { return p }

// Source is what every source of records has, which come by pages or files.
type Source struct {
	Polling `yaml:",inline"`
	// Mode is how records are read: docs/permissions.md.
	Mode string `yaml:"mode"`
	// ExportTimeout is how long an export task may take until it counts as failed.
	ExportTimeout model.Duration `yaml:"export_timeout"`
	// Columns are headers of export files with the API's field name of each. An empty one
	// drops the column.
	Columns map[string]string `yaml:"columns,omitempty"`
	// TimeZone is the IANA name of the zone of times without a zone: UTC, if it is not given.
	TimeZone string `yaml:"time_zone,omitempty"`
}

// Common implements Block.
func (s *Source) Common() *Source { return s }

func defaultSource(interval model.Duration, block Block) Source {
	return Source{Polling: Polling{interval}, Mode: block.Modes()[0], ExportTimeout: minutes(15)}
}

// Window is which records a source of login records reads.
type Window struct {
	// Lookback is how far behind the cursor each poll reads again, for late and changed
	// records.
	Lookback model.Duration `yaml:"lookback"`
	// InitialLookback is how far the first poll reads back.
	InitialLookback model.Duration `yaml:"initial_lookback"`
	// PendingTimeout is how long a record may have no outcome until it counts as a failure.
	PendingTimeout model.Duration `yaml:"pending_timeout"`
}

func (w *Window) window() *Window { return w }

func defaultWindow() Window {
	return Window{Lookback: minutes(15), InitialLookback: minutes(60), PendingTimeout: minutes(60)}
}

func (r *reader) checkWindow(at string, w *Window) {
	r.between(at+".lookback", w.Lookback, 0, history)
	r.positive(at+".initial_lookback", w.InitialLookback, history)
	r.positive(at+".pending_timeout", w.PendingTimeout, history)
}

// UserConnections are the login records of application streaming.
type UserConnections struct {
	Source `yaml:",inline"`
	Window `yaml:",inline"`
	// ExportThreshold is for mode auto: windows of more records than this go by export task.
	ExportThreshold int `yaml:"export_threshold"`
	// SuccessCodes are the values of failed_code that mean success.
	SuccessCodes []string `yaml:"success_codes"`
	// ReconcileInterval is how often pages and export are compared for a closed hour. 0s turns
	// it off.
	ReconcileInterval model.Duration `yaml:"reconcile_interval"`
}

// Modes implements Block.
func (u *UserConnections) Modes() []string { return []string{ModeAuto, ModeQuery, ModeExport} }

func (u *UserConnections) traits() traits {
	return traits{endpointAppStream, record.UserConnectionFields}
}

func (u *UserConnections) setDefaults() {
	u.Source, u.Window = defaultSource(minutes(1), u), defaultWindow()
	u.ExportThreshold = 5000
	u.SuccessCodes = DefaultSuccessCodes()
}

// DefaultSuccessCodes are the values of failed_code that mean success, as far as anybody
// has seen them.
func DefaultSuccessCodes() []string { return []string{"", "0", "WKS.00000000"} }

func (u *UserConnections) check(r *reader, at string) {
	r.checkWindow(at, &u.Window)
	r.atLeast(at+".export_threshold", u.ExportThreshold, 1)
	r.between(at+".reconcile_interval", u.ReconcileInterval, 0, history)
	if len(u.SuccessCodes) == 0 {
		r.refuse(at+".success_codes", `must not be empty, or every login would be a failure; the default is ["", "0", "WKS.00000000"]`)
	}
}

// Stages asks the API, beside the polls, at which stage each failed access failed. Off unless
// this key is there.
type Stages struct {
	// MaxPerMinute is the most requests for stages in a minute. They do not slow down polls, and
	// `rate_limit` does not count them.
	MaxPerMinute int `yaml:"max_per_minute"`
}

func (s *Stages) setDefaults() { s.MaxPerMinute = 30 }

// stagesQuota is how many requests for stages the API answers in a minute, as the vendor's
// page says.
const stagesQuota = 200

func (r *reader) checkStages(at string, s *Stages) {
	if s != nil && (s.MaxPerMinute < 1 || s.MaxPerMinute > stagesQuota) {
		r.refuse(at+".stages.max_per_minute", "must be 1 to %d, not %d", stagesQuota, s.MaxPerMinute)
	}
}

// StagesOf are the settings of a source for stages; nil if they are not asked for.
func StagesOf(block Block) *Stages {
	if b, ok := block.(interface{ stages() *Stages }); ok {
		return b.stages()
	}
	return nil
}

// AppConnections are the uses of applications. Their settings are those of login records.
type AppConnections struct {
	UserConnections `yaml:",inline"`
	Stages          *Stages `yaml:"stages,omitempty"`
}

func (a *AppConnections) stages() *Stages { return a.Stages }

func (a *AppConnections) check(r *reader, at string) {
	a.UserConnections.check(r, at)
	r.checkStages(at, a.Stages)
}

func (a *AppConnections) traits() traits {
	return traits{endpointAppStream, record.AppConnectionFields}
}

// Sessions are the sessions on application servers.
type Sessions struct {
	Source `yaml:",inline"`
}

// Modes implements Block.
func (s *Sessions) Modes() []string { return []string{ModeExport, ModeQuery} }

func (s *Sessions) traits() traits {
	return traits{endpointAppStream, record.SessionInfoFields}
}

func (s *Sessions) setDefaults() { s.Source = defaultSource(minutes(5), s) }

func (s *Sessions) check(*reader, string) {}

// AccessStatistics are failed accesses by user and error code.
type AccessStatistics struct {
	Source `yaml:",inline"`
	// Settle is how old a window must be before it is read: statistics are read once.
	Settle model.Duration `yaml:"settle"`
}

// Modes implements Block.
func (a *AccessStatistics) Modes() []string { return []string{ModeExport, ModeQuery} }

func (a *AccessStatistics) traits() traits {
	return traits{endpointWorkspace, record.AppUserAccessFields}
}

func (a *AccessStatistics) setDefaults() {
	a.Source = defaultSource(minutes(15), a)
	a.Settle = minutes(10)
}

func (a *AccessStatistics) check(r *reader, at string) {
	r.between(at+".settle", a.Settle, 0, day)
}

// DesktopConnections are the login records of cloud desktops.
type DesktopConnections struct {
	Source `yaml:",inline"`
	Window `yaml:",inline"`
	// Language is the language of the export file.
	Language string `yaml:"language"`
	// DesktopNames shows the names of desktops, often those of persons, in metrics.
	DesktopNames bool    `yaml:"desktop_names"`
	Stages       *Stages `yaml:"stages,omitempty"`
}

func (d *DesktopConnections) stages() *Stages { return d.Stages }

// Modes implements Block.
func (d *DesktopConnections) Modes() []string { return []string{ModeExportV2, ModeExportV3, ModeQuery} }

func (d *DesktopConnections) traits() traits {
	return traits{endpointWorkspace, record.DesktopConnectionFields}
}

func (d *DesktopConnections) setDefaults() {
	d.Source, d.Window = defaultSource(minutes(1), d), defaultWindow()
	d.Language = "en_US"
}

func (d *DesktopConnections) check(r *reader, at string) {
	r.checkWindow(at, &d.Window)
	r.oneOf(at+".language", d.Language, "en_US", "zh_CN")
	r.checkStages(at, d.Stages)
	if d.DesktopNames {
		r.warn(at+".desktop_names", "the names of desktops become labels of metrics: if desktops are named after persons, all who can read metrics see who logs in")
	}
}

// List is a source that is a list of what is there now: pages are the only way to read it.
type List struct {
	Polling `yaml:",inline"`
}

// Common implements Block.
func (l *List) Common() *Source {
	return &Source{Polling: l.Polling, Mode: ModeQuery, ExportTimeout: minutes(15)}
}

// Modes implements Block.
func (l *List) Modes() []string { return []string{ModeQuery} }

func (l *List) setDefaults() { l.PollInterval = minutes(5) }

func (l *List) check(*reader, string) {}

// Servers are the application servers and their groups.
type Servers struct {
	List `yaml:",inline"`
}

func (s *Servers) traits() traits { return traits{endpoint: endpointAppStream} }

// Desktops are the numbers of cloud desktops.
type Desktops struct {
	List `yaml:",inline"`
}

func (d *Desktops) traits() traits { return traits{endpoint: endpointWorkspace} }

// On yields the name and the block of each source that is on, in the order of Sources.
func (s *Sources) On() iter.Seq2[string, Block] {
	return func(yield func(string, Block) bool) {
		names, fields := yamlFields(reflect.ValueOf(s).Elem())
		for _, name := range names {
			if block := fields[name]; !block.IsNil() && !yield(name, block.Interface().(Block)) {
				return
			}
		}
	}
}

// NameOf is the name of the source whose block is of a type.
func NameOf[B Block]() string {
	names, fields := yamlFields(reflect.ValueOf(Sources{}))
	i := slices.IndexFunc(names, func(name string) bool { return fields[name].Type() == reflect.TypeFor[B]() })
	return names[i]
}

// AllOn are the sources with each one on, by its defaults.
func AllOn() *Sources {
	s := &Sources{}
	_, fields := yamlFields(reflect.ValueOf(s).Elem())
	for _, field := range fields {
		block := reflect.New(field.Type().Elem())
		block.Interface().(Block).setDefaults()
		field.Set(block)
	}
	return s
}
