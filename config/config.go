// Package config reads the configuration file: strict YAML in, a validated value
// with every default filled in out. What it refuses, it refuses whole, with one
// sentence for every problem of the file; no sentence ever holds a secret.
package config

import (
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/workspace-exporter/workspace_exporter/internal/shard"
)

// Config is the whole file.
type Config struct {
	Global   Global     `yaml:"global"`
	Storage  Storage    `yaml:"storage"`
	Projects []*Project `yaml:"projects"`
	Metrics  Metrics    `yaml:"metrics"`
	// FailureCodes explain failures. Those that are built in come after them.
	FailureCodes []FailureCode `yaml:"failure_codes,omitempty"`
	// FailedLoginsLog is nil if it is off.
	FailedLoginsLog *FailedLoginsLog `yaml:"failed_logins_log,omitempty"`

	// Shard is the part of the file's projects that are in Projects; Elsewhere are the names of
	// the others.
	Shard     shard.Shard `yaml:"-"`
	Elsewhere []string    `yaml:"-"`

	// Warnings are sentences about what is allowed and probably not meant, in
	// the form of a Problem.
	Warnings []string `yaml:"-"`
}

// Global holds what every project and source starts from.
type Global struct {
	// PollInterval is for every source that gives none itself. Without it each source has its
	// own default.
	PollInterval model.Duration `yaml:"poll_interval"`
	// RequestTimeout is how long each attempt of a request may take.
	RequestTimeout model.Duration `yaml:"request_timeout"`
}

// Storage is where counters, ledger and cursors live.
type Storage struct {
	// Path is the folder of the store, made if absent. Back it up to keep the counters.
	Path string `yaml:"path,omitempty"`
	// Postgres is a database instead, which several replicas can share.
	Postgres *Postgres `yaml:"postgres,omitempty"`
	// PseudonymKey hides what stands in the store for users, addresses and records. Without it
	// the store hides it by a key of its own.
	PseudonymKey Secret `yaml:"pseudonym_key,omitempty"`
	// PseudonymKeyFile is a file with the key. Keep it: it cannot be changed.
	PseudonymKeyFile string `yaml:"pseudonym_key_file,omitempty"`
}

// Project is one project of the cloud: an account's region, and how to get in.
type Project struct {
	// Name is the label `project`. Two projects cannot have the same.
	Name string `yaml:"name"`
	// ProjectID is the vendor's id of the project. The console shows it under My Credentials.
	ProjectID string `yaml:"project_id"`
	// Region gives the endpoints that are not given.
	Region      string      `yaml:"region,omitempty"`
	Endpoints   Endpoints   `yaml:"endpoints"`
	Credentials Credentials `yaml:"credentials"`
	TLSConfig   TLSConfig   `yaml:"tls_config,omitempty"`
	Proxy       `yaml:",inline"`
	RateLimit   RateLimit `yaml:"rate_limit"`
	// Concurrency is how many requests are in flight at once; those of one list are 16 at most.
	Concurrency int     `yaml:"concurrency"`
	Sources     Sources `yaml:"sources"`
}

// Endpoints are base URLs without a slash at the end. The region gives those that are
// not given. One that no source and no
// credentials need may be empty.
type Endpoints struct {
	// AppStream is for application streaming.
	AppStream string `yaml:"appstream,omitempty"`
	// Workspace is for cloud desktops, export tasks and statistics.
	Workspace string `yaml:"workspace,omitempty"`
	// IAM is where a password gets a token.
	IAM string `yaml:"iam,omitempty"`
}

// Credentials are how requests are authenticated. Exactly one of the four must be given.
type Credentials struct {
	AKSK         *AKSK         `yaml:"aksk,omitempty"`
	Password     *Password     `yaml:"password,omitempty"`
	Token        *Token        `yaml:"token,omitempty"`
	DefaultChain *DefaultChain `yaml:"default_chain,omitempty"`
}

// AKSK signs every request.
type AKSK struct {
	// AccessKey is the access key id (AK).
	AccessKey Secret `yaml:"access_key,omitempty"`
	// AccessKeyFile is a file with the access key id.
	AccessKeyFile string `yaml:"access_key_file,omitempty"`
	// SecretKey is the secret access key (SK).
	SecretKey Secret `yaml:"secret_key,omitempty"`
	// SecretKeyFile is a file with the secret access key.
	SecretKeyFile string `yaml:"secret_key_file,omitempty"`
	// SecurityToken goes with temporary keys.
	SecurityToken Secret `yaml:"security_token,omitempty"`
	// SecurityTokenFile is a file with the security token.
	SecurityTokenFile string `yaml:"security_token_file,omitempty"`
}

