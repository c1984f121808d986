# `make run` and `make test` are all a newcomer needs; everything else is for people who change the code.
# Wanted on the machine: Python 3.11 or newer with venv, git, make.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# The first of these that is Python 3.11 or newer and can make a virtual environment.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { command -v "$$name"; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
DOCS_VENV := .venv-docs
FUZZ_VENV := .cache/fuzz/venv
NODE_VENV := .cache/node/venv
ROOT ?= .wheelyard
WORKERS ?= 2
PYTEST_ARGS ?=
SECONDS ?= 60
FUZZ ?=

PEERS := devpi-server proxpi pypiserver simple-repository-server
CLIENTS := flit hatch keyring pdm pip pip-old pipenv poetry twine uv
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 16

# --- environments ---------------------------------------------------------------------------------------------------

# Made anew whenever the lock changes, so that nothing unlocked stays behind.
$(VENV)/lock.stamp: requirements/dev.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with the venv module is needed; none was found." >&2; \
		echo "Install it, or name one: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 2; }
	"$(PYTHON)" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/project.stamp: $(VENV)/lock.stamp pyproject.toml
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --no-build-isolation --editable .
	@touch $@

$(DOCS_VENV)/lock.stamp: requirements/docs.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with the venv module is needed; none was found." >&2; exit 2; }
	"$(PYTHON)" -m venv --clear $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	@touch $@

$(FUZZ_VENV)/lock.stamp: requirements/fuzz.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with the venv module is needed; none was found." >&2; exit 2; }
	"$(PYTHON)" -m venv --clear $(FUZZ_VENV)
	$(FUZZ_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	PATH="$(CURDIR)/$(FUZZ_VENV)/bin:$$PATH" $(FUZZ_VENV)/bin/python -m pip install --quiet \
		--disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(NODE_VENV)/lock.stamp: requirements/node.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with the venv module is needed; none was found." >&2; exit 2; }
	"$(PYTHON)" -m venv --clear $(NODE_VENV)
	$(NODE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/node.txt
	@touch $@

.PHONY: venv
venv: $(VENV)/project.stamp ## Make the development environment (.venv)

# --- use ------------------------------------------------------------------------------------------------------------

.PHONY: run
run: venv ## Start an index here (folder: ROOT=.wheelyard)
	$(BIN)/wheelyard server $(ROOT)

# --- check and test -------------------------------------------------------------------------------------------------

.PHONY: check
check: venv ## Lint, types, layers and the fast tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/documented.py src
	$(BIN)/python tools/machine_paths.py
	$(BIN)/python tools/longest_functions.py src
	$(BIN)/pytest -n $(WORKERS) -m 'not slow' $(PYTEST_ARGS)

# Everything under uvicorn; then whatever starts a server, again under granian.
.PHONY: test
test: venv ## The whole suite, under both HTTP servers
	$(BIN)/pytest -n $(WORKERS) --http-server uvicorn $(PYTEST_ARGS)
	$(BIN)/pytest -n $(WORKERS) --http-server granian -m live $(PYTEST_ARGS)

.PHONY: node
node: $(NODE_VENV)/lock.stamp ## Get npm for `make github-openapi`, where the machine has none

.PHONY: github-openapi
github-openapi: venv ## Fetch GitHub's own description, which the tests hold our double of GitHub to
	PATH="$$PATH:$(CURDIR)/$(NODE_VENV)/bin" $(BIN)/python tools/github_openapi.py

.PHONY: fuzz
fuzz: $(FUZZ_VENV)/lock.stamp ## Fuzz, SECONDS=60 for each target; FUZZ=name for one of them
	$(FUZZ_VENV)/bin/python fuzz/run.py --seconds $(SECONDS) $(FUZZ)

.PHONY: fmt
fmt: venv ## Sort imports and format
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

# --- docs -----------------------------------------------------------------------------------------------------------

.PHONY: docs
docs: $(DOCS_VENV)/lock.stamp ## Build the documentation into site-build/
	rm -rf site-build
	$(DOCS_VENV)/bin/zensical build --strict

# --- speed ----------------------------------------------------------------------------------------------------------

.PHONY: bench
bench: venv ## Measure beside nginx and other indexes, write docs/performance.md (QUICK=1: a look in three minutes)
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

# --- locks ----------------------------------------------------------------------------------------------------------

.PHONY: lock
lock: venv ## Write all locks anew with the newest versions
	$(COMPILE) --upgrade pyproject.toml -o requirements/run.txt
	$(COMPILE) --upgrade --all-extras --group dev pyproject.toml -o requirements/dev.txt
	$(COMPILE) --upgrade --group docs -o requirements/docs.txt
	$(COMPILE) --upgrade --group fuzz pyproject.toml -o requirements/fuzz.txt
	$(COMPILE) --upgrade --group node -o requirements/node.txt
	for client in $(CLIENTS); do \
		$(COMPILE) --upgrade requirements/clients/$$client.in -o requirements/clients/$$client.txt || exit 1; done
	for peer in $(PEERS); do \
		$(COMPILE) --upgrade requirements/bench/$$peer.in -o requirements/bench/$$peer.txt || exit 1; done

.PHONY: clean
clean: ## Remove everything that make has made
	rm -rf $(VENV) $(DOCS_VENV) .cache build dist site-build src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache .coverage .coverage.*
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
