package main

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/kingpin/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// documents are the Markdown files of the repository by their paths, without what other
// people wrote.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if name := entry.Name(); entry.IsDir() && path != "." && (name == "testdata" || strings.HasPrefix(name, ".") && name != ".github") {
			return filepath.SkipDir
		}
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		text, err := os.ReadFile(path)
		texts[path] = string(text)
		return err
	}))
	require.Greater(t, len(texts), 10)
	return texts
}

var (
	fenced   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	codeSpan = regexp.MustCompile("`[^`\n]*`")
	mdLink   = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// repository is where the address of a file of ours begins.
const repository = "https://github.com/workspace-exporter/workspace_exporter/"

// Every link to a file or heading of the repository leads somewhere.
func TestLinksLeadSomewhere(t *testing.T) {
	texts := documents(t)
	links := 0
	for path, text := range texts {
		for _, m := range mdLink.FindAllStringSubmatch(codeSpan.ReplaceAllString(fenced.ReplaceAllString(text, ""), ""), -1) {
			link := m[1]
			target, ours := strings.CutPrefix(link, repository+"blob/main/")
			switch {
			case ours:
				link = target
			case strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:"):
				continue
			case !strings.HasPrefix(link, "#"):
				link = filepath.Join(filepath.Dir(path), link)
			default:
				link = path + link
			}
			file, anchor, _ := strings.Cut(link, "#")
			links++
			_, err := os.Stat(file)
			if assert.NoError(t, err, "%s: %s", path, m[1]) && anchor != "" {
				anchor, err = url.PathUnescape(anchor)
				require.NoError(t, err)
				assert.Contains(t, anchors(texts[file]), anchor, "%s: %s", path, m[1])
			}
		}
	}
	assert.Greater(t, links, 50)
}

// What documents have people type is a script for any shell, and has commands and flags that
// there are.
func TestCommandsAreUnderstood(t *testing.T) {
	block := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	ours := regexp.MustCompile(`(?m)(?:^|\| )(?:\./)?workspace_exporter((?: [^#|\n]*)?)`)
	commands := 0
	for path, text := range documents(t) {
		for _, m := range block.FindAllStringSubmatch(text, -1) {
			out, err := exec.Command("sh", "-n", "-c", m[1]).CombinedOutput()
			require.NoError(t, err, "%s: %s%s", path, out, m[1])
			for _, line := range ours.FindAllStringSubmatch(strings.ReplaceAll(m[1], "\\\n", " "), -1) {
				cli := kingpin.New("workspace_exporter", "").Terminate(nil)
				addCommands(cli)
				_, err := cli.Parse(strings.Fields(strings.ReplaceAll(line[1], `"`, "")))
				assert.NoError(t, err, "%s: %s", path, line[0])
				commands++
			}
		}
	}
	assert.Greater(t, commands, 10)
}

// anchors are those that GitHub gives to headings.
func anchors(text string) (names []string) {
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		title := mdLink.ReplaceAllString(strings.ReplaceAll(strings.ReplaceAll(m[1], "`", ""), "[", ""), "")
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, title))
	}
	return names
}

// longest is how many characters a line may have. Tables and what is code have lines as
// they need them.
const longest = 160

// Lines can be read without scrolling.
func TestLinesAreShort(t *testing.T) {
	for path, text := range documents(t) {
		for line := range strings.SplitSeq(fenced.ReplaceAllString(text, ""), "\n") {
			if strings.HasPrefix(line, "|") || strings.HasPrefix(line, "[![") || strings.HasPrefix(line, "![") {
				continue
			}
			assert.LessOrEqual(t, utf8.RuneCountInString(line), longest, "%s: %s", path, line)
		}
	}
}

