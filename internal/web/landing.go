package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/version"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/internal/shard"
)

//go:embed landing.html
var landingHTML string

//go:embed landing.css
var landingCSS string

var landingTemplate = template.Must(template.New("landing").Funcs(template.FuncMap{"number": number, "share": share}).Parse(landingHTML))

// styleHash allows the page's own style in a Content-Security-Policy that forbids all
// others.
var styleHash = func() string {
	sum := sha256.Sum256([]byte(landingCSS))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}()

// landingPage is what the landing page shows.
type landingPage struct {
	Version, Revision, Telemetry string
	Style                        template.CSS
	Now                          time.Time
	// Demo is a page of simulated data.
	Demo bool
	// Replica is this one of several; nil if the store is not shared.
	Replica *Replica
	// Shards are those of which this exporter reads one; none if it reads all projects.
	Shards []shardView
	// Refused is why the last reload failed, RefusedAt when; nil if it did not.
	Refused   error
	RefusedAt time.Time
	// Paused is a page that does not refresh itself.
	Paused  bool
	Sources []sourceView
	// Failing is the number of sources that do not work, Waiting of those that are starting or
	// catching up.
	Failing, Waiting int
}

// sourceView is one source on the page.
type sourceView struct {
	Source
	N      int
	State  string
	Advice *advice // nil if the last poll succeeded
	Chart  *chart  // nil if there is nothing to show
	// Codes are those with most failures, and OtherCodes is how many there are beside them.
	Codes      []collector.FailureCode
	OtherCodes int
}

// maxCodes is how many failure codes of a source are shown.
const maxCodes = 5

// States of a source.
const (
	starting   = "starting"
	failing    = "failing"
	late       = "late"
	catchingUp = "catching up"
	up         = "up"
)

// lateAfter is the least time without a successful poll after which a source is late: an
// export task may take a quarter of an hour.
const lateAfter = 30 * time.Minute

func stateOf(s fetcher.Status, now time.Time) string {
	switch {
	case s.LastError != nil:
		return failing
	case !s.Polled:
		return starting
	case s.CatchUp:
		return catchingUp
	case now.Sub(s.Position.LastSuccess) > max(lateAfter, 5*s.Interval):
		return late
	}
	return up
}

func newSourceView(n int, s Source, now time.Time) sourceView {
	shown := min(maxCodes, len(s.Codes))
	v := sourceView{Source: s, N: n, State: stateOf(s.Status, now), Chart: newChart(s.Day, now), Codes: s.Codes[:shown], OtherCodes: len(s.Codes) - shown}
	if s.LastError != nil {
		a := adviceFor(s.Reason, s.LastError)
		v.Advice = &a
	}
	return v
}

// Every is the time between two polls, as in the configuration.
func (v sourceView) Every() string { return model.Duration(v.Interval).String() }

// Class is the style of the state.
func (v sourceView) Class() string { return strings.ReplaceAll(v.State, " ", "-") }

// Failing reports whether the source needs attention.
func (v sourceView) Failing() bool { return v.State == failing || v.State == late }

func (p *landingPage) add(v sourceView) {
	switch {
	case v.Failing():
		p.Failing++
	case v.State != up:
		p.Waiting++
	}
	p.Sources = append(p.Sources, v)
}

// shardView is a shard and its projects.
type shardView struct {
	shard.Shard
	Here     bool
	Projects []string
}

// shardViews are all shards of a configuration; none if there is only one.
func shardViews(c *config.Config) []shardView {
	if !c.Shard.Divides() {
		return nil
	}
	names := slices.Clone(c.Elsewhere)
	for _, p := range c.Projects {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	views := make([]shardView, c.Shard.Total)
	for number := range views {
		s := shard.Shard{Number: number, Total: c.Shard.Total}
		views[number] = shardView{Shard: s, Here: s == c.Shard}
	}
	for _, name := range names {
		of := &views[shard.Of(name, c.Shard.Total)]
		of.Projects = append(of.Projects, name)
	}
	return views
}

// Ago is how long before the page was made a time was.
func (p *landingPage) Ago(t time.Time) string { return ago(p.Now.Sub(t)) }

// Clock is the time of day; with the date if it may be another day.
func (p *landingPage) Clock(t time.Time) string {
	if p.Now.Sub(t) > 12*time.Hour {
		return t.UTC().Format("2006-01-02 15:04:05")
	}
	return t.UTC().Format("15:04:05")
}

// landing shows the state of every source.
func landing(e Exporter, o *Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := &landingPage{Version: version.Version, Revision: version.GetRevision(), Telemetry: strings.TrimPrefix(o.TelemetryPath, "/"), Demo: o.Demo,
			Style: template.CSS(landingCSS), Now: time.Now(), Paused: r.URL.Query().Has("pause")}
		p.RefusedAt, p.Refused = e.Refused()
		p.Shards, p.Replica = shardViews(e.Config()), e.Replica()
		for i, s := range e.Sources() {
			p.add(newSourceView(i, s, p.Now))
		}
		var body bytes.Buffer
		if err := landingTemplate.Execute(&body, p); err != nil {
			text(w, http.StatusInternalServerError, "cannot show the page: "+err.Error())
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = body.WriteTo(w)
	}
}

// ago formats a duration in at most two units.
func ago(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// number groups the digits of a number by thousands.
func number(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// share is the percentage of attempts that failed.
func share(failures, attempts int64) string {
	if attempts == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f\u202f%%", 100*float64(failures)/float64(attempts))
}
