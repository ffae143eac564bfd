package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// Table is the table of the ledger's rows.
const Table = "ledger"

// rowKey is where an entry's row stands: in the order of time, so that new rows
// come together at the end and old ones go together from the start.
type rowKey [24]byte

func (e *entry) rowKey() rowKey {
	var k rowKey
	binary.BigEndian.PutUint64(k[:8], uint64(e.keep))
	copy(k[8:], e.id[:])
	return k
}

// appendRow appends what the store keeps of an entry. All that stands for persons and records goes
// into the blocks at its beginning, which the store hides.
func (e *entry) appendRow(r store.Row) store.Row {
	who := record.Person(uint64(e.user)<<32 | uint64(e.machine))
	blocks := append(make([][16]byte, 0, 4), e.invariant, who.Block())
	if l := e.login; l != nil {
		blocks = append(blocks, l.User.Block(), l.ClientIP.Block())
	}
	for form := range e.laterForms() {
		blocks = append(blocks, form)
	}
	r.Blocks(blocks...)
	for _, t := range [...]int64{e.preConnect, e.start, e.setup, e.end, e.updated, e.firstSeen} {
		r.Int(t)
	}
	app := e.app()
	is := e.is
	if app != "" {
		is |= rowHasApp
	}
	r.Uint(uint64(is))
	r.String(e.invalid)
	if e.has(isOpen) {
		r.String(e.place.Group)
		r.String(e.place.Machine)
	}
	if l := e.login; l != nil {
		for _, s := range [...]string{l.Group, l.Machine, l.ClientType, l.ClientVersion, l.AgentVersion} {
			r.String(s)
		}
	}
	if app != "" {
		r.String(app)
	}
	return r
}

// app is the application that the record opens, as long as that matters.
func (e *entry) app() string {
	if e.login != nil {
		return e.login.App
	}
	return e.place.App
}

var errBlocks = errors.New("a row has too few identities")

func entryOf(key, value []byte) (*entry, error) {
	e, err := entryAt(key)
	if err != nil {
		return nil, err
	}
	r := store.ReadRow(value)
	blocks := r.Blocks()
	if len(blocks) < 2 {
		return nil, errBlocks
	}
	e.invariant = blocks[0]
	who := record.PersonIn(blocks[1])
	e.user, e.machine, blocks = uint32(who>>32), uint32(who), blocks[2:]
	e.read(r)
	if l := e.login; l != nil {
		if len(blocks) < 2 {
			return nil, errBlocks
		}
		l.User, l.ClientIP, blocks = record.PersonIn(blocks[0]), record.PersonIn(blocks[1]), blocks[2:]
	}
	for _, form := range blocks {
		e.forms += string(form[:])
	}
	return e, r.Err()
}

// entryAt is the entry of a row's key, of which nothing more is known.
func entryAt(key []byte) (*entry, error) {
	if len(key) != len(rowKey{}) {
		return nil, fmt.Errorf("a key has %d bytes", len(key))
	}
	return &entry{id: record.Identity(key[8:]), keep: int64(binary.BigEndian.Uint64(key))}, nil
}

// read reads what the row has behind its blocks.
func (e *entry) read(r *store.Reader) {
	for _, t := range [...]*int64{&e.preConnect, &e.start, &e.setup, &e.end, &e.updated, &e.firstSeen} {
		*t = r.Int()
	}
	is := flags(r.Uint())
	e.is = is &^ rowHasApp
	e.invalid = r.String()
	if e.has(isOpen) {
		e.place.Group, e.place.Machine = r.String(), r.String()
	}
	if !e.has(settled) {
		l := &record.Login{ID: e.id, Invariant: e.invariant,
			ConnectType: e.connectType(),
			PreConnect:  timeOf(e.preConnect), Start: timeOf(e.start), End: timeOf(e.end), Updated: timeOf(e.updated)}
		for _, s := range [...]*string{&l.Group, &l.Machine, &l.ClientType, &l.ClientVersion, &l.AgentVersion} {
			*s = r.String()
		}
		e.login = l
	}
	if is&rowHasApp == 0 {
		return
	}
	if app := r.String(); e.login != nil {
		e.login.App = app
	} else {
		e.place.App = app
	}
}

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Load takes a row that Save has written.
func (l *Ledger) Load(key, value []byte) error {
	e, err := entryOf(key, value)
	if err != nil {
		return err
	}
	l.memory.add(e)
	if l.rules.HideMachines && e.hideMachine() {
		l.noteChanged(e.ref)
	}
	l.countOpen(e, 1)
	e = l.memory.put(e)
	l.unfinished.move(nil, e)
	l.trackGivenUp(e)
	return nil
}

// hideMachine takes the name of a machine out, and reports whether there was one.
func (e *entry) hideMachine() bool {
	was := e.place.Machine
	e.place.Machine = ""
	if e.login != nil {
		was += e.login.Machine
		e.login.Machine = ""
	}
	return was != ""
}

// noteChanged notes that a record has a row to be written.
func (l *Ledger) noteChanged(r ref) {
	if !l.rules.Unsaved {
		l.changed[r] = struct{}{}
	}
}

// dropRow notes that the row of a record, as it is now, is to be deleted.
func (l *Ledger) dropRow(e *entry) {
	if !l.rules.Unsaved {
		l.forgotten = append(l.forgotten, e.rowKey())
	}
}

// Save writes what has changed since the last Save.
func (l *Ledger) Save(changes *store.Changes) {
	changes.Grow(len(l.forgotten) + len(l.changed))
	for _, key := range l.forgotten {
		changes.Delete(Table, key[:])
	}
	var row store.Row
	for r := range l.changed {
		e := l.memory.get(r)
		key := e.rowKey()
		row = e.appendRow(row[:0])
		changes.Put(Table, key[:], row)
	}
	l.forgotten = l.forgotten[:0]
	clear(l.changed)
}
