package config

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const reference = "../docs/configuration.md"

// TestReference compares the tables of docs/configuration.md with the configuration: keys,
// types and comments come from the code, defaults from what is set before a file is read,
// limits from what a file is refused for, and examples from the files in testdata/good.
// The release that a key came with is the document's own knowledge.
func TestReference(t *testing.T) {
	_, english, _ := tablesOf(t, reference)
	since, next := sinceWhen(t, english)
	for file, chinese := range map[string]bool{reference: false, "../docs/zh-CN/configuration.md": true} {
		head, tables, tail := tablesOf(t, file)
		d := &document{t: t, comments: comments(t), examples: examples(t), since: since, next: next, chinese: chinese}
		d.meanings, d.intros = translated(tables)
		d.section("", reflect.ValueOf(&Config{}).Elem())
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(head+d.text.String()+tail), 0o644))
			continue
		}
		assert.Equal(t, d.text.String(), tables, "%s: go test ./config -run Reference -update writes it", file)
	}
}

// tablesOf is a document up to its tables, the tables, and what comes after them.
func tablesOf(t *testing.T, file string) (head, tables, tail string) {
	t.Helper()
	const begin, end = "<!-- tables: go test ./config -run Reference -update -->\n", "<!-- end of tables -->\n"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	head, tables, found := strings.Cut(string(text), begin)
	require.True(t, found, file)
	tables, tail, found = strings.Cut(tables, end)
	require.True(t, found, file)
	return head + begin, tables, end + tail
}

// TestReferenceShowsTheExample lets the document show the file that TestGoodFiles loads.
func TestReferenceShowsTheExample(t *testing.T) {
	example, err := os.ReadFile("testdata/good/example.yml")
	require.NoError(t, err)
	for _, file := range []string{reference, "../docs/zh-CN/configuration.md"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		const before = "<!-- checked by a test: config/testdata/good/example.yml -->\n"
		head, rest, found := strings.Cut(string(text), before+"```yaml\n")
		require.True(t, found, file)
		shown, tail, _ := strings.Cut(rest, "```\n")
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(head+before+"```yaml\n"+string(example)+"```\n"+tail), 0o644))
			continue
		}
		assert.Equal(t, string(example), shown, "%s: go test ./config -run Reference -update writes it", file)
	}
}

