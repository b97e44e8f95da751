# kappa: what one does with a checkout. `make` alone lists it.
.PHONY: help deps build demo test lint format bench

SWIFT_FLAGS := -Xswiftc -warnings-as-errors
RELEASE := swift build -c release --product

help:
	@echo "make demo    the whole story on a terminal, in under a minute after the build"
	@echo "make test    builds and runs all tests"
	@echo "make build   the program: .build/release/kappa"
	@echo "make bench   measures replay, append and latency; writes bench-data/results.json"
	@echo "make format  formats the sources; make lint checks them"

# SQLite, simdjson and zstd, from the operating system's package manager, if they are missing.
deps:
	@sh fixtures/install-deps.sh

build: deps
	$(RELEASE) kappa

demo: build
	.build/release/kappa demo

test: deps
	swift build --build-tests $(SWIFT_FLAGS)
	swift test --skip-build

bench: deps
	$(RELEASE) kappa-bench
	.build/release/kappa-bench all --out bench-data

lint:
	swift format lint --strict --configuration .swift-format --recursive \
		Package.swift Sources Tests Plugins views fixtures

format:
	swift format --in-place --configuration .swift-format --recursive \
		Package.swift Sources Tests Plugins views fixtures
