package command

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/prometheus/common/version"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/service"
)

// Codes writes the failure codes that the store has seen: how often, with which reason, and
// what they mean. It is text to be passed on: no project, group, server or user is in it.
// The store may be open elsewhere, and is not changed.
func Codes(configFile string, out io.Writer) error {
	cfg, err := load(configFile)
	if err != nil {
		return err
	}
	stored, err := service.ReadCodes(cfg)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: there is no store yet, so that no failure code is known: start the exporter first", cfg.Storage.Place())
	}
	if err != nil {
		return err
	}
	return writeCodes(out, codesOf(stored))
}

// seenCode is a failure code of a product, in all projects.
type seenCode struct {
	product string
	collector.FailureCode
}

// codesOf adds up the codes of all sources by product and reason. Those with most failures
// come first.
func codesOf(stored []service.StoredCodes) []seenCode {
	type key struct{ product, code, reason string }
	index := map[key]int{}
	var all []seenCode
	for _, source := range stored {
		for _, c := range source.Codes {
			k := key{source.Product, c.Code, c.Reason}
			i, known := index[k]
			if !known {
				i = len(all)
				index[k] = i
				all = append(all, seenCode{source.Product, c})
				all[i].Failures = 0
			}
			all[i].Failures += c.Failures
		}
	}
	slices.SortStableFunc(all, func(a, b seenCode) int { return cmp.Compare(b.Failures, a.Failures) })
	return all
}

func writeCodes(out io.Writer, codes []seenCode) error {
	if len(codes) == 0 {
		_, err := fmt.Fprintln(out, "No failure has been counted yet.")
		return err
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PRODUCT\tCODE\tFAILURES\tCLASS\tREASON\tEXPLANATION\tSOURCE")
	unexplained := 0
	for _, c := range codes {
		if c.Explanation.Text == "" {
			unexplained++
		}
		cells := []string{c.product, passOn(c.Code), strconv.FormatInt(c.Failures, 10), c.Class, passOn(c.Reason), c.Text, c.Source}
		for i, cell := range cells {
			cells[i] = cmp.Or(strings.Join(strings.Fields(cell), " "), "-")
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&text, "\n%d codes, %d of them without an explanation; %s %s\n", len(codes), unexplained, Name, cmp.Or(version.Version, "unknown"))
	_, err := io.WriteString(out, text.String())
	return err
}

// passOn takes out of a text whatever looks personal. Reasons are without it when they are
// counted; codes are as the vendor sends them.
func passOn(text string) string { return record.ScrubReason(text) }
