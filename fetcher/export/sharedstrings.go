package export

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
)

// sharedStrings are the texts that a workbook keeps apart from its sheets: cells
// name them by number. There may be millions, so they are kept in blocks, outside
// of memory if they are many, and the blocks used last are at hand.
type sharedStrings struct {
	store  spill
	blocks []block
	count  int
	// pending is the block being filled.
	pending []byte
	recent  [512]struct {
		block int // number of the block, from 1
		data  []byte
	}
}

// block is a run of texts, each after its length. It ends where the next starts.
type block struct {
	first  int   // number of its first text
	offset int64 // in the store
}

const blockBytes = 4 << 10

// readSharedStrings reads all texts of a workbook; not every workbook has any.
func readSharedStrings(archive *zip.Reader) (*sharedStrings, error) {
	s := &sharedStrings{}
	part := find(archive, "sharedStrings.xml")
	if part == nil {
		return s, nil
	}
	r, err := openXML(part)
	if err != nil {
		return nil, err
	}
	defer r.close()
	err = s.read(r)
	if err == nil {
		err = r.verify()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *sharedStrings) read(r *xmlReader) error {
	for {
		token, err := r.token()
		if isEnd(err) {
			return errors.New("damaged: they end before their end mark")
		}
		if err != nil {
			return err
		}
		switch token.kind {
		case xmlStart:
			if string(token.name) != "si" {
				continue
			}
			text, err := r.text("si")
			if err != nil {
				return err
			}
			if err := s.add(text); err != nil {
				return err
			}
		case xmlEnd:
			if string(token.name) == "sst" {
				return s.flush()
			}
		}
	}
}

func (s *sharedStrings) add(text string) error {
	if len(s.pending) == 0 {
		s.blocks = append(s.blocks, block{s.count, s.store.size})
	}
	s.pending = binary.AppendUvarint(s.pending, uint64(len(text)))
	s.pending = append(s.pending, text...)
	s.count++
	if len(s.pending) < blockBytes {
		return nil
	}
	return s.flush()
}

func (s *sharedStrings) flush() error {
	err := s.store.write(s.pending)
	s.pending = s.pending[:0]
	return err
}

// at is the text of the number that a cell holds.
func (s *sharedStrings) at(number string) (string, error) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= s.count {
		return "", fmt.Errorf("damaged: a cell names a text that is not among the workbook's %d", s.count)
	}
	i := sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i].first > n }) - 1
	data, err := s.block(i)
	if err != nil {
		return "", err
	}
	for skip := n - s.blocks[i].first; ; skip-- {
		length, width := binary.Uvarint(data)
		if data = data[width:]; skip == 0 {
			return string(data[:length]), nil
		}
		data = data[length:]
	}
}

// block is the content of block i.
func (s *sharedStrings) block(i int) ([]byte, error) {
	slot := &s.recent[i%len(s.recent)]
	if slot.block == i+1 {
		return slot.data, nil
	}
	end := s.store.size
	if i+1 < len(s.blocks) {
		end = s.blocks[i+1].offset
	}
	data := make([]byte, end-s.blocks[i].offset)
	if err := s.store.readAt(data, s.blocks[i].offset); err != nil {
		return nil, err
	}
	slot.block, slot.data = i+1, data
	return data, nil
}

func (s *sharedStrings) close() { s.store.close() }

// maxInMemory is how many bytes a spill keeps in memory. A variable for the tests.
var maxInMemory int64 = 16 << 20

// spill keeps bytes in memory, and in a temporary file when they become many.
type spill struct {
	memory []byte
	file   *os.File
	size   int64
}

func (s *spill) write(p []byte) error {
	if s.file == nil && s.size+int64(len(p)) > maxInMemory {
		if err := s.toFile(); err != nil {
			return err
		}
	}
	s.size += int64(len(p))
	if s.file == nil {
		s.memory = append(s.memory, p...)
		return nil
	}
	if _, err := s.file.Write(p); err != nil {
		return fmt.Errorf("writing the temporary file: %w", err)
	}
	return nil
}

func (s *spill) toFile() error {
	file, err := newTemporary()
	if err != nil {
		return err
	}
	s.file = file
	_, err = file.Write(s.memory)
	s.memory = nil
	return err
}

func (s *spill) readAt(p []byte, offset int64) error {
	if s.file == nil {
		copy(p, s.memory[offset:])
		return nil
	}
	if _, err := s.file.ReadAt(p, offset); err != nil {
		return fmt.Errorf("reading the temporary file: %w", err)
	}
	return nil
}

func (s *spill) close() {
	if s.file != nil {
		closeTemporary(s.file)
	}
}
