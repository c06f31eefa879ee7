# `make help` says what there is.  Everything lives in this folder: .venv, .cache, runs.
# Paths are relative throughout, so that the checkout may lie anywhere, also under a path with spaces.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The interpreter .venv is made from; unset: the first of python3.11 and python3.12 that works.
PYTHON ?=
BIN := .venv/bin
STAMP := .venv/.made-from-the-lock
UV_VERSION := 0.13.9
CYCLONEDX_VERSION := 7.5.0
SHELL_SCRIPTS := .ci/run docker/install-dependencies docker/install-package docker/same-every-time \
  docker/try-without-engine scripts/make-venv scripts/need-go-tools scripts/need-java

.PHONY: demo
demo: $(STAMP) java  ## Local Kafka, a dozen real clips, the worker, and a table of its verdicts
	@$(BIN)/python -m demo $(if $(KEEP),--keep)

.PHONY: test
test: lint java helm  ## Every check: lint, then all tests (also against the local Kafka)
	@$(BIN)/python -m pytest -q

# A later -m replaces the one in pyproject.toml that leaves `nightly` out; hypothesis marks its own tests.
.PHONY: nightly
nightly: $(STAMP)  ## Property and mutation tests with a hundred times the cases, and what else takes long (CASES=100)
	@LOSSGATE_TEST_CASES=$(or $(CASES),100) $(BIN)/python -m pytest -q -m 'hypothesis or nightly' --timeout 7200

# The seed, minutes and deliveries of `make chaos`; unset: a new seed, five minutes, 3000 deliveries.
SEED ?=
MINUTES ?=
DELIVERIES ?=

.PHONY: chaos
chaos: $(STAMP) java  ## Workers, broker and object store hurt for minutes (SEED= MINUTES= DELIVERIES=), then an audit
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) \
	  $(if $(DELIVERIES),--deliveries $(DELIVERIES))

.PHONY: lint
lint: $(STAMP)  ## Style, types, shell scripts, Dockerfile, compose file
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/shellcheck $(SHELL_SCRIPTS)
	@$(BIN)/hadolint docker/Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker/compose.yaml

.PHONY: format
format: $(STAMP)  ## Format the code and bring what is made from it up to date (tables, chart)
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format --quiet
	@$(BIN)/python -m scripts.readme_tables

.PHONY: venv
venv: $(STAMP)  ## .venv from requirements.lock; brought up to date when the lock changes

$(STAMP): requirements.lock
	@scripts/make-venv "$(PYTHON)"
	@touch $@

.PHONY: java
java:  ## Check for Java 17 and Maven; install them where this is root on Debian or Ubuntu
	@scripts/need-java

.PHONY: helm
helm:  ## Build helm, for the checks of the chart; where there is no Go they are skipped
	@scripts/need-go-tools helm

.PHONY: chart
chart: $(STAMP)  ## Every check of the chart, kubeconform's too; copies its alerts for docker/compose.yaml
	@scripts/need-go-tools helm kubeconform
	@$(BIN)/python -m scripts.compose_alerts
	@$(BIN)/python -m pytest -q tests/helm

.PHONY: lock
lock: $(STAMP)  ## Compile requirements.lock, and docker/*.lock with the same versions, from pyproject.toml; then the SBOMs
	@$(BIN)/python -m venv .cache/lock
	@.cache/lock/bin/python -m pip install --quiet --disable-pip-version-check \
	  uv==$(UV_VERSION) cyclonedx-bom==$(CYCLONEDX_VERSION)
	@$(COMPILE) --universal --extra train --group dev --output-file requirements.lock pyproject.toml
	@$(COMPILE_IMAGE) --override docker/cpu-leave-out.txt --output-file docker/runtime-cpu.lock pyproject.toml docker/cpu.in
	@$(COMPILE_IMAGE) --extra gpu --output-file docker/runtime-gpu.lock pyproject.toml
	@echo hatchling | $(COMPILE_IMAGE) --output-file docker/build.lock -
	@$(BIN)/python -m scripts.sbom

.PHONY: image
image:  ## The image's steps in a bare Debian root, without a container engine (root, debootstrap; VARIANT=cpu)
	@docker/try-without-engine $(or $(VARIANT),cpu)

COMPILE := .cache/lock/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header
# What the image's Python is, and wheels only, so that nothing is compiled or run while it is installed.
COMPILE_IMAGE := $(COMPILE) --no-annotate --python-platform x86_64-manylinux_2_36 --only-binary :all: \
  --constraint requirements.lock --override docker/leave-out.txt

.PHONY: clean
clean:  ## Remove .venv, caches and runs; the fetched Kafka in .cache too
	@rm -rf .venv .cache runs dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help:  ## This list
	@awk -F ':.*##' '/^[a-z]+:.*##/ { printf "make %-8s %s\n", $$1, $$2 }' Makefile
