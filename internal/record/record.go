// Package record is the vocabulary of the exporter: what one login record is,
// whichever way it reached us. It imports nothing of ours.
//
// A raw record (UserConnection) holds what the source wrote, text by text.
// Login is what the rest of the program sees: times parsed, label values clean,
// and no user name, address, MAC or client name left in it.
package record

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"time"
)

// Identity tells one record of a project and source from every other.
// The zero value is no identity.
type Identity [16]byte

// With is another identity, made of this one and a number.
func (id Identity) With(n uint64) Identity {
	return identify("with", string(id[:]), strconv.FormatUint(n, 10))
}

// Person is a pseudonym of a user name or an address: equal for equal names,
// and not a name. The zero value means that the record has none.
type Person uint64

// Login is one attempt to log in, in one of its versions: a record changes after
// it first appears, when the connection starts, ends or fails.
type Login struct {
	// ID is the record's identity; Invariant is a second one, made of all that
	// never changes in a record. They are equal for a record without an id.
	ID, Invariant Identity
	// Who is the user with the client; with a time it makes an Invariant, see Forms.
	Who Identity
	// Legacy is the Invariant as stores of format 1 hold it, with the machine in it, and
	// LegacyPending that of a record which had no machine yet.
	Legacy, LegacyPending Identity

	// Label values: trimmed, valid UTF-8 without control characters, at most
	// MaxLabelBytes long, empty if the record has none.
	Group, Machine                          string
	App                                     string // that a launch opens
	ClientType, ClientVersion, AgentVersion string
	ConnectType                             string // ToSharedDesktop, ToApplication or another; of application streaming
	FailedCode                              string
	// FailedReason is cleaned like a label, with the record's own names,
	// addresses and ids taken out of it.
	FailedReason string

	User, ClientIP Person
	// TransactionID is what the API calls the access, as it writes it. It is never shown.
	TransactionID string

	// PreConnect is when the user asked for the connection, Start when it stood,
	// End when it ended, Updated when the record last changed. Zero if unknown.
	PreConnect, Start, End, Updated time.Time
	// Started is true if there is a time of the start that could not be read.
	Started bool
	// Setup is when a desktop connection stood, whose Start is when it was asked for.
	// Zero for application streaming.
	Setup time.Time

	// Reconnect is true if the connection takes up an earlier one that broke.
	Reconnect bool
	// NetworkRTT is the round-trip time between client and desktop on the network,
	// EndToEndRTT that with the work at both ends. Nil if the record has none.
	NetworkRTT, EndToEndRTT *time.Duration

	// Invalid names the fields that were there but could not be read.
	Invalid []string
	// Malformed is true if the record was not an object at all. Only its
	// identity, a hash of its bytes, means anything then.
	Malformed bool
}

// InvalidFields names the fields that were there but could not be read.
func (l *Login) InvalidFields() []string { return l.Invalid }

// Key is what tells the record from the others of its list. A record that is not an
// object has nothing but its identity, which may be changed.
func (l *Login) Key() (id *Identity, malformed bool) { return &l.ID, l.Malformed }

// Time is the record's own time: when the connection started, or else when it
// was asked for, or else when the record last changed. Zero if it has no time.
func (l *Login) Time() time.Time {
	switch {
	case !l.Start.IsZero():
		return l.Start
	case !l.PreConnect.IsZero():
		return l.PreConnect
	}
	return l.Updated
}

// Earliest is the oldest time by which the API may select the record: when it was asked
// for, when it started or when it last changed. Zero if it has no time.
func (l *Login) Earliest() (earliest time.Time) {
	for _, t := range [...]time.Time{l.PreConnect, l.Start, l.Updated} {
		if !t.IsZero() && (earliest.IsZero() || t.Before(earliest)) {
			earliest = t
		}
	}
	return earliest
}

