package config

import (
	"errors"
	"io/fs"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/common/model"

	"github.com/workspace-exporter/workspace_exporter/internal/keytext"
)

// Postgres is a database that several replicas share, in place of a folder.
type Postgres struct {
	// DSN says how to get in: postgres://user:password@host/database, or key=value words, as
	// libpq reads them.
	DSN Secret `yaml:"dsn,omitempty"`
	// DSNFile is a file with the DSN, read again for each new connection.
	DSNFile string `yaml:"dsn_file,omitempty"`
	// Schema is where the tables are. Two installations in one database need two.
	Schema string `yaml:"schema"`
	// LeaseDuration is how long a replica may be silent before another one takes its projects.
	LeaseDuration model.Duration `yaml:"lease_duration"`
}

func (p *Postgres) setDefaults() { p.Schema, p.LeaseDuration = "public", seconds(15) }

// Place names the place of the store in messages.
func (s *Storage) Place() string {
	if s.Postgres != nil {
		return "storage.postgres, schema " + s.Postgres.Schema
	}
	return s.Path
}

const (
	shortestLease = time.Second
	longestLease  = 10 * time.Minute
)

// schemaPattern matches names that mean the same with quotes and without.
var schemaPattern = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

func (r *reader) storage(s *Storage) {
	switch {
	case s.Postgres != nil && r.given("storage.path"):
		r.refuse("storage.postgres", "given together with path; give one of the two")
	case s.Postgres != nil:
		s.Path = ""
		r.postgres("storage.postgres", s.Postgres)
	case s.Path == "":
		r.refuse("storage.path", "must not be empty; it is the folder of the store, by default data")
	default:
		r.resolve(&s.Path)
		r.store(s.Path)
	}
	r.pseudonymKey("storage.pseudonym_key", &s.PseudonymKey, &s.PseudonymKeyFile)
}

func (r *reader) postgres(at string, p *Postgres) {
	r.credential(at+".dsn", &p.DSN, &p.DSNFile, keytext.Password, true)
	if value, err := p.DSN.Read(); err == nil && value != "" && placeholderProblem(value) == "" {
		r.dsn(givenBy(at+".dsn", p.DSNFile), value)
	}
	if !schemaPattern.MatchString(p.Schema) {
		r.refuse(at+".schema", "must be a name of small letters, digits and _")
	}
	r.between(at+".lease_duration", p.LeaseDuration, shortestLease, longestLease)
}

// dsn refuses what is none, and warns of one by which the password may cross a network in the
// clear.
func (r *reader) dsn(at, value string) {
	parsed, err := pgconn.ParseConfig(value)
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		r.refuse(at, "names a file that cannot be read: %s: %v", file.Path, file.Err)
		return
	}
	if err != nil {
		r.refuse(at, "must be a connection string, as postgres://user:password@host:5432/database?sslmode=verify-full "+
			"or host=.. user=.. password=.. dbname=.. (the value is not shown)")
		return
	}
	hosts := []*pgconn.FallbackConfig{{Host: parsed.Host, TLSConfig: parsed.TLSConfig}}
	for _, h := range append(hosts, parsed.Fallbacks...) {
		if network, _ := pgconn.NetworkAddress(h.Host, h.Port); network != "unix" && h.TLSConfig == nil && !isLoopback(h.Host) {
			r.warn(at, "allows connections without TLS: password and content can be read on the way; sslmode=verify-full with sslrootcert is safe")
			return
		}
	}
}
