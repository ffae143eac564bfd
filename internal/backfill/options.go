package backfill

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
)

// Options say which history to write, and where.
type Options struct {
	// Since is where the history begins, and Until where it ends. If Until is zero, it ends
	// where the counters of the store begin, source by source; without a store, where those
	// of an exporter started now would begin.
	Since, Until time.Time
	Step         time.Duration
	Sparse       bool              // leave out most samples of series that do not change
	Metrics      []string          // names of those to write
	Labels       map[string]string // added to every series
	Output       string            // a file, or - for standard output
}

// SetTimes reads since, until and step as the command line has them.
func (o *Options) SetTimes(since, until, step string, now time.Time) (err error) {
	if o.Since, err = pastTime("since", since, now); err != nil {
		return err
	}
	if until != "" {
		if o.Until, err = pastTime("until", until, now); err != nil {
			return err
		}
		if !o.Since.Before(o.Until) {
			return fmt.Errorf("--since %s: must be before --until %s", since, until)
		}
	}
	d, err := model.ParseDuration(step)
	if o.Step = time.Duration(d); err != nil || o.Step < time.Second || o.Step > time.Hour || o.Step%time.Second != 0 {
		return fmt.Errorf("--step %q: must be a duration of whole seconds, 1s to 1h", step)
	}
	return nil
}

// pastTime reads a time, or how long ago it was.
func pastTime(flag, value string, now time.Time) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		ago, err := model.ParseDuration(value)
		if err != nil {
			return t, fmt.Errorf("--%s %q: must be a time like 2006-01-02T15:04:05Z, or a duration like 30d", flag, value)
		}
		t = now.Add(-time.Duration(ago))
	}
	if t = t.UTC().Truncate(time.Second); t.After(now) {
		return t, fmt.Errorf("--%s %s: is in the future", flag, value)
	}
	return t, nil
}

// SetLabels takes the labels to add.
func (o *Options) SetLabels(labels map[string]string) error {
	for name := range labels {
		if !model.LegacyValidation.IsValidLabelName(name) || strings.HasPrefix(name, "__") || config.IsOwnLabel(name) {
			return fmt.Errorf("--label %s: must be a label name, and none that the exporter uses itself", name)
		}
	}
	o.Labels = labels
	return nil
}

// Metrics are the names of the metrics that a history may have.
func Metrics() []string {
	var kinds []collector.Kind
	for _, s := range source.All {
		if s.HasHistory() {
			kinds = append(kinds, s.Kind)
		}
	}
	var names []string
	for _, m := range collector.CountersOf(kinds...) {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	return names
}
