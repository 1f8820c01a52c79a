# Penstock's commands. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
PYTEST_WORKERS ?= 2
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
TEMPLATES := template.yaml archive/template.yaml database/template.yaml network/template.yaml pipeline/template.yaml
ASL_JSON := .aws-sam/definitions

export SAM_CLI_TELEMETRY := 0
# Nothing here talks to AWS, but sam and boto3 want to know a region.
ifneq ($(MAKECMDGOALS),deploy) # That one does, and goes where you say.
export AWS_DEFAULT_REGION ?= eu-west-1
endif
# `sam build` looks for the functions' Python on the PATH, and .venv has one of every name: python, python3, python3.11.
export PATH := $(CURDIR)/$(BIN):$(PATH)

##@ Try it
.PHONY: demo
demo: $(VENV)/.local ## A year of real files through the whole template, on this machine (ARGS="--report report.json")
	@$(BIN)/penstock demo $(ARGS)

##@ Deploy it
.PHONY: deploy
deploy: $(VENV)/.dev ## To your AWS account: checks, questions, what it will cost, sam build, sam deploy (ARGS="--env dev")
	@$(BIN)/penstock deploy $(ARGS)

##@ Work on it
.PHONY: setup
setup: $(VENV)/.dev node_modules/.installed ## Install everything that test and check need
.PHONY: test
test: check ## All checks and all tests
	@$(BIN)/pytest -n $(PYTEST_WORKERS) --dist loadgroup $(ARGS)
.PHONY: format
format: $(VENV)/.dev ## Format the code, and fix what ruff can fix
	@$(BIN)/ruff check --fix --exit-zero
	@$(BIN)/ruff format
.PHONY: sam-deploy
sam-deploy: $(VENV)/.dev ## sam deploy, an update, a roll-back and sam delete, on the laptop's engines
	@$(BIN)/pytest tests/sam/test_sam_deploy.py --sam-deploy $(ARGS)
.PHONY: sam-local
sam-local: $(VENV)/.dev ## Every function in a container by sam local; writes what it took into docs/testing.md
	@$(BIN)/pytest tests/sam_local --sam-local $(ARGS)
.PHONY: package
package: $(VENV)/.dev ## What sam build makes: bytes, imports, cold starts; writes docs/package.md, fails beyond the budget
	@$(BIN)/python -m tests.package
.PHONY: faults
faults: $(VENV)/.dev ## Break it at every point where it waits; writes docs/faults.md, schedules.md, mutations.md: over an hour
	@$(BIN)/python -m tests.faults.schedules
	@PENSTOCK_STREAM_SCHEDULES=10000 $(BIN)/pytest -q tests/streams
	@$(BIN)/python -m tests.faults.mutations
	@$(BIN)/python -m tests.faults $(ARGS)
.PHONY: faults-redshift
faults-redshift: $(VENV)/.dev ## The same with Redshift, where it asks that; writes docs/faults-redshift.md
	@$(BIN)/python -m tests.faults --warehouse redshift $(ARGS)
.PHONY: soak
soak: $(VENV)/.dev ## 5,000 files from three producers while workers are killed; writes docs/soak.md
	@$(BIN)/python -m tests.faults.soak $(ARGS)
.PHONY: simulation
simulation: $(VENV)/.dev ## A month of bursts through the real planning in virtual time; writes docs/simulation.png
	@$(BIN)/python -m tests.simulation $(ARGS)
.PHONY: bench
bench: $(VENV)/.dev .venv-dlt/.installed ## Measure Penstock beside its floor and beside dlt
	@$(BIN)/python -m benchmarks.run $(ARGS)
.PHONY: bench-producer
bench-producer: $(VENV)/.dev ## A million events through the producer under trouble, and its rate beside a naive loop
	@$(BIN)/python -m benchmarks.producer $(ARGS)
.PHONY: bench-stream
bench-stream: $(VENV)/.dev ## process_stream's records a second, beside Powertools' batch processor doing nothing
	@$(BIN)/python -m benchmarks.process_stream $(ARGS)
.PHONY: bench-huge
bench-huge: $(VENV)/.dev ## One CSV of 5 GB, its loader killed in the middle: memory and rows
	@$(BIN)/python -m benchmarks.huge $(ARGS)
