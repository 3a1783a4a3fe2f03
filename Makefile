# make demo | test | lint | docs | bench: each builds what it needs in .venv (or .venv-bench) and runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint docs bench clean

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("memspike needs Python 3.11 or newer; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(BIN)/python
	$(INSTALL) -e .
	@touch $@

$(VENV)/.test $(VENV)/.lint $(VENV)/.docs: $(VENV)/.%: pyproject.toml | $(BIN)/python
	$(INSTALL) -e '.[$*]'
	@touch $@

demo: $(VENV)/.core
	$(BIN)/memspike run memprop-digits

test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/.docs
	$(BIN)/mkdocs build --strict
	$(BIN)/python scripts/links.py site

bench: pyproject.toml
	test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt -e '.[fast]'
	.venv-bench/bin/python benchmarks/bptt.py --out results/bench-bptt.json
	.venv-bench/bin/python benchmarks/devices.py --out results/bench-devices.json
	.venv-bench/bin/python benchmarks/arrays.py --out results/bench-arrays.json
	.venv-bench/bin/python benchmarks/programming.py --out results/bench-programming.json
	.venv-bench/bin/python benchmarks/netlist.py --out results/bench-netlist.json
	.venv-bench/bin/python benchmarks/wired_training.py --out results/bench-wired-training.json
	.venv-bench/bin/python benchmarks/eprop.py --out results/bench-eprop.json
	.venv-bench/bin/python benchmarks/population.py --out results/bench-population.json
	.venv-bench/bin/python benchmarks/updates.py --out results/bench-updates.json
	.venv-bench/bin/python benchmarks/long_trials.py --out results/bench-long-trials.json
	.venv-bench/bin/python benchmarks/start.py --out results/bench-start.json

clean:
	rm -rf $(VENV) .venv-bench site .jax_cache
