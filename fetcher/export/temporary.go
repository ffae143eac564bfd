package export

import (
	"fmt"
	"io"
	"os"
)

// Spool writes a file to a temporary one, and has it read from there. The temporary
// file is readable by its owner only, and gone when Spool returns. The error is that
// of write, that of read, or says that there can be no temporary file.
func Spool(write func(io.Writer) error, read func(f io.ReaderAt, size int64) error) error {
	file, err := newTemporary()
	if err != nil {
		return err
	}
	defer closeTemporary(file)
	if err := write(file); err != nil {
		return err
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("reading the temporary file: %w", err)
	}
	return read(file, size)
}

// newTemporary makes a file that closeTemporary removes.
func newTemporary() (*os.File, error) {
	file, err := os.CreateTemp("", "workspace_exporter-")
	if err != nil {
		return nil, fmt.Errorf("making a temporary file (the environment variable TMPDIR says where): %w", err)
	}
	// The file holds users' names: where the system allows it, it has no name
	// itself from now on, and is gone whatever becomes of the process.
	_ = os.Remove(file.Name())
	return file, nil
}

func closeTemporary(file *os.File) {
	_ = file.Close()
	_ = os.Remove(file.Name()) // for a system on which an open file cannot be removed
}
