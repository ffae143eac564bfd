package simulator

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// world is who and what takes part: made once of the seed.
type world struct {
	options Options
	started time.Time
	groups  []group
	servers []server
	users   []user
}

// group is a desktop group: users belong to one, and so do servers.
type group struct {
	name, id    string
	connectType string // 1 shared desktop, 2 application
	servers     []int32
	users       []int32
	share       float64 // of all logins
}

// server is an application server.
type server struct{ name, sid, address, agent string }

// user is a person with a device.
type user struct {
	name, account, mac, device, address, public string
	clientType, version                         string
	group                                       int
}

const (
	currentAgent = "25.3.0.0320"
	olderAgent   = "24.12.0.1130"
	// newAgent is what the bad roll-out of the script brings.
	newAgent = "25.6.0.0617"
	// flakyVersion is a client version that fails more often than the others.
	flakyVersion = "24.8.1.0"
)

var (
	groupNames     = []string{"Call Center", "Finance", "Engineering", "Design", "Contractors", "Training"}
	clientVersions = []string{"25.3.2.0", "25.3.2.0", "25.3.2.0", "25.1.0.0", "25.1.0.0", "24.12.0.0", flakyVersion}
)

func newWorld(o Options, started time.Time) *world {
	w := &world{options: o, started: started}
	random := rand.New(rand.NewPCG(o.Seed, 1))
	groups := min(max(1, o.Servers/4), len(groupNames))
	for i := range groups {
		w.groups = append(w.groups, group{name: groupNames[i], id: hexSHA256([]byte(groupNames[i]))[:32], connectType: strconv.Itoa(2 - i%2)})
	}
	for i := range o.Servers {
		w.groups[i%groups].servers = append(w.groups[i%groups].servers, int32(i))
		w.servers = append(w.servers, newServer(random, i))
	}
	for i := range o.Users {
		u := newUser(random, i, int(skewed(random, groups)))
		w.users = append(w.users, u)
		g := &w.groups[u.group]
		g.users = append(g.users, int32(i))
		g.share += math.Log1p(1/float64(i+1)) / math.Log(float64(o.Users)+1) // see skewed
	}
	return w
}

func newServer(random *rand.Rand, i int) server {
	agent := currentAgent
	if i%3 == 2 {
		agent = olderAgent
	}
	return server{
		name:    "APS-" + randomText(random, 10),
		sid:     fmt.Sprintf("S-1-5-21-1213649063-4191095369-2401105760-%d", 1400+i),
		address: netip.AddrFrom4([4]byte{10, 20, byte(i >> 8), byte(i)}).String(),
		agent:   agent,
	}
}

func newUser(random *rand.Rand, i, group int) user {
	account := fmt.Sprintf("user%03d", i+1)
	u := user{
		name:    account + "@corp.example",
		account: account,
		mac:     fmt.Sprintf("c8-d9-d2-%02x-%02x-%02x", random.IntN(256), random.IntN(256), random.IntN(256)),
		address: netip.AddrFrom4([4]byte{10, 73, byte(i >> 8), byte(i)}).String(),
		public:  fmt.Sprintf("203.0.113.%d", 1+random.IntN(20)),
		version: clientVersions[random.IntN(len(clientVersions))],
		group:   group,
	}
	switch kind := random.Float64(); {
	case kind < 0.70:
		u.clientType, u.device = "Windows 10", "PC-"+randomText(random, 8)
	case kind < 0.88:
		u.clientType, u.device = "Mac", "MacBook-"+randomText(random, 6)
	default:
		u.clientType, u.device = "Linux", "linux-"+strings.ToLower(randomText(random, 6))
	}
	return u
}

func randomText(random *rand.Rand, n int) string {
	const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[random.IntN(len(alphabet))]
	}
	return string(b)
}

