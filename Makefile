# `make run` and `make test` install what they need into .venv; set VENV to use another environment.
VENV ?= .venv
PYTHON ?= python3
CORES ?= all
BIN := $(VENV)/bin

.PHONY: run test lint format install help

help: ## list these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

run: install ## build everything that config.yaml asks for; the report is results/report/index.html
	$(BIN)/snakemake --cores $(CORES)

test: install ## run the tests
	$(BIN)/python -m pytest

lint: install ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules

format: install ## mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

install: $(VENV)/installed ## make the environment

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ShiftScope needs Python 3.11 or newer: set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