// Texts for people have plain words: documents, values of the chart, and whatever the program
// says.
func TestPlainWords(t *testing.T) {
	vague := regexp.MustCompile(`(?i)\b(no|some|any|every)body\b`)
	check := func(path, text string) { assert.Empty(t, vague.FindString(text), "%s: %s", path, text) }
	for path, text := range documents(t) {
		for line := range strings.SplitSeq(codeSpan.ReplaceAllString(text, ""), "\n") {
			check(path, line)
		}
	}
	literals := 0
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if name := entry.Name(); err != nil || entry.IsDir() && path != "." && (name == "testdata" || name == "files" || name[0] == '.') {
			return cmp.Or(err, fs.SkipDir)
		}
		if strings.HasPrefix(path, "deploy/helm/") && !entry.IsDir() {
			text, err := os.ReadFile(path)
			check(path, string(text))
			return err
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				literals++
				check(path, literal.Value)
			}
			return true
		})
		return nil
	}))
	assert.Greater(t, literals, 1000)
}

// The Chinese documents have the headings and tables of the English ones: as many of each
// level, and as many columns and rows.
func TestChineseFollowsEnglish(t *testing.T) {
	texts := documents(t)
	for english, chinese := range map[string]string{
		"README.md": "README.zh-CN.md", "docs/installation.md": "docs/zh-CN/installation.md", "docs/configuration.md": "docs/zh-CN/configuration.md",
		"docs/permissions.md": "docs/zh-CN/permissions.md", "docs/alerts.md": "docs/zh-CN/alerts.md", "docs/integrations.md": "docs/zh-CN/integrations.md",
		"docs/faq.md": "docs/zh-CN/faq.md", "docs/upgrade.md": "docs/zh-CN/upgrade.md",
	} {
		require.Contains(t, texts, chinese)
		assert.Equal(t, shape(texts[english]), shape(texts[chinese]), "%s and %s", english, chinese)
	}
}

// Chinese texts have one word for one thing: CONTRIBUTING.md has the words, and in the last
// column of their table those that are not used.
func TestChineseHasOneWordForOneThing(t *testing.T) {
	contributing, err := os.ReadFile("CONTRIBUTING.md")
	require.NoError(t, err)
	_, table, _ := strings.Cut(string(contributing), "\n### Chinese words\n")
	table, _, _ = strings.Cut(table, "\n## ")
	var unused []string
	for _, row := range regexp.MustCompile(`(?m)^\|.*\| ([^|]*) \|$`).FindAllStringSubmatch(table, -1)[1:] {
		unused = append(unused, strings.Split(row[1], "、")...)
	}
	require.Greater(t, len(unused), 20)

	paths := []string{"README.zh-CN.md", "dashboards/source/texts.go", "deploy/alertmanager/china.example.yml", "internal/failurecode/builtin.go", "internal/command/demo.go"}
	for _, pattern := range []string{"docs/zh-CN/*.md", "dashboards/rules/zh/*.yml"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, found, pattern)
		paths = append(paths, found...)
	}
	grafanas := regexp.MustCompile(`(Grafana|Prometheus|Loki) 数据源`)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for i, line := range strings.Split(grafanas.ReplaceAllString(string(text), ""), "\n") {
			for _, word := range unused {
				assert.NotContains(t, line, word, "%s:%d", path, i+1)
			}
		}
	}
}

// The runbooks have the same sections in both languages. Each alert has the same four parts,
// limits and queries.
func TestRunbooksAreInBothLanguages(t *testing.T) {
	texts := documents(t)
	english, chinese := texts["docs/runbooks.md"], texts["docs/zh-CN/runbooks.md"]
	assert.Equal(t, shape(english), shape(chinese))
	translated := alertSections(chinese)
	require.NotEmpty(t, translated)
	for name, body := range alertSections(english) {
		for _, part := range []string{"**含义。**", "**影响。**", "**诊断。**", "**处理。**"} {
			assert.Contains(t, translated[name], part, "docs/zh-CN/runbooks.md, %s", name)
		}
		assert.Equal(t, fenced.FindAllString(body, -1), fenced.FindAllString(translated[name], -1), "docs/zh-CN/runbooks.md, queries of %s", name)
		numbers := number.FindAllString(meaning(translated[name]), -1)
		for _, limit := range number.FindAllString(meaning(body), -1) {
			assert.Contains(t, numbers, limit, "docs/zh-CN/runbooks.md, meaning of %s", name)
		}
	}
}

