# Two commands do everything: `make demo` and `make test`. Both set up what they need: the virtual environment from the lock
# file, the simulated driver, and the Kubernetes binary (built once, kept in the user's cache folder).

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench bench-placement image lock crd clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 24

$(VENV)/.ready: pyproject.toml setup.py requirements.lock $(wildcard nodeagent/kubelet/api/*.proto)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "== virtual environment ($(VENV))"
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "The venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@while sleep 5; do echo "   still installing"; done & ticker=$$!; trap "kill $$ticker" EXIT; \
		$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: binaries
binaries: $(VENV)/.ready
	@$(BIN)/python -c 'from simgpu import library; print("== simulated driver:", library())'
	@$(BIN)/python -m cluster.binary

demo: binaries  ## a real control plane here, simulated GPUs, Pods that get their slices (ARGS="--help" for its options)
	@$(BIN)/nos-mig demo $(ARGS)

test: lint binaries  ## all tests, two at a time; ARGS="tests/mig -k layouts" for some
	@$(BIN)/python -m tests.nvml_clients.build
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup $(ARGS)

lint: $(VENV)/.ready  ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: binaries  ## the figures of README and docs, as ratios of things measured in one run
	@$(BIN)/python -m bench.webhook
	@$(BIN)/python -m bench.way
	@$(BIN)/python -m bench.agent

bench-placement: $(VENV)/.ready  ## what placement accepts and costs beside every published policy, 20 min (ARGS="--quick": 2)
	@$(BIN)/python -m bench.placement $(ARGS)

image:  ## one container image for all components (docker, podman or buildah; BASE=python:3.12-slim)
	@./image/build.sh

crd: $(VENV)/.ready  ## generate the CRD and the default geometries anew from schemas/
	@$(BIN)/python -m schemas.crd

lock: $(VENV)/.ready  ## resolve the dependencies anew
	@$(BIN)/python -m pip install --quiet pip-tools
	@$(BIN)/pip-compile --quiet --extra dev --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
		--no-emit-trusted-host --no-header --output-file requirements.lock pyproject.toml
	@$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
		--no-emit-trusted-host --no-header --output-file image/requirements.lock pyproject.toml

clean:  ## remove what was made here (the cache folder with the Kubernetes binary stays)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench/out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
