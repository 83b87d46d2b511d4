# Everything anyone needs to do with this repository. `make help` lists it.
# PYTHON=python3.12 chooses the interpreter of a new .venv; WITHOUT_MSODBC=1 leaves Microsoft's driver out.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

venv := .venv
bin := $(venv)/bin
pip := $(bin)/python -m pip --disable-pip-version-check --quiet --no-input
projects := libs/common $(sort $(wildcard services/*)) tests
manifests := $(projects:%=%/pyproject.toml)
sources := libs services tests
uv_compile := $(bin)/uv pip compile --no-config --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

.DEFAULT_GOAL := help
.PHONY: help install migrate demo stop lint types test bench lock clean

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(venv)/.stamp-linked  ## create .venv with everything in it (PYTHON=, WITHOUT_MSODBC=1)
	@:

migrate: install  ## bring the state database up to date (EXCONN_POSTGRES_DSN)
	@$(bin)/python -m common.db

demo: install  ## play a story from planning to calendars, with all servers it needs
	@$(bin)/python -m demo

stop: install  ## stop what a demo left running
	@$(bin)/python -m demo stop

lint: install  ## style, formatting, dependencies between the parts, shell scripts
	@$(bin)/ruff check $(sources)
	@$(bin)/ruff format --check $(sources)
	@$(bin)/lint-imports --no-cache --no-logo
	@if [ -x $(bin)/shellcheck ]; then $(bin)/shellcheck .ci/run $$(git ls-files '*.sh'); fi

types: install  ## mypy, strict
	@$(bin)/mypy

test: install  ## all tests, with all servers they need (ARGS= for pytest)
	@EXCONN_TEST_REQUIRE=1 $(bin)/python -m pytest $(ARGS)

bench: install  ## measure the speed, as ratios (var/bench/)
	@$(bin)/python -m benchmarks $(ARGS)

lock: install  ## compile requirements*.in to hashed locks (ARGS=--upgrade for newer versions)
	@$(uv_compile) $(ARGS) requirements.in -o requirements.txt
	@$(uv_compile) $(ARGS) requirements-dev.in -o requirements-dev.txt
	@$(uv_compile) $(ARGS) requirements-msodbc.in -o requirements-msodbc.txt
	@! grep -nE '://|--(extra-)?index|--find-links' requirements*.txt  # a lock names no address

clean:  ## remove .venv, caches and what tests and demos wrote
	@rm -rf $(venv) var .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find $(sources) -name __pycache__ -type d -prune -exec rm -rf {} +

# pip refuses -e together with hashes, so installing is two commands: first the lock, then, from this
# folder alone and without a look at any index, the packages.

$(venv)/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make install PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || test "$$(id -u)" != 0 || { \
		echo "installing python3-venv ..."; apt-get -qq update && apt-get -qq -y install python3-venv >/dev/null; }
	@$(PYTHON) -m venv $(venv)

$(venv)/.stamp-locked: requirements-dev.txt | $(venv)/pyvenv.cfg
	@echo "installing $$(grep -c '^[a-z]' $<) locked packages, a minute or so ..."
	@$(pip) install --no-compile --require-hashes -r $<
	@touch $@

$(venv)/.stamp-msodbc: requirements-msodbc.txt | $(venv)/.stamp-locked
	@echo "installing Microsoft's ODBC driver for the tests, under Microsoft's licence (WITHOUT_MSODBC=1 leaves it out)"
	@$(pip) install --no-compile --require-hashes -r $<
	@touch $@

$(venv)/.stamp-linked: $(manifests) $(venv)/.stamp-locked $(if $(WITHOUT_MSODBC),,$(venv)/.stamp-msodbc)
	@echo "linking our own packages ..."
	@$(pip) install --no-deps --no-build-isolation --no-index $(projects:%=-e ./%)
	@touch $@
