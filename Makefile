# A fresh clone needs Python >= 3.11, git and make; everything else is installed into .venv by the first target.
# `make` alone lists the targets. Works with GNU make 3.81 (macOS) and later.

SHELL := /bin/sh
.DEFAULT_GOAL := help
# All targets share one .venv, so `make -j test demo` runs them one after the other.
.NOTPARALLEL:
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin

# Nothing here reports to anyone. DO_NOT_TRACK has to be `true`: MLflow does not understand `1`.
export FLWR_TELEMETRY_ENABLED := 0
export FLWR_DISABLE_UPDATE_CHECK := 1
export FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION := 1
export MLFLOW_DISABLE_TELEMETRY := true
export RAY_USAGE_STATS_ENABLED := 0
export DO_NOT_TRACK := true
# An installer must not pick up the caller's environment instead of .venv, nor fetch another Python.
unexport VIRTUAL_ENV
unexport PYTHONPATH
unexport PYTHONHOME
export UV_PYTHON_DOWNLOADS := never
# Trust what the system trusts, as pip does: behind many a proxy nothing else works.
export UV_SYSTEM_CERTS := true
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# ---------------------------------------------------------------- use

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{ printf "  make %-12s %s\n", $$1, $$2 }'
	@echo "Options: PYTHON=/path/to/python3.12 (first install), EVALKIT_SHARED=/path/to/reference/data (tests)"

.PHONY: demo
demo: $(VENV)/.installed-study ## install, then show the whole way from incidents to a pooled effect on simulated cities
	@$(BIN)/evalkit demo

.PHONY: test
test: lint ## install, lint, type-check, check the layers, run the tests
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

.PHONY: lint
lint: $(VENV)/.installed-test ## ruff, mypy and the import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

.PHONY: format
format: $(VENV)/.installed-test ## apply ruff's fixes and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: experiments
experiments: $(VENV)/.installed-test ## run the slow studies behind defaults and claims (marker `experiment`)
	$(BIN)/python -m pytest -m experiment

.PHONY: benchmark
benchmark: $(VENV)/.installed-benchmark ## compare the panel with its peers (10 minutes, 4 GB of disk, 6 GB of memory)
	$(BIN)/python experiments/benchmarks/panel.py

.PHONY: install
install: $(VENV)/.installed-test ## install everything a developer needs into .venv

.PHONY: lock
lock: $(VENV)/.created ## bring constraints.txt up to pyproject.toml (LOCK_FLAGS=--upgrade moves every version)
	$(BIN)/uv pip compile pyproject.toml --extra test --extra benchmark --universal --python-version 3.11 --fork-strategy fewest \
	  --strip-extras --no-header --no-annotate --quiet $(LOCK_FLAGS) --output-file constraints.txt
	@{ echo '# Exact versions of everything that .[test,benchmark] resolves to, for Python >= 3.11 on Linux and macOS.'; \
	   echo '# Written by `make lock` (uv pip compile); do not edit.'; cat constraints.txt; } > $(VENV)/lock
	@mv $(VENV)/lock constraints.txt

.PHONY: bill
bill: $(VENV)/.installed-test ## write the software bill of materials and the page of dependencies (on Linux)
	$(BIN)/python .ci/bill.py

.PHONY: clean
clean: ## remove .venv, caches, build outputs and the demo's simulated data; runs/ is kept
	rm -rf $(VENV) build dist demo-data .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# ---------------------------------------------------------------- install

# A venv holds absolute paths: one that was made elsewhere (a copied folder) or whose Python is gone is made anew.
HERE := $(shell pwd)
ifneq ($(shell test -x $(BIN)/python && cat $(VENV)/.created 2>/dev/null),$(HERE))
.PHONY: stale-venv
$(VENV)/.created: stale-venv
endif

# The candidates are run, not only looked up: version managers put names on PATH that do not work.
# uv is pinned in constraints.txt (flwr needs it too). Without it the install goes through pip.
$(VENV)/.created:
	@for python in $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do \
	  if "$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    echo "Making $(VENV) with $$("$$python" --version)"; \
	    rm -rf $(VENV) && "$$python" -m venv $(VENV) || exit 1; \
	    $(BIN)/python -m pip install --quiet --constraint constraints.txt uv \
	      || echo "uv cannot be installed here; pip will do, only more slowly."; \
	    printf '%s\n' "$(HERE)" > $@; \
	    exit 0; \
	  fi; \
	done; \
	{ echo "error: no Python >= 3.11 with the venv module found; tried: $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}"; \
	  echo "  Install Python 3.11 or later (on Debian and Ubuntu also the package python3-venv),"; \
	  echo "  or name one: make PYTHON=/path/to/python3.12 <target>"; } >&2; \
	exit 1

# The stamps make a second call do nothing; a changed pyproject.toml or constraints.txt installs again.
# A full install takes 131 s with pip and 11 s with uv.
define install
	@echo "Installing evalkit[$(1)] into $(VENV)"
	@{ test -x $(BIN)/uv && $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[$(1)]'; } \
	  || { echo "Installing with pip; this takes a few minutes."; \
	       $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(1)]'; }
endef

# The test install contains the study install: where it is present and current, that one is brought up to date instead.
ifneq ($(wildcard $(VENV)/.installed-test),)
$(VENV)/.installed-study: $(VENV)/.installed-test
	@touch $@
else
$(VENV)/.installed-study: $(VENV)/.created pyproject.toml constraints.txt
	$(call install,study)
	@touch $@
endif

$(VENV)/.installed-test: $(VENV)/.created pyproject.toml constraints.txt
	$(call install,test)
	@touch $@

$(VENV)/.installed-benchmark: $(VENV)/.installed-test
	$(call install,benchmark)
	@touch $@
