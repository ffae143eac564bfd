package collector

import (
	"math"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Numbers of fields of the messages of client_model.
const (
	familyMetric   = 4
	metricGauge    = 2
	metricCounter  = 3
	valueOf        = 1 // of Gauge and Counter
	counterCreated = 3
)

// protobufWriter writes the series of our own metrics in protobuf, byte for byte as the library
// does. It knows no more than what our metrics have.
type protobufWriter struct {
	*Metric
	check func(error)
	bytes []byte

	value     []byte                 // scratch
	created   *timestamppb.Timestamp // that was written last
	timestamp []byte                 // as it was written
}

// series writes a series. Its labels are as labelWire writes them.
func (w *protobufWriter) series(labels string, created *timestamppb.Timestamp, v value) {
	b := w.value[:0]
	switch w.Type {
	case Counter:
		b = w.number(b, metricCounter, v.number, created)
	case Gauge:
		b = w.number(b, metricGauge, v.number, nil)
	case Histogram:
		var err error
		b, err = proto.MarshalOptions{}.MarshalAppend(b, &dto.Metric{Histogram: v.histogram})
		w.check(err)
	}
	w.value = b
	w.bytes = protowire.AppendTag(w.bytes, familyMetric, protowire.BytesType)
	w.bytes = protowire.AppendVarint(w.bytes, uint64(len(labels)+len(b)))
	w.bytes = append(append(w.bytes, labels...), b...)
}

// number appends a field of a metric: the message of a gauge or a counter.
func (w *protobufWriter) number(b []byte, field protowire.Number, v float64, created *timestamppb.Timestamp) []byte {
	size := protowire.SizeTag(valueOf) + protowire.SizeFixed64()
	if created != nil {
		w.setTimestamp(created)
		size += protowire.SizeTag(counterCreated) + protowire.SizeBytes(len(w.timestamp))
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendTag(b, valueOf, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(v))
	if created != nil {
		b = protowire.AppendTag(b, counterCreated, protowire.BytesType)
		b = protowire.AppendBytes(b, w.timestamp)
	}
	return b
}

// setTimestamp writes when a series began. Most began together.
func (w *protobufWriter) setTimestamp(t *timestamppb.Timestamp) {
	if w.created != t {
		b, err := proto.MarshalOptions{}.MarshalAppend(w.timestamp[:0], t)
		w.check(err)
		w.created, w.timestamp = t, b
	}
}
