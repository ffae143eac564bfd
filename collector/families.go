package collector

import (
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/workspace-exporter/workspace_exporter/internal/failurecode"
)

// families are the metric families of one source.
type families struct {
	list    []*family
	options *Options
	start   seriesStart // of the series that are made now

	// explained are the explanations of codes with the reasons that they had then: there
	// may be very many codes, and rules cost more than all else of a commit.
	explained map[string]explained
}

type explained struct {
	reason string
	failurecode.Explanation
}

// explain returns the explanation of a code.
func (f *families) explain(code, reason string) failurecode.Explanation {
	known, ok := f.explained[code]
	if !ok || known.reason != reason {
		known = explained{reason, f.options.Explanations.Explain(code, reason)}
		if f.explained == nil {
			f.explained = map[string]explained{}
		}
		f.explained[code] = known
	}
	return known.Explanation
}

// of returns the family of a metric, and makes it if there is none. Aggregators that name
// the same metric share its family.
func (f *families) of(m *Metric) *family {
	if i := slices.IndexFunc(f.list, func(known *family) bool { return known.Metric == m }); i >= 0 {
		return f.list[i]
	}
	family := newFamily(m, f.scope(m), &f.start, f.options.Limits)
	f.list = append(f.list, family)
	return family
}

// stored returns the stored family of a name, be it the present one or a former one.
func (f *families) stored(name string) *family {
	for _, family := range f.list {
		if !family.volatile() && (family.Name == name || slices.Contains(family.Formerly, name)) {
			return family
		}
	}
	return nil
}

// latestHold is until when a series made now is held.
func (f *families) latestHold() time.Time { return f.options.Now().Add(f.options.NewSeriesHold) }

// scope is the labels that all series of a metric have.
func (f *families) scope(m *Metric) []*dto.LabelPair {
	labels := map[string]string{"project": f.options.Project, "product": f.options.Product}
	if m.AboutSource {
		labels = map[string]string{"project": f.options.Project, "source": f.options.Source}
	}
	var pairs []*dto.LabelPair
	for _, set := range []map[string]string{labels, f.options.ConstantLabels} {
		for name, value := range set {
			pairs = append(pairs, &dto.LabelPair{Name: proto.String(name), Value: proto.String(value)})
		}
	}
	return pairs
}
