package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// Problem is one thing that is wrong with a configuration file.
type Problem struct {
	File    string
	Line    int    // 0 if it is about no line of the file
	Path    string // like projects[0].sources.user_connections.mode; empty if it is about the file
	Message string // what is wrong and what is allowed; never a secret
}

// String is `file:line: path: message`.
func (p Problem) String() string {
	s := p.File
	if p.Line > 0 {
		s += ":" + strconv.Itoa(p.Line)
	}
	if p.Path != "" {
		s += ": " + p.Path
	}
	return s + ": " + p.Message
}

// Problems is everything that is wrong with a configuration file, in the order
// of its lines. It is the only error that Load returns.
type Problems []Problem

// Error has a line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int { return a.Line - b.Line })
	return p
}

// Load reads and validates the configuration file. Files that it names are
// looked for from the folder it is in. The error is of type Problems.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		message := fmt.Sprintf("the configuration file cannot be read: %v", bare(err))
		if errors.Is(err, fs.ErrNotExist) {
			message += "; give its path by --config.file, or write one: docs/configuration.md"
		}
		return nil, Problems{{File: path, Message: message}}
	}
	c, err := parse(path, data)
	if err != nil {
		return nil, err
	}
	mode := others(path)
	if masked, err := c.MaskedYAML(); err == nil && mode&mayRead != 0 && hasSecrets(masked) {
		c.Warnings = append(c.Warnings, path+": all users of this machine can read the configuration, and there are secrets in it; chmod o-r, or secrets in files of their own, are safer")
	}
	if mode&mayWrite != 0 {
		c.Warnings = append(c.Warnings, path+": all users of this machine can write to the configuration, and have keys used elsewhere; chmod o-w is safer")
	}
	return c, nil
}

// hasSecrets reports whether a configuration has had something to mask.
func hasSecrets(masked []byte) bool {
	return bytes.Contains(masked, []byte(mask)) || bytes.Contains(masked, []byte(urlMask))
}

func parse(path string, data []byte) (*Config, error) {
	r := &reader{file: path, dir: filepath.Dir(path), places: map[string]place{}}
	c := &Config{}
	if root := r.document(data); root != nil {
		r.decode(root, reflect.ValueOf(c).Elem(), "")
		r.inherit(c)
		r.validate(c)
	}
	if len(r.problems) > 0 {
		return nil, r.problems.sorted()
	}
	for _, w := range r.warnings.sorted() {
		c.Warnings = append(c.Warnings, w.String())
	}
	return c, nil
}

// reader goes through one file. It keeps the place of every key, so that what is
// only wrong in its context can be reported with a line, too.
type reader struct {
	file, dir string
	places    map[string]place // by path
	problems  Problems
	warnings  Problems
}

type place struct {
	line   int
	null   bool // the key is there, with nothing behind it
	broken bool // of a wrong kind, and reported
}

// report adds a problem of the given line. Of two keys that are not shown, and that nothing
// tells apart, one is enough.
func (r *reader) report(line int, path, format string, args ...any) {
	p := Problem{r.file, line, path, fmt.Sprintf(format, args...)}
	if n := len(r.problems); n == 0 || r.problems[n-1] != p {
		r.problems = append(r.problems, p)
	}
}

// reported reports whether there is a problem of path itself.
func (r *reader) reported(path string) bool {
	return slices.ContainsFunc(r.problems, func(p Problem) bool { return p.Path == path })
}

// refuse adds a problem of the value at path, or where it should be. What could
// not be read is reported already, and so is all that follows from it.
func (r *reader) refuse(path, format string, args ...any) {
	if !r.suppressed(path) {
		r.report(r.line(path), path, format, args...)
	}
}

// warn adds a sentence about the value at path.
func (r *reader) warn(path, format string, args ...any) {
	r.warnings = append(r.warnings, Problem{r.file, r.line(path), path, fmt.Sprintf(format, args...)})
}

