# Postern. `make help` lists what there is.
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 20

all: build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 16

build: ## posternd and postern, for development
	@packaging/needs build
	swift build
	packaging/build-kernel-programs "$$(swift build --show-bin-path)/postern.bpf.o"

test: ## every tier of tests
	@packaging/needs test
	Tests/run

check: ## formatting, lint, and the project's own rules
	swift format lint --strict --recursive Package.swift Sources Tests Benchmarks Fuzz Examples
	Tests/Check/rules --self-test
	Tests/Check/rules

demo: ## shows the main job with real parts; leaves nothing behind
	@packaging/demo

bench: ## the figures of this version, and Postern beside its peers; BENCH="peers" for one part
	@Benchmarks/run $(BENCH)

fuzz: ## the wire decoder and the interpreter; FUZZ_SECONDS=20 for each target
	Fuzz/run $(FUZZ_SECONDS)

soak: ## make test with the long tests at full length
	POSTERN_SOAK=1 Tests/run

vm: ## what needs a stock Debian kernel, on 6.1 and 6.12 in QEMU; VM_KERNEL=6.1 for one of them
	@packaging/needs test
	swift build --build-tests
	Tests/VM/run

vm-shell: ## a root shell in a guest that sees this folder; VM_KERNEL=6.12 for that kernel
	@Tests/VM/boot --interactive --memory 2048 --time-limit 0 $(or $(VM_KERNEL),6.1)

release: ## what is installed: self-contained, into .build/stage
	packaging/build-release .build/stage

install: release ## below $(DESTDIR)$(PREFIX), /usr/local unless told otherwise
	PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' packaging/install .build/stage

clean: ## removes everything that was built
	rm -rf .build Fuzz/.build Benchmarks/report/.build Examples/swift/*/.build

.PHONY: all help build test check demo bench fuzz soak vm vm-shell release install clean
