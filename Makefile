# `make` alone lists the targets. Each target below works as the first command in a fresh clone.
#
# macOS has GNU Make 3.81, which knows neither .SHELLFLAGS nor .ONESHELL: a line here is one command, or `&&` stands between
# them, so that the first failure ends it. What takes more is a script in tools/.
SHELL := /bin/bash
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
# `make PYTHON=/path/to/python env` overrides the search.
PYTHON_CANDIDATES := $(PYTHON) python3.12 python3.13 python3.14 python3 python

.PHONY: env
env: ## Make .venv with every pinned package (once, and again when a pin changes); HASHES=no: any build of them
	@bash tools/environment.sh $(VENV) $(PYTHON_CANDIDATES)

.PHONY: lock
lock: ## Renew requirements.lock: the pins of constraints.txt with the hashes of their files, for every platform (needs the network)
	@bash tools/lock.sh

.PHONY: system
system: ## Install what the tests need beside Python where missing (Debian as root; elsewhere it says what to install)
	@bash tools/system.sh

# ---- tests ---------------------------------------------------------------------------------------------------
# Test files at a time: each takes up to 3 GB of memory and a core.
WORKERS ?= 2

.PHONY: lint
lint: env ## Check style and format (ruff), the public surface's types (mypy), and that imports point down (import-linter)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo

# In the order of `LONGEST` in tests/conftest.py, which xdist would change. Each worker has one thread: those of both
# would wait for each other.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m 'not built_book' --nbval --nbval-current-env --nbval-cell-timeout 600 tests notebooks

.PHONY: test
test: env system lint ## Run every test that needs no built book, the notebooks among them (nbval, papermill)
	@$(PYTEST)

.PHONY: coverage
coverage: env system ## The same tests, and which lines of the packages none of them runs (it takes longer)
	@$(PYTEST) --cov=analysis --cov=fused --cov-config=pyproject.toml --cov-report=term

# ---- book ----------------------------------------------------------------------------------------------------
BOOK := book/_build

.PHONY: book
book: env ## Build the bilingual book into book/_build/html, warnings as errors
	@bash tools/build_book.sh $(BIN) html

# What `make book` has read and executed is not read again. The book links to the PDFs that are there when it is built.
.PHONY: pdf
pdf: env system ## Print the book into book/_build/pdf, one PDF per language
	@bash tools/build_book.sh $(BIN) pdf

.PHONY: check-book
check-book: env system ## Test the built book in headless Chromium: links, images, languages, nothing asked of the network
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m built_book tests/book

.PHONY: check-rebuild
check-rebuild: pdf book ## Build the book again in another folder, locale and time zone, and compare it byte for byte
	@bash tools/check_rebuild.sh

# ---- notebooks -----------------------------------------------------------------------------------------------
.PHONY: notebooks
notebooks: env ## Run the notebooks again, with what is recorded, and renew their text twins and the book's pictures
	@$(BIN)/python tools/execute_notebooks.py $(NOTEBOOKS)
	@$(BIN)/python tools/pictures.py
	@$(BIN)/python -m tools.rooms

.PHONY: rerun
rerun: env ## Rerun one notebook: make rerun NOTEBOOK=03_baseline ARGS='-p profile smoke -p seeds "[5]"'
	@$(BIN)/python -m tools.rerun '$(NOTEBOOK)' $(ARGS)

# A kernel that a user installed elsewhere under the name of these would otherwise be taken for this environment's.
.PHONY: lab
lab: env ## Open the notebooks in JupyterLab; the kernel "SchNet on QM9" is this environment (ARGS: JupyterLab's options)
	@$(BIN)/python -m ipykernel install --sys-prefix --name schnet-qm9 --display-name 'SchNet on QM9' >/dev/null
	@JUPYTER_PREFER_ENV_PATH=1 $(BIN)/python -m jupyter lab --MultiKernelManager.default_kernel_name=schnet-qm9 $(ARGS)

# ---- archive -------------------------------------------------------------------------------------------------
.PHONY: archive
archive: pdf book ## Write reruns/schnet-qm9-compendium-….zip: code, pins, records, book, PDFs and where each figure comes from
	@$(BIN)/python -m tools.archive

.PHONY: check-archive
check-archive: ## Check the archive's description against its profile with roc-validator (needs the network)
	@bash tools/check_archive.sh reruns/schnet-qm9-compendium-*.zip

# ---- study ---------------------------------------------------------------------------------------------------
.PHONY: study
study: env ## Train every missing run of the study through Snakemake: make study ARGS='--config experiment=baseline profile=smoke'
	@$(BIN)/snakemake --profile workflow/profiles/local study $(ARGS)

# ---- benchmark -----------------------------------------------------------------------------------------------
.PHONY: bench
bench: env ## Measure training speed against SchNetPack and PyTorch Geometric, print and record it (ARGS=--quick: a check)
	@$(BIN)/python -m harness.benchmark run $(ARGS)

.PHONY: gpu-check
gpu-check: env ## Compare recorded runs with the same on this machine's GPU, and measure how fast it trains
	@$(BIN)/python -m harness.benchmark gpu $(ARGS)

# ---- trust ---------------------------------------------------------------------------------------------------
RUN ?= baseline/141dc8907d24
.PHONY: verify
verify: env ## Train a record of all of QM9 again and compare (minutes): the first of Default, or make verify RUN=ID
	@$(BIN)/python -m analysis verify $(RUN)

.PHONY: kills
kills: env ## Kill trainings, searches, notebooks and book builds at random and check what is left (ARGS=--quick: a check)
	@$(BIN)/python -m harness.robustness run $(ARGS)

.PHONY: audit
audit: env ## Look for known vulnerabilities in the pinned packages (needs the network)
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	$(BIN)/python -m venv "$$scratch/audit" && \
	"$$scratch/audit/bin/python" -m pip install --quiet pip-audit && \
	"$$scratch/audit/bin/pip-audit" --strict --requirement constraints.txt --no-deps --disable-pip

.PHONY: clean
clean: ## Remove everything that these targets made, the environment too (the records stay)
	@rm -rf $(VENV) $(VENV).lock $(BOOK) reruns .pytest_cache .ruff_cache .mypy_cache .snakemake .hypothesis .coverage htmlcov *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
