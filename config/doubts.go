package config

import (
	"net/url"
	"regexp"
	"slices"
	"time"
)

// What is allowed and probably not meant is warned of here.

// regions are those in which the vendor's SDK knows Workspace, version 0.1.207.
var regions = []string{
	"af-north-1", "af-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "cn-east-3", "cn-east-5", "cn-north-11", "cn-north-4", "cn-north-9",
	"cn-south-1", "cn-southwest-2", "eu-west-101", "la-north-2", "la-south-2", "me-east-1", "sa-brazil-1", "tr-west-1",
}

// doubtRegion warns of a region whose hosts are guessed.
func (r *reader) doubtRegion(at, region string) {
	if slices.Contains(regions, region) {
		return
	}
	hint := ""
	if near := nearest(region, regions); near != "" {
		hint = "did you mean " + near + "? "
	}
	r.warn(at, "no list of the vendor's has Workspace in %q: %sIf the region is new, check the hosts that `doctor` names, or give endpoints", region, hint)
}

var (
	// variable matches what other programs would expand.
	variable = regexp.MustCompile(`\$\{[^}]*\}|\{\{.*\}\}|%[A-Z_]+%`)
	// placeholder matches what stands in examples for a value.
	placeholder = regexp.MustCompile(`(?i)^(<.*>|\[.*\]|(my|your|example|sample|dummy|fake|some)([-_ ].*)?|change[-_ ]?(me|this).*|replace[-_ ]?(me|this|with).*|(fix|todo|tbd)([-_ ]?me)?|x{3,}|\*{3,}|\.{2,}|` +
		`(hw[-_]?)?(ak|sk|access[-_ ]?key|secret[-_ ]?key|project([-_ ]?id)?|token|password|domain|user(name)?))$`)
)

// placeholderProblem says that a value is still to be filled in, without showing it; empty
// if it does not look so.
func placeholderProblem(value string) string {
	switch {
	case variable.MatchString(value):
		return "looks like a variable (not shown), and variables are not expanded here: put the value itself, or give its file by a key with _file"
	case placeholder.MatchString(value):
		return "looks like a placeholder (not shown): put the real value in its place"
	}
	return ""
}

// doubtPlaceholder warns of a value that is still to be filled in.
func (r *reader) doubtPlaceholder(at, value string) {
	if problem := placeholderProblem(value); problem != "" {
		r.warn(at, "%s", problem)
	}
}

// Below these the API has not had the time to show what is new.
const (
	usualAnswer = 10 * time.Second // a call, with its retries
	usualTask   = time.Minute      // an export task, from its creation to its file
	usualLate   = 5 * time.Minute  // from a login to its record
)

// doubtIntervals warns of a source that is read faster than the API can tell. A simulator on
// this machine may be as fast as one likes.
func (r *reader) doubtIntervals(at string, block Block, endpoints Endpoints) {
	endpoint := endpoints.AppStream
	if block.traits().endpoint == endpointWorkspace {
		endpoint = endpoints.Workspace
	}
	if u, err := url.Parse(endpoint); err == nil && isLoopback(u.Hostname()) {
		return
	}
	s := block.Common()
	interval := time.Duration(s.PollInterval)
	switch byTask := s.Mode == ModeExport || s.Mode == ModeExportV3; {
	case byTask && interval < usualTask:
		r.warn(at+".poll_interval", "%v is shorter than an export task takes (about %v): polls follow each other without a pause and use up the quota", s.PollInterval, usualTask)
	case interval < usualAnswer:
		r.warn(at+".poll_interval", "%v is shorter than %v, which a call with its retries may take: polls follow each other without a pause and use up the quota", s.PollInterval, usualAnswer)
	}
	switch b := block.(type) {
	case interface{ window() *Window }:
		if w := b.window(); time.Duration(w.Lookback) < usualLate {
			r.warn(at+".lookback", "%v is short: a record that the API shows later than that is never counted; the API may take %v", w.Lookback, usualLate)
		}
	case *AccessStatistics:
		if time.Duration(b.Settle) < usualLate {
			r.warn(at+".settle", "%v is short: what the API adds later than that is never counted; the API may take %v", b.Settle, usualLate)
		}
	}
}