// line is where path is, or else where the nearest thing around it is.
func (r *reader) line(path string) int {
	for ; path != ""; path = parent(path) {
		if at, ok := r.places[path]; ok {
			return at.line
		}
	}
	return 1
}

// given reports whether the file has a value at path that could be read.
func (r *reader) given(path string) bool {
	at, ok := r.places[path]
	return ok && !at.null && !at.broken
}

// suppress keeps what follows from a problem at path from being reported, too.
func (r *reader) suppress(path string) {
	at := r.places[path]
	at.broken = true
	r.places[path] = at
}

func (r *reader) suppressed(path string) bool {
	for ; path != ""; path = parent(path) {
		if r.places[path].broken {
			return true
		}
	}
	return r.places[""].broken
}

func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// document parses the one document of the file. It is nil if there is none to
// go on with.
func (r *reader) document(data []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := decoder.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && isNull(doc.Content[0]) {
		r.report(0, "", "the file is empty; it needs at least `projects`")
		return nil
	}
	if err != nil {
		r.syntax(err, data)
		return nil
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		r.report(second.Line, "", "a second YAML document begins here; the file must hold one")
	case !errors.Is(err, io.EOF):
		r.syntax(err, data)
	}
	return doc.Content[0]
}

var (
	syntaxLine   = regexp.MustCompile(`^line (\d+): `)
	unknownAlias = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// tabErrors are what the YAML parser says of a tab, among others.
var tabErrors = map[string]bool{"found character that cannot start any token": true, "found a tab character that violates indentation": true}

// syntax reports an error of the YAML parser. Only one of them quotes the file,
// and what it quotes may be a password that begins with an asterisk.
func (r *reader) syntax(err error, data []byte) {
	if line := notUTF8(data); line > 0 {
		r.report(line, "", "this line is not UTF-8, as of an editor that saves in GBK; save the file as UTF-8")
		return
	}
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := syntaxLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	if m := unknownAlias.FindStringSubmatch(message); m != nil {
		before, _, _ := strings.Cut(string(data), "*"+m[1])
		line = strings.Count(before, "\n") + 1
		message = "an alias (*) without an anchor (&); put a text that begins with * in quotes"
	}
	// The parser counts some lines from 0, and stops a line after a key that it took for a text.
	if tab := lineBetween(data, line, line+1, tabIndent); tab > 0 && tabErrors[message] {
		line, message = tab, "this line is indented with a tab; YAML takes only spaces"
	}
	if colon := lineBetween(data, line-1, line+1, noSpace); colon > 0 && colonErrors[message] {
		line, message = colon, colonAdvice
	}
	r.report(line, "", "not valid YAML: %s", message)
}

// notUTF8 is the first line that is not UTF-8; 0 if there is none. A file that begins with the
// byte order mark of UTF-16 is that, and the YAML parser reads it.
func notUTF8(data []byte) int {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return 0
	}
	for i, line := range bytes.Split(data, []byte("\n")) {
		if !utf8.Valid(line) {
			return i + 1
		}
	}
	return 0
}

// tabIndent matches the indentation of a line that has a tab in it, a dash included.
var tabIndent = regexp.MustCompile(`^[ -]*\t`)

// noSpace matches a key whose colon has no space after it, or is one of Chinese text: YAML takes
// both for a part of a text.
var noSpace = regexp.MustCompile(`^[ -]*\w+(：|:[^\s/])`)

// colonErrors are what the YAML parser says after such a key, among others.
var colonErrors = map[string]bool{"mapping values are not allowed in this context": true, "could not find expected ':'": true}

const colonAdvice = "after a key come a colon (: and not ：) and a space"

// lineBetween is the first line from first to last that matches; 0 if there is none.
func lineBetween(data []byte, first, last int, match *regexp.Regexp) int {
	for i, text := range bytes.Split(data, []byte("\n")) {
		if line := i + 1; line >= first && line <= last && match.Match(text) {
			return line
		}
	}
	return 0
}

