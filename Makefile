# SPDX-License-Identifier: Apache-2.0
# The one entry for people and CI. `make help` lists the targets.
# Every target leaves a stamp in .venv, so that a second run starts at once;
# a changed lock installs again.

PYTHON ?= python3
PYTEST_ARGS ?= -n 2
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup product demo test test-slow lint bench lock upgrade clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(VENV)/.controlbook $(VENV)/.sandbox $(VENV)/.native-pdf ## make .venv with the locked packages; leaves .venv/bin/controlbook

product: $(VENV)/.controlbook $(VENV)/.native-pdf ## the same without the sandbox: what a programme's own workflows run

demo: setup ## collect, sign, build and verify the example programme in build/demo
	$(BIN)/controlbook demo --dir build/demo

test: setup $(VENV)/.test $(VENV)/.lint $(VENV)/.native-tests ## run the tests (the slow ones: make test-slow)
	$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-slow: setup $(VENV)/.test $(VENV)/.lint $(VENV)/.native-tests ## run the slow tests
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS) || [ $$? -eq 5 ] # 5: there are none

lint: $(VENV)/.controlbook $(VENV)/.test $(VENV)/.lint ## style, types, dependency direction, workflows
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/zizmor --offline --no-progress .github/workflows

bench: setup ## print times and memory of the figures we promise
	$(BIN)/python generator/benchmarks/run.py

lock: $(VENV)/.lint ## resolve pyproject.toml into requirements/*.txt, keeping versions
	scripts/lock.sh

upgrade: $(VENV)/.lint ## resolve to the newest versions
	scripts/lock.sh --upgrade

clean: ## remove what make and the tools wrote
	rm -rf $(VENV) build .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "controlbook needs Python 3.11 or later; try make PYTHON=/path/to/python3" >&2; exit 1; }
	@scripts/native.sh venv $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.product: $(VENV)/.made requirements/product.txt requirements/build.txt
	$(INSTALL) --require-hashes -r requirements/product.txt -r requirements/build.txt
	@touch $@

# Everything it needs is installed with hashes by now, the build backend too.
$(VENV)/.controlbook: $(VENV)/.product pyproject.toml
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.sandbox: $(VENV)/.product requirements/sandbox.txt
	$(INSTALL) --require-hashes -r requirements/sandbox.txt
	@touch $@

$(VENV)/.test: $(VENV)/.sandbox requirements/test.txt
	$(INSTALL) --require-hashes -r requirements/test.txt
	@touch $@

$(VENV)/.lint: $(VENV)/.sandbox requirements/lint.txt
	$(INSTALL) --require-hashes -r requirements/lint.txt
	@touch $@

$(VENV)/.native-pdf: $(VENV)/.made scripts/native.sh
	@scripts/native.sh pdf $(BIN)/python
	@touch $@

$(VENV)/.native-tests: $(VENV)/.made scripts/native.sh
	@scripts/native.sh tests
	@touch $@
