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

# Files of tests run beside each other, but for the acceptance room: its servers are watched by the clock.
test: check
ifeq ($(strip $(ARGS)),)
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile tests/unit tests/conformance tests/contract
	$(BIN)/pytest tests/acceptance
else
	$(BIN)/pytest $(ARGS)
endif

lock: setup
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --no-emit-index-url --python-version 3.11 --extra dev --output-file requirements.lock pyproject.toml

docs: setup
	@$(BIN)/python -m stepwell.cli.docs docs
