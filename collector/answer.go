package collector

import (
	"bytes"
	"cmp"
	"compress/flate"
	"context"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	promodel "github.com/prometheus/common/model"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Format is one in which metrics are written.
type Format int

// The formats that Prometheus asks for.
const (
	Text Format = iota
	OpenMetrics
	Protobuf
	formats
)

// encodings are the library's names of the formats. Our names need no escaping.
var encodings = [formats]expfmt.Format{
	Text:        expfmt.NewFormat(expfmt.TypeTextPlain).WithEscapingScheme(promodel.NoEscaping),
	OpenMetrics: expfmt.NewFormat(expfmt.TypeOpenMetrics).WithEscapingScheme(promodel.NoEscaping),
	Protobuf:    expfmt.NewFormat(expfmt.TypeProtoDelim).WithEscapingScheme(promodel.NoEscaping),
}

// Scrape is what one asks for.
type Scrape struct {
	Format Format
	Gzip   bool
	// Names are the families, and Projects the projects, that are wanted; empty for all.
	// A wanted project has no metrics of the process.
	Names, Projects []string
}

// Answer is what a scrape gets. Its chunks are shared with other answers.
type Answer struct {
	Chunks [][]byte
	Size   int
	// Own is how many of its bytes are not shared with any other answer.
	Own int
	// Version is that of the shared chunks: answers of the same one keep the same memory.
	Version Version
}

// Version distinguishes what is shared in an answer from what was before and comes after.
type Version struct {
	format Format
	gzip   bool
	n      uint64
}

// lastVersion makes versions of all expositions differ.
var lastVersion atomic.Uint64

// NewVersion is one that no answer has had.
func NewVersion() Version { return Version{n: lastVersion.Add(1)} }

// written is a part without what stands before its first series, and the same compressed, by
// itself if it is large, or in the run of small ones that it begins.
type written struct {
	plain  []byte
	packed *packed
	run    *run
}

// packed is text that is compressed.
type packed struct {
	bytes           []byte
	size            int    // of the text
	checksum, shift uint32 // of the text: see joinChecksums
}

// run is small parts that follow each other, compressed together: those of thousands of projects
// are most of an answer.
type run struct {
	parts []*written
	*packed
}

// partsTogether is how many parts a run has at most. If one of them changes, all are compressed
// again.
const partsTogether = 16

// section is a metric family as it is shown.
type section struct {
	name  string
	write func(*output)
}

// few is how many bytes are not worth being kept compressed.
const few = 8 << 10

// Answer writes what a scrape asks for. It is made of what was written for others before,
// as far as that has not changed. While another answer is made, it waits; it fails if ctx
// ends meanwhile, and only then.
func (e *Exposition) Answer(ctx context.Context, s Scrape) (*Answer, error) {
	asked := time.Now()
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	o := &output{exposition: e, format: s.Format, gzip: s.Gzip}
	for _, section := range e.sections(asked, s) {
		if err := ctx.Err(); err != nil {
			return nil, err // its client has gone
		}
		section.write(o)
	}
	return o.end(), nil
}

// sections are the families that are wanted, in the order of their names.
func (e *Exposition) sections(asked time.Time, s Scrape) []section {
	contents := e.contents.Load()
	// Each accumulator is looked at once: all that a scrape shows of it is of one commit.
	var snapshots []map[*Metric][]*part
	for _, b := range contents.accumulators {
		if len(s.Projects) == 0 || slices.Contains(s.Projects, b.options.Project) {
			snapshots = append(snapshots, b.published())
		}
	}
	var all []section
	for _, f := range e.processFamilies(asked, contents, s.Projects) {
		all = append(all, section{f.GetName(), func(o *output) { o.process(f) }})
	}
	for _, m := range Metrics {
		var parts []*part
		for _, snapshot := range snapshots {
			parts = append(parts, snapshot[m]...)
		}
		if len(parts) > 0 {
			all = append(all, section{m.Name, func(o *output) { o.ours(m, parts) }})
		}
	}
	if len(s.Names) > 0 {
		all = slices.DeleteFunc(all, func(f section) bool { return !slices.Contains(s.Names, f.name) })
	}
	slices.SortFunc(all, func(a, b section) int { return cmp.Compare(a.name, b.name) })
	return all
}

// processFamilies are the families of the process. Scrapes that wait at the same time
// share them: they are gathered after the last of them asked.
func (e *Exposition) processFamilies(asked time.Time, c *contents, projects []string) []*dto.MetricFamily {
	if !e.gathered.After(asked) {
		e.gathered = time.Now()
		var err error
		e.processed, err = e.process.Gather()
		e.check(err)
		for _, f := range e.processed {
			addLabels(f, c.constants)
		}
	}
	if len(projects) == 0 {
		return e.processed
	}
	var wanted []*dto.MetricFamily
	for _, f := range e.processed {
		metrics := slices.DeleteFunc(slices.Clone(f.Metric), func(m *dto.Metric) bool {
			return !slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool {
				return l.GetName() == "project" && slices.Contains(projects, l.GetValue())
			})
		})
		if len(metrics) > 0 {
			wanted = append(wanted, &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Metric: metrics})
		}
	}
	return wanted
}

