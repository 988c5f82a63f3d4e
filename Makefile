# `make` alone lists the targets. Each target below works as the first command in a fresh clone.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
# Threads that wait for each other give the core away. Measured on two cores: a quick baseline run beside one other busy
# process took 27 s in place of 96 s; alone on the machine, 39 s in place of 23 s.
export OMP_WAIT_POLICY ?= PASSIVE
# NumPy's products here are narrow, and its threads wait for each other awake. Measured: resampling a curve took 2.8 s of
# processor time with two of them and 0.2 s with one; the other core belongs to the next page or test file.
export OPENBLAS_NUM_THREADS ?= 1
export IPYTHONDIR := $(CURDIR)/tools/ipython

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

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
# `.pins` is written last. pip takes a package for installed of which a kill left a part: then all is installed anew.
PINS := { cat constraints.txt; sed -n '/^\[project/,/^\[tool/p' pyproject.toml; }

.PHONY: env
env: ## Make .venv with every pinned package (once, and again when a pin changes)
	@if ! $(PINS) | cmp -s - $(VENV)/.pins; then \
	  $(FIND_PYTHON); \
	  if [ -e $(VENV)/.installing ]; then echo "The last installation was cut off: it begins anew"; rm -rf $(VENV); fi; \
	  echo "Installing into $(VENV) with $$("$$found" --version): some minutes and 7 GB the first time"; \
	  rm -f $(VENV)/.pins; \
	  mkdir -p $(VENV) && touch $(VENV)/.installing; \
	  "$$found" -m venv $(VENV) || { echo "Python's venv module does not work here (on Debian: apt-get install python3-venv)" >&2; exit 1; }; \
	  $(BIN)/python -m pip install --quiet --upgrade "$$(grep '^pip==' constraints.txt)"; \
	  $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'; \
	  rm $(VENV)/.installing; \
	  $(PINS) > $(VENV)/.pins; \
	fi

# Programs that no Python package brings: the spelling test needs hunspell, the browser tests Chromium.
.PHONY: system
system: ## Install hunspell and Chromium where missing (Debian as root; elsewhere it says what to install)
	@missing=""; \
	command -v hunspell >/dev/null || missing="hunspell hunspell-ca hunspell-en-gb"; \
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing="$$missing chromium"; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; \
	  else \
	    echo "The tests need these programs: $$missing (Debian's package names). Install them and run this again." >&2; exit 1; \
	  fi; \
	fi

# ---- tests ---------------------------------------------------------------------------------------------------
# Test files at a time: each takes up to 3 GB of memory and a core.
WORKERS ?= 2

.PHONY: lint
lint: env ## Check style and format (ruff)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: test
test: env system lint ## Run every test that needs no built book, the notebooks among them (nbval, papermill)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m 'not built_book' --nbval --nbval-current-env --nbval-cell-timeout 600 --cov=analysis --cov-config=pyproject.toml --cov-report=term tests notebooks

# ---- book ----------------------------------------------------------------------------------------------------
# The build's cache of executed pages looks at their cells alone: drop it when the package or the records changed.
BOOK := book/_build
SOURCES := $(shell find analysis results -type f -not -path '*/.*' -not -name '*.pyc' 2>/dev/null)
$(BOOK)/.executed-with: $(SOURCES)
	@rm -rf $(BOOK)/.jupyter_cache $(BOOK)/.doctrees
	@mkdir -p $(BOOK) && touch $@

# A build that was cut off can leave an entry without its file in the cache of executed pages, over which every later build
# would stumble: then all pages are executed anew. One that only failed keeps the cache.
CUT_OFF := $(BOOK)/.building
define BUILD
if [ -e $(CUT_OFF) ]; then \
  echo "The last build was cut off: this one begins anew"; rm -rf $(BOOK)/.doctrees $(BOOK)/.jupyter_cache; fi; \
touch $(CUT_OFF); \
$(BIN)/python -m tools.execute_pages || { rm $(CUT_OFF); exit 1; }; \
$(BIN)/jupyter-book build book $(1) -W --keep-going -n -q || { rm $(CUT_OFF); exit 1; }; \
rm $(CUT_OFF)
endef

.PHONY: book
book: env $(BOOK)/.executed-with ## Build the bilingual book into book/_build/html, warnings as errors
	@$(call BUILD,--all)
	@echo "The book: $(BOOK)/html/index.html"

# What `make book` has read and executed is not read again. The book links to the PDFs that are there when it is built.
.PHONY: pdf
pdf: env system $(BOOK)/.executed-with ## Print the book into book/_build/pdf, one PDF per language
	@$(call BUILD,--builder singlehtml)
	@$(BIN)/python -m tools.print_book
	@echo "The book on paper: $$(ls $(BOOK)/pdf/*.pdf | tr '\n' ' ')"

.PHONY: check-book
check-book: env system ## Test the built book in headless Chromium: links, images, languages, nothing asked of the network
	@$(BIN)/python -m pytest -m built_book tests

# ---- notebooks -----------------------------------------------------------------------------------------------
.PHONY: notebooks
notebooks: env ## Run the notebooks again, with what is recorded, and renew their text twins and the book's pictures
	@$(BIN)/python tools/execute_notebooks.py $(NOTEBOOKS)
	@$(BIN)/python tools/pictures.py

.PHONY: rerun
rerun: env ## Rerun one notebook: make rerun NOTEBOOK=03_baseline ARGS='-p profile smoke -p seeds "[5]"'
	@mkdir -p reruns
	@$(BIN)/papermill --cwd notebooks notebooks/$(NOTEBOOK).ipynb reruns/$(NOTEBOOK).ipynb $(ARGS)
	@echo "Rerun: reruns/$(NOTEBOOK).ipynb"

# ---- benchmark -----------------------------------------------------------------------------------------------
.PHONY: bench
bench: env ## Measure training speed against SchNetPack and PyTorch Geometric, print and record it (ARGS=--quick: a check)
	@$(BIN)/python -m tools.benchmark run $(ARGS)

# ---- trust ---------------------------------------------------------------------------------------------------
RUN ?= baseline/141dc8907d24
.PHONY: verify
verify: env ## Train a record of all of QM9 again and compare (minutes): the first of Default, or make verify RUN=ID
	@$(BIN)/python -m analysis verify $(RUN)

.PHONY: kills
kills: env ## Kill trainings, searches, notebooks and book builds at random and check what is left (ARGS=--quick: a check)
	@$(BIN)/python -m tools.robustness run $(ARGS)

.PHONY: audit
audit: env ## Look for known vulnerabilities in the pinned packages (needs the network)
	@scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	$(BIN)/python -m venv "$$scratch/audit"; \
	"$$scratch/audit/bin/python" -m pip install --quiet pip-audit; \
	"$$scratch/audit/bin/pip-audit" --strict --requirement constraints.txt --no-deps --disable-pip

.PHONY: clean
clean: ## Remove everything that these targets made, the environment too (the records stay)
	@rm -rf $(VENV) $(BOOK) reruns .pytest_cache .ruff_cache .hypothesis .coverage htmlcov *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
