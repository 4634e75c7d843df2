# make demo | test | lint | docs | bench | clean: each works on a fresh machine that has python3 (3.11 or newer), make and pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq -c constraints.txt
PINS := pyproject.toml constraints.txt

# Compiled modules are kept even where the environment says otherwise: tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test lint docs bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    compare three small networks on built-in images, then open demo/report.html"
	@echo "make test    run the whole test suite"
	@echo "make lint    ruff and mypy"
	@echo "make docs    build the documentation, docs/_build/html/index.html, and run its examples and tutorials"
	@echo "make bench   measure speed and memory against the peers (hours where they train)"
	@echo "make clean   remove .venv, demo/, the built documentation and caches of tools"

demo: $(VENV)/.installed
	$(BIN)/foray compare digits --protocol scratch --models mobilenet_v1_x0.25,mobilenet_v1_x0.5,mobilenet_v2_x0.5 \
		--epochs 8 --tolerance 1pt --prefer macs --threads 1 --out demo

# A process a core, of one thread each: the networks of tests are too small to be faster on more. Files in the order of
# their names: by default those of few tests come last, some of which are the longest. FORAY_FULL_TESTS=1 asks for all.
test: $(VENV)/.installed-for-tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Warnings are errors. Tutorials that need real images skip where there are none (FORAY_TEST_DATA).
SPHINX := $(BIN)/python -m sphinx -q -W --keep-going -n
docs: export FORAY_CACHE := $(CURDIR)/docs/_build/cache
docs: export OMP_NUM_THREADS := 1
docs: $(VENV)/.installed-for-docs
	$(SPHINX) -b html docs docs/_build/html
	$(SPHINX) -b doctest -D nb_execution_mode=off docs docs/_build/doctest
	$(BIN)/python -m pytest docs
	@echo "Built docs/_build/html/index.html"

bench: $(VENV)/.installed-for-tests
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) demo build docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info
	find src tests tools benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("foray needs Python 3.11 or newer; this is " \
		+ sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created $(PINS)
	@echo "Installing the pinned packages into $(VENV): about 1 GB, a few minutes."
	$(PIP) -e '.[openvino]'
	@touch $@

# The peers are installed without dependencies: torchvision pins one torch build, timm asks for torchvision.
$(VENV)/.installed-for-tests: $(VENV)/.created $(PINS)
	@echo "Installing the pinned packages and the peers of the tests into $(VENV): about 3 GB, a few minutes."
	$(PIP) -e '.[dev,export]' pyyaml
	$(PIP) --no-deps timm torchvision
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-for-docs: $(VENV)/.installed-for-tests
	$(PIP) -e '.[docs]'
	@touch $@
