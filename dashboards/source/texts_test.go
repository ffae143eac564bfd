package main

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestTexts sees that everything is said in every language, and nothing that no page
// says.
func TestTexts(t *testing.T) {
	used := map[string]bool{}
	for _, language := range languages {
		for _, definition := range pages {
			p := newPage(definition.name, language)
			p.offer()
			definition.draw(p)
			p.annotations()
			assert.Empty(t, p.missing)
			maps.Copy(used, p.used)
		}
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(used)), slices.Collect(maps.Keys(texts)), "texts that no page uses")
	for key, said := range texts {
		assert.ElementsMatch(t, languages, slices.Collect(maps.Keys(said)), key)
		for _, language := range languages {
			assert.NotEmpty(t, said[language].title, key)
			assert.Equal(t, said["en"].description == "", said[language].description == "", key)
		}
		for _, text := range []string{said["zh"].title, said["zh"].description} {
			assert.True(t, text == "" || hasHan(text), "%s: %q is not Chinese", key, text)
		}
		assert.False(t, hasHan(said["en"].title+said["en"].description), key)
	}
}

func hasHan(s string) bool {
	return regexp.MustCompile(`\p{Han}`).MatchString(s) || !slices.ContainsFunc([]rune(s), unicode.IsLetter)
}

// TestLanguagesShowTheSame compares panels, queries and variables of the languages.
func TestLanguagesShowTheSame(t *testing.T) {
	shown := map[string]map[string]any{}
	for _, b := range boards(t) {
		if shown[b.Language] == nil {
			shown[b.Language] = map[string]any{}
		}
		shown[b.Language][pageOf(b.UID)] = b.bare()
	}
	for _, language := range languages[1:] {
		require.Equal(t, shown[languages[0]], shown[language])
	}
}

// bare is a dashboard without its texts. What failures mean is a text, too: a label has it
// in each language.
func (b board) bare() any {
	type query struct{ expr, refID string }
	type panel struct {
		id                     int
		kind, unit             string
		place                  struct{ X, Y, W, H int }
		queries                []query
		overrides, transformed int
	}
	var panels []panel
	for _, p := range b.everyPanel() {
		bare := panel{id: p.ID, kind: p.Type, unit: p.FieldConfig.Defaults.Unit, place: p.GridPos,
			overrides: len(p.FieldConfig.Overrides), transformed: len(p.Transformations)}
		for _, q := range p.Targets {
			bare.queries = append(bare.queries, query{strings.ReplaceAll(q.Expr, "explanation_zh", "explanation"), q.RefID})
		}
		panels = append(panels, bare)
	}
	var asked []string
	for _, v := range b.Templating.List {
		asked = append(asked, v.Name+": "+v.Query)
	}
	for _, a := range b.Annotations.List {
		asked = append(asked, a.Expr)
	}
	return []any{panels, asked}
}

// TestReadme sees that the list of dashboards and the example of the documentation
// hold.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	for _, b := range boards(t) {
		if b.Language == "en" {
			assert.Contains(t, string(readme), "| "+strings.TrimPrefix(b.Title, "Workspace / ")+" | `"+b.UID+"` |")
		}
	}
	failures := boards(t)[slices.IndexFunc(boards(t), func(b board) bool { return b.UID == "workspace-login-failures" })]
	for _, m := range regexp.MustCompile(`var-(\w+)`).FindAllStringSubmatch(string(readme), -1) {
		_, there := failures.variable(m[1])
		assert.True(t, there, m[0])
	}
	_, example, _ := strings.Cut(string(readme), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	var provisioning struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Type, Folder string
			AllowUIUpdates     bool `yaml:"allowUiUpdates"`
			Options            struct{ Path string }
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(example))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&provisioning))
	assert.Equal(t, 1, provisioning.APIVersion)
	require.Len(t, provisioning.Providers, 1)
	assert.Equal(t, "file", provisioning.Providers[0].Type)
	assert.NotEmpty(t, provisioning.Providers[0].Options.Path)
}