// TestDocumentsShowGoodFiles loads every configuration that a document shows.
func TestDocumentsShowGoodFiles(t *testing.T) {
	key, err := os.ReadFile("testdata/good/secrets/access_key")
	require.NoError(t, err)
	shown := 0
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/*/*.md"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range regexp.MustCompile("(?ms)^```yaml\n(projects:.*?)^```").FindAllStringSubmatch(string(text), -1) {
				folder := t.TempDir()
				path := filepath.Join(folder, "workspace_exporter.yml")
				require.NoError(t, os.WriteFile(path, []byte(m[1]), 0o600))
				require.NoError(t, os.Mkdir(filepath.Join(folder, "secrets"), 0o700))
				for _, name := range []string{"access_key", "secret_key"} {
					require.NoError(t, os.WriteFile(filepath.Join(folder, "secrets", name), key, 0o600))
				}
				c, err := Load(path)
				if assert.NoError(t, err, file) {
					assert.Empty(t, c.Warnings, file)
				}
				shown++
			}
		}
	}
	assert.Positive(t, shown)
}

// document writes a section for each mapping of the configuration.
type document struct {
	t        *testing.T
	text     strings.Builder
	comments map[string]string // of types, and of fields as Type.Field
	examples map[string]string // by path, with [] for elements of lists; under sources.KEY for any source
	since    map[string]string // by path
	next     string            // release, with which new keys come

	// The Chinese document keeps its own texts about keys and blocks; until somebody has
	// translated a new one, it is there in English.
	chinese          bool
	meanings, intros map[string]string // by path
}

// section writes a table of the keys at path, then the sections below it.
func (d *document) section(path string, v reflect.Value) {
	if defaults, ok := v.Addr().Interface().(hasDefaults); ok {
		defaults.setDefaults()
	}
	missing := d.missing(path)
	var rows, below []func()
	for _, f := range reflect.VisibleFields(v.Type()) {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "" || key == "-" {
			continue
		}
		at, field, typ := join(path, key), v.FieldByIndex(f.Index), f.Type
		if typ.Kind() == reflect.Slice && typ.Elem() != reflect.TypeFor[UserWindow]() && typ.Elem().Kind() != reflect.String {
			at, typ = at+"[]", typ.Elem()
		}
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		switch {
		case isStruct(typ):
			inner := field // whose defaults may have been set with those of what is around it
			if typ != f.Type {
				inner = reflect.New(typ).Elem()
			}
			below = append(below, func() { d.section(at, inner) })
		default:
			rows = append(rows, func() { d.row(at, f, v, field, missing[key]) })
		}
	}
	if path != "" {
		fmt.Fprintf(&d.text, "### %s\n\n%s\n\n", "`"+path+"`", d.translation(d.intros, path, d.comment(v.Type().Name(), path)))
	}
	if len(rows) > 0 {
		d.text.WriteString(d.words("| key | meaning | type | default | allowed | example | since |") + "\n|---|---|---|---|---|---|---|\n")
		for _, write := range rows {
			write()
		}
		d.text.WriteString("\n")
	}
	for _, write := range below {
		write()
	}
}

// isStruct reports whether a type is a mapping with keys of ours.
func isStruct(typ reflect.Type) bool {
	scalar, _ := decodeScalar(&yaml.Node{Kind: yaml.ScalarNode}, reflect.New(typ).Interface())
	return typ.Kind() == reflect.Struct && scalar == ""
}

func (d *document) row(path string, f reflect.StructField, parent, field reflect.Value, required string) {
	declaring := parent.Type()
	for _, i := range f.Index[:len(f.Index)-1] {
		declaring = declaring.Field(i).Type
	}
	standard := shown(d.t, field)
	switch {
	case required != "":
		standard = required
	case field.IsZero() && field.Kind() != reflect.Int && field.Kind() != reflect.Int64 && field.Kind() != reflect.Bool:
		standard = ""
	}
	key := path[strings.LastIndex(path, ".")+1:]
	example := cmp.Or(d.examples[path], standard, d.examples["sources."+key])
	switch file, isFile := strings.CutSuffix(key, "_file"); {
	case field.Type() == reflect.TypeFor[Secret](), field.Type() == reflect.TypeFor[PEM]():
		example = "`\"...\"`"
	case isFile:
		example = "`secrets/" + file + "`"
	}
	assert.NotEmpty(d.t, example, "no file in testdata/good has an example of %s", path)
	meaning := d.translation(d.meanings, path, d.comment(declaring.Name()+"."+f.Name, path))
	fmt.Fprintf(&d.text, "| `%s` | %s | %s | %s | %s | %s | %s |\n", key, meaning, d.words(typeName(d.t, path, field.Type())),
		d.words(standard), d.words(d.allowed(path, field.Type())), example, cmp.Or(d.since[path], d.next))
}

func (d *document) translation(known map[string]string, path, english string) string {
	if d.chinese {
		return cmp.Or(known[path], english)
	}
	return english
}

// words are the document's words for types, limits and the titles of columns.
func (d *document) words(english string) string {
	if !d.chinese {
		return english
	}
	text := chineseWords.Replace(english)
	return regexp.MustCompile(`^(\S+) to (\S+)$`).ReplaceAllString(text, "$1 至 $2")
}

var chineseWords = strings.NewReplacer("| key | meaning | type | default | allowed | example | since |", "| 键 | 含义 | 类型 | 默认值 | 允许的值 | 示例 | 起始版本 |",
	"**required**, or ", "**必填**，或 ", "**required**", "**必填**", "list of texts", "文本列表", "list of durations", "时长列表",
	"mapping of lists of secrets", "映射，值为密钥列表", "mapping", "映射", "text", "文本", "boolean", "布尔", "secret_key_file", "secret_key_file", "secret", "密钥", "duration", "时长",
	"whole number", "整数", "number", "数字", "true or false", "true 或 false", "more than ", "大于 ", ", at most ", "，不超过 ", "one of ", "其中之一：",
	" or more", " 或以上", "at least 16 bytes, such as ", "至少 16 字节，例如用 ", " makes", " 生成", "written like ", "形如 ",
	"an http or https URL without user, query and fragment", "http 或 https 的 URL，不带用户、查询和片段", "a URL such as ", "URL，例如 ",
	"an IANA name such as Asia/Shanghai, or UTC", "IANA 时区名，例如 Asia/Shanghai，或 UTC", "letters, digits, _ and -", "字母、数字、_ 和 -",
	"a connection string, as ", "连接串，例如 ", "sslmode=verify-full or ", "sslmode=verify-full 或 ", "a name of small letters, digits and _", "小写字母、数字和 _ 组成的名称")

// comment is that of a field or type, as a sentence without the name in Go.
func (d *document) comment(name, path string) string {
	text := d.comments[name]
	require.NotEmpty(d.t, text, "%s needs a comment: it is the text about %s in docs/configuration.md", name, path)
	_, text, _ = strings.Cut(text, " ")
	for _, verb := range []string{"is ", "are ", "has ", "holds "} {
		text = strings.TrimPrefix(text, verb)
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	return regexp.MustCompile(`docs/(\w+)\.md`).ReplaceAllString(text, "[$1.md]($1.md)")
}

func typeName(t *testing.T, path string, typ reflect.Type) string {
	for known, name := range map[reflect.Type]string{
		reflect.TypeFor[string](): "text", reflect.TypeFor[[]string](): "list of texts", reflect.TypeFor[bool](): "boolean",
		reflect.TypeFor[Secret](): "secret", reflect.TypeFor[PEM](): "PEM", reflect.TypeFor[ProxyURL](): "URL",
		reflect.TypeFor[[]UserWindow](): "list of durations", reflect.TypeFor[map[string]string](): "mapping",
		reflect.TypeFor[map[string][]Secret](): "mapping of lists of secrets",
	} {
		if typ == known {
			return name
		}
	}
	allowed, _ := decodeScalar(&yaml.Node{Kind: yaml.ScalarNode}, reflect.New(typ).Interface())
	require.NotEmpty(t, allowed, "%s has a type without a name in the reference", path)
	name, _, _ := strings.Cut(strings.TrimPrefix(allowed, "a "), " such")
	return name
}

// shown is a value as a file would have it.
func shown(t *testing.T, v reflect.Value) string {
	node := &yaml.Node{}
	require.NoError(t, node.Encode(v.Interface()))
	return flow(t, node)
}

func flow(t *testing.T, n *yaml.Node) string {
	n.Style = yaml.FlowStyle
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	for _, c := range n.Content {
		c.HeadComment, c.LineComment, c.FootComment = "", "", ""
	}
	out, err := yaml.Marshal(n)
	require.NoError(t, err)
	return "`" + strings.ReplaceAll(strings.TrimSpace(string(out)), "|", "\\|") + "`"
}

// comments are those of the types and fields of this package.
func comments(t *testing.T) map[string]string {
	found := map[string]string{}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			decl, ok := n.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				return true
			}
			for _, spec := range decl.Specs {
				spec := spec.(*ast.TypeSpec)
				found[spec.Name.Name] = oneLine(cmp.Or(spec.Doc, decl.Doc))
				if s, ok := spec.Type.(*ast.StructType); ok {
					for _, f := range s.Fields.List {
						for _, id := range f.Names {
							found[spec.Name.Name+"."+id.Name] = oneLine(f.Doc)
						}
					}
				}
			}
			return true
		})
	}
	return found
}

func oneLine(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

// examples are values of keys in files that load.
func examples(t *testing.T) map[string]string {
	found := map[string]string{}
	files, err := filepath.Glob("testdata/good/*.yml")
	require.NoError(t, err)
	slices.SortStableFunc(files, func(a, b string) int { // the one that is written for this comes first
		return cmp.Compare(strings.Count(b, "reference"), strings.Count(a, "reference"))
	})
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var doc yaml.Node
		require.NoError(t, yaml.Unmarshal(text, &doc))
		collect(t, found, "", doc.Content[0])
	}
	return found
}

func collect(t *testing.T, found map[string]string, path string, n *yaml.Node) {
	switch n = follow(n); n.Kind {
	case yaml.MappingNode:
		entries, _ := mergedEntries(n, 0)
		for _, e := range entries {
			collect(t, found, join(path, e.key.Value), e.value)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			collect(t, found, path+"[]", item)
		}
	}
	for _, path := range []string{path, regexp.MustCompile(`^.*\.sources\.\w+\.`).ReplaceAllString(path, "sources.")} {
		if _, ok := found[path]; !ok {
			found[path] = flow(t, n)
		}
	}
}

var (
	blockTitle = regexp.MustCompile("^### `(.+)`$")
	keyRow     = regexp.MustCompile("^\\| `(\\w+)` \\| (.*?) \\| .* \\| (\\S*) \\|$")
)

// translated are the texts about keys and blocks that the document has.
func translated(tables string) (meanings, intros map[string]string) {
	meanings, intros = map[string]string{}, map[string]string{}
	block := ""
	for line := range strings.SplitSeq(tables, "\n") {
		if m := blockTitle.FindStringSubmatch(line); m != nil {
			block = m[1]
		} else if m := keyRow.FindStringSubmatch(line); m != nil {
			meanings[join(block, m[1])] = m[2]
		} else if line != "" && !strings.HasPrefix(line, "|") {
			intros[block] = line
		}
	}
	return meanings, intros
}

// sinceWhen is the last column of the document as it is, and the release that new keys
// come with.
func sinceWhen(t *testing.T, tables string) (known map[string]string, next string) {
	changes, err := os.ReadFile("../CHANGELOG.md")
	require.NoError(t, err)
	release := regexp.MustCompile(`(?m)^## (\d[\d.]*\d)`).FindSubmatch(changes)
	require.NotNil(t, release)
	known = map[string]string{}
	block := ""
	for line := range strings.SplitSeq(tables, "\n") {
		if m := blockTitle.FindStringSubmatch(line); m != nil {
			block = m[1]
		} else if m := keyRow.FindStringSubmatch(line); m != nil {
			known[join(block, m[1])] = m[3]
		}
	}
	return known, string(release[1])
}

// missing says of the keys of the mapping at path which must be given.
func (d *document) missing(path string) map[string]string {
	required := map[string]string{}
	for at, message := range refused(d.t, path, map[string]any{}) {
		reason, ok := strings.CutPrefix(message, "missing; ")
		if key, below := strings.CutPrefix(at, path+"."); ok && below {
			required[key] = "**required**"
			if _, instead, found := strings.Cut(reason, " or "); found && strings.HasPrefix(reason, "give ") {
				instead, _, _ = strings.Cut(instead, " for ")
				required[key] += ", or " + instead
			}
		}
	}
	return required
}

// allowed is what a value may be, in the words with which others are refused.
func (d *document) allowed(path string, typ reflect.Type) string {
	var probes []any
	switch typ {
	case reflect.TypeFor[bool]():
		return "true or false"
	case reflect.TypeFor[model.Duration]():
		probes = []any{"0s", "200y"}
	case reflect.TypeFor[[]UserWindow]():
		probes = []any{[]any{"0s"}, []any{"200y"}}
	case reflect.TypeFor[int](), reflect.TypeFor[float64]():
		probes = []any{-1, 1_000_000_000}
	case reflect.TypeFor[Secret]():
		probes = []any{"?"}
	case reflect.TypeFor[string](), reflect.TypeFor[ProxyURL]():
		probes = []any{"\x01?"}
	}
	var allowed []string
	for _, value := range probes {
		for at, message := range refused(d.t, path, value) {
			if strings.TrimSuffix(at, "[0]") != path || strings.HasSuffix(path, "_file") {
				continue
			}
			_, limit, found := strings.Cut(message, "must be ")
			if !found {
				_, limit, _ = strings.Cut(message, "; ")
			}
			limit, _, _ = strings.Cut(limit, ", not ")
			limit, _, _ = strings.Cut(limit, " (")
			for _, verb := range []string{"allowed are ", "it is "} {
				limit = strings.TrimPrefix(limit, verb)
			}
			if limit != "" && !slices.Contains(allowed, limit) {
				allowed = append(allowed, limit)
			}
		}
	}
	return strings.Join(allowed, ", ")
}

// refused are the problems, by path, of a file that is good but for the value at path.
func refused(t *testing.T, path string, value any) map[string]string {
	t.Helper()
	sources := map[string]any{}
	for name := range AllOn().On() {
		sources[name] = map[string]any{}
	}
	project := map[string]any{"name": "p", "project_id": "p", "region": "cn-north-4",
		"credentials": map[string]any{"token": map[string]any{"token": "a-token"}}, "sources": sources}
	if strings.HasPrefix(path, "projects[].credentials") {
		project["credentials"] = map[string]any{}
	}
	file := map[string]any{"projects": []any{project}}
	at := file
	for keys := strings.Split(path, "."); path != ""; keys = keys[1:] {
		key, list := strings.CutSuffix(keys[0], "[]")
		if at[key] == nil && list {
			at[key] = []any{map[string]any{}}
		}
		if at[key] == nil {
			at[key] = map[string]any{}
		}
		switch {
		case len(keys) > 1 && list:
			at = at[key].([]any)[0].(map[string]any)
			continue
		case len(keys) > 1:
			at = at[key].(map[string]any)
			continue
		case list:
			at[key] = []any{value}
		default:
			at[key] = value
		}
		break
	}
	text, err := yaml.Marshal(file)
	require.NoError(t, err)
	_, err = parse("probe.yml", text)
	problems := map[string]string{}
	if many, ok := err.(Problems); ok {
		for _, p := range many {
			problems[strings.ReplaceAll(p.Path, "projects[0]", "projects[]")] = p.Message
		}
	}
	return problems
}