// show writes a login as the API shows it at now.
func (w *world) show(l *login, project string, now time.Time) Record {
	u, v, m := &w.users[l.user], &w.servers[l.server], l.moments(now)
	g := &w.groups[u.group]
	r := Record{
		ID: strconv.FormatInt(l.id, 10), ConnectType: g.connectType, UserName: u.name, DesktopGroupName: g.name,
		PreConnTime: format(m.pre), StartTime: format(m.start), EndTime: format(m.end), UpdateTime: format(m.update),
		MachineSID: v.sid, MachineName: v.name, VMIP: v.address, AgentVersion: l.agent,
		ClientMAC: u.mac, ClientName: u.device, ClientIP: u.address, PublicIP: u.public,
		ClientVersion: u.version, ClientType: u.clientType,
		ConnectFlag: "0", WIIP: `192.0.2.10\#192.0.2.11`, TenantID: project,
	}
	if l.address != "" {
		r.ClientIP, r.PublicIP = l.address, l.address
	}
	if l.failure == nil {
		return r
	}
	if l.failure.noServer { // refused before a server was chosen, so at no time has it one
		r.MachineSID, r.MachineName, r.VMIP, r.AgentVersion = "", "", "", ""
	}
	if l.failed(now) {
		r.FailedCode, r.FailedReason = l.failure.code, l.failure.text(&r, u.account)
	}
	return r
}

// failure is a way in which a login fails. The codes are made up, in the styles
// of the vendor's: no list of them is public.
type failure struct {
	code, reason string
	weight       int
	noServer     bool   // it fails before a server is chosen
	started      bool   // the connection stood for a moment: the record has a start time
	stage        string // at which it fails
}

// text fills the record's own names into the reason, as real reasons hold them.
func (f *failure) text(r *Record, account string) string {
	return strings.NewReplacer("{user}", r.UserName, "{account}", account, "{machine}", r.MachineName, "{vm}", r.VMIP,
		"{ip}", r.ClientIP, "{agent}", r.AgentVersion, "{client}", r.ClientName).Replace(f.reason)
}

var (
	wrongPassword = failure{code: "WKS.40010001", stage: stageMainAuth, weight: 25, noServer: true, reason: "The username or password is incorrect."}
	brokenSession = failure{code: "1011", stage: stageConnect, weight: 5, started: true, reason: "The session host closed the connection, error 0x00000516."}
	unreachable   = failure{code: "WKS.40020011", stage: stageConnect, reason: "Server {machine} is unreachable: the heartbeat of its agent was lost."}
	badAgent      = failure{code: "WKS.40050001", stage: stageConnect, reason: "Agent {agent} could not start the session process, exit code 3221225781."}

	everydayFailures = []failure{
		wrongPassword,
		{code: "WKS.40010002", stage: stageMainAuth, weight: 8, noServer: true, reason: "Account {user} is locked. Try again in 30 minutes."},
		{code: "WKS.40010003", stage: stageMainAuth, weight: 6, noServer: true, reason: "The password of {account} has expired."},
		{code: "WKS.40010007", stage: stageMFAAuth, weight: 7, noServer: true, reason: "Multi-factor authentication timed out."},
		{code: "WKS.40020001", stage: stagePreconnect, weight: 10, noServer: true, reason: "No server is available in the server group."},
		{code: "WKS.40020004", stage: stageConnect, weight: 10, reason: "Server {machine} did not respond within 60 s."},
		{code: "WKS.40020009", stage: stagePreconnect, weight: 8, reason: "The number of sessions on {machine} ({vm}) has reached the limit."},
		{code: "WKS.40030002", stage: stageLogin, weight: 6, noServer: true, reason: "The connection from {ip} was refused by the access policy."},
		{code: "WKS.40030005", stage: stageLogin, weight: 4, noServer: true, reason: "Client {client} is not in the list of trusted devices."},
		{code: "1003", stage: stageConnect, weight: 6, reason: "The user profile of {account} could not be loaded."},
		brokenSession,
		{code: "2007", stage: stageConnect, weight: 5, started: true, reason: "The network connection between {ip} and the gateway was interrupted."},
	}
	totalWeight = func() (total int) {
		for _, f := range everydayFailures {
			total += f.weight
		}
		return total
	}()
)

func pickFailure(random *rand.Rand) *failure {
	n := random.IntN(totalWeight)
	i := 0
	for ; n >= everydayFailures[i].weight; i++ {
		n -= everydayFailures[i].weight
	}
	return &everydayFailures[i]
}
