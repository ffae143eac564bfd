package export

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// readArchive reads a workbook, or an archive of files.
func (t *table) readArchive(f io.ReaderAt, size int64) error {
	directory := &directoryLimit{f: f, left: maxDirectoryBytes}
	archive, err := zip.NewReader(directory, size)
	if err != nil {
		return fmt.Errorf("reading the file as a workbook (XLSX) or an archive (ZIP): %w", err)
	}
	directory.read = true
	if err := t.refuseBomb(archive, size); err != nil {
		return err
	}
	files := tableFiles(archive)
	if len(worksheets(archive)) > 0 || len(files) == 0 || t.inArchive {
		return t.readXLSX(archive)
	}
	return t.readFiles(files)
}

// tableFiles are the files of an archive that are tables by their names. What systems add
// of their own is none.
func tableFiles(archive *zip.Reader) (files []*zip.File) {
	for _, f := range archive.File {
		name := strings.ToLower(slashed(f.Name))
		hidden := strings.HasPrefix(path.Base(name), ".") || strings.HasPrefix(name, "__macosx/")
		if !hidden && slices.Contains([]string{".csv", ".tsv", ".txt", ".xlsx", ".json", ".jsonl", ".ndjson"}, path.Ext(name)) {
			files = append(files, f)
		}
	}
	return files
}

// readFiles reads the files of an archive, each as if it stood alone.
func (t *table) readFiles(files []*zip.File) error {
	t.inArchive = true
	var formats []string
	for _, f := range files {
		t.header, t.mac, t.text = nil, false, nil
		err := Spool(func(w io.Writer) error { return unpack(f, w) }, t.readFile)
		if err != nil {
			return fmt.Errorf("file %q of the archive: %w", record.ScrubText(record.Label(path.Base(slashed(f.Name)))), err)
		}
		if !slices.Contains(formats, t.summary.Format) {
			formats = append(formats, t.summary.Format)
		}
	}
	t.summary.Format = "ZIP of " + strings.Join(formats, ", ")
	return nil
}

func unpack(f *zip.File, w io.Writer) error {
	if f.Flags&1 != 0 {
		return errors.New("it has a password: save it without")
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if _, err := io.Copy(w, in); err != nil { // no more than refuseBomb allows
		return fmt.Errorf("damaged: %w", err)
	}
	return nil
}
