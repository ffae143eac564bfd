package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// limit is what a value must be, in words and as a check. The schema of the Helm chart says
// the same.
type limit struct {
	must string
	read func(yaml.Node) (any, bool)
}

// as reads a value of a type, if it is one.
func as[T any](must string, ok func(T) bool) limit {
	return limit{must, func(n yaml.Node) (any, bool) {
		var v T
		err := n.Decode(&v)
		return v, err == nil && n.Tag != "!!null" && ok(v)
	}}
}

var (
	isRatio  = func(f float64) bool { return f > 0 && f < 1 }
	isCount  = func(f float64) bool { return f >= 1 && f == math.Trunc(f) && f < 1e9 }
	ratio    = as("a number above 0 and below 1", isRatio)
	positive = as("a number above 0", func(f float64) bool { return f > 0 && f < 1e9 })
	count    = as("a whole number from 1", isCount)
	duration = as("a duration, such as 2m or 90s", func(s string) bool { _, err := model.ParseDuration(s); return err == nil })
	patterns = as("a list of regular expressions, such as [Test.*, Lab]; [] for none", func(all []string) bool {
		return !slices.ContainsFunc(all, func(s string) bool { _, err := regexp.Compile(s); return err != nil || s == "" })
	})
	dates = as("a list of days, such as [2027-01-01]; [] for none", func(all []string) bool {
		return !slices.ContainsFunc(all, func(s string) bool { _, err := time.Parse(time.DateOnly, s); return err != nil })
	})
	language = as("en or zh", func(s string) bool { return s == "en" || s == "zh" })
	address  = as(`an address, such as https://grafana.example.com; "" for none`, isAddress)
	// Six times as many failures must still be possible: that is what an alert asks for.
	objective = as("{allowedRatio: R}, R a number above 0 and below 0.16", func(all map[string]float64) bool {
		return len(all) == 1 && all["allowedRatio"] > 0 && all["allowedRatio"] < 0.16
	})
	// The histogram of durations ends at 300 s: what is longer is not told apart.
	seconds    = as("a number above 0 and below 300", func(f float64) bool { return f > 0 && f < 300 })
	notBelow0  = as("a number that is not below 0", func(f float64) bool { return f >= 0 && f < 1e9 })
	severities = as("a map from an alert and its own severity to another one, such as {WorkspaceLoginVolumeDrop/critical: warning}; {} for none",
		func(map[string]string) bool { return true })
)

func isAddress(s string) bool {
	u, err := url.Parse(s)
	return s == "" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && !strings.ContainsAny(s, " ?#")
}

var limits = map[string]limit{
	"language":                   language,
	"grafana":                    address,
	"leaveOutGroups":             patterns,
	"outageRatio":                ratio,
	"outageUsers":                count,
	"widespreadRatio":            ratio,
	"widespreadUsers":            count,
	"widespreadShare":            ratio,
	"triesOfOutage":              positive,
	"triesOfSpray":               positive,
	"sprayUsers":                 count,
	"partRatio":                  ratio,
	"dropRatio":                  ratio,
	"newCodeFailures":            positive,
	"newCodeFailuresPerThousand": notBelow0,
	"capacityCodes":              patterns,
	"userErrorCodes":             patterns,
	"slowSeconds":                seconds,
	"guesses":                    count,
	"guessesPerAddress":          count,
	"objective":                  objective,
	"outageFor":                  duration,
	"groupFor":                   duration,
	"keepFiringFor":              duration,
	"holidays":                   dates,
	"severities":                 severities,
}

// parseValues reads values.yaml, or says all that is wrong with it.
func parseValues(name string, text []byte) (map[string]any, error) {
	var nodes map[string]yaml.Node
	if err := yaml.Unmarshal(text, &nodes); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var wrong []error
	refuse := func(line int, format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("%s:%d: "+format, append([]any{name, line}, args...)...))
	}
	values := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(nodes)) {
		node := nodes[key]
		limit, known := limits[key]
		if !known {
			refuse(node.Line, "no value is called %q; there are %s", key, strings.Join(slices.Sorted(maps.Keys(limits)), ", "))
			continue
		}
		value, ok := limit.read(node)
		if !ok {
			refuse(node.Line, "%s is %s; it must be %s", key, written(node), limit.must)
			continue
		}
		values[key] = value
	}
	for _, key := range slices.Sorted(maps.Keys(limits)) {
		if _, there := nodes[key]; !there {
			wrong = append(wrong, fmt.Errorf("%s: %s is missing; it must be %s", name, key, limits[key].must))
		}
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	for alert, severity := range values["severities"].(map[string]string) {
		if !strings.Contains(rulesTemplate, fmt.Sprintf("index $.severities %q", alert)) {
			refuse(nodes["severities"].Line, "severities: no alert is %q; it must be an alert and its own severity, such as WorkspaceLoginVolumeDrop/critical", alert)
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, severity) {
			refuse(nodes["severities"].Line, "severities: %s is %q; it must be critical, warning or info", alert, severity)
		}
	}
	if spray, outage := values["triesOfSpray"].(float64), values["triesOfOutage"].(float64); spray >= outage {
		refuse(nodes["triesOfSpray"].Line, "triesOfSpray is %g; it must be below triesOfOutage, which is %g, or one incident is both", spray, outage)
	}
	values["grafana"] = strings.TrimSuffix(values["grafana"].(string), "/")
	return values, errors.Join(wrong...)
}

// written is a value as it stands in the file, or nearly so.
func written(n yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return cmp.Or(n.Value, "empty")
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return "unreadable"
	}
	return fmt.Sprint(v)
}
