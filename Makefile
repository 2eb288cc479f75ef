# Every target works from a clean clone with Python 3.11, make and a network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.PHONY: setup demo test check bench serve lock docs

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(READY)

demo: setup
	@$(BIN)/stepwell demo $(ARGS)

serve: setup
	@$(BIN)/stepwell serve $(ARGS)

bench: setup
	@$(BIN)/stepwell bench $(ARGS)

check: setup
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/pytest $(ARGS)

lock: setup
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --no-emit-index-url --python-version 3.11 --extra dev --output-file requirements.lock pyproject.toml

docs: setup
	@$(BIN)/python -m stepwell.cli.docs docs
