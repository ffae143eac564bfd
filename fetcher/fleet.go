package fetcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// FleetAPI are the calls that tell of application servers.
type FleetAPI struct {
	Servers paging.List[record.Server]
	Groups  paging.List[record.ServerGroup]
	// Group gets a group with its maximum; ErrNoGroup if there is none with the id.
	Group       func(ctx context.Context, id string) (record.ServerGroup, error)
	LatestAgent func(ctx context.Context) (string, error)
	// MaxSessions gets the most sessions that any server can have.
	MaxSessions func(ctx context.Context) (int, error)
}

// ErrNoGroup is when a group that was listed does not exist.
var ErrNoGroup = errors.New("there is no such server group")

// detailsEvery is how often is read what changes rarely: groups, their maximum, the latest
// version of the agent.
const detailsEvery = time.Hour

// ReadFleet reads application servers: their list in each poll, and what changes rarely once
// an hour, or when a server shows a group that is not known. What has been read of the
// latter is kept if a poll fails.
type ReadFleet struct {
	api     FleetAPI
	logger  log.Logger
	servers *paging.Reader[record.Server]
	groups  *paging.Reader[record.ServerGroup]

	fleetDetails
}

// fleetDetails are what changes rarely. They outlive a reload.
type fleetDetails struct {
	listed   []record.ServerGroup
	listedAt time.Time
	details  map[string]groupDetails // by the group's id
	missing  map[string]bool         // groups of servers that are not listed
	agent    string
	agentAt  time.Time
	max      int // of the tenant
	maxAt    time.Time
}

// groupDetails is a group as it was when it was read by itself.
type groupDetails struct {
	group record.ServerGroup
	at    time.Time
	// missed is true if the API said that there is no such group.
	missed bool
}

// NewReadFleet reads by calls. Mismatch is as with NewLoginPages.
func NewReadFleet(api FleetAPI, mismatch func(), logger log.Logger) *ReadFleet {
	return &ReadFleet{api: api, logger: logger, fleetDetails: fleetDetails{details: map[string]groupDetails{}},
		servers: &paging.Reader[record.Server]{List: api.Servers, Key: (*record.Server).Key, Mismatch: mismatch, Trusting: true},
		groups:  &paging.Reader[record.ServerGroup]{List: api.Groups, Key: (*record.ServerGroup).Key, Mismatch: mismatch, Trusting: true}}
}

// Inherit implements CurrentSource.
func (f *ReadFleet) Inherit(before CurrentSource) {
	if b, ok := before.(*ReadFleet); ok {
		f.fleetDetails = b.fleetDetails
	}
}

// ReadNow implements CurrentSource. It begins with what changes rarely: were it the last, a
// quota that allows no more than the list would never let it be read.
func (f *ReadFleet) ReadNow(ctx context.Context) (*record.Batch, error) {
	var servers []record.Server
	err := unlessForbidden(
		func() error { return f.readDetails(ctx, f.listedAt) },
		func() (err error) { servers, err = f.servers.Read(ctx, cursor.Window{}, maxWhole); return err })
	if err != nil {
		return nil, err
	}
	if f.hasNewGroup(servers) {
		if err := f.readDetails(ctx, time.Time{}); err != nil {
			return nil, err
		}
		f.noteMissing(servers)
	}
	b := &record.Batch{Fleet: record.Fleet{Servers: servers, LatestAgent: f.agent}}
	names := map[string]string{}
	for _, listed := range f.listed {
		b.Fleet.Groups = append(b.Fleet.Groups, f.group(listed))
		names[listed.ID] = listed.Name
	}
	for i := range servers {
		if s := &servers[i]; s.Group == s.GroupID { // its group's name was not read
			s.Group = cmp.Or(names[s.GroupID], s.Group)
		}
	}
	return b, nil
}

