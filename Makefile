# Everything a developer or CI runs. Needs make and Python 3.11 or newer, nothing else.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test soak promises browser check bench bench-store bench-ingest bench-lineage bench-product bench-rules bench-accuracy format lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: .venv/lineal ## Fill a graph and open it (PORT=n; SERVE=0 stops before serving)
	@$(BIN)/lineal demo $(if $(PORT),--port $(PORT)) $(if $(filter 0,$(SERVE)),--no-serve)

test: .venv/lineal browser ## Run the tests (ARGS="-k walks" chooses)
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

soak: .venv/lineal ## The night sizes of every promise: three hours and 4 GiB (ARGS="-k crashes")
	@LINEAL_SOAK=1 $(BIN)/python -m pytest -s --timeout=0 -m promise $(ARGS)
	@LINEAL_SOAK=1 $(BIN)/python -m pytest --timeout=0 tests/test_thinning.py -k millions $(ARGS)

promises: .venv/lineal ## Write docs/reference/promises.md from what ran since it was last written
	@$(BIN)/python -m tests.promises.page

check: .venv/lineal ## Check format, lint, types and the direction of imports
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: .venv/lineal ## Measure; every published number comes from here
	@$(BIN)/python -m bench $(ARGS)

bench-store: .venv/lineal ## Measure the store at M into bench/reports/ (about four minutes)
	@$(BIN)/python -m bench store --size M $(ARGS)

bench-ingest: .venv/lineal ## Measure the write path, from an event to a fact (about four minutes)
	@$(BIN)/python -m bench ingest $(ARGS)

bench-lineage: .venv/lineal ## Measure walks at M beside C and what one can install (half an hour)
	@$(BIN)/python -m bench lineage --size M $(ARGS)

bench-product: .venv/lineal ## Measure the product's answers over a database of M (it fills one first)
	@$(BIN)/python -m bench product --size M $(ARGS)

bench-rules: .venv/lineal ## Measure rules at M: changes, a hub, everything anew (ten minutes)
	@$(BIN)/python -m bench rules --size M $(ARGS)

bench-accuracy: .venv/lineal ## Measure how right rules and suggestions are (a minute)
	@$(BIN)/python -m bench accuracy $(ARGS)

format: .venv/lineal ## Format, and mend what the linter can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

lock: ## Write requirements/ anew from pyproject.toml (needs uv)
	@for kind in dev run; do \
		uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
			--generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
			--extra server $$([ $$kind = dev ] && echo --extra fast --extra postgres \
				--extra kafka --extra sqs --extra nats --group dev || echo -c requirements/dev.txt) \
			--output-file requirements/$$kind.txt $(ARGS) || exit 1; \
	done
	@cd bench/lineage/locks && for peer in peers datalog mlmd; do \
		uv pip compile $$peer.in --quiet --universal --python-version 3.11 \
			--generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
			--output-file $$peer.txt $(ARGS) || exit 1; \
	done

clean: ## Remove the environment, caches and builds
	@rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@rm -rf build dist
	@find src tests -name __pycache__ -prune -exec rm -rf {} +

# The locked dependencies. Made whole or not at all: the stamp is written last.
.venv/deps: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Lineal needs Python 3.11 or newer; '$(PYTHON)' answers:" \
			"$$($(PYTHON) --version 2>&1 | head -n 1)" >&2; \
		echo "Name another with: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing the environment in .venv, once (about half a minute)" >&2
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install --require-hashes -r $<
	@touch $@

# The checkout itself, in place.
.venv/lineal: .venv/deps pyproject.toml
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install \
		--no-deps --no-build-isolation --editable .
	@touch $@

# The browser tests drive Debian's Chromium. Where it cannot be had they are skipped, and counted.
browser:
	@command -v chromium >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the browser tests, once" >&2; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq </dev/null >/dev/null && \
		apt-get install -qq -y --no-install-recommends chromium </dev/null >/dev/null && exit 0; \
	fi; \
	printf '%s\n' \
		"************************************************************************" \
		"  No chromium on PATH: the BROWSER TESTS WILL BE SKIPPED." \
		"  The closing summary counts them. To run them, install chromium." \
		"************************************************************************" >&2
