package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

func main() {
	svg := flag.String("svg", "", "file to draw")
	flag.Parse()
	if err := run(flag.Arg(0), *svg, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(results, svg string, table io.Writer) error {
	f, err := os.Open(results)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	rows, err := read(f, results)
	if err != nil {
		return err
	}
	for _, r := range rows {
		r.write(table)
	}
	if svg == "" {
		return nil
	}
	out, err := os.Create(svg)
	if err != nil {
		return err
	}
	return errors.Join(paint(rows, out), out.Close())
}

// row is a benchmark at several sizes, by us and by peers.
type row struct {
	name, of, unit string
	costs          map[string]map[int]float64 // who, size
}

const us = "us"

// units are what is shown of a benchmark, the first that it has.
var units = []struct {
	name, shown string
	factor      float64
}{{"B/record", "B/record", 1}, {"cpu-ms/op", "CPU ms", 1}, {"sec/op", "ms", 1000}}

// read reads the benchmarks that have several sizes.
func read(in io.Reader, name string) ([]*row, error) {
	rows := map[string]*row{}
	for results := benchfmt.NewReader(in, name); results.Scan(); {
		switch r := results.Result().(type) {
		case *benchfmt.SyntaxError:
			continue // what else a test prints
		case *benchfmt.Result:
			add(rows, r)
		}
	}
	maps.DeleteFunc(rows, func(_ string, r *row) bool { return len(r.costs[us]) < 2 })
	if len(rows) == 0 {
		return nil, errors.New("no benchmark with several sizes")
	}
	return slices.SortedFunc(maps.Values(rows), func(a, b *row) int { return cmp.Compare(a.name, b.name) }), nil
}

// add adds a result to its row.
func add(rows map[string]*row, result *benchfmt.Result) {
	var names []string
	sizes, size, of, by := 0, 0, "", us
	for part := range strings.SplitSeq(string(result.Name), "/") {
		key, value, _ := strings.Cut(part, "=")
		n, err := strconv.Atoi(value)
		switch {
		case key == "by":
			by = value
		case err == nil:
			of, size = key, n
			sizes++
		default:
			names = append(names, part)
		}
	}
	if sizes != 1 {
		return
	}
	name := strings.Join(append(names, of), " ")
	for _, unit := range units {
		cost, ok := result.Value(unit.name)
		if !ok {
			continue
		}
		r := rows[name]
		if r == nil {
			r = &row{name: name, of: of, unit: unit.shown, costs: map[string]map[int]float64{}}
			rows[name] = r
		}
		if r.costs[by] == nil {
			r.costs[by] = map[int]float64{}
		}
		if before, ok := r.costs[by][size]; !ok || cost*unit.factor < before {
			r.costs[by][size] = cost * unit.factor
		}
		return
	}
}

// who are those who were measured, we first.
func (r *row) who() []string {
	return append([]string{us}, slices.DeleteFunc(slices.Sorted(maps.Keys(r.costs)), func(by string) bool { return by == us })...)
}

// write writes a row of the table: the share of each peer at the largest size that both have, the
// costs at all sizes, and the power by which ours grow between them: 1 is straight.
func (r *row) write(out io.Writer) {
	sizes := slices.Sorted(maps.Keys(r.costs[us]))
	var peers, costs, powers []string
	for _, by := range r.who()[1:] {
		if strings.HasPrefix(by, us+"-") { // more of ours
			continue
		}
		for _, size := range slices.Backward(sizes) {
			if cost := r.costs[by][size]; cost > 0 {
				peers = append(peers, fmt.Sprintf("%s %.2g", by, r.costs[us][size]/cost))
				break
			}
		}
	}
	for i, size := range sizes {
		costs = append(costs, short(r.costs[us][size]))
		if i > 0 {
			power := math.Log(r.costs[us][size]/r.costs[us][sizes[i-1]]) / math.Log(float64(size)/float64(sizes[i-1]))
			powers = append(powers, strconv.FormatFloat(power, 'f', 2, 64))
		}
	}
	fmt.Fprintf(out, "| %s | %s | %s | %s | %s |\n", r.name, strings.Join(peers, ", "), textOf(sizes), strings.Join(costs, " / ")+" "+r.unit, strings.Join(powers, ", "))
}

// short is a number with three digits that say something.
func short(n float64) string {
	if n >= 100 {
		return strconv.FormatFloat(n, 'f', 0, 64)
	}
	return strconv.FormatFloat(n, 'g', 3, 64)
}

func textOf(sizes []int) string {
	var texts []string
	for _, size := range sizes {
		texts = append(texts, strconv.Itoa(size))
	}
	return strings.Join(texts, " / ")
}

// paint draws a plot for each row: both axes are logarithmic, so that what follows the size is
// a straight line at 45 degrees, and what does not depend on it is level.
func paint(rows []*row, out io.Writer) error {
	const columns, width, height, margin = 3, 8 * vg.Centimeter, 6 * vg.Centimeter, 4 * vg.Millimeter
	lines := (len(rows) + columns - 1) / columns
	plots := make([][]*plot.Plot, lines)
	for i := range plots {
		plots[i] = make([]*plot.Plot, columns)
	}
	for i, r := range rows {
		p, err := r.plot()
		if err != nil {
			return err
		}
		plots[i/columns][i%columns] = p
	}
	canvas := vgsvg.New(columns*width, vg.Length(lines)*height)
	tiles := draw.Tiles{Rows: lines, Cols: columns, PadX: 6 * vg.Millimeter, PadY: 4 * vg.Millimeter, PadLeft: margin, PadRight: margin, PadTop: margin, PadBottom: margin}
	for i, line := range plot.Align(plots, tiles, draw.New(canvas)) {
		for j, tile := range line {
			if plots[i][j] != nil {
				plots[i][j].Draw(tile)
			}
		}
	}
	_, err := canvas.WriteTo(out)
	return err
}

func (r *row) plot() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = r.name, r.of, r.unit
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Scale, axis.Tick.Marker = plot.LogScale{}, decades{}
		axis.Label.TextStyle.Font.Size, axis.Tick.Label.Font.Size = 8, 7
	}
	p.Title.TextStyle.Font.Size, p.Legend.TextStyle.Font.Size = 7.5, 7
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	for i, by := range r.who() {
		var points plotter.XYs
		for _, size := range slices.Sorted(maps.Keys(r.costs[by])) {
			points = append(points, plotter.XY{X: float64(size), Y: r.costs[by][size]})
		}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
		line.Color, marks.Color = plotutil.Color(i), plotutil.Color(i)
		marks.Radius = 1.5
		p.Add(line, marks)
		p.Legend.Add(by, line, marks)
	}
	// Whole decades have a tick at both ends, and the legend stands above all lines.
	low, high := math.Floor(math.Log10(p.Y.Min)), math.Ceil(math.Log10(p.Y.Max)+0.01)
	p.Y.Min, p.Y.Max = math.Pow(10, low), math.Pow(10, high+math.Ceil((high-low)*0.12*float64(len(r.costs))))
	return p, nil
}

// inThousands writes 1000 as 1k, so that labels do not meet.
func inThousands(n float64) string {
	unit := ""
	for _, larger := range []string{"k", "M"} {
		if n >= 1000 {
			n, unit = n/1000, larger
		}
	}
	return strconv.FormatFloat(n, 'g', 3, 64) + unit
}

// decades are ticks at the powers of ten.
type decades struct{}

func (decades) Ticks(least, most float64) []plot.Tick {
	ticks := plot.LogTicks{Prec: -1}.Ticks(least, most)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = inThousands(ticks[i].Value)
		}
	}
	return ticks
}