// unlessForbidden takes steps until one fails. One that lacks a permission does not keep the
// others from showing which they lack.
func unlessForbidden(steps ...func() error) (denied error) {
	for _, step := range steps {
		switch err := step(); {
		case err == nil:
		case !workspace.IsForbidden(err):
			return err
		case denied == nil:
			denied = err
		default:
			denied = fmt.Errorf("%w; %w", denied, err)
		}
	}
	return denied
}

// readDetails reads what is older than an hour; groups were listed at a time.
func (f *ReadFleet) readDetails(ctx context.Context, listedAt time.Time) error {
	return unlessForbidden(
		func() error { return f.readGroups(ctx, listedAt) },
		func() error { return f.readLatestAgent(ctx) },
		func() error {
			for _, listed := range f.listed {
				if err := f.readGroup(ctx, listed); err != nil {
					return err
				}
			}
			return nil
		})
}

func (f *ReadFleet) readGroups(ctx context.Context, listedAt time.Time) error {
	if !isDue(listedAt) {
		return nil
	}
	groups, err := f.groups.Read(ctx, cursor.Window{}, maxWhole)
	if err != nil {
		return err
	}
	f.listed, f.listedAt, f.missing = groups, time.Now(), map[string]bool{}
	maps.DeleteFunc(f.details, func(id string, _ groupDetails) bool {
		return !slices.ContainsFunc(groups, func(g record.ServerGroup) bool { return g.ID == id })
	})
	return nil
}

func (f *ReadFleet) readLatestAgent(ctx context.Context) error {
	if !isDue(f.agentAt) {
		return nil
	}
	agent, err := f.api.LatestAgent(ctx)
	if err != nil {
		return err
	}
	f.agent, f.agentAt = agent, time.Now()
	return nil
}

func isDue(at time.Time) bool { return at.IsZero() || time.Since(at) >= detailsEvery }

// readGroup reads a group by itself, since the list has no maximum, and the tenant's maximum
// if the group has none. A group that is gone by now is as it was listed; the next poll asks
// for it once more, since that may have been a whim.
func (f *ReadFleet) readGroup(ctx context.Context, listed record.ServerGroup) error {
	known := f.details[listed.ID]
	if listed.Malformed || !isDue(known.at) {
		return nil
	}
	group, err := f.api.Group(ctx, listed.ID)
	missed := errors.Is(err, ErrNoGroup)
	if missed && !known.missed {
		if known.at.IsZero() {
			known.group = listed
		}
		f.details[listed.ID] = groupDetails{group: known.group, missed: true}
		return nil
	}
	if missed {
		level.Warn(f.logger).Log("msg", "a server group is listed and does not exist: its maximum is what its bundle usually has", "server_group", listed.Name)
		group, err = listed, nil
	}
	if err != nil {
		return err
	}
	if group.MaxSessions == 0 || listed.OneSession {
		group.MaxSessions = listed.MaxSessions
	}
	if group.MaxSessions == 0 && isDue(f.maxAt) {
		if f.max, err = f.api.MaxSessions(ctx); err != nil {
			return err
		}
		f.maxAt = time.Now()
	}
	f.details[listed.ID] = groupDetails{group, time.Now(), missed}
	return nil
}

// group is a group with all that is known of it.
func (f *ReadFleet) group(listed record.ServerGroup) record.ServerGroup {
	if known, ok := f.details[listed.ID]; ok && !listed.Malformed {
		listed.MaxSessions, listed.Invalid = known.group.MaxSessions, known.group.Invalid
		if listed.MaxSessions == 0 {
			listed.MaxSessions = f.max
		}
	}
	return listed
}

func (f *ReadFleet) hasNewGroup(servers []record.Server) bool {
	known := map[string]bool{"": true}
	for i := range f.listed {
		known[f.listed[i].ID] = true
	}
	for i := range servers {
		if id := servers[i].GroupID; !known[id] && !f.missing[id] {
			return true
		}
	}
	return false
}

// noteMissing notes the groups of servers that are not listed, so that they are not looked
// for in each poll.
func (f *ReadFleet) noteMissing(servers []record.Server) {
	for i := range servers {
		f.missing[servers[i].GroupID] = true
	}
}
