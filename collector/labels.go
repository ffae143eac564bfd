package collector

import (
	"strings"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// labelBytes are the labels of the series of a part, as they are written. Parts share them until
// there is a new series.
type labelBytes struct {
	text []string
	wire []string // in protobuf; nil until they are asked for; guarded by the turn of the exposition
}

// inProtobuf are the labels of metrics in protobuf.
func (l *labelBytes) inProtobuf(metrics []*dto.Metric, check func(error)) []string {
	if l.wire == nil {
		wire := make([]string, len(metrics))
		for i, m := range metrics {
			b, err := proto.Marshal(&dto.Metric{Label: m.Label})
			check(err)
			wire[i] = string(b)
		}
		l.wire = sideBySide(wire)
	}
	return l.wire
}

// sideBySide copies texts that are read one after the other into one piece of memory: read from
// all over the memory, they cost more than all else of an answer.
func sideBySide(texts []string) []string {
	all := strings.Join(texts, "")
	list := make([]string, len(texts))
	for i, t := range texts {
		list[i], all = all[:len(t)], all[len(t):]
	}
	return list
}

var labelEscapes = strings.NewReplacer("\\", `\\`, "\n", `\n`, `"`, `\"`)

// labelText is what stands between the braces of a series.
func labelText(labels []*dto.LabelPair) string {
	var b strings.Builder
	for i, l := range labels {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(l.GetName())
		b.WriteString(`="`)
		_, _ = labelEscapes.WriteString(&b, l.GetValue())
		b.WriteByte('"')
	}
	return b.String()
}
