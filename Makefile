# `make run` and `make test` install what they need into .venv; set VENV to use another environment.
# CONFIG=config/own_pairs.yaml: another config; TARGET=table_a2: no more than that.
VENV ?= .venv
PYTHON ?= python3
CORES ?= all
BIN := $(VENV)/bin

.PHONY: run vectors test lint format install help generated verify why track push pull

help: ## list these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

run: install ## build everything that config.yaml asks for; the report is results/report/index.html
	$(BIN)/snakemake $(TARGET) --cores $(CORES) $(if $(CONFIG),--configfile $(CONFIG))

# What the user names reaches a shell as it stands, in the environment: as part of a recipe, or expanded by make, it could be run.
# Only names of the command line count: others, such as GROUP, may stand in anybody's environment.
OWN := PAIRS AFTER LM CODES TEXT_0 TEXT_1 GROUP CONCEPTS TEMPLATE ENCODING LAYER
$(foreach name,$(OWN),$(if $(findstring command line,$(origin $(name))),,$(eval override $(name) :=)))
$(foreach name,$(OWN),$(eval override $(name) := $$(value $(name))))
$(foreach name,$(OWN),$(eval vectors: export OWN_$(name) := $$(value $(name))))
vectors: install ## own pairs in, steering vectors out: make vectors PAIRS=my_pairs.csv [LM=… TEXT_0=… TEXT_1=… CODES=… AFTER=…]
	@test -n "$$OWN_PAIRS" || { echo "name your file: make vectors PAIRS=my_pairs.csv" >&2; exit 1; }
	@config=$$($(BIN)/python -m shiftscope.config.from_pairs --pairs="$$OWN_PAIRS" --after="$$OWN_AFTER" --lm="$${OWN_LM:-smollm2_135m}" --codes="$$OWN_CODES" \
		--text-0="$$OWN_TEXT_0" --text-1="$$OWN_TEXT_1" --group="$$OWN_GROUP" --concepts="$$OWN_CONCEPTS" --template="$$OWN_TEMPLATE" \
		--encoding="$$OWN_ENCODING" --layer="$$OWN_LAYER") && $(BIN)/snakemake vectors --cores $(CORES) --configfile "$$config"

# three processes, for two cores: some tests wait; the longest are handed out first, one by one
test: $(VENV)/dev ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 3 --dist load --maxschedchunk 1

lint: $(VENV)/dev ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules

format: $(VENV)/dev ## mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

generated: install ## write what is made from the code: config/schema.json, the table of metrics in docs/file-formats.md
	$(BIN)/python -m shiftscope.config.generated

verify: install ## list results that are absent, changed or older than what they are made of
	@$(BIN)/python -m shiftscope.workflow.sharing verify

why: install ## say why a result would be made again: make why NODE=results/tables/table_a6.md
	@$(BIN)/python -m shiftscope.workflow.sharing why $(NODE)

track: install ## give DVC and git what was made; then: git commit, make push
	@$(BIN)/python -m shiftscope.workflow.sharing track $(LOST)

push: install ## send what was committed: data by DVC, then git push
	@$(BIN)/python -m shiftscope.workflow.sharing push

pull: install ## merge and fetch what others shared; TARGET=table_a2: only what that table is made of
	@$(BIN)/python -m shiftscope.workflow.sharing pull $(TARGET)

install: $(VENV)/installed ## make the environment

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ShiftScope needs Python 3.11 or newer: set PYTHON=")'
	@echo "installing PyTorch, transformers, Snakemake, DVC and what they need into $(VENV): about three minutes, 2 GB"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

# what only tests and style need
$(VENV)/dev: $(VENV)/installed
	@echo "installing what tests and style checks need into $(VENV): about a minute"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
