# Every command works from a fresh clone: it sets up .venv first. Paths are relative, so the clone's own path may
# hold spaces.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PYTHON := .venv/bin/python
UV := .venv/uv/bin/uv
# More for one command, for example: make test ARGS="tests/audit -x"
ARGS ?=

.PHONY: help
help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: install
install: ## Set up .venv with the locked libraries (happens once; other commands do it themselves)
	@scripts/install.sh

.PHONY: demo
demo: install ## Run the whole job on real data; its products are left in var/demo
	@$(PYTHON) -m config.embedded run -- .venv/bin/python -m examples.demo $(ARGS)

.PHONY: up
up: install ## Start everything on this machine and print the address and the sign-in
	@$(PYTHON) -m config.embedded up

.PHONY: down
down: install ## Stop what make up started
	@$(PYTHON) -m config.embedded down

.PHONY: status
status: install ## Tell what runs
	@$(PYTHON) -m config.embedded status

.PHONY: test
test: install ## Run the tests
	$(PYTHON) -m pytest --numprocesses 3 --no-loadscope-reorder $(ARGS)

.PHONY: attack
attack: install ## Attack evidence and the database in every way of the catalogue, look for false alarms on a million entries, print the table
	@PYTHONPATH=.:tests:tests/audit $(PYTHON) tests/attacks/attack_run.py $(ARGS)

.PHONY: bench-ledger
bench-ledger: install ## Measure the ledger against the alternatives, print the table, write var/bench/ledger.json
	@PYTHONPATH=.:tests $(PYTHON) benchmarks/ledger.py $(ARGS)

.PHONY: bench-governance
bench-governance: install ## Measure the domain against the alternatives, print the table, write var/bench/governance.json
	@PYTHONPATH=.:tests $(PYTHON) benchmarks/governance_suite.py $(ARGS)

.PHONY: lint
lint: install ## Check style and formatting
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

.PHONY: types
types: install ## Check types
	$(PYTHON) -m mypy .

.PHONY: imports
imports: install ## Check that packages import each other only in the agreed direction
	.venv/bin/lint-imports

.PHONY: lock
lock: install ## Lock the newest libraries that pyproject.toml allows
	$(UV) pip compile pyproject.toml --group server --group dev --universal --python-version 3.12 --upgrade \
	    --generate-hashes --no-emit-index-url --no-header --output-file requirements.lock

.PHONY: wheel
wheel: install ## Build the command line that auditors and pipelines install into dist
	$(UV) build --out-dir dist

.PHONY: clean
clean: ## Remove build products and caches; keeps .venv and the data in var
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
