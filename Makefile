# SPDX-License-Identifier: MIT
#
# A thin front to CMake. 'make help' lists what there is; docs/building.md says more.
PORT ?= 3000
PREFIX ?= /usr/local
ARGS ?=
BENCH ?= run
STAGES ?= asan-ubsan check tsan fuzz
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
CLANG_FORMAT ?= clang-format
MAKEFLAGS += --no-print-directory
sources = $(shell find src include cmd examples bench tests fuzz -name '*.[ch]')

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install the Debian packages that building needs (says which)
	@tools/setup.sh build

build: setup ## build everything for use, into build/release/bin
	@mkdir -p build
	@cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build --preset release -j $(JOBS)

serve: build ## build and serve a welcome page, or the folder DIR, on PORT (3000), with TLS=1 over TLS; ARGS are added
	@$(if $(TLS),tools/setup.sh tls && tools/dev_cert.sh build/dev)
	@exec build/release/bin/peregrine --port $(PORT) $(if $(TLS),--tls-cert build/dev.pem --tls-key build/dev.key) \
		$(ARGS) $(if $(DIR),"$(DIR)",--welcome)

test: ## every test on every backend, under sanitizers too; lint, install, fuzzers (FUZZ_SECONDS=10 each)
	@tools/setup.sh build test $(if $(PER_BROWSER),browser)
	@tools/check.sh $(STAGES)

test-quick: ## the tests without a sanitizer only
	@tools/setup.sh build test
	@cmake --preset check >/dev/null && cmake --build --preset check -j $(JOBS) && ctest --preset check -j $(JOBS)

fuzz: ## fuzz each target for FUZZ_SECONDS (60)
	@tools/setup.sh build test
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-60} tools/check.sh fuzz

bench: build ## compare with epoll, nginx, h2o: CPU and syscalls per request; BENCH=static, tls, memory (run)
	@tools/setup.sh bench
	@exec python3 bench/$(BENCH).py $(ARGS)

coverage: ## line and branch coverage, into build/coverage/report
	@tools/setup.sh build test coverage
	@cmake --preset coverage && cmake --build --preset coverage -j $(JOBS)
	@find build/coverage -name '*.gcda' -delete
	@ctest --preset coverage -j $(JOBS) || echo "coverage: some tests failed; the report is made all the same"
	@mkdir -p build/coverage/report
	@gcovr -r . --filter src/ --object-directory build/coverage -j $(JOBS) --print-summary \
		--html-details build/coverage/report/index.html
	@echo "report: build/coverage/report/index.html"

lint: ## layers, banned functions, lengths, layout; links and tables of the documents
	@tools/setup.sh build test
	@python3 tools/lint_test.py
	@python3 tools/check_docs_test.py
	@python3 tools/check_docs.py
	@python3 tools/lint.py

tidy: ## clang-tidy over the library, the program and the examples
	@tools/setup.sh build test
	@tools/check.sh tidy

format: ## lay out all C files with clang-format
	@$(CLANG_FORMAT) -i $(sources)

install: build ## install into PREFIX (/usr/local); DESTDIR is respected
	@cmake --install build/release --prefix $(PREFIX)
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig 2>/dev/null || true; fi

clean: ## remove everything that was built
	@rm -rf build

.PHONY: help setup build serve test test-quick fuzz bench coverage lint tidy format install clean
.DEFAULT_GOAL := help