// encode writes a family as the library does.
func (e *Exposition) encode(f *dto.MetricFamily, as Format) []byte {
	var options []expfmt.EncoderOption
	if e.CreatedSamples {
		options = append(options, expfmt.WithCreatedLines())
	}
	var b bytes.Buffer
	e.check(expfmt.NewEncoder(&b, encodings[as], options...).Encode(f))
	return bytes.Clone(b.Bytes()) // as long as an answer is sent, and no larger than it must be
}

func (e *Exposition) check(err error) {
	if err != nil && e.Failed != nil {
		e.Failed(err)
	}
}

// head is what stands before the first series of a metric, but for the length in protobuf.
func (e *Exposition) head(m *Metric, first *part, as Format) []byte {
	f := m.family()
	if as == Protobuf {
		b, err := proto.Marshal(f)
		e.check(err)
		return b
	}
	f.Metric = []*dto.Metric{first.metric(m, 0)} // without any the library writes nothing
	b := e.encode(f, as)
	return b[:len(b)-len(withoutComments(b))]
}

// write returns a part of a metric as it stands behind the head.
func (e *Exposition) write(m *Metric, p *part, as Format) *written {
	w := &p.written[as]
	if w.plain != nil {
		return w
	}
	if as == Protobuf {
		e.scratch = e.protobuf(e.scratch[:0], m, p)
	} else {
		e.scratch = e.text(e.scratch[:0], m, p, as)
	}
	w.plain = bytes.Clone(e.scratch)
	e.version = NewVersion().n
	return w
}

func (e *Exposition) text(b []byte, m *Metric, p *part, as Format) []byte {
	w := textWriter{Metric: m, openMetrics: as == OpenMetrics, createdLines: e.CreatedSamples, name: m.Name, text: b}
	for i, v := range p.values {
		w.series(p.labels[i], p.created[i], v)
	}
	return w.text
}

func (e *Exposition) protobuf(b []byte, m *Metric, p *part) []byte {
	w := protobufWriter{Metric: m, check: e.check, bytes: b}
	labels := p.inProtobuf(e.check)
	for i, v := range p.values {
		w.series(labels[i], p.created[i], v)
	}
	return w.bytes
}

