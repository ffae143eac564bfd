package ledger

import (
	"fmt"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// FromFormat1 returns a row of a store of format 1, which does not change any more, as
// Save writes it.
func FromFormat1(key, value []byte) (k, v []byte, err error) {
	e, err := entryAt(key)
	if err != nil {
		return nil, nil, err
	}
	r := store.ReadRow(value)
	invariant := r.Bytes()
	if len(invariant) != len(e.invariant) {
		return nil, nil, fmt.Errorf("an identity has %d bytes", len(invariant))
	}
	e.invariant = record.Identity(invariant)
	e.read(r)
	if e.login != nil {
		e.login.User, e.login.ClientIP = record.Person(r.Uint()), record.Person(r.Uint())
	}
	e.set(nameless, e.id == e.invariant)
	return key, e.appendRow(nil), r.Err()
}
