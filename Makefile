# `make` alone lists the targets. Each target below works as the first command in a fresh clone.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
NOTEBOOKS := $(wildcard notebooks/*.ipynb)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# ---- environment ---------------------------------------------------------------------------------------------
# The first interpreter that runs and is new enough; `make PYTHON=/path/to/python env` overrides the search.
PYTHON_CANDIDATES := $(PYTHON) python3.12 python3.13 python3.14 python3 python
define FIND_PYTHON
for candidate in $(PYTHON_CANDIDATES); do \
  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; then \
    found="$$candidate"; break; fi; done; \
if [ -z "$${found:-}" ]; then \
  echo "No Python 3.12 or newer found: install one (pyenv, uv, conda or your system's packages), or name it: make PYTHON=/path/to/python3.12 env" >&2; \
  exit 1; fi
endef

# What decides whether to install again: the pins and the [project] part of pyproject.toml, and nothing else.
PINS := { cat constraints.txt; sed -n '/^\[project/,/^\[tool/p' pyproject.toml; }

.PHONY: env
env: ## Make .venv with every pinned package (once, and again when a pin changes)
	@if ! $(PINS) | cmp -s - $(VENV)/.pins; then \
	  $(FIND_PYTHON); \
	  echo "Installing into $(VENV) with $$("$$found" --version): some minutes and 7 GB the first time"; \
	  rm -f $(VENV)/.pins; \
	  "$$found" -m venv $(VENV) || { echo "Python's venv module does not work here (on Debian: apt-get install python3-venv)" >&2; exit 1; }; \
	  $(BIN)/python -m pip install --quiet --upgrade "$$(grep '^pip==' constraints.txt)"; \
	  $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'; \
	  $(PINS) > $(VENV)/.pins; \
	fi
