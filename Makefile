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
	swift format lint --strict --recursive Package.swift Sources Tests Benchmarks Fuzz
	Tests/Check/rules --self-test
	Tests/Check/rules

fuzz: ## the wire decoder and the interpreter; FUZZ_SECONDS=20 for each target
	Fuzz/run $(FUZZ_SECONDS)

soak: ## make test with the long tests at full length
	POSTERN_SOAK=1 Tests/run

vm: ## (not there yet) tests on stock Debian kernels
	@echo 'There is no VM tier in this version.' >&2
	@exit 1

clean: ## removes everything that was built
	rm -rf .build Fuzz/.build Benchmarks/.build out

.PHONY: all help build test check fuzz soak vm clean
