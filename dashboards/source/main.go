// Command source writes the Grafana dashboards: what they show is in the files
// named after them, what they say in texts.go. `make dashboards` runs it.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: %s DIRECTORY", os.Args[0])
	}
	files, err := generate()
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(os.Args[1], name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pages are the dashboards, in the order in which a reader meets them.
var pages = []struct {
	name string
	draw func(*page)
}{
	{"overview", overview},
	{"login-failures", loginFailures},
	{"login-time", loginTime},
	{"versions", versions},
	{"servers", servers},
	{"capacity", capacity},
	{"applications", applications},
	{"exporter", exporter},
	{"records", records},
}

// generate makes every dashboard in every language, by file name.
func generate() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, language := range languages {
		for _, p := range pages {
			page := newPage(p.name, language)
			page.offer()
			p.draw(page)
			content, err := page.encode()
			if err != nil {
				return nil, fmt.Errorf("%s in %s: %w", p.name, language, err)
			}
			files[filepath.Join(language, page.uid(p.name)+".json")] = content
		}
	}
	return files, nil
}

// encode writes a dashboard as JSON. Annotations go through plain maps, since the
// SDK does not know the fields that Prometheus has for them.
func (p *page) encode() ([]byte, error) {
	if len(p.missing) > 0 {
		return nil, fmt.Errorf("texts missing: %q", p.missing)
	}
	raw, err := json.Marshal(p.dashboard)
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, err
	}
	tree["annotations"] = map[string]any{"list": p.annotations()}
	content, err := json.MarshalIndent(tree, "", "  ")
	return append(content, '\n'), err
}
