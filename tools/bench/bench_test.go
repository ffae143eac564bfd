package main

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdktime"
	workspaceapp "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/workspaceapp/v1"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/workspaceapp/v1/model"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/command"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// compare runs ours and its peers in turns. Each reports what of the processor it has used,
// which a busy machine changes less than the time that passes.
func compare(b *testing.B, runs map[string]func(b *testing.B) error, order ...string) {
	for _, by := range order {
		b.Run("by="+by, func(b *testing.B) {
			before := processorTime(b)
			for b.Loop() {
				require.NoError(b, runs[by](b))
			}
			b.ReportMetric((processorTime(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// sizes runs a benchmark with so much of something, ten times as much, and a hundred times.
func sizes(b *testing.B, of string, n int, run func(b *testing.B, n int)) {
	for range 3 {
		b.Run(fmt.Sprintf("%s=%d", of, n), func(b *testing.B) { run(b, n) })
		n *= 10
	}
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkXLSX reads a workbook: as export files are read, as the library does that most use,
// and unpacking it alone.
func BenchmarkXLSX(b *testing.B) {
	sizes(b, "rows", 1_000, func(b *testing.B, n int) {
		f := fileOf(b, "logins.xlsx", n, writeXLSX)
		size, err := f.Seek(0, io.SeekEnd)
		require.NoError(b, err)
		compare(b, map[string]func(*testing.B) error{
			"us": func(b *testing.B) error {
				rows := 0
				_, err := export.ReadTable(f, size, export.ColumnsOf(record.UserConnectionColumns), func(export.Row) error {
					rows++
					return nil
				})
				require.Equal(b, n, rows)
				return err
			},
			"excelize": func(b *testing.B) error {
				book, err := excelize.OpenReader(io.NewSectionReader(f, 0, size))
				if err != nil {
					return err
				}
				rows, err := book.Rows("Sheet1")
				if err != nil {
					return err
				}
				read := 0
				for ; rows.Next(); read++ {
					if _, err := rows.Columns(); err != nil {
						return err
					}
				}
				require.Equal(b, n+1, read)
				return errors.Join(rows.Close(), book.Close())
			},
			"inflate": func(b *testing.B) error {
				archive, err := zip.NewReader(f, size)
				if err != nil {
					return err
				}
				part, err := archive.Open(sheet)
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, part)
				return err
			},
		}, "us", "excelize", "inflate")
	})
}

// BenchmarkCSV reads and counts logins as the command replay does, and only reads them.
func BenchmarkCSV(b *testing.B) {
	sizes(b, "rows", 10_000, func(b *testing.B, n int) {
		f := fileOf(b, "logins.csv", n, writeCSV)
		compare(b, map[string]func(*testing.B) error{
			"us": func(b *testing.B) error {
				measurePeak(b)
				var summary bytes.Buffer
				err := command.Replay(b.Context(), f.Name(), command.ReplayOptions{Project: "p", Quiet: true}, io.Discard, &summary)
				require.Contains(b, summary.String(), fmt.Sprintf("Read %d records", n))
				reportPeak(b)
				return err
			},
			"encoding-csv": func(b *testing.B) error {
				if _, err := f.Seek(0, io.SeekStart); err != nil {
					return err
				}
				in := csv.NewReader(f)
				in.ReuseRecord = true
				for {
					if _, err := in.Read(); err != nil {
						if errors.Is(err, io.EOF) {
							return nil
						}
						return err
					}
				}
			},
		}, "us", "encoding-csv")
	})
}

// measurePeak has Linux measure the most memory that is resident from now on.
func measurePeak(b *testing.B) {
	debug.FreeOSMemory()
	require.NoError(b, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
}

func reportPeak(b *testing.B) {
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	_, rest, found := strings.Cut(string(status), "VmHWM:")
	require.True(b, found)
	var kilobytes int
	_, err = fmt.Sscan(rest, &kilobytes)
	require.NoError(b, err)
	b.ReportMetric(float64(kilobytes)/1000, "peak-MB")
}

// BenchmarkPage gets, decodes and cleans a page, and then counts it, too; the vendor's SDK gets
// and decodes it; a bare client only gets it. The API has pages of 100.
func BenchmarkPage(b *testing.B) {
	sizes(b, "records", 10, func(b *testing.B, n int) {
		pages := pagesOf(n)
		minute := -1 // that was asked for last
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			minute++
			_, _ = w.Write(pages[minute%len(pages)])
		}))
		defer server.Close()
		from, to := day, day.Add(24*time.Hour)
		list := workspace.List[record.UserConnection]{Operation: *source.Named("user_connections").List, Count: "count", Items: "items"}
		client, accumulator := ours(b, server.URL), newAccumulator(b)
		sdk := vendors(b, server.URL)
		get := func(b *testing.B) (logins []record.Login, err error) {
			page, err := list.Page(b.Context(), client, workspace.PageQuery{From: from, To: to, Limit: n})
			if err != nil {
				return nil, err
			}
			logins = make([]record.Login, n)
			for i := range page.Items {
				logins[i] = page.Items[i].Login()
			}
			return logins, nil
		}
		compare(b, map[string]func(*testing.B) error{
			"us": func(b *testing.B) error {
				_, err := get(b)
				return err
			},
			"us-counted": func(b *testing.B) error {
				logins, err := get(b)
				if err != nil {
					return err
				}
				if minute%len(pages) == 0 { // all pages have been counted: begin anew, so that records are new
					accumulator = newAccumulator(b)
				}
				now := day.Add(time.Duration(minute%len(pages)+1) * time.Minute)
				return accumulator.Commit(&record.Batch{From: now.Add(-16 * time.Minute), To: now, Now: now, Logins: logins, UpToDate: true})
			},
			"sdk": func(b *testing.B) error {
				start, end, limit, offset := sdktime.SdkTime(from), sdktime.SdkTime(to), int32(n), int32(0)
				page, err := sdk.ListUserConnection(&model.ListUserConnectionRequest{
					Limit: &limit, Offset: &offset, Body: &model.ListUserConnectionReq{LoginStartTime: &start, LoginEndTime: &end},
				})
				if err == nil {
					require.Len(b, *page.Items, n)
				}
				return err
			},
			"net-http": func(b *testing.B) error {
				response, err := http.Post(server.URL, "application/json", strings.NewReader("{}"))
				if err != nil {
					return err
				}
				defer func() { _ = response.Body.Close() }()
				_, err = io.Copy(io.Discard, response.Body)
				return err
			},
		}, "us", "us-counted", "sdk", "net-http")
	})
}

// pagesOf are answers with n logins each, every page of the minute after the one before.
func pagesOf(n int) (pages [][]byte) {
	for minute := range 100 {
		var items []string
		for cells := range logins(n, day.Add(time.Duration(minute)*time.Minute), 50*time.Second, 5*time.Second) {
			var members []string
			for i, name := range record.UserConnectionFields {
				members = append(members, fmt.Sprintf("%q:%q", name, cells[i]))
			}
			items = append(items, "{"+strings.Join(members, ",")+"}")
		}
		pages = append(pages, fmt.Appendf(nil, `{"count":%d,"items":[%s]}`, n, strings.Join(items, ",")))
	}
	return pages
}

func newAccumulator(b *testing.B) *collector.Accumulator {
	s := source.Named("user_connections")
	options := s.Counting(s.Defaults())
	options.Lookback = 15 * time.Minute
	options.Limits = collector.NewLimits(math.MaxInt32, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "limited"}, []string{"family"}))
	accumulator, err := collector.Open(store.Discard{}, options)
	require.NoError(b, err)
	return accumulator
}

func ours(b *testing.B, url string) *workspace.Client {
	is := func(s string) func() (string, error) { return func() (string, error) { return s, nil } }
	client, err := workspace.New(workspace.Options{
		ProjectID: "a4da8115c9d8464ead3a38309130523f", Endpoints: workspace.Endpoints{AppStream: url},
		Credentials: workspace.AKSK(is("AK"), is("SK"), nil), RequestsPerSecond: math.MaxInt32,
	})
	require.NoError(b, err)
	return client
}

func vendors(b *testing.B, url string) *workspaceapp.WorkspaceAppClient {
	credentials, err := basic.NewCredentialsBuilder().WithAk("AK").WithSk("SK").WithProjectId("a4da8115c9d8464ead3a38309130523f").SafeBuild()
	require.NoError(b, err)
	client, err := workspaceapp.WorkspaceAppClientBuilder().WithEndpoints([]string{url}).WithCredential(credentials).SafeBuild()
	require.NoError(b, err)
	return workspaceapp.NewWorkspaceAppClient(client)
}

// BenchmarkScrape is VictoriaMetrics' library beside BenchmarkScrape of the collector.
func BenchmarkScrape(b *testing.B) {
	sizes(b, "text/changed=all/series", 1_000, func(b *testing.B, n int) {
		set := metrics.NewSet()
		for i := range n {
			set.NewCounter(fmt.Sprintf(`workspace_client_login_attempts_total{project="p",product="app_streaming",client_type="Windows 10",agent_version="23.%d"}`, i)).Set(uint64(i))
		}
		compare(b, map[string]func(*testing.B) error{
			"VictoriaMetrics": func(*testing.B) error {
				set.WritePrometheus(io.Discard)
				return nil
			},
		}, "VictoriaMetrics")
	})
}

// BenchmarkMemory is a Go map beside BenchmarkMemory of the ledger: from an identity to times
// and the names of a group and a machine.
func BenchmarkMemory(b *testing.B) {
	type known struct {
		start, end, updated int64
		group, machine      string
	}
	sizes(b, "records", 10_000, func(b *testing.B, n int) {
		b.Run("by=map", func(b *testing.B) {
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				m := map[record.Identity]*known{}
				for i := range n {
					m[record.Identity{byte(i), byte(i >> 8), byte(i >> 16)}] = &known{int64(i), int64(i), int64(i), "group", "machine"}
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				require.Len(b, m, n)
				b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/float64(n), "B/record")
			}
		})
	})
}
