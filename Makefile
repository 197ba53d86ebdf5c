# make book   build the book, chapters re-executed from the stored runs
# make test   everything that is checked before a change is accepted
# make serve  look at the book on http://localhost:8000
# make clean  remove what was built (stored runs are never touched)

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
HTML   := _build/html/index.html

# Training on few cores is fastest when the libraries do not start more threads than there are cores.
export PYTHONHASHSEED := 0

.PHONY: help book test lint serve clean
help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

# The record of pip is the last thing that `python -m venv` writes. Where it is missing, the set-up was interrupted, and it
# is done again.
HAS_PIP := $(BIN)/python -c 'from importlib.metadata import version; version("pip")' 2>/dev/null

$(READY): requirements.txt pyproject.toml
	@$(HAS_PIP) || { \
	  $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	    echo "This needs Python 3.11, 3.12 or 3.13, and '$(PYTHON)' is not one of them." \
	         "Name one that is: make PYTHON=python3.12"; exit 1; }; \
	  echo "Creating a virtual environment in $(VENV) ..."; $(PYTHON) -m venv $(VENV); \
	  $(HAS_PIP) || { echo "$(VENV) has no pip; remove that folder and give the command again"; exit 1; }; }
	@echo "Installing the pinned requirements (once; about two minutes) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

book: $(READY)
	@$(BIN)/python -m sciml_lib.chapters refresh
	@echo "rendering the pages ..."
	@MPLCONFIGDIR="$(CURDIR)/_build/.matplotlib" $(BIN)/jupyter-book build . -W --keep-going --all --quiet >/dev/null
	@echo "The book is ready: open $(CURDIR)/$(HTML)"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# One pytest run: unit tests, a papermill smoke run of every chapter, the notebook regression test (nbval) on every
# committed chapter, the warnings-as-errors build of the book, its links, and a real browser on every page. Each processor
# takes one file after another and computes with one thread; PYTEST_ARGS="-n 0" takes them one by one.
test: export OMP_NUM_THREADS ?= 1
test: lint
	@command -v chromium chromium-browser google-chrome >/dev/null 2>&1 || \
	  echo "No Chromium is installed here: the checks of the book in a real browser will be skipped."
	$(BIN)/python -m pytest tests book --nbval --nbval-current-env --nbval-sanitize-with tests/nbval_sanitize.cfg \
	  --nbval-cell-timeout 300 --numprocesses logical --maxprocesses 4 --dist loadfile --durations=15 $(PYTEST_ARGS)

serve: book
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html 8000

clean:
	rm -rf _build .pytest_cache .ruff_cache *.egg-info
