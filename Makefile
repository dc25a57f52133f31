# What CI does, a person can type. Every target sets itself up in .venv, once.
SHELL := /bin/bash
PYTHON ?= python3.11
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt

.PHONY: setup demo test browser check docs bench sanitize soak clean

# What an installation is made of: a change to it builds the kernels anew.
BUILT := pyproject.toml constraints.txt CMakeLists.txt $(wildcard csrc/*)

# One stamp a set of extras: the demo need not wait for the developers' tools.
.venv/bin/python:
	@$(PYTHON) -m venv .venv

.venv/demo.stamp: $(BUILT) | .venv/bin/python
	@echo "Setting up .venv (once, about a minute) ..."
	@$(PIP) --editable '.[demo]'
	@touch $@

.venv/dev.stamp: $(BUILT) | .venv/bin/python
	@echo "Setting up .venv with the developers' tools (once, about two minutes) ..."
	@$(PIP) --editable '.[demo,datasets,dev]'
	@touch .venv/demo.stamp $@

.venv/bench.stamp: .venv/dev.stamp
	@$(PIP) --editable '.[bench]'
	@touch $@

.venv/browser.stamp: .venv/dev.stamp
	@$(PIP) --editable '.[browser]'
	@touch $@

.venv/docs.stamp: .venv/dev.stamp
	@$(PIP) --editable '.[docs]'
	@touch $@

setup: .venv/dev.stamp  ## everything a developer needs

demo: .venv/demo.stamp  ## the main job on real data: discharge of the Fulda from the weather
	@$(BIN)/throughtime demo

test: .venv/dev.stamp  ## the tests, in two processes; what a file sets up is made once
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# Debian's, since playwright would download one of its own.
browser: .venv/browser.stamp  ## the report in a real browser, Chromium, which is installed if it may be
	@if ! command -v chromium > /dev/null; then \
		if [ "$$(id -u)" != 0 ]; then echo "make browser needs chromium: sudo apt-get install chromium"; exit 1; fi; \
		echo "Installing chromium (once) ..."; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends chromium > /dev/null || exit 1; \
	fi
	@$(BIN)/python -m pytest tests/report/browser

check: .venv/dev.stamp  ## style, types, imports between packages
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/clang-format --dry-run -Werror csrc/*

docs: .venv/docs.stamp  ## the site, its guides executed, in build/docs; a warning is an error
	@rm -rf docs/reference/generated
	@$(BIN)/python -m sphinx --quiet --fresh-env --fail-on-warning --keep-going docs build/docs
	@echo "Open build/docs/index.html"

soak: .venv/dev.stamp  ## the kernels at every size and instruction set; files and runs damaged, runs killed and interrupted; the lockstep law: some hours
	@THROUGHTIME_SOAK=1 $(BIN)/python -m pytest tests/kernels tests/docs/test_guides.py tests/nn/test_random_calls.py tests/data/test_reader_fuzz.py \
		tests/storage tests/cli/test_kills.py tests/training/test_checkpoints.py tests/training/test_damaged_checkpoints.py tests/generalization/test_interrupts.py tests/shift tests/contracts/test_leaks.py tests/contracts/test_lockstep_law.py \
		tests/planted/test_augmentation_findings.py tests/planted/test_long_lags.py tests/stability/test_lyapunov.py tests/export tests/report/browser

# An environment of its own that sees the packages of .venv but not its editable installation.
build/sanitize/venv.stamp: .venv/dev.stamp $(BUILT) $(wildcard src/throughtime/kernels/*.py src/throughtime/kernels/*/*.py)
	@$(PYTHON) -m venv build/sanitize/venv
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$(build/sanitize/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/outer.pth"
	@build/sanitize/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--config-settings=build-dir=build/sanitize/cmake \
		--config-settings=cmake.define.THROUGHTIME_SANITIZE=address,undefined .
	@touch $@

# Leaks are not looked for: Python and torch hold memory to the end.
sanitize: build/sanitize/venv.stamp  ## the kernels' tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@LD_PRELOAD="$$($${CXX:-g++} -print-file-name=libasan.so) $$($${CXX:-g++} -print-file-name=libstdc++.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
		build/sanitize/venv/bin/python -m pytest tests/kernels tests/training/test_whole_steps.py

bench: .venv/bench.stamp  ## every speed claim, peers side by side
	@for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean:
	@rm -rf .venv build dist docs/reference/generated .mypy_cache .ruff_cache .pytest_cache .hypothesis
