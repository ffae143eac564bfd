package fetcher

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// loginCoder writes logins in a short form, and reads them again. Only the process that
// wrote them reads them.
type loginCoder struct {
	data    []byte
	reading bool
	short   bool              // there was less to read than a login has
	texts   map[string]string // that were read: most come again
}

var errShort = errors.New("the record ends early")

// encode is a login in its short form, good until the next call.
func (c *loginCoder) encode(l *record.Login) []byte {
	c.data, c.reading = c.data[:0], false
	c.login(l)
	return c.data
}

func (c *loginCoder) decode(data []byte) (l record.Login, err error) {
	c.data, c.reading, c.short = data, true, false
	if c.login(&l); c.short || len(c.data) > 0 {
		err = errShort
	}
	return l, err
}

// login is the order of the fields, for both ways.
func (c *loginCoder) login(l *record.Login) {
	for _, id := range [...]*record.Identity{&l.ID, &l.Invariant, &l.Who, &l.Legacy, &l.LegacyPending} {
		c.bytes(id[:])
	}
	for _, text := range [...]*string{
		&l.Group, &l.Machine, &l.App, &l.ClientType, &l.ClientVersion, &l.AgentVersion, &l.ConnectType, &l.FailedCode, &l.FailedReason,
	} {
		c.text(text)
	}
	c.ownText(&l.TransactionID)
	for _, person := range [...]*record.Person{&l.User, &l.ClientIP} {
		c.number((*uint64)(person))
	}
	for _, at := range [...]*time.Time{&l.PreConnect, &l.Start, &l.End, &l.Updated, &l.Setup} {
		c.time(at)
	}
	for _, d := range [...]**time.Duration{&l.NetworkRTT, &l.EndToEndRTT} {
		c.duration(d)
	}
	for _, is := range [...]*bool{&l.Started, &l.Reconnect, &l.Malformed} {
		c.bool(is)
	}
	c.list(&l.Invalid)
}

func (c *loginCoder) bytes(p []byte) {
	if !c.reading {
		c.data = append(c.data, p...)
		return
	}
	copy(p, c.take(uint64(len(p))))
}

// take is the next part of what is read; less if there is not so much.
func (c *loginCoder) take(n uint64) []byte {
	if n > uint64(len(c.data)) {
		c.short, n = true, uint64(len(c.data))
	}
	part := c.data[:n]
	c.data = c.data[n:]
	return part
}

func (c *loginCoder) number(n *uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], *n)
	c.bytes(b[:])
	*n = binary.BigEndian.Uint64(b[:])
}

func (c *loginCoder) length(n *int) {
	if !c.reading {
		c.data = binary.AppendUvarint(c.data, uint64(*n))
		return
	}
	value, width := binary.Uvarint(c.data)
	if width <= 0 || value > uint64(len(c.data)) {
		c.short, value, width = true, 0, len(c.data)
	}
	*n, c.data = int(value), c.data[width:]
}

// maxTexts is how many texts are kept to be found again.
const maxTexts = 4096

func (c *loginCoder) text(s *string) {
	n := len(*s)
	c.length(&n)
	if !c.reading {
		c.data = append(c.data, *s...)
		return
	}
	part := c.take(uint64(n))
	known, ok := c.texts[string(part)]
	if !ok {
		if known = string(part); c.texts == nil || len(c.texts) == maxTexts {
			c.texts = make(map[string]string)
		}
		c.texts[known] = known
	}
	*s = known
}

// ownText is a text that comes no second time.
func (c *loginCoder) ownText(s *string) {
	n := len(*s)
	if c.length(&n); c.reading {
		*s = string(c.take(uint64(n)))
		return
	}
	c.data = append(c.data, *s...)
}

func (c *loginCoder) bool(b *bool) {
	var p [1]byte
	if *b {
		p[0] = 1
	}
	c.bytes(p[:])
	*b = p[0] != 0
}

// noTime stands for the zero time, which has no number of nanoseconds.
const noTime = math.MinInt64

func (c *loginCoder) time(at *time.Time) {
	n := int64(noTime)
	if !at.IsZero() {
		n = at.UnixNano()
	}
	value := uint64(n)
	if c.number(&value); c.reading && int64(value) != noTime {
		*at = time.Unix(0, int64(value)).UTC()
	}
}

func (c *loginCoder) duration(d **time.Duration) {
	has, value := *d != nil, uint64(0)
	if c.bool(&has); !has {
		return
	}
	if !c.reading {
		value = uint64(**d)
	}
	if c.number(&value); c.reading {
		*d = new(time.Duration(value))
	}
}

func (c *loginCoder) list(texts *[]string) {
	n := len(*texts)
	if c.length(&n); c.reading && n > 0 {
		*texts = make([]string, n)
	}
	for i := range *texts {
		c.text(&(*texts)[i])
	}
}
