# Two commands for a newcomer: `make demo` and `make test`. Both make their own virtual environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check install wheel-test vectors clean

demo: install
	$(BIN)/python examples/compare_codecs.py --out out/demo

test: install
	$(BIN)/python -m pytest -n auto --dist loadgroup

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m pytest -n auto --dist loadgroup -m "not slow"

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

# Conformance vectors are made only by this command, never by a test.
vectors: install
	$(BIN)/python tests/conformance/make_vectors.py

clean:
	rm -rf $(VENV) build dist out .pytest_cache .ruff_cache