// Password gets a token from IAM.
type Password struct {
	// Domain is the name of the account.
	Domain string `yaml:"domain"`
	// User is the name of the IAM user.
	User string `yaml:"user"`
	// Password is the password of the IAM user.
	Password Secret `yaml:"password,omitempty"`
	// PasswordFile is a file with the password.
	PasswordFile string `yaml:"password_file,omitempty"`
}

// Token is an externally refreshed token.
type Token struct {
	// Token is the token itself.
	Token Secret `yaml:"token,omitempty"`
	// TokenFile is a file with the token, read again at each use.
	TokenFile string `yaml:"token_file,omitempty"`
}

// DefaultChain looks where the vendor's SDK looks: environment, profile file,
// metadata service.
type DefaultChain struct{}

// RateLimit bounds the requests of a project.
type RateLimit struct {
	// RequestsPerSecond is the rate over time, of all sources of the project together.
	RequestsPerSecond float64 `yaml:"requests_per_second"`
	// Burst is how many requests may go out at once after a rest.
	Burst int `yaml:"burst"`
}

// Metrics are settings of what is exposed.
type Metrics struct {
	// NewSeriesHold is for how long a new counter shows 0, so that increase() sees its start:
	// at least two scrape intervals. 0s turns it off.
	NewSeriesHold model.Duration `yaml:"new_series_hold"`
	// MaxSeries is how many series a metric may have. Further ones are counted under the label
	// value `other`.
	MaxSeries int `yaml:"max_series"`
	// UserWindows are the spans over which distinct users are counted. The rules need 15m and
	// 1h.
	UserWindows []UserWindow `yaml:"user_windows"`
	// ConstantLabels are added to every metric.
	ConstantLabels map[string]string `yaml:"constant_labels"`
}

// FailureCode explains failures: those of a code, those whose reason matches a regular
// expression, or if both are given those of both.
type FailureCode struct {
	// Code is the failure code that is explained.
	Code string `yaml:"code,omitempty"`
	// Reason is a regular expression (RE2) that the reason of the failure must match
	// somewhere.
	Reason string `yaml:"reason,omitempty"`
	// Class groups failures, as in `credentials` or `capacity`. It becomes a label.
	Class string `yaml:"class,omitempty"`
	// Text says in English what has happened.
	Text string `yaml:"text,omitempty"`
	// TextZH says the same in Chinese.
	TextZH string `yaml:"text_zh,omitempty"`
	// Action says what to do.
	Action string `yaml:"action,omitempty"`
	// ActionZH says the same in Chinese.
	ActionZH string `yaml:"action_zh,omitempty"`
	// URL leads to more about it.
	URL string `yaml:"url,omitempty"`
}

// FailedLoginsLog is where each failed login is written as a line of JSON.
type FailedLoginsLog struct {
	// Path is a file, or - for standard error.
	Path string `yaml:"path"`
	// PseudonymKey makes the pseudonyms of users. Without it, lines have no user.
	PseudonymKey Secret `yaml:"pseudonym_key,omitempty"`
	// PseudonymKeyFile is a file with the key.
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

func minutes(n int) model.Duration { return model.Duration(time.Duration(n) * time.Minute) }
func seconds(n int) model.Duration { return model.Duration(time.Duration(n) * time.Second) }

// Take leaves the projects of a shard.
func (c *Config) Take(s shard.Shard) {
	c.Shard = s
	c.Projects = slices.DeleteFunc(c.Projects, func(p *Project) bool {
		if !s.Has(p.Name) {
			c.Elsewhere = append(c.Elsewhere, p.Name)
		}
		return !s.Has(p.Name)
	})
}

// MaskedYAML is the configuration in force, defaults and all, as the file could
// have written it, with every secret masked.
func (c *Config) MaskedYAML() ([]byte, error) { return yaml.Marshal(c) }

// String is MaskedYAML.
func (c *Config) String() string {
	out, _ := c.MaskedYAML() // fails for no value that Load returns
	return string(out)
}
