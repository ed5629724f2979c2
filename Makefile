# Everything here works from a fresh clone with Python 3.11 or newer: each target sets up what it needs in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DONE := $(VENV)/.done
# Many tests start an interpreter: without compiled files each would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test test-browser test-all lint bench docs wheel clean

help:
	@echo "make demo       set up, then extract the terms of two small networks: table, figures, report (results/demo)"
	@echo "make test       set up, then lint, type check and test, on all cores"
	@echo "make test-browser  the explorer in Chromium (left out where there is none; TROPICA_BROWSER=required fails then)"
	@echo "make test-all   the same with the slow tests: all networks, studies, kills and processes; four times the examples"
	@echo "make docs       set up, then build the documentation with its gallery (docs/_build/html)"
	@echo "make wheel      build sdist and wheel (dist), install the wheel into an empty environment, take the first steps there"
	@echo "make bench      the benchmarks: ratios and their floors (TROPICA_DATA=folder for MNIST and CIFAR-10)"

setup: $(DONE)

$(DONE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed ($(PYTHON) is $$($(PYTHON) --version 2>&1)); use make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(DONE)

demo: setup
	$(BIN)/tropica demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -n auto --dist worksteal
	@echo "left out: the explorer in a browser (make test-browser), slow tests (make test-all)"

# One worker: a page that waits for a busy machine is no failure of the page.
test-browser: setup
	$(BIN)/python -m pytest -m "browser" tests/app

test-all: lint
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not browser" --hypothesis-profile=full

wheel: setup
	PYTHON=$(BIN)/python DIST=dist .ci/wheel

bench: setup
	$(BIN)/python -m benchmarks

docs: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "the documentation is at docs/_build/html/index.html"

clean:
	rm -rf $(VENV) results build dist docs/_build docs/auto_gallery docs/api/generated docs/api/*.rst
