package browser

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long anything may take that should take a second or two.
const patience = time.Minute

var program, chromium string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "workspace_exporter-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "workspace_exporter")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, out)
		return 1
	}
	bring := exec.Command("../../scripts/chromium")
	bring.Stderr = os.Stderr
	path, err := bring.Output()
	if err != nil {
		fmt.Fprintln(os.Stderr, "scripts/chromium:", err)
		return 1
	}
	chromium = strings.TrimSpace(string(path))
	return m.Run()
}

var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// start runs the program until the test ends, and returns where it serves.
func start(t *testing.T, args ...string) (url string) {
	t.Helper()
	process := exec.Command(program, append(args, "--web.listen-address=127.0.0.1:0")...)
	process.Dir = t.TempDir()
	log, err := process.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())
	t.Cleanup(func() {
		_ = process.Process.Signal(os.Interrupt)
		_ = process.Wait()
	})
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if address := listening.FindStringSubmatch(lines.Text()); address != nil {
			go func() { _, _ = io.Copy(io.Discard, log) }()
			return "http://" + address[1]
		}
	}
	require.Fail(t, "the program ended at once")
	return ""
}

// await waits until a page has a text so many times.
func await(t *testing.T, url, text string, times int) {
	t.Helper()
	require.Eventually(t, func() bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return err == nil && strings.Count(string(body), text) >= times
	}, patience, 100*time.Millisecond, "%s never shows %s", url, text)
}

// browse starts a browser.
func browse(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("no-proxy-server", true)))
	t.Cleanup(cancel)
	return ctx
}

// look is a way to look at a page.
type look struct {
	name   string
	width  int64
	height int64
	dark   bool
}

var looks = []look{
	{"desktop", 1280, 900, false},
	{"desktop in the dark", 1280, 900, true},
	{"phone", 360, 740, false},
	{"phone in the dark", 360, 740, true},
}

// inspection is what inspect.js finds.
type inspection struct {
	Scripts, Sources, Charts, Bars, Rows int
	Styled                               bool
	// Overflow is by how much the page is wider than the screen.
	Overflow int
	// Pale are texts, and bars, that do not stand out from what is behind them.
	Pale []string
	// Unnamed are pictures of which somebody who does not see them learns nothing.
	Unnamed []string
	// Edge is text that touches the screen's edge.
	Edge []string
	// Outside are elements that reach out of the screen.
	Outside []string
	Back    string
	Text    string
}

//go:embed inspect.js
var inspect string

// see opens a page with scripts disabled, and inspects it.
func see(t *testing.T, ctx context.Context, url string, l look) inspection {
	t.Helper()
	scheme := map[bool]string{false: "light", true: "dark"}[l.dark]
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	require.NoError(t, err)
	_, err = chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	require.NoError(t, err)
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(l.width, l.height, chromedp.EmulateMobile), chromedp.Navigate(url)))
	found, err := chromedp.Run(ctx, chromedp.Evaluate[inspection](inspect))
	require.NoError(t, err)
	if dir := os.Getenv("SCREENSHOTS"); dir != "" {
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		require.NoError(t, err)
		name := strings.NewReplacer(" ", "-", "/", "-").Replace(t.Name()) + ".png"
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), picture, 0o644))
	}
	return found
}

// complaints collects what the browser has to say against its pages.
func complaints(t *testing.T, ctx context.Context) func() []string {
	t.Helper()
	var mu sync.Mutex
	var all []string
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, m.String())
			mu.Unlock()
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// check is what must be true of the page, whoever looks at it and how.
func check(t *testing.T, found inspection, l look) {
	t.Helper()
	assert.Zero(t, found.Scripts)
	assert.True(t, found.Styled, "the policy lets the page's own style pass")
	assert.LessOrEqual(t, found.Overflow, 0, "nothing is to be scrolled sideways: %s", found.Outside)
	assert.Empty(t, found.Outside)
	assert.Empty(t, found.Edge)
	assert.Empty(t, found.Pale, "everything can be read")
	assert.Empty(t, found.Unnamed)
	if l.dark {
		assert.Contains(t, found.Back, "rgb(15, 18, 22)")
	} else {
		assert.Contains(t, found.Back, "rgb(244, 245, 247)")
	}
}

// canary is a page that has all the faults that are looked for: what finds none in the
// landing page must find them here.
const canary = `<!DOCTYPE html><meta name="viewport" content="width=device-width">
<style>body { background: #fff } .pale { color: #ccc } .wide { width: 700px }</style>
<script>1</script><p class="pale">pale</p><svg role="img" width="20" height="20"><rect class="failure" fill="#eee" width="9" height="9"></rect></svg>
<div class="wide">wide</div>`

func TestTheLandingPage(t *testing.T) {
	ctx := browse(t)
	said := complaints(t, ctx)
	demo := start(t, "demo")
	await(t, demo, `class="state up"`, 7)

	file := filepath.Join(t.TempDir(), "workspace_exporter.yml")
	require.NoError(t, os.WriteFile(file, []byte(`
projects:
  - name: a-project-with-a-long-name-that-nobody-can-break-into-lines
    project_id: a4da8115c9d8464ead3a38309130523f
    endpoints: {appstream: "http://127.0.0.1:1", workspace: "http://127.0.0.1:1", iam: "http://127.0.0.1:1"}
    credentials: {token: {token: example-token-0001}}
    sources: {user_connections: {}, sessions: {}}
`), 0o600))
	broken := start(t, "--config.file="+file)
	await(t, broken, `class="trouble"`, 2)

	for _, l := range looks {
		t.Run("demo/"+l.name, func(t *testing.T) {
			found := see(t, ctx, demo+"/?pause", l)
			check(t, found, l)
			assert.Equal(t, 7, found.Sources)
			assert.Equal(t, 3, found.Charts)
			assert.Greater(t, found.Bars, 5)
			assert.GreaterOrEqual(t, found.Rows, 3*24, "what the drawings show, tables say")
			for _, text := range []string{"up to date", "Logins to application streaming", "demo / user_connections", "Delay", "failed", "succeeded", "Demo data", "Open connections now", "Sessions now", "Servers now", "Desktops now"} {
				assert.Contains(t, found.Text, text)
			}
		})
		t.Run("broken/"+l.name, func(t *testing.T) {
			found := see(t, ctx, broken+"/", l)
			check(t, found, l)
			for _, text := range []string{"2 of 2 sources do not work", "The API cannot be reached.", "connection refused", "Nothing is lost"} {
				assert.Contains(t, found.Text, text)
			}
			assert.NotContains(t, found.Text, "example-token-0001")
		})
	}
	assert.Empty(t, said(), "the browser has nothing to say against the pages")

	file = filepath.Join(t.TempDir(), "canary.html")
	require.NoError(t, os.WriteFile(file, []byte(canary), 0o600))
	found := see(t, ctx, "file://"+file, looks[2])
	assert.Equal(t, 1, found.Scripts)
	assert.Greater(t, found.Overflow, 300)
	assert.Len(t, found.Pale, 2)
	assert.Len(t, found.Unnamed, 1)
	assert.NotEmpty(t, found.Outside)
}
