// Command rules writes the alerting rules, in both languages, the runbooks' part about
// logins, and Alertmanager's holidays from dashboards/rules/values.yaml. `make rules` runs it.
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/prometheus/common/model"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "rules:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: %s REPOSITORY", os.Args[0])
	}
	files, err := generate(os.Args[1])
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

var (
	//go:embed workspace.rules.yml.tmpl
	rulesTemplate string
	//go:embed runbooks.md.tmpl
	runbooksTemplate string
	//go:embed runbooks.zh.md.tmpl
	chineseRunbooksTemplate string
)

// Paths from the repository's root.
const (
	valuesFile          = "dashboards/rules/values.yaml"
	rulesFile           = "dashboards/rules/workspace.rules.yml"
	chineseFile         = "dashboards/rules/zh/workspace.rules.yml"
	runbooksFile        = "docs/runbooks.md"
	chineseRunbooksFile = "docs/zh-CN/runbooks.md"
	alertmanager        = "dashboards/rules/alertmanager.example.yml"
)

// generate makes every file, by its path from the repository's root.
func generate(repository string) (map[string][]byte, error) {
	text, err := os.ReadFile(filepath.Join(repository, valuesFile))
	if err != nil {
		return nil, err
	}
	values, err := parseValues(valuesFile, text)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for file, language := range map[string]string{rulesFile: values["language"].(string), chineseFile: "zh"} {
		if files[file], err = render(rulesTemplate, values, language); err != nil {
			return nil, err
		}
	}
	for _, runbooks := range []struct{ file, template, begin, end string }{
		{runbooksFile, runbooksTemplate, "# Logins\n", "# Capacity\n"},
		{chineseRunbooksFile, chineseRunbooksTemplate, "# 登录\n", "# 容量\n"},
	} {
		logins, err := render(runbooks.template, values, "en")
		if err != nil {
			return nil, err
		}
		if files[runbooks.file], err = between(filepath.Join(repository, runbooks.file), runbooks.begin, runbooks.end, logins); err != nil {
			return nil, err
		}
	}
	files[alertmanager], err = between(filepath.Join(repository, alertmanager), "    time_intervals:", "\nreceivers:\n", holidays(values["holidays"].([]string)))
	return files, err
}

// between replaces the part of a file that begins with one text and ends before another.
func between(file, begin, end string, part []byte) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	from := bytes.Index(text, []byte(begin))
	to := bytes.Index(text, []byte(end))
	if from < 0 || to < from {
		return nil, fmt.Errorf("%s has no part from %q to %q", file, begin, end)
	}
	return slices.Concat(text[:from], part, text[to:]), nil
}

// holidays are the days as Alertmanager names them.
func holidays(days []string) []byte {
	if len(days) == 0 {
		return []byte("    time_intervals: []\n")
	}
	lines := []byte("    time_intervals:\n")
	for _, day := range days {
		lines = fmt.Appendf(lines, "      - {years: ['%s'], months: ['%s'], days_of_month: ['%s']}\n", day[:4], day[5:7], day[8:])
	}
	return lines
}

// render fills a template in. The functions that the rules use are those of Helm, which
// renders them, too.
func render(text string, values map[string]any, language string) ([]byte, error) {
	t, err := template.New("rules").Delims("<%", "%>").Option("missingkey=error").Funcs(template.FuncMap{
		"list": func(all ...any) []any { return all },
		"join": func(by string, all []string) string { return strings.Join(all, by) },
		"ceil": math.Ceil,
		"minutes": func(s string) (string, error) {
			d, err := model.ParseDuration(s)
			return fmt.Sprintf("%g", time.Duration(d).Minutes()), err
		},
		"counted": func(n any, one, many string) string {
			if fmt.Sprint(n) == "1" {
				return "1 " + one
			}
			return fmt.Sprint(n, " ", many)
		},
		"percent": func(ratio float64) string { return fmt.Sprintf("%g %%", math.Round(1000*ratio)/10) },
		"dict": func(pairs ...any) map[string]any {
			all := map[string]any{}
			for i := 0; i+1 < len(pairs); i += 2 {
				all[pairs[i].(string)] = pairs[i+1]
			}
			return all
		},
	}).Parse(text)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(values)
	all["zh"] = language == "zh"
	var out bytes.Buffer
	err = t.Execute(&out, all)
	return out.Bytes(), err
}
