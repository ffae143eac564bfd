package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
)

// content is a file in an archive, and where it comes from.
type content struct {
	name, path string
	executable bool
}

func (c content) mode() os.FileMode {
	if c.executable {
		return 0o755
	}
	return 0o644
}

// archive writes files, in a folder, to a zip or a gzipped tar file, as its name says.
// Nothing of this machine goes in: owner, mode and time are always the same.
func (r *release) archive(name, folder string, files []content) (err error) {
	out, err := os.Create(filepath.Join(r.output, name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if path.Ext(name) == ".zip" {
		return r.zip(out, folder, files)
	}
	return r.tar(out, folder, files)
}

func (r *release) tar(out io.Writer, folder string, files []content) error {
	zipped, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(zipped)
	for _, f := range files {
		data, err := os.ReadFile(f.path)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: path.Join(folder, f.name), Size: int64(len(data)), Mode: int64(f.mode()), ModTime: r.time, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), zipped.Close())
}

func (r *release) zip(out io.Writer, folder string, files []content) error {
	w := zip.NewWriter(out)
	for _, f := range files {
		data, err := os.ReadFile(f.path)
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: path.Join(folder, f.name), Method: zip.Deflate, Modified: r.time}
		header.SetMode(f.mode())
		entry, err := w.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := entry.Write(data); err != nil {
			return err
		}
	}
	return w.Close()
}
