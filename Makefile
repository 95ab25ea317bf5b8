# make demo   prove one spec equal in four frameworks      make test   all tests, real trainings included
# make check  the quick part: no environments, no wide domains, about a minute
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
# What needs more than this Python: an environment, a GPU, npm, a wheel.
APART := real or gpu or editor or packaging
# Instructions for demo-real: these if they are there, else the few that the project ships.
REAL_DATA ?= ../shared/data/alpaca_en_demo.json

# Configs that real projects publish, to measure `ftspec import` on.
CORPUS ?= ../shared/corpus

.PHONY: demo demo-real test test-gpu check lint quick sweeps real golden schemas docs bench corpus ports proven clean
.DEFAULT_GOAL := demo

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,hub]'
	touch $@

demo: .venv/ready
	$(BIN)/ftspec verify specs/quickstart.yaml

demo-real: .venv/ready
	$(BIN)/python scripts/real_model.py
	$(BIN)/ftspec verify specs/real-smollm2-alpaca.yaml --jobs 1 \
	  $(if $(wildcard $(REAL_DATA)),--set data.train.path=../$(REAL_DATA))

test: check sweeps real

check: lint quick

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

quick: .venv/ready
	$(BIN)/python -m pytest -q -n auto --hypothesis-profile=quick -m "not ($(APART) or sweep)"

# Wide domains, and each law over all its examples: no environments either, but too long for the quick part.
sweeps: .venv/ready
	$(BIN)/python -m pytest -q -n auto -m "(sweep or hypothesis) and not ($(APART))"

real: .venv/ready
	$(BIN)/ftspec env install all
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "real or editor or packaging"

# The proofs that only a GPU can make.
test-gpu: .venv/ready
	$(BIN)/ftspec env install all
	FTSPEC_TEST_DEVICE=cuda $(BIN)/python -m pytest -q -n 0 -m gpu tests/real/test_gpu.py

# The real tests once more; their proofs are kept for the matrix.
proven: .venv/ready
	FTSPEC_KEEP_PROOFS=build/proofs $(BIN)/python -m pytest -q -n 2 --dist loadfile -m real tests/real
	$(BIN)/python scripts/proven.py build/proofs
	$(BIN)/ftspec matrix --markdown > docs/matrix.md

golden: .venv/ready
	$(BIN)/python tests/golden/update.py

schemas: .venv/ready
	$(BIN)/python -m ftspec.spec.schema
	$(BIN)/python scripts/dump_native_schemas.py

docs: .venv/ready
	$(BIN)/ftspec matrix --markdown > docs/matrix.md
	$(BIN)/python scripts/spec_reference.py

corpus: .venv/ready
	$(BIN)/python scripts/corpus.py $(CORPUS)

ports: .venv/ready
	$(BIN)/python scripts/ports.py $(CORPUS)

bench: .venv/ready
	$(BIN)/python benchmarks/start_up.py
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/data_preview.py

clean:
	rm -rf .venv specs/runs build dist
