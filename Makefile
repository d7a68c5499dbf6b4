# make demo: see every saved graph at work.  make test: run the tests.
# TORCH chooses the build, for example: make test TORCH=torch==2.13.0

PYTHON ?= python3
TORCH ?= torch>=2.6
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test editor soak bench clean

demo: $(VENV)/ready
	$(BIN)/flowmm demo --out demo

test: editor
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# The graph editor, built again if its sources changed.
editor: $(VENV)/ready
	$(BIN)/python web/bundle.py

# The server killed 200 times under load, and asked more than 100,000 things that no honest client asks; the tests do a share of it. Takes an hour or so.
soak: $(VENV)/ready
	FLOWMM_SOAK=1 $(BIN)/python -m pytest tests/faults/test_server_killed.py tests/faults/test_hostile_input.py tests/server/test_openapi.py --timeout=0 -s

# Speed, compared in one run with what a user would pick instead. Never part of the tests: machines are shared and noisy.
bench: editor
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-group-by=group --benchmark-columns=min,mean -s

# torch first, and exactly the one asked for: what follows then keeps it.
$(VENV)/ready: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[test]"
	touch $@

clean:
	rm -rf $(VENV) demo out build dist *.egg-info web/dist web/node_modules
