package source

import (
	"context"
	"io"
	"time"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// incremental is the way to read logins: each poll reads what is new, and once more what
// lies within the lookback; the ledger counts each login once.
type incremental struct {
	records[record.Login]
	settings func(config.Block) loginSettings
}

// loginSettings are what the settings of a source of logins say.
type loginSettings struct {
	config.Window
	successCodes      []string
	hideMachines      bool
	exportThreshold   int
	reconcileInterval time.Duration
	language          string // of files; empty if the API has no choice
}

// loginSettingsOf has a block of one type say them.
func loginSettingsOf[B config.Block](settings func(B) loginSettings) func(config.Block) loginSettings {
	return func(block config.Block) loginSettings { return settings(block.(B)) }
}

func (w *incremental) permissions(s *Source, mode string) []string {
	switch mode {
	case config.ModeQuery:
		return []string{s.List.Permission}
	case config.ModeExportV2:
		return []string{s.Download.Permission}
	}
	return withTasks(s.List.Permission, s.Export.Permission)
}

func (w *incremental) count(o *collector.Options, block config.Block) {
	c := w.settings(block)
	o.Lookback = time.Duration(c.Lookback)
	o.Rules = ledger.Rules{SuccessCodes: c.successCodes, PendingTimeout: time.Duration(c.PendingTimeout), HideMachines: c.hideMachines}
}

func (w *incremental) strategy(o *Opening) (fetcher.Strategy, error) {
	source, reread, err := w.sources(o)
	c := w.settings(o.Block)
	return &fetcher.Incremental{Source: source, Reread: reread, Lookback: time.Duration(c.Lookback), InitialLookback: time.Duration(c.InitialLookback)}, err
}

func (w *incremental) history(o *Opening) (fetcher.LoginSource, error) {
	source, _, err := w.sources(o)
	return source, err
}

func (w *incremental) initialLookback(block config.Block) time.Duration {
	return time.Duration(w.settings(block).InitialLookback)
}

// sources are from where records are read at first, and again while they are unfinished.
func (w *incremental) sources(o *Opening) (source fetcher.LoginSource, reread fetcher.LoginReader, err error) {
	pages := fetcher.NewLoginPages(w.list(o), o.Metrics.Mismatch, o.doubt)
	files, err := o.files()
	exports := &fetcher.LoginExports{Export: o.tasks(w.inLanguage(o, o.Export), o.Tasks), File: w.file(files)}
	switch o.Block.Common().Mode {
	case config.ModeExport, config.ModeExportV3:
		return exports, pages.Proved(), err
	case config.ModeAuto:
		return &fetcher.Auto{Pages: pages, Export: exports, Threshold: w.settings(o.Block).exportThreshold, Logger: o.logger()}, pages.Proved(), err
	case config.ModeExportV2:
		download := &fetcher.LoginFiles{File: w.file(files), Download: func(ctx context.Context, from, to time.Time, out io.Writer) error {
			return o.Client.DownloadFile(ctx, w.inLanguage(o, o.Download), from, to, out, export.MaxFileBytes)
		}}
		return download, download, err
	}
	return pages, pages.Proved(), err
}

// inLanguage is an operation that asks for files in the language of the settings.
func (w *incremental) inLanguage(o *Opening, operation *workspace.Operation) *workspace.Operation {
	if language := w.settings(o.Block).language; language != "" {
		asked := operation.With("language", language)
		return &asked
	}
	return operation
}

// reconciler compares pages with files of export tasks of its own; nil if it is off.
func (w *incremental) reconciler(o *Opening) (*fetcher.Reconciler, error) {
	c := w.settings(o.Block)
	if c.reconcileInterval == 0 {
		return nil, nil
	}
	files, err := o.files()
	return &fetcher.Reconciler{
		One:      fetcher.NewLoginPages(w.list(o), o.Metrics.Mismatch, nil),
		Other:    &fetcher.LoginExports{Export: o.tasks(o.Export, export.NoMemory{}), File: w.file(files)},
		Interval: c.reconcileInterval, Lookback: time.Duration(c.Lookback), ServerTime: o.Host(o.Client).ServerTime,
		Show: o.Metrics.Reconciled, Logger: o.logger(),
	}, err
}

func (w *incremental) probe(ctx context.Context, c *workspace.Client, q workspace.PageQuery) (int, []time.Time, error) {
	return w.times(ctx, c, q, (*record.Login).Time)
}

func (w *incremental) readFile(ctx context.Context, files fetcher.Files, file io.ReaderAt, size int64, h Handlers) (fetcher.FileReport, error) {
	return w.file(files)(ctx, file, size, h.Login)
}

// transactionID is that of an access of a window, if possible of one that failed; empty if
// there is none.
func (w *incremental) transactionID(ctx context.Context, c *workspace.Client, q workspace.PageQuery) (string, error) {
	list := w.pages(c, time.UTC)
	_, found, err := list.Get(ctx, q)
	id := ""
	for i := range found {
		switch l := &found[i]; {
		case l.TransactionID == "":
		case l.FailedCode != "" || l.FailedReason != "":
			return l.TransactionID, nil
		case id == "":
			id = l.TransactionID
		}
	}
	return id, err
}
