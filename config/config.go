// Package config reads the configuration file: strict YAML in, a validated value
// with every default filled in out. What it refuses, it refuses whole, with one
// sentence for every problem of the file; no sentence ever holds a secret.
package config

import (
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// How a source gets its records.
const (
	ModeAuto     = "auto"      // pages, or an export task where there are many records
	ModeQuery    = "query"     // pages
	ModeExport   = "export"    // an export task
	ModeExportV2 = "export_v2" // a file in the answer itself; desktop connections only
	ModeExportV3 = "export_v3" // an export task; desktop connections only
)

// Config is the whole file.
type Config struct {
	Global   Global     `yaml:"global"`
	Storage  Storage    `yaml:"storage"`
	Projects []*Project `yaml:"projects"`
	Metrics  Metrics    `yaml:"metrics"`
	// FailedLoginsLog is nil if it is off.
	FailedLoginsLog *FailedLoginsLog `yaml:"failed_logins_log,omitempty"`

	// Warnings are sentences about what is allowed and probably not meant, in
	// the form of a Problem.
	Warnings []string `yaml:"-"`
}

// Global holds what every project and source starts from.
type Global struct {
	// PollInterval is for every source that gives none itself.
	PollInterval   model.Duration `yaml:"poll_interval"`
	RequestTimeout model.Duration `yaml:"request_timeout"`
}

// Storage is where counters, ledger and cursors live.
type Storage struct {
	Path string `yaml:"path"` // a directory
	// PseudonymKey hides what stands in the store for users, addresses and records. Without
	// it the store hides it by a key of its own.
	PseudonymKey     Secret `yaml:"pseudonym_key,omitempty"`
	PseudonymKeyFile string `yaml:"pseudonym_key_file,omitempty"`
}

// Project is one project of the cloud: an account's region, and how to get in.
type Project struct {
	Name        string      `yaml:"name"` // the label `project`
	ProjectID   string      `yaml:"project_id"`
	Region      string      `yaml:"region,omitempty"`
	Endpoints   Endpoints   `yaml:"endpoints"`
	Credentials Credentials `yaml:"credentials"`
	TLSConfig   TLSConfig   `yaml:"tls_config,omitempty"`
	Proxy       `yaml:",inline"`
	RateLimit   RateLimit `yaml:"rate_limit"`
	Concurrency int       `yaml:"concurrency"` // requests in flight
	Sources     Sources   `yaml:"sources"`
}

// Endpoints are base URLs without a slash at the end. One that no source and no
// credentials need may be empty.
type Endpoints struct {
	AppStream string `yaml:"appstream,omitempty"`
	Workspace string `yaml:"workspace,omitempty"`
	IAM       string `yaml:"iam,omitempty"`
}

// Credentials has exactly one field that is not nil.
type Credentials struct {
	AKSK         *AKSK         `yaml:"aksk,omitempty"`
	Password     *Password     `yaml:"password,omitempty"`
	Token        *Token        `yaml:"token,omitempty"`
	DefaultChain *DefaultChain `yaml:"default_chain,omitempty"`
}

// AKSK signs every request. SecurityToken goes with temporary keys, and is empty
// otherwise.
type AKSK struct {
	AccessKey         Secret `yaml:"access_key,omitempty"`
	AccessKeyFile     string `yaml:"access_key_file,omitempty"`
	SecretKey         Secret `yaml:"secret_key,omitempty"`
	SecretKeyFile     string `yaml:"secret_key_file,omitempty"`
	SecurityToken     Secret `yaml:"security_token,omitempty"`
	SecurityTokenFile string `yaml:"security_token_file,omitempty"`
}

// Password gets a token from IAM.
type Password struct {
	Domain       string `yaml:"domain"`
	User         string `yaml:"user"`
	Password     Secret `yaml:"password,omitempty"`
	PasswordFile string `yaml:"password_file,omitempty"`
}

// Token is a token that somebody else keeps fresh.
type Token struct {
	Token     Secret `yaml:"token,omitempty"`
	TokenFile string `yaml:"token_file,omitempty"`
}

// DefaultChain looks where the vendor's SDK looks: environment, profile file,
// metadata service.
type DefaultChain struct{}

// RateLimit bounds the requests of a project.
type RateLimit struct {
	RequestsPerSecond float64 `yaml:"requests_per_second"`
	Burst             int     `yaml:"burst"`
}

// Sources are the sources of a project; nil is off.
type Sources struct {
	UserConnections    *UserConnections    `yaml:"user_connections,omitempty"`
	Sessions           *Sessions           `yaml:"sessions,omitempty"`
	AccessStatistics   *AccessStatistics   `yaml:"access_statistics,omitempty"`
	DesktopConnections *DesktopConnections `yaml:"desktop_connections,omitempty"`
}

// Source is what every source has.
type Source struct {
	PollInterval  model.Duration `yaml:"poll_interval"`
	Mode          string         `yaml:"mode"`
	ExportTimeout model.Duration `yaml:"export_timeout"` // until an export task counts as failed
	// Columns are headers of export files with the API's field name of each; an empty one
	// drops the column.
	Columns map[string]string `yaml:"columns,omitempty"`
	// TimeZone is the IANA name of the zone of times that tell none; empty is UTC.
	TimeZone string `yaml:"time_zone,omitempty"`
}

// Window is which records a source of login records reads.
type Window struct {
	Lookback        model.Duration `yaml:"lookback"`         // how far behind the cursor each poll reads again
	InitialLookback model.Duration `yaml:"initial_lookback"` // how far the first poll reads back
	PendingTimeout  model.Duration `yaml:"pending_timeout"`  // until a record without an outcome counts as a failure
}

// UserConnections are the login records of application streaming.
type UserConnections struct {
	Source          `yaml:",inline"`
	Window          `yaml:",inline"`
	ExportThreshold int      `yaml:"export_threshold"` // mode auto: more records than this go by export task
	SuccessCodes    []string `yaml:"success_codes"`    // values of failed_code that mean success
	// ReconcileInterval is how often pages and export are compared for a closed hour.
	// 0 turns it off.
	ReconcileInterval model.Duration `yaml:"reconcile_interval"`
}

// Sessions are the sessions on application servers.
type Sessions struct {
	Source `yaml:",inline"`
}

// AccessStatistics are failed accesses by user and error code.
type AccessStatistics struct {
	Source `yaml:",inline"`
	Settle model.Duration `yaml:"settle"` // how old a window must be before it is read
}

// DesktopConnections are the login records of cloud desktops.
type DesktopConnections struct {
	Source   `yaml:",inline"`
	Window   `yaml:",inline"`
	Language string `yaml:"language"` // of the export file
	// DesktopNames shows the names of desktops, often those of persons, in metrics.
	DesktopNames bool `yaml:"desktop_names"`
}

// Metrics is about what is exposed.
type Metrics struct {
	NewSeriesHold  model.Duration    `yaml:"new_series_hold"` // 0 turns it off
	MaxSeries      int               `yaml:"max_series"`      // per metric family
	UserWindows    []UserWindow      `yaml:"user_windows"`
	ConstantLabels map[string]string `yaml:"constant_labels"`
}

// FailedLoginsLog is where each failed login is written as a line of JSON.
type FailedLoginsLog struct {
	Path string `yaml:"path"` // a file, or - for standard error
	// PseudonymKey makes the pseudonyms of users; without it there are none.
	PseudonymKey     Secret `yaml:"pseudonym_key,omitempty"`
	PseudonymKeyFile string `yaml:"pseudonym_key_file,omitempty"`
}

// UserWindow is a span over which distinct users are counted.
type UserWindow struct {
	Label    string // as written in the file; the label `window`
	Duration time.Duration
}

// MarshalText writes the window as it stands in the file.
func (w UserWindow) MarshalText() ([]byte, error) { return []byte(w.Label), nil }

// hasDefaults is a part of the configuration that does not start from zero.
type hasDefaults interface{ setDefaults() }

func (c *Config) setDefaults() {
	c.Global = Global{PollInterval: minutes(1), RequestTimeout: seconds(30)}
	c.Storage.Path = "data"
	c.Metrics = DefaultMetrics()
}

// DefaultMetrics is what holds where the file says nothing about metrics.
func DefaultMetrics() Metrics {
	return Metrics{
		NewSeriesHold: minutes(2),
		MaxSeries:     20000,
		UserWindows:   []UserWindow{{"15m", 15 * time.Minute}, {"1h", time.Hour}},
	}
}

func (p *Project) setDefaults() {
	p.RateLimit = RateLimit{RequestsPerSecond: 10, Burst: 10}
	p.Concurrency = 4
}

func (u *UserConnections) setDefaults() {
	u.Source = Source{PollInterval: minutes(1), Mode: ModeAuto, ExportTimeout: minutes(15)}
	u.Window = defaultWindow()
	u.ExportThreshold = 5000
	u.SuccessCodes = DefaultSuccessCodes()
}

// DefaultSuccessCodes are the values of failed_code that mean success, as far as anybody
// has seen them.
func DefaultSuccessCodes() []string { return []string{"", "0", "WKS.00000000"} }

func (s *Sessions) setDefaults() {
	s.Source = Source{PollInterval: minutes(5), Mode: ModeExport, ExportTimeout: minutes(15)}
}

func (a *AccessStatistics) setDefaults() {
	a.Source = Source{PollInterval: minutes(15), Mode: ModeExport, ExportTimeout: minutes(15)}
	a.Settle = minutes(10)
}

func (d *DesktopConnections) setDefaults() {
	d.Source = Source{PollInterval: minutes(1), Mode: ModeExportV2, ExportTimeout: minutes(15)}
	d.Window = defaultWindow()
	d.Language = "en_US"
}

func defaultWindow() Window {
	return Window{Lookback: minutes(15), InitialLookback: minutes(60), PendingTimeout: minutes(60)}
}

func minutes(n int) model.Duration { return model.Duration(time.Duration(n) * time.Minute) }
func seconds(n int) model.Duration { return model.Duration(time.Duration(n) * time.Second) }

// enabled lists the sources that are on, by the key of the configuration.
func (s *Sources) enabled() map[string]*Source {
	on := map[string]*Source{}
	if s.UserConnections != nil {
		on["user_connections"] = &s.UserConnections.Source
	}
	if s.Sessions != nil {
		on["sessions"] = &s.Sessions.Source
	}
	if s.AccessStatistics != nil {
		on["access_statistics"] = &s.AccessStatistics.Source
	}
	if s.DesktopConnections != nil {
		on["desktop_connections"] = &s.DesktopConnections.Source
	}
	return on
}

// MaskedYAML is the configuration in force, defaults and all, as the file could
// have written it, with every secret masked.
func (c *Config) MaskedYAML() ([]byte, error) { return yaml.Marshal(c) }

// String is MaskedYAML.
func (c *Config) String() string {
	out, _ := c.MaskedYAML() // fails for no value that Load returns
	return string(out)
}