func withoutComments(b []byte) []byte {
	for len(b) > 0 && b[0] == '#' {
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	return b
}

// output puts an answer together.
type output struct {
	exposition *Exposition
	format     Format
	gzip       bool
	answer     Answer

	// Of an answer in gzip: what is not compressed yet, and the checksum and size of
	// what is.
	pending []byte
	crc     uint32
	size    uint32
}

// process writes a family of the process.
func (o *output) process(f *dto.MetricFamily) { o.addOwn(o.exposition.encode(f, o.format)) }

// ours writes a metric of our own.
func (o *output) ours(m *Metric, parts []*part) {
	head := o.exposition.head(m, parts[0], o.format)
	list := make([]*written, len(parts))
	size := len(head)
	for i, p := range parts {
		list[i] = o.exposition.write(m, p, o.format)
		size += len(list[i].plain)
	}
	if o.format == Protobuf {
		head = append(protowire.AppendVarint(nil, uint64(size)), head...)
	}
	o.addOwn(head)
	for together := range slices.Chunk(list, partsTogether) {
		o.addTogether(together)
	}
}

// addTogether puts parts into the answer that follow each other.
func (o *output) addTogether(list []*written) {
	size := 0
	for _, w := range list {
		size += len(w.plain)
	}
	if !o.gzip || size <= few || slices.ContainsFunc(list, isLarge) {
		for _, w := range list {
			o.add(w)
		}
		return
	}
	first := list[0]
	if first.run == nil || !slices.Equal(first.run.parts, list) {
		text := o.exposition.scratch[:0]
		for _, w := range list {
			text = append(text, w.plain...)
		}
		// A copy: list is a part of a longer one, which would keep all that was shown then.
		first.run, o.exposition.scratch = &run{slices.Clone(list), o.exposition.pack(text)}, text
	}
	o.addPacked(first.run.packed)
}

// isLarge reports whether a part is worth being compressed by itself.
func isLarge(w *written) bool { return len(w.plain) > few }

// pack compresses text that other answers will have, too.
func (e *Exposition) pack(text []byte) *packed {
	e.version = NewVersion().n
	return &packed{deflate(text), len(text), crc32.ChecksumIEEE(text), shiftOf(len(text))}
}

// chunk puts bytes into the answer as they are.
func (o *output) chunk(b []byte) {
	if len(b) > 0 {
		o.answer.Chunks = append(o.answer.Chunks, b)
		o.answer.Size += len(b)
	}
}

// ownChunk does so with bytes that no other answer has.
func (o *output) ownChunk(b []byte) {
	o.chunk(b)
	o.answer.Own += len(b)
}

// add puts a part into the answer.
func (o *output) add(w *written) {
	switch {
	case !o.gzip:
		o.chunk(w.plain)
	case isLarge(w):
		if w.packed == nil {
			w.packed = o.exposition.pack(w.plain)
		}
		o.addPacked(w.packed)
	default:
		o.compress(w.plain)
	}
}

// addOwn puts text into the answer that no other one has.
func (o *output) addOwn(text []byte) {
	if o.gzip {
		o.compress(text)
		return
	}
	o.ownChunk(text)
}

// maxPending is how many bytes wait to be compressed.
const maxPending = 256 << 10

// compress puts text into the answer that is compressed for it alone.
func (o *output) compress(text []byte) {
	o.pending = append(o.pending, text...)
	o.crc = crc32.Update(o.crc, crc32.IEEETable, text)
	o.size += uint32(len(text))
	if len(o.pending) > maxPending {
		o.flush()
	}
}

func (o *output) addPacked(p *packed) {
	o.flush()
	o.chunk(p.bytes)
	o.crc = joinChecksums(o.crc, p.checksum, p.shift)
	o.size += uint32(p.size)
}

func (o *output) flush() {
	if len(o.pending) > 0 {
		o.ownChunk(deflate(o.pending))
		o.pending = o.pending[:0]
	}
}

// end is the answer. That in gzip is one stream: its parts refer to nothing outside of
// themselves, and end at a byte.
func (o *output) end() *Answer {
	if o.format == OpenMetrics {
		o.addOwn([]byte("# EOF\n"))
	}
	if o.gzip {
		o.flush()
		const lastBlock = "\x03\x00"
		end := binary.LittleEndian.AppendUint32([]byte(lastBlock), o.crc)
		o.ownChunk(binary.LittleEndian.AppendUint32(end, o.size))
		const header = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" // deflate, no time, no system
		o.answer.Chunks = slices.Insert(o.answer.Chunks, 0, []byte(header))
		o.answer.Size, o.answer.Own = o.answer.Size+len(header), o.answer.Own+len(header)
	}
	o.answer.Version = Version{o.format, o.gzip, o.exposition.version}
	return &o.answer
}

var deflaters = sync.Pool{New: func() any {
	// The default takes four times as long, and makes metrics a quarter smaller.
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // a level that there is
	return w
}}

// deflate compresses text, to be followed by more.
func deflate(text []byte) []byte {
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	var out bytes.Buffer
	w.Reset(&out)
	_, _ = w.Write(text) // to memory
	_ = w.Flush()
	return out.Bytes()
}
