# Postern. `make help` lists what there is.
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 20

all: build

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 16

build: ## posternd and postern, for development
	@packaging/needs build
	swift build

test: ## every tier of tests
	@packaging/needs test
	Tests/run

check: ## formatting, lint, and the project's own rules
	swift format lint --strict --recursive Package.swift Sources Tests Benchmarks Fuzz Examples
	Tests/Check/rules --self-test
	Tests/Check/rules

demo: ## shows the main job with real parts; leaves nothing behind
	@packaging/demo

bench: ## the figures of this version
	@if [ -x Benchmarks/run ]; then Benchmarks/run; else echo 'There is no benchmark in this version.' >&2; exit 1; fi

fuzz: ## the wire decoder and the interpreter; FUZZ_SECONDS=20 for each target
	Fuzz/run $(FUZZ_SECONDS)

soak: ## make test with the long tests at full length
	POSTERN_SOAK=1 Tests/run

vm: ## (not there yet) tests on stock Debian kernels
	@echo 'There is no VM tier in this version.' >&2
	@exit 1

release: ## what is installed: self-contained, into .build/stage
	packaging/build-release .build/stage

install: release ## below $(DESTDIR)$(PREFIX), /usr/local unless told otherwise
	PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' packaging/install .build/stage

clean: ## removes everything that was built
	rm -rf .build Fuzz/.build Benchmarks/.build .build-bench Examples/swift/*/.build

.PHONY: all help build test check demo bench fuzz soak vm release install clean
