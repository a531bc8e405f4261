# Two commands do everything: `make build` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help build test check accept bench fix readme clean

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

build: $(STAMP) ## virtual environment, install, compile the kernels, run the quickstart, show the result
	-$(BIN)/medcorpus doctor
	$(BIN)/medcorpus build quickstart
	$(BIN)/medcorpus status runs/quickstart
	@echo "try: $(BIN)/medcorpus explain runs/quickstart too_short"

test: $(STAMP) ## all tests but the long matrices (under 10 minutes on 2 cores)
	$(BIN)/pytest -n 2 --dist loadfile -m "not accept"

check: $(STAMP) ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

accept: $(STAMP) ## long matrices: kills, faults, scale; prints tables
	$(BIN)/pytest -m accept -rA -s

bench: $(STAMP) ## medcorpus beside its peers on this machine (an hour)
	$(BIN)/python -m benchmarks

fix: $(STAMP) ## let ruff mend what it can
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

readme: $(STAMP) ## write README's tables again from the code
	$(BIN)/python -m medcorpus.cli.readme

clean: ## remove the virtual environment and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache dist build

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	$(BIN)/python -m compileall -q medcorpus
	@touch $(STAMP)
