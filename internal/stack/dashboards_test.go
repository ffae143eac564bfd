package stack

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// dashboard is what the tests need of a dashboard's JSON.
type dashboard struct {
	UID        string
	Templating struct {
		List []struct {
			Name, AllValue string
			Query          any
			Current        struct{ Value any }
		}
	}
	Annotations struct{ List []target }
	Panels      []panel
}

type panel struct {
	Title    string
	Interval string // the least $__interval
	Panels   []panel
	Targets  []target
}

type target struct {
	Expr       string
	Instant    bool
	Datasource struct{ Type string }
}

// allPanels are those in folded rows too.
func (d *dashboard) allPanels() (all []panel) {
	for _, p := range d.Panels {
		all = append(append(all, p), p.Panels...)
	}
	return all
}

func readDashboard(t *testing.T, file string) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &d), file)
	return d
}