// decode reads a node into v, which decides what the node may be.
func (r *reader) decode(n *yaml.Node, v reflect.Value, path string) {
	n = follow(n)
	if v.Kind() == reflect.Pointer { // on as soon as its key is there
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if d, ok := v.Addr().Interface().(hasDefaults); ok {
		d.setDefaults()
	}
	if isNull(n) {
		return
	}
	if allowed, err := decodeScalar(n, v.Addr().Interface()); allowed != "" {
		if n.Kind != yaml.ScalarNode || err != nil {
			r.wrongKind(n, path, allowed)
		}
		return
	}
	switch {
	case v.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		r.decodeList(n, v, path)
	case v.Kind() == reflect.Slice:
		r.wrongKind(n, path, "a list")
	case n.Kind != yaml.MappingNode:
		r.wrongKind(n, path, aMapping)
	case v.Kind() == reflect.Map:
		r.decodeMap(n, v, path)
	default:
		r.decodeStruct(n, v, path)
	}
}

// decodeScalar reads a node into target and says in words what is allowed there;
// allowed is empty if target is no scalar.
func decodeScalar(n *yaml.Node, target any) (allowed string, err error) {
	switch t := target.(type) {
	case *string:
		*t = n.Value
		return "text", nil
	case *PEM:
		*t = PEM(n.Value)
		return "text", nil
	case *Secret:
		if n.Value != "" {
			*t = NewSecret(n.Value)
		}
		return "text", nil
	case *bool:
		return "true or false", n.Decode(t)
	case *int:
		return "a whole number", n.Decode(t)
	case *float64:
		return "a number", n.Decode(t)
	case *model.Duration:
		return "a duration such as 30s, 5m or 1d", t.Set(n.Value)
	case *UserWindow:
		var d model.Duration
		err := d.Set(n.Value)
		*t = UserWindow{Label: n.Value, Duration: time.Duration(d)}
		return "a duration such as 15m or 1h", err
	case *ProxyURL:
		t.url, err = url.Parse(n.Value)
		return "a URL such as http://proxy.example.com:3128", err
	}
	return "", nil
}

func (r *reader) decodeList(n *yaml.Node, v reflect.Value, path string) {
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.places[at] = place{line: item.Line, null: isNull(item)}
		r.decode(item, v.Index(i), at)
	}
}

// decodeMap reads a mapping whose keys are the user's.
func (r *reader) decodeMap(n *yaml.Node, v reflect.Value, path string) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range r.entries(n, path) {
		at := join(path, e.key.Value)
		if isPrivate(path) {
			at = path
		}
		if e.first > 0 {
			r.report(e.key.Line, at, "given twice, first on line %d", e.first)
			continue
		}
		r.places[at] = place{line: e.key.Line, null: isNull(e.value)}
		item := reflect.New(v.Type().Elem()).Elem()
		r.decode(e.value, item, at)
		v.SetMapIndex(reflect.ValueOf(e.key.Value), item)
	}
}

// decodeStruct reads a mapping whose keys are ours.
func (r *reader) decodeStruct(n *yaml.Node, v reflect.Value, path string) {
	keys, fields := yamlFields(v)
	for _, e := range r.entries(n, path) {
		field, known := fields[e.key.Value]
		at := join(path, e.key.Value)
		switch {
		case !known:
			r.unknownKey(e.key, path, keys)
		case e.first > 0:
			r.report(e.key.Line, at, "given twice, first on line %d", e.first)
		default:
			r.places[at] = place{line: e.key.Line, null: isNull(e.value)}
			r.decode(e.value, field, at)
		}
	}
}

// yamlFields lists the keys of a struct in their order, and the field of each.
func yamlFields(v reflect.Value) (keys []string, fields map[string]reflect.Value) {
	fields = map[string]reflect.Value{}
	for _, f := range reflect.VisibleFields(v.Type()) {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "" || key == "-" {
			continue // inlined, or not of the file
		}
		keys = append(keys, key)
		fields[key] = v.FieldByIndex(f.Index)
	}
	return keys, fields
}

