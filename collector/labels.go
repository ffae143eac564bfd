package collector

import (
	"strings"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

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

// labelWire is the same in protobuf.
func labelWire(labels []*dto.LabelPair) (string, error) {
	b, err := proto.Marshal(&dto.Metric{Label: labels})
	return string(b), err
}
