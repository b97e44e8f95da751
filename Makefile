# The tasks of a checkout. `make` alone lists them.
.PHONY: help deps build demo test test-fuzz test-faults lint format bench bench-scale bench-peers bench-nexmark bench-disk

SWIFT_FLAGS := -Xswiftc -warnings-as-errors
RELEASE := swift build -c release --product

help:
	@echo "make demo    shows a view, a changed view and the switch, in under a minute after the build"
	@echo "make test    builds and runs all tests; a warning is an error"
	@echo "make test-fuzz  feeds random JSON to all readers for SECONDS=60; SEED=1 repeats a run,"
	@echo "             SIMDJSON=/path/to/simdjson uses that version instead of the system's"
	@echo "make test-faults  every option with every odd value, every command with every failing system"
	@echo "             call (strace), full disks and read-only mounts (root); some minutes"
	@echo "make build   the program with the sample views: .build/release/kappa"
	@echo "make bench   measures replay, append and latency; writes bench-data/results.json"
	@echo "             make bench-scale: 1 to 50 million events; make bench-peers: DuckDB"
	@echo "             make bench-disk: what live views write to disk"
	@echo "             make bench-nexmark: Nexmark's queries over EVENTS=1000000 events"
	@echo "make lint    checks how the sources are formatted; make format formats them"
	@echo "make deps    installs SQLite, simdjson and zstd if they are missing (the other targets do, too)"

# SQLite, simdjson and zstd, from the operating system's package manager, if they are missing.
deps:
	@sh fixtures/install-deps.sh

build: deps
	$(RELEASE) kappa

demo: build
	.build/release/kappa demo

test: deps
	swift build --build-tests $(SWIFT_FLAGS)
	@sh fixtures/run-tests.sh --skip-build

# Compares the validator, the extractor and the slow reference with each other over random and corrupted
# lines. A failure prints its seed.
SECONDS := 60
SEED :=
SIMDJSON :=
test-fuzz: deps
	set -e; flags=""; \
	if [ -n "$(SIMDJSON)" ]; then \
		folder=$$(cd "$(SIMDJSON)" && pwd); \
		built=.build-simdjson/lib-$$(echo "$$folder" | cksum | cut -d' ' -f1); mkdir -p "$$built"; \
		flags="--scratch-path .build-simdjson $$(sh fixtures/simdjson-flags.sh "$$folder" "$$PWD/$$built")"; \
		export KAPPA_SIMDJSON_LIBRARY=simdjson-other; \
	fi; \
	swift build --build-tests $(SWIFT_FLAGS) $$flags; \
	if [ -n "$(SEED)" ]; then export KAPPA_SEED=$(SEED); fi; \
	KAPPA_FUZZ_SECONDS=$(SECONDS) swift test --skip-build $$flags --filter 'JSONFuzzTests|JSONValidationTests|ExtractionTests'

# Tests that need root, mounts, strace or minutes: the same suites, with their sweeps in full.
test-faults: deps
	swift build --build-tests $(SWIFT_FLAGS)
	KAPPA_FAULTS=1 swift test --skip-build --filter \
		'OptionSweepTests|SystemCallSweepTests|ReadingTests|LogLossTests|EndCodeTests|TerminalTests'
	KAPPA_FULL_SWEEP=1 swift test --skip-build --filter \
		'KillTests|KillLeftoverTests|PassingFailureProgramTests'
	KAPPA_ROUNDS=50 KAPPA_STEPS=60 KAPPA_SWITCHES=1000 KAPPA_RACE_MS=60000 swift test --skip-build \
		--filter 'LeaseSweepTests|LeaseProcessSweepTests|SwitchLeakTests|GarbageRaceTests'

bench: deps
	$(RELEASE) kappa-bench
	.build/release/kappa-bench all --out bench-data

bench-scale: deps
	$(RELEASE) kappa-bench
	.build/release/kappa-bench scale --out bench-data

# What live views write to disk, at three intervals
bench-disk: deps
	$(RELEASE) kappa-bench
	.build/release/kappa-bench disk --out bench-data
	.build/release/kappa-bench disk --out bench-data --interval 100
	.build/release/kappa-bench disk --out bench-data --interval 0

# Runs kappa and DuckDB alternately on the files that `make bench` has made; needs DuckDB's Python package
# (pip install duckdb).
bench-peers: deps
	$(RELEASE) kappa-bench
	python3 Sources/KappaBenchmarks/Peers/duckdb_peer.py .build/release/kappa-bench bench-data

EVENTS ?= 1000000
bench-nexmark: deps
	$(RELEASE) kappa-bench
	mkdir -p bench-data
	.build/release/kappa-bench nexmark-generate --events $(EVENTS) > bench-data/nexmark.ndjson
	.build/release/kappa-bench nexmark --events bench-data/nexmark.ndjson --out bench-data/nexmark

lint:
	swift format lint --strict --configuration .swift-format --recursive \
		Package.swift Sources Tests Plugins views fixtures

format:
	swift format --in-place --configuration .swift-format --recursive \
		Package.swift Sources Tests Plugins views fixtures
