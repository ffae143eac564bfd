package service

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
)

// Clients makes the API's clients. It keeps what must outlive them: after a reload, the new
// clients respect the pauses and refused sign-ins of the old ones. The zero value is ready
// for use.
type Clients struct {
	mu      sync.Mutex
	pauses  map[string]*workspace.Pause
	budgets map[string]*workspace.Budget

	signIns workspace.SignIns
}

// pause is the pause of a project: of its id at its endpoints; or of some of its calls.
func (c *Clients) pause(p *config.Project, calls string) *workspace.Pause {
	c.mu.Lock()
	defer c.mu.Unlock()
	return kept(&c.pauses, keyOf(p, calls))
}

// budget is that of stages of a source.
func (c *Clients) budget(p *config.Project, source string) *workspace.Budget {
	c.mu.Lock()
	defer c.mu.Unlock()
	return kept(&c.budgets, keyOf(p, source))
}

func keyOf(p *config.Project, what string) string {
	return strings.Join([]string{p.ProjectID, p.Endpoints.AppStream, p.Endpoints.Workspace, what}, " ")
}

// kept is what a map has under a key, which it gets if it has nothing.
func kept[T any](all *map[string]*T, key string) *T {
	if (*all)[key] == nil {
		if *all == nil {
			*all = map[string]*T{}
		}
		(*all)[key] = new(T)
	}
	return (*all)[key]
}

// forStages makes a client for stages of a source, beside the client of its project. The
// pause is that of all stages of the project: the API's quota is that of their call.
func (c *Clients) forStages(client *workspace.Client, p *config.Project, source string, perMinute int) *workspace.Client {
	return client.Aside(workspace.Aside{Budget: c.budget(p, source), PerMinute: perMinute, Pause: c.pause(p, "stages")})
}

// New makes the clients of all projects of a configuration. Observe may be nil.
func (c *Clients) New(cfg *config.Config, observe func(project string) func(operation, code string, d time.Duration), logger log.Logger) ([]*workspace.Client, error) {
	made, err := transports(cfg)
	if err != nil {
		return nil, err
	}
	connections := map[*http.Transport]*workspace.Connections{}
	clients := make([]*workspace.Client, len(cfg.Projects))
	for i, p := range cfg.Projects {
		if connections[made[i]] == nil {
			connections[made[i]] = workspace.NewConnections(made[i])
		}
		secrets, err := p.ProxySecrets()
		if err != nil {
			return nil, err
		}
		options := workspace.Options{
			ProjectID:         p.ProjectID,
			Endpoints:         workspace.Endpoints(p.Endpoints),
			Credentials:       credentials(&p.Credentials),
			Connections:       connections[made[i]],
			Secrets:           secrets,
			RequestTimeout:    time.Duration(cfg.Global.RequestTimeout),
			RequestsPerSecond: p.RateLimit.RequestsPerSecond,
			Burst:             p.RateLimit.Burst,
			Concurrency:       p.Concurrency,
			Pause:             c.pause(p, ""),
			SignIns:           &c.signIns,
			Logger:            log.With(logger, "project", p.Name),
		}
		if observe != nil {
			options.Observe = observe(p.Name)
		}
		if clients[i], err = workspace.New(options); err != nil {
			return nil, fmt.Errorf("project %q: %w", p.Name, err)
		}
	}
	return clients, nil
}

// transports makes a transport for each project of a configuration. Projects that can share
// their connections have the same one: two thousand of a region need no more of them than
// have requests at once.
func transports(cfg *config.Config) ([]*http.Transport, error) {
	all := make([]*http.Transport, len(cfg.Projects))
	first := map[config.Endpoints][]int{} // the projects with each of the transports
	for i, p := range cfg.Projects {
		for _, other := range first[p.Endpoints] {
			if p.SharesConnections(cfg.Projects[other]) {
				all[i] = all[other]
				all[i].MaxIdleConnsPerHost += p.Concurrency
				break
			}
		}
		if all[i] != nil {
			continue
		}
		var err error
		if all[i], err = p.Transport(); err != nil {
			return nil, err
		}
		first[p.Endpoints] = append(first[p.Endpoints], i)
	}
	return all, nil
}

func credentials(c *config.Credentials) workspace.Credentials {
	switch {
	case c.AKSK != nil:
		var securityToken func() (string, error)
		if c.AKSK.SecurityToken.String() != "" {
			securityToken = c.AKSK.SecurityToken.Read
		}
		return workspace.AKSK(c.AKSK.AccessKey.Read, c.AKSK.SecretKey.Read, securityToken)
	case c.Password != nil:
		return workspace.Password(c.Password.Domain, c.Password.User, c.Password.Password.Read)
	case c.Token != nil:
		return workspace.Token(c.Token.Token.Read)
	}
	return workspace.DefaultChain()
}
