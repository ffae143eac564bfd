package fetcher

import (
	"context"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Current reads what is there now, whole in each poll, of a list that has neither windows nor
// times. What it read takes the place of what was known before: nothing of it is counted, so
// that nothing is lost or counted twice, and after a poll that failed the last values stay.
type Current struct {
	Source CurrentSource
	// Owner is whose list it is: what was known of another's means nothing after a reload.
	Owner string

	*progress
}

// CurrentSource reads all that is there now.
type CurrentSource interface {
	ReadNow(ctx context.Context) (*record.Batch, error)
	// Inherit takes over what the same source knew before a reload.
	Inherit(before CurrentSource)
}

func (s *Current) attach(p *progress) { s.progress = p }

func (s *Current) inherit(before Strategy) {
	if b, ok := before.(*Current); ok && b.Owner == s.Owner {
		s.Source.Inherit(b.Source)
	}
}

func (s *Current) poll(ctx context.Context) error {
	s.clock.now()
	b, err := s.Source.ReadNow(ctx)
	if err != nil {
		return err
	}
	s.clock.wasWrong() // no matter: the request had no time in it
	now, counted := s.clock.now(), s.position().Cursor
	b.From, b.To, b.Now, b.UpToDate = now, now, s.clock.confirmed(now, counted), true
	if b.Now.IsZero() {
		b.Now = now // there is nothing to go by
	}
	return s.commit(b)
}
