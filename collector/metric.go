package collector

// Type is the type of a metric.
type Type string

// The types of metrics that an accumulator holds.
const (
	Counter   Type = "counter"
	Gauge     Type = "gauge"
	Histogram Type = "histogram"
)

// Label is the name of a label.
type Label string

// Labels of several metrics. Others stand with their metric.
const (
	desktopGroup Label = "desktop_group"
	failedCode   Label = "failed_code"
	clientType   Label = "client_type"
	agentVersion Label = "agent_version"
	machineName  Label = "machine_name"
	serverGroup  Label = "server_group"
	windowName   Label = "window"
)

// pair is a label with its value. Code names the label of each value, so that it cannot
// mistake their order.
type pair struct {
	label Label
	value string
}

func (l Label) is(value string) pair { return pair{l, value} }

// Metric describes a metric family as data.
type Metric struct {
	Name, Help string
	Type       Type
	// Labels are the variable labels, beside those of the scope.
	Labels []Label
	// Formerly are names that earlier releases gave it: their series go on.
	Formerly []string
	// Buckets are the upper bounds of a histogram's classic buckets.
	Buckets []float64
	// AboutSource puts `source` where record metrics have `product`.
	AboutSource bool
	// AskedFor is of a metric of what is asked for beside the records: a history and files do
	// not have it.
	AskedFor bool
	// Headline is what the landing page calls the sum of a gauge; empty if it has none there.
	// HeadlineBy is a label by which it is split, too; empty if it is not.
	Headline   string
	HeadlineBy Label
	// AtEnd is of a metric that counts a connection when it ends, and not when it begins.
	AtEnd bool
}
