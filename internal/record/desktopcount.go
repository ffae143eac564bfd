package record

import (
	"cmp"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// DesktopCount is how many desktops there are, of a pool or of none.
type DesktopCount struct {
	// Pool is the pool's name, or else its id, as a label value; empty for dedicated desktops.
	Pool  string
	Total *int // nil if unknown
	// By whether they belong to a user, how they run, and who is on them: by the API's words
	// without "_num". What is unknown is not there.
	Attach, RunState, LoginState map[string]int

	// Invalid names the fields that were there but could not be read. Malformed is true if it
	// was not an object at all.
	Invalid   []string
	Malformed bool
}

// Minus is what is left without the desktops of pools. What a pool does not say is what pooled,
// all pools together, says; if that does not, either, nothing is known of what is left. A number
// that would be below 0 is 0: exact is false then, since both were not read at the same moment.
func (c *DesktopCount) Minus(pooled *DesktopCount, pools []DesktopCount) (rest DesktopCount, exact bool) {
	exact = true
	subtract := func(n int, of func(*DesktopCount) (int, bool)) (left int, known bool) {
		part, known := 0, true
		for i := range pools {
			n, says := of(&pools[i])
			part, known = part+n, known && says
		}
		if !known {
			part, known = of(pooled)
		}
		exact = exact && (n >= part || !known)
		return max(0, n-part), known
	}
	states := func(of func(*DesktopCount) map[string]int) map[string]int {
		rest := map[string]int{}
		for state, n := range of(c) {
			left, known := subtract(n, func(c *DesktopCount) (int, bool) { n, says := of(c)[state]; return n, says })
			if known {
				rest[state] = left
			}
		}
		return rest
	}
	rest = DesktopCount{Invalid: c.Invalid,
		Attach:     states(func(c *DesktopCount) map[string]int { return c.Attach }),
		RunState:   states(func(c *DesktopCount) map[string]int { return c.RunState }),
		LoginState: states(func(c *DesktopCount) map[string]int { return c.LoginState })}
	if c.Total != nil {
		if left, known := subtract(*c.Total, (*DesktopCount).total); known {
			rest.Total = &left
		}
	}
	return rest, exact
}

func (c *DesktopCount) total() (n int, known bool) {
	if c.Total == nil {
		return 0, false
	}
	return *c.Total, true
}

// DesktopStatistics are numbers of desktops as the API writes them: of all that were asked
// for, and pool by pool. They are decoded and tolerant like UserConnection.
type DesktopStatistics struct {
	raw
	pools []desktopNumbers // nil if the answer has none
}

// desktopNumbers are the numbers of a pool.
type desktopNumbers struct{ raw }

// The places of the fields. The states follow.
const (
	desktopPoolID = iota
	desktopPoolName
	desktopTotal
	desktopStates
)

// The objects that hold states.
const (
	attachStatistics     = "attach_statistics."
	runStateStatistics   = "run_state_statistics."
	loginStateStatistics = "login_state_statistics."
	numberSuffix         = "_num"
)

var desktopStatistics = newKind([]string{
	desktopPoolID: "desktop_pool_id", desktopPoolName: "desktop_pool_name", desktopTotal: "total_num",
	desktopStates:     attachStatistics + "attached_num",
	desktopStates + 1: attachStatistics + "unattached_num", desktopStates + 2: attachStatistics + "attaching_num", desktopStates + 3: attachStatistics + "attach_error_num",
	desktopStates + 4: runStateStatistics + "stop_num", desktopStates + 5: runStateStatistics + "active_num",
	desktopStates + 6: runStateStatistics + "error_num", desktopStates + 7: runStateStatistics + "hibernated_num",
	desktopStates + 8: loginStateStatistics + "in_use_num", desktopStates + 9: loginStateStatistics + "unregistered_num",
	desktopStates + 10: loginStateStatistics + "unable_to_connect_num", desktopStates + 11: loginStateStatistics + "ready_num",
	desktopStates + 12: loginStateStatistics + "disconnected_num",
})

// UnmarshalJSONFrom reads an answer. It fails only where the JSON itself does.
func (d *DesktopStatistics) UnmarshalJSONFrom(from *jsontext.Decoder) error {
	value, err := from.ReadValue()
	if err != nil {
		return err
	}
	d.take(desktopStatistics, value)
	if d.malformed {
		return nil
	}
	plain := isPlain(string(value))
	for name, list := range members(string(value)) {
		if unquote(name, plain) != "desktop_pool_statistics" || list[0] != '[' {
			continue
		}
		var pools []jsontext.Value
		if err := json.Unmarshal([]byte(list), &pools, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
			return err
		}
		d.pools = make([]desktopNumbers, len(pools))
		for i := range pools {
			d.pools[i].take(desktopStatistics, pools[i])
		}
	}
	return nil
}

// HasPools reports whether the answer lists a pool.
func (d *DesktopStatistics) HasPools() bool { return len(d.pools) > 0 }

// UnknownPool is the name of a pool that has none: the empty one is of desktops without a pool.
const UnknownPool = "unknown"

// All are the numbers of all desktops that were asked for.
func (d *DesktopStatistics) All() DesktopCount { return d.desktopCount() }

// Pools are the numbers of each pool.
func (d *DesktopStatistics) Pools() []DesktopCount {
	pools := make([]DesktopCount, len(d.pools))
	for i := range d.pools {
		if pools[i].Malformed = d.pools[i].malformed; pools[i].Malformed {
			continue
		}
		pools[i] = d.pools[i].desktopCount()
		pools[i].Pool = cmp.Or(pools[i].Pool, UnknownPool)
	}
	return pools
}

func (r *raw) desktopCount() DesktopCount {
	read := r.read(desktopStatistics)
	states := func(object string) map[string]int {
		found := map[string]int{}
		for place, name := range desktopStatistics.names {
			if state, ok := strings.CutPrefix(name, object); ok {
				if n := read.number(place); n != nil {
					found[strings.TrimSuffix(state, numberSuffix)] = *n
				}
			}
		}
		return found
	}
	count := DesktopCount{Pool: cmp.Or(read.label(desktopPoolName), read.label(desktopPoolID)), Total: read.number(desktopTotal),
		Attach: states(attachStatistics), RunState: states(runStateStatistics), LoginState: states(loginStateStatistics)}
	count.Invalid = read.invalidNames()
	return count
}