// Latest is the newest time that the record has. Zero if it has no time.
func (l *Login) Latest() time.Time {
	latest := l.PreConnect
	for _, t := range [...]time.Time{l.Start, l.Setup, l.End, l.Updated} {
		if t.After(latest) {
			latest = t
		}
	}
	return latest
}

// NewestUntil is the newest time that the record has, of those not after a limit.
// Zero if there is none.
func (l *Login) NewestUntil(limit time.Time) time.Time {
	return newestUntil(limit, l.PreConnect, l.Start, l.Setup, l.End, l.Updated)
}

func newestUntil(limit time.Time, times ...time.Time) (newest time.Time) {
	for _, t := range times {
		if t.After(newest) && !t.After(limit) {
			newest = t
		}
	}
	return newest
}

// HasStarted reports whether the record has a start, readable or not.
func (l *Login) HasStarted() bool { return l.Started || !l.Start.IsZero() }

// began is when the record began, as its identity has it. A record that is pending
// has no start time yet, so the start counts only without a pre-connect time.
func (l *Login) began() time.Time {
	if l.PreConnect.IsZero() {
		return l.Start
	}
	return l.PreConnect
}

// identifyBy sets the record's identities: who it is of, its id, empty if it has none,
// and what never changes in it, for which the machine is named by itself: a record that
// is pending may have none yet.
func (l *Login) identifyBy(kind string, id Identity, machine string, user string, client ...string) {
	var buf [8]string // so that it is not allocated for each record
	l.Who = identify(kind+"who", append(append(buf[:0], user), client...)...)
	l.Invariant = l.form(l.began())
	var began [len(time.RFC3339)]byte
	parts := append(append(buf[:0], user, string(l.began().AppendFormat(began[:0], time.RFC3339)), machine), client...)
	l.Legacy = identify(kind+"invariant", parts...)
	l.LegacyPending = l.Legacy
	if machine != "" {
		parts[2] = ""
		l.LegacyPending = identify(kind+"invariant", parts...)
	}
	l.ID = id
	if id == (Identity{}) {
		l.ID = l.Invariant
	}
}

// form is what never changes in the record, if it began at a time. Times of pages and
// files may differ in their fractions of a second.
func (l *Login) form(began time.Time) Identity {
	var second [len("-9223372036854775808")]byte
	return identify("invariant of", string(l.Who[:]), string(strconv.AppendInt(second[:0], began.Unix(), 10)))
}

// Forms are the identities, beside Invariant, under which the record may be remembered
// from when less of it was known: without its pre-connect time, or without any time.
func (l *Login) Forms() []Identity {
	var forms []Identity
	if l.User == 0 || l.began().IsZero() {
		return nil // of nobody: too many look alike
	}
	if !l.PreConnect.IsZero() && !l.Start.IsZero() {
		forms = append(forms, l.form(l.Start))
	}
	return append(forms, l.form(time.Time{}))
}

// Block is the pseudonym as 16 bytes, as an Identity is.
func (p Person) Block() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:], uint64(p))
	return b
}

// PersonIn is the pseudonym that Block has written.
func PersonIn(b [16]byte) Person { return Person(binary.BigEndian.Uint64(b[:])) }

// maxClient is how many texts at most tell a client: see appendClient.
const maxClient = 6

func malformedLogin(id Identity) Login { return Login{ID: id, Invariant: id, Malformed: true} }

// identify hashes parts, each with its length, so that no two lists of parts
// run together.
func identify(kind string, parts ...string) Identity {
	var buf [512]byte
	b := append(buf[:0], kind...)
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	return Identity(sum[:16])
}

// PersonOf is the pseudonym of a name as a record has it.
func PersonOf(name string) Person {
	var c UserConnection
	c.Set(UserConnectionFields[connUserName], name)
	r := c.read(userConnections)
	return r.person(connUserName)
}

func pseudonym(name string) Person {
	if name == "" {
		return 0
	}
	id := identify("person", name)
	return Person(binary.BigEndian.Uint64(id[:8]) | 1) // never the zero value
}
