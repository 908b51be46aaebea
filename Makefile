# make demo | make test | make bench | make bench-torch | make bench-sbert | make lint. The environment is made on
# demand; nothing else is needed but CPython 3.11, make and a C compiler.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
DATA ?=

.PHONY: demo test bench bench-torch bench-sbert lint install lock clean

install: .venv/.installed

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "tfsage needs CPython 3.11; name it with: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing the environment into .venv (about 2 GB, a few minutes)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check
	@touch $@

demo: install
	@$(BIN)/python -m examples.demo $(if $(DATA),--tables $(DATA))

test: install
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

BENCHMARKS := attention hash_bag loss train_step input_pipeline replicas chunks exact_ranks serving_latency enrichment \
	query_cache retrieval soak

bench: install
	@for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name || exit 1; done

# Against PyTorch, in an environment of its own (.venv-torch), which is made on demand.
bench-torch: install
	@$(BIN)/python -m benchmarks.train_step_torch

# Against sentence-transformers, in .venv-sbert.
bench-sbert: install
	@$(BIN)/python -m benchmarks.query_training
	@$(BIN)/python -m benchmarks.query_encoding

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

# Resolves requirements.txt anew; run it after changing a pin.
lock:
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --requirement requirements.txt
	@$(BIN)/python -m pip freeze > requirements.lock

clean:
	@rm -rf .venv .venv-torch .venv-sbert runs bundles build dist *.egg-info