.PHONY: bench-backfill
bench-backfill: $(VENV)/.dev ## 1,000 to 100,000 one-row files through a backfill; writes into docs/costs.md: half an hour
	@$(BIN)/python -m benchmarks.backfill $(ARGS)

.PHONY: corpus
corpus: $(VENV)/.dev ## Write docs/bad-input.md from tests/corpus
	@$(BIN)/python -m tests.corpus

.PHONY: permissions
permissions: $(VENV)/.dev ## Take out each permission of each role, one at a time; writes docs/permissions.md: ten minutes
	@$(BIN)/python -m tests.permissions $(ARGS)
.PHONY: security
security: $(VENV)/.dev ## Write the tables of docs/security.md from template.yaml
	@$(BIN)/python -m tests.template.security_table

##@ Check it
.PHONY: check
check: $(VENV)/.dev node_modules/.installed .venv-checkov/.installed ## Every check below, two at a time
	@$(MAKE) --jobs=2 --output-sync lint types layers template checkov definition build
.PHONY: lint
lint: $(VENV)/.dev ## ruff: rules and format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
.PHONY: types
types: $(VENV)/.dev ## mypy, strict
	@$(BIN)/mypy
.PHONY: layers
layers: $(VENV)/.dev ## import-linter: imports go down only
	@$(BIN)/lint-imports | sed -n '/^Contracts/,$$p'
.PHONY: template
template: $(VENV)/.dev ## cfn-lint and sam validate --lint
	@$(BIN)/cfn-lint $(TEMPLATES)
	@$(BIN)/sam validate --lint
.PHONY: checkov
checkov: .venv-checkov/.installed ## checkov; what is not done, and why, stands in the templates
	@.venv-checkov/bin/checkov --skip-download --framework cloudformation --compact --quiet \
		--file $(TEMPLATES)
.PHONY: definition
definition: $(VENV)/.dev node_modules/.installed ## asl-validator, which finds a Next that names no state
	@$(BIN)/python -m tests.template.definition_json $(ASL_JSON)
	@node_modules/.bin/asl-validator $$(printf -- '--json-path %s ' $(ASL_JSON)/*.json)
.PHONY: build
build: $(VENV)/.dev ## sam build, for the Python of .venv
	@left=$$(mktemp -d); trap 'rm -rf "$$left"' EXIT; TMPDIR=$$left \
		$(BIN)/sam build --parameter-overrides PythonRuntime=$$($(BIN)/python -c 'import sys; print("python%d.%d" % sys.version_info[:2])')

##@ Real engines, which the tests then use
.PHONY: opensearch
opensearch: $(VENV)/.local ## Fetch an OpenSearch node from Maven Central, 53 MB (once; needs java 17 and mvn)
	@$(BIN)/python -m penstock.local.search_node opensearch
.PHONY: elasticsearch
elasticsearch: $(VENV)/.local ## Fetch an Elasticsearch 7.10 node in the same way, 36 MB
	@$(BIN)/python -m penstock.local.search_node elasticsearch

##@ Tidy up
.PHONY: clean
clean: ## Remove what was installed, built and cached
	@if [ -x $(BIN)/penstock ]; then $(BIN)/penstock down || true; fi
	@rm -rf $(VENV) .venv-dlt .venv-checkov node_modules .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache src/*.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ── What is installed: a stamp for each, so that a second run installs nothing ───────────────────────────────────────
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Penstock wants Python 3.11 or later, and $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.13" >&2; \
		exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.local: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing what a laptop needs (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable '.[local]'
	@touch $@

$(VENV)/.dev: $(VENV)/.local
	@echo "Installing what the checks need (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable '.[local,dev]'
	@touch $@

node_modules/.installed: package.json package-lock.json
	@npm ci --silent --no-audit --no-fund
	@touch $@

# An environment of its own: dlt's S3 client pins a botocore that is not Penstock's.
.venv-dlt/.installed: benchmarks/dlt-requirements.txt
	@$(PYTHON) -m venv .venv-dlt
	@.venv-dlt/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

# An environment of its own: its pins are not those of the checks beside it.
.venv-checkov/.installed: tests/template/checkov-requirements.txt
	@$(PYTHON) -m venv .venv-checkov
	@.venv-checkov/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@
