package workspace

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Aside are calls that must never hold up others of their project.
type Aside struct {
	// Budget counts their requests; a reload does not renew it.
	Budget *Budget
	// PerMinute is the most requests that they may have in a minute.
	PerMinute int
	// Pause is as in Options. The project's own has nothing to do with it.
	Pause *Pause
}

// maxAsideBody is the largest answer that is read, in bytes.
const maxAsideBody = 1 << 20

// Aside returns a client for calls beside those of c. All that could hold up a call of c is
// its own: connections, limits, pauses, the servers' clocks. Only the credential is that of
// c, and a refusal does not have it renewed. It has one request at a time, and sends each
// once. It lives as long as c.
func (c *Client) Aside(o Aside) *Client {
	a := &Client{
		projectID: c.projectID, appStream: c.appStream, workspace: c.workspace, iam: c.iam,
		connections: c.connections.apart(), timeout: c.timeout, maxBody: maxAsideBody,
		auth: c.auth, local: c.local, lookup: c.lookup, private: c.private,
		slots: semaphore.NewWeighted(1), limiter: &limitedBudget{o.Budget, o.PerMinute}, pause: o.Pause, signIns: c.signIns,
		attempts: 1, isAside: true, observe: c.observe, logger: c.logger,
	}
	a.setClocks()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asides = append(c.asides, a)
	return a
}

func (c *Client) withAsides() []*Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Client{c}, c.asides...)
}

// Budget remembers the requests of the last minute. The zero value is ready for use.
type Budget struct {
	mu   sync.Mutex
	sent []time.Time
}

// budgetTime is the time in which a budget is spent: a minute, and so much more that no
// minute of the server has one request too many because some took longer on the way.
const budgetTime = time.Minute + 2*time.Second

// take takes one request out of the budget, or says how long to wait for the next.
func (b *Budget) take(most int) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.sent = slices.DeleteFunc(b.sent, func(t time.Time) bool { return now.Sub(t) >= budgetTime })
	if len(b.sent) < most {
		b.sent = append(b.sent, now)
		return 0
	}
	return budgetTime - now.Sub(b.sent[len(b.sent)-most])
}

// limitedBudget is a budget of so many requests in a minute.
type limitedBudget struct {
	*Budget
	perMinute int
}

// Wait implements limiter.
func (b *limitedBudget) Wait(ctx context.Context) error {
	for {
		wait := b.take(b.perMinute)
		if wait == 0 {
			return ctx.Err()
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}
