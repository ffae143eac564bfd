# What a developer and CI call. Go, git and make are all that must be there; what
# else a target needs, it gets from the package registries.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)
BRANCH   ?= $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null)
OUTPUT   ?= workspace_exporter
PKG      := github.com/prometheus/common/version
LDFLAGS  := -s -w -X $(PKG).Version=$(VERSION) -X $(PKG).Revision=$(REVISION) -X $(PKG).Branch=$(BRANCH)

# Tests say which of them were skipped, at their end. The race detector needs a C compiler.
TEST := $(GO) tool -modfile=$(CURDIR)/tools/go.mod gotestsum --format pkgname --
RACE := $(if $(shell command -v gcc),-race)

.PHONY: all build test test-code test-nicely test-stack test-recovery soak fuzz load quick lint charts bench demo dashboards rules release clean

all: build

## build: the program, static, in ./workspace_exporter
build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(OUTPUT) .

## demo: the program against simulated records, on http://localhost:9914; ARGS are its flags: make demo ARGS=--web.listen-address=:9999
demo: build
	./workspace_exporter demo $(ARGS)

## test: everything that can be wrong, looked for
test: lint build
	@for tool in prometheus prometheus-alertmanager initdb pgbouncer; do scripts/tool $$tool || exit; done # before two may want them at once
	$(MAKE) --no-print-directory -j 2 test-nicely test-stack

# What computes is nice to the servers of test-stack, which have to answer in time.
test-nicely:
	nice $(MAKE) --no-print-directory test-code

test-code:
	scripts/check-metrics ./workspace_exporter
	scripts/check-rules
	@[ "$(RACE)" ] || echo "there is no gcc: these tests run without the race detector"
	$(TEST) $(RACE) -timeout 30m ./... # ten minutes are too few for a busy machine
	$(TEST) -run 'FlippedByte|MisplacedPage|NothingGrows|HostileFiles|TheEndDoesNotWait|UnderAQuota|RefusedOffsets' ./internal/store ./internal/service ./fetcher/export ./internal/e2e # too slow with -race
	cd dashboards/source && $(TEST) ./...
	cd tools && $(TEST) ./...

## test-stack: an exporter that moves, receivers, and the demo's outage, with a real Prometheus and Alertmanager; 9 minutes
test-stack:
	$(GO) test -count 1 -timeout 20m -run 'InRealServers$$' ./internal/stack -servers -v

## test-recovery: the demo, until the alert is resolved; 45 minutes
test-recovery:
	$(GO) test -count 1 -timeout 60m -run '^TestDemoInRealServers$$' ./internal/stack -servers -recovery -v

## soak: the program under random kills and faults, for SOAK_DURATION, from SOAK_SEED (random, and printed); STORE=postgres: replicas
soak:
	SOAK_DURATION=$${SOAK_DURATION:-10m} SOAK_SEED=$${SOAK_SEED:-$$(date +%s)} \
		$(GO) test ./internal/e2e -run '^TestSoak$(if $(filter postgres,$(STORE)),OfReplicas)$$' -count 1 -timeout 0 -v

## quick: lint, and the tests that start no server and no browser
quick: lint
	$(GO) test -short $$($(GO) list ./... | grep -v -e /internal/e2e -e /internal/stack)

## lint: go vet, staticcheck with the checks of staticcheck.conf, formatting, go.mod; in every module
lint:
	@for module in . dashboards/source tools; do \
		(cd $$module && $(GO) vet ./... && $(GO) tool -modfile="$(CURDIR)/tools/go.mod" staticcheck ./... && $(GO) mod tidy -diff) || exit; \
	done
	$(GO) tool -modfile=tools/go.mod actionlint -shellcheck= -pyflakes=
	@test -z "$$(gofmt -l .)" || { echo "not gofmt'd:"; gofmt -l .; exit 1; }

## dashboards: the Grafana dashboards, from their source; then `make charts`
dashboards:
	cd dashboards/source && $(GO) run . ..

## rules: the alerting rules, runbooks and holidays from dashboards/rules/values.yaml; then `make charts`
rules:
	cd dashboards/source/rules && $(GO) run . ../../..

## charts: the chart's copies of dashboards and rules, which are not in git, and the plain manifests
charts:
	cd tools && $(GO) run ./charts/write ..

## bench: the benchmarks of docs/performance.md and their peers, in turns, on one core; the least of ROUNDS (6) is drawn and printed
ROUNDS ?= 6
BENCH := $(GO) test -run '^$$' -bench . -benchmem -benchtime $(or $(BENCHTIME),1s) -count 1 -cpu 1 -timeout 2h
bench:
	rm -f bench.txt
	for round in $$(seq $(ROUNDS)); do \
		$(BENCH) ./... && (cd tools && $(BENCH) ./bench) && $(GO) test -run PaceOfCatchingUp -v -count 1 ./fetcher || exit; \
	done | tee bench.txt
	$(GO) tool -modfile=tools/go.mod benchstat -col /by bench.txt
	cd tools && $(GO) run ./bench -svg ../docs/growth.svg ../bench.txt

## fuzz: every decoder against made-up input, FUZZTIME for each
fuzz:
	scripts/fuzz

## release: what is released of this commit, in ./dist
release:
	cd tools && $(GO) run ./release -repository .. -output ../dist

## load: the figures of docs/performance.md that no benchmark gives
load:
	$(GO) test -tags load -run Load -v -count 1 -timeout 60m ./internal/e2e
	$(GO) test -run NothingGrows -v -count 1 ./internal/service

clean:
	rm -rf workspace_exporter bench.txt dist .tools