var number = regexp.MustCompile(`\d[\d.,]*\d|\d`)

// meaning is the first paragraph of an alert's section, which has its limits.
func meaning(section string) string {
	paragraph, _, _ := strings.Cut(strings.TrimSpace(section), "\n\n")
	return paragraph
}

// alertSections are the sections of a runbook by the names of their alerts.
func alertSections(text string) map[string]string {
	sections := map[string]string{}
	for part := range strings.SplitSeq(text, "\n## ") {
		name, body, _ := strings.Cut(part, "\n")
		if strings.HasPrefix(name, "Workspace") {
			body, _, _ = strings.Cut(body, "\n# ")
			sections[name] = body
		}
	}
	return sections
}

// A tag that comes too early publishes nothing.
func TestReleaseNotes(t *testing.T) {
	script, err := filepath.Abs("scripts/release-notes")
	require.NoError(t, err)
	for name, c := range map[string]struct{ chart, changelog, readme, notes, refused string }{
		"ready":            {"0.1.0", "## 0.2.0\n\n* b\n\n## 0.1.0\n\n* a\n\n## 0.0.9\n\n* z\n", "Install it.", "\n* a\n", ""},
		"with its date":    {"0.1.0", "## 0.1.0, 2027-01-31\n\n* a\n", "Install it.", "\n* a\n", ""},
		"too early":        {"0.1.0", "## 0.1.0, not released yet\n\n* a\n", "Install it.", "", "CHANGELOG.md has no text"},
		"no section":       {"0.1.0", "## 0.1.01\n\n* a\n", "Install it.", "", "CHANGELOG.md has no text"},
		"nothing in it":    {"0.1.0", "## 0.1.0\n\n## 0.0.9\n\n* z\n", "Install it.", "", "CHANGELOG.md has no text"},
		"another chart":    {"0.1.1", "## 0.1.0\n\n* a\n", "Install it.", "", "has another version"},
		"README not ready": {"0.1.0", "## 0.1.0\n\n* a\n", "Nothing has been released yet.", "", "README.md"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for path, text := range map[string]string{
				"deploy/helm/workspace-exporter/Chart.yaml": "name: x\nversion: " + c.chart + "\n",
				"CHANGELOG.md":         "# Changelog\n\n" + c.changelog,
				"README.md":            c.readme,
				"docs/installation.md": "",
			} {
				file := filepath.Join(dir, path)
				require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
				require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
			}
			command := exec.Command(script, "0.1.0")
			command.Dir = dir
			var stderr strings.Builder
			command.Stderr = &stderr
			out, err := command.Output()
			if c.refused != "" {
				assert.Error(t, err)
				assert.Contains(t, stderr.String(), c.refused)
				return
			}
			require.NoError(t, err, stderr.String())
			assert.Equal(t, c.notes, string(out))
		})
	}
}

// shape is the headings of a document by their levels, and its tables by columns, with
// their rows.
func shape(text string) (lines []string) {
	rows, table := 0, ""
	for line := range strings.SplitSeq(fenced.ReplaceAllString(text, "")+"\n", "\n") {
		if strings.HasPrefix(line, "|") {
			if rows++; rows == 1 {
				table = strings.Repeat("|", strings.Count(line, "|"))
			}
			continue
		}
		if rows > 0 {
			lines = append(lines, table+" "+strconv.Itoa(rows))
			rows = 0
		}
		if level, _, ok := strings.Cut(line, " "); ok && strings.Trim(level, "#") == "" && level != "" {
			lines = append(lines, level)
		}
	}
	return lines
}
