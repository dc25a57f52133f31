# What CI does, a person can type. Every target sets itself up in .venv, once.
SHELL := /bin/bash
PYTHON ?= python3.11
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt

.PHONY: setup demo test check bench clean

# One stamp a set of extras: the demo need not wait for the developers' tools.
.venv/bin/python:
	@$(PYTHON) -m venv .venv

.venv/demo.stamp: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Setting up .venv (once, about a minute) ..."
	@$(PIP) --editable '.[demo]'
	@touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Setting up .venv with the developers' tools (once, about two minutes) ..."
	@$(PIP) --editable '.[demo,datasets,dev]'
	@touch .venv/demo.stamp $@

.venv/bench.stamp: .venv/dev.stamp
	@$(PIP) --editable '.[bench]'
	@touch $@

setup: .venv/dev.stamp  ## everything a developer needs

demo: .venv/demo.stamp  ## the main job on real data: discharge of the Fulda from the weather
	@$(BIN)/throughtime demo

test: .venv/dev.stamp  ## the tests
	@$(BIN)/python -m pytest

check: .venv/dev.stamp  ## style, types, floors of the house
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: .venv/bench.stamp  ## every speed claim, peers side by side
	@for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean:
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