// entry is a key of a mapping. first is the line on which the same key stood
// before, or 0.
type entry struct {
	key, value *yaml.Node
	first      int
}

// maxMergeDepth is how deep merge keys (<<) may be nested: an anchor may hold
// itself.
const maxMergeDepth = 3

// entries lists a mapping's keys, and after them what it merges in.
func (r *reader) entries(n *yaml.Node, path string) []entry {
	entries, ok := mergedEntries(n, 0)
	if !ok {
		r.report(n.Line, path, "a merge key (<<) must name mappings, nested at most %d deep", maxMergeDepth)
		r.suppress(path)
	}
	return entries
}

func mergedEntries(n *yaml.Node, depth int) (entries []entry, ok bool) {
	if n.Kind != yaml.MappingNode || depth > maxMergeDepth {
		return nil, false
	}
	lines := map[string]int{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := follow(n.Content[i]), follow(n.Content[i+1])
		switch {
		case key.ShortTag() != "!!merge":
			entries = append(entries, entry{key, value, lines[key.Value]})
			lines[key.Value] = key.Line
		case value.Kind == yaml.SequenceNode:
			merged = append(merged, value.Content...)
		default:
			merged = append(merged, value)
		}
	}
	for _, m := range merged {
		more, ok := mergedEntries(follow(m), depth+1)
		if !ok {
			return entries, false
		}
		for _, e := range more {
			if lines[e.key.Value] == 0 { // what stands in the mapping itself wins
				entries = append(entries, e)
				lines[e.key.Value] = e.key.Line
			}
		}
	}
	return entries, true
}

// follow gives what an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool {
	n = follow(n)
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// privatePath matches where a value may be a secret, or hold one.
var privatePath = regexp.MustCompile(`^(storage|failed_logins_log)\b|\.(credentials|tls_config|proxy_url|proxy_connect_header)\b`)

func isPrivate(path string) bool { return privatePath.MatchString(path) }

const aMapping = "a mapping (key: value)"

// plainKey matches what looks like a key. Other text may be a value whose colon
// lacks its space, as in {token:T}.
var plainKey = regexp.MustCompile(`^[\w-]{1,40}$`)

// wrongKind reports a node that is not what its place allows.
func (r *reader) wrongKind(n *yaml.Node, path, allowed string) {
	found := "what stands here (not shown, as it may be a secret)"
	switch {
	case n.Kind == yaml.SequenceNode:
		found = "a list"
	case n.Kind == yaml.MappingNode:
		found = aMapping
	case !isPrivate(path) && len(n.Value) <= 80:
		found = strconv.Quote(n.Value)
	case !isPrivate(path):
		found = "a long text"
	}
	if allowed == aMapping && n.Kind == yaml.ScalarNode && noSpace.MatchString(n.Value) {
		found += "; " + colonAdvice
	}
	r.refuse(path, "must be %s, not %s", allowed, found)
	r.suppress(path)
}

// unknownKey reports a key that means nothing at path.
func (r *reader) unknownKey(key *yaml.Node, path string, allowed []string) {
	name := strconv.Quote(key.Value)
	if isPrivate(path) || !plainKey.MatchString(key.Value) {
		name = "(not shown, as it may be a secret)"
	}
	hint := "no key is allowed here"
	if len(allowed) > 0 {
		hint = "allowed are " + strings.Join(allowed, ", ")
	}
	if near := nearest(key.Value, allowed); near != "" {
		hint = "did you mean " + near + "? (" + hint + ")"
	}
	r.report(key.Line, path, "unknown key %s; %s", name, hint)
}

// nearest is the name that key probably was meant to be, or empty.
func nearest(key string, names []string) string {
	if len(key) > 40 {
		return ""
	}
	best, most := "", min(2, len(key)/2)+1
	for _, name := range names {
		if d := distance(key, name); d < most {
			best, most = name, d
		}
	}
	return best
}

// distance is how many bytes must be added, dropped or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
