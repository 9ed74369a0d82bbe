# Everything a person or CI does, from a checkout and nothing but Python 3.11 or newer and make.
# Another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip
# The network of a hospital or a region often has a certificate authority of its own: what this machine trusts is trusted.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem),)
export UV_SYSTEM_CERTS ?= true
endif
COMPILE := UV_CUSTOM_COMPILE_COMMAND='make lock' $(UV) compile --quiet --generate-hashes --universal --python-version 3.11 --no-annotate
PORT ?=
ONCE ?=
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo serve test check format style types layers artifacts tests changelog explore bench soak test-web validate-official fix lock docs clean

help:
	@echo "make demo            the server with the example region; one referral is played before your eyes, from first question to follow-up (ONCE=1: then stop)"
	@echo "make serve           the server on an empty store, http://127.0.0.1:8080/fhir"
	@echo "make test            set up everything and run every gate; CI runs this"
	@echo "make tests           the tests only; PYTEST_ARGS='-k referral -x'"
	@echo "make fix             format, and repair what the linter can"
	@echo "make docs            write again the documentation that is made from code"
	@echo "make explore         the tests that draw their cases, with new draws (RUNS=20)"
	@echo "make bench           measure speed and memory"
	@echo "make soak            the long forms of the tests: an hour or more"
	@echo "make test-web        the pages in Chromium: axe, a phone, a keyboard, pictures (needs Chromium, and npm for axe)"
	@echo "make validate-official  compare our verdicts with the official R4 validator (needs Java 17 and Maven)"
	@echo "make lock            choose dependency versions anew"
	@echo "make clean           remove the environment, caches and demo data"

# --- Set-up: each stamp says "done with this lock"; a second run finds it and starts at once. ---

$(VENV)/.base: requirements/bootstrap.txt
	@echo "Setting up $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, but $(PYTHON) is: $$($(PYTHON) --version 2>&1 | head -n 1). Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "$(PYTHON) cannot make an environment; on Debian and Ubuntu install python3-venv." >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements/bootstrap.txt
	@touch $@

# An environment for development serves the demo too: it is not stripped down again.
$(VENV)/.runtime: $(VENV)/.base requirements/runtime.txt requirements/build.txt pyproject.toml
	@if [ -e $(VENV)/.dev ]; then $(MAKE) --no-print-directory $(VENV)/.dev; else \
	  echo "Installing what the server needs ..."; \
	  $(UV) sync --quiet --python $(BIN)/python --require-hashes requirements/runtime.txt && \
	  $(UV) install --quiet --python $(BIN)/python --no-deps --build-constraints requirements/build.txt --editable . ; fi
	@touch $@

$(VENV)/.dev: $(VENV)/.base requirements/dev.txt requirements/build.txt pyproject.toml
	@echo "Installing what the server and its tests need ..."
	@$(UV) sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(UV) install --quiet --python $(BIN)/python --no-deps --build-constraints requirements/build.txt --editable .
	@touch $@

# --- For users ---

demo: $(VENV)/.runtime
	@$(BIN)/fhir-server demo $(if $(ONCE),--once) $(if $(PORT),--port $(PORT))

serve: $(VENV)/.runtime
	@$(BIN)/fhir-server serve $(if $(PORT),--port $(PORT))

# --- Gates (docs: CONTRIBUTING.md) ---

test: $(VENV)/.dev check

check: format style types layers artifacts changelog tests
	@echo "All gates are passed."

format: $(VENV)/.dev
	@echo "== format"
	@$(BIN)/ruff format --check --quiet . || { echo "make fix formats these:"; $(BIN)/ruff format --check .; exit 1; }

style: $(VENV)/.dev
	@echo "== lint"
	@$(BIN)/ruff check --quiet .

types: $(VENV)/.dev
	@echo "== types"
	@$(BIN)/mypy --no-error-summary

layers: $(VENV)/.dev
	@echo "== layers"
	@$(BIN)/lint-imports --no-logo > $(VENV)/layers.txt 2>&1 || { cat $(VENV)/layers.txt; exit 1; }

artifacts: $(VENV)/.dev
	@echo "== artefacts"
	@$(BIN)/fhir-server check

changelog:
	@echo "== changelog"
	@sed -n '/^## \[Unreleased\]/,/^## \[[0-9]/p' CHANGELOG.md | grep -q '^- ' || { \
	  echo "CHANGELOG.md has no line under [Unreleased]." >&2; exit 1; }

tests: $(VENV)/.dev
	@echo "== tests"
	@$(BIN)/pytest $(or $(PYTEST_ARGS),-n 2 --dist loadfile --randomly-seed=1 --durations=10)

explore: $(VENV)/.dev
	@for run in $$(seq $(or $(RUNS),5)); do \
	  $(BIN)/pytest -n 2 --dist loadfile -q -m hypothesis --hypothesis-profile=explore $(PYTEST_ARGS) || exit 1; done

bench: $(VENV)/.dev
	@$(BIN)/python -m bench

soak: $(VENV)/.dev
	@$(BIN)/python -m tests.soak.kill --kills 500
	@$(BIN)/python -m tests.soak.feed --changes 1000000
	@$(BIN)/python -m tests.soak.searches --searches 2000

test-web: $(VENV)/.dev
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  echo "test-web needs Chromium; on Debian and Ubuntu: apt-get install chromium" >&2; exit 1; }
	@command -v npm >/dev/null && npm install --no-save --no-audit --no-fund --silent --prefix var/web axe-core@4 || \
	  echo "Without npm the rules of axe are left out."
	@TEST_WEB=1 $(BIN)/pytest -p no:randomly $(PYTEST_ARGS) tests/web
	@echo "Pictures of every page: var/web/pictures"

validate-official: $(VENV)/.dev
	@$(BIN)/python -m tools.official.compare

# --- Chores ---

fix: $(VENV)/.dev
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

docs: $(VENV)/.dev
	@$(BIN)/fhir-server config --table > docs/settings.md
	@$(BIN)/fhir-server config --referral > docs/referral.md

lock: $(VENV)/.base
	@$(COMPILE) --upgrade requirements/bootstrap.in --output-file requirements/bootstrap.txt
	@$(COMPILE) --upgrade requirements/build.in --output-file requirements/build.txt
	@$(COMPILE) --upgrade pyproject.toml --output-file requirements/runtime.txt
	@$(COMPILE) --upgrade --constraints requirements/runtime.txt --group dev pyproject.toml --output-file requirements/dev.txt

clean:
	@rm -rf $(VENV) var/demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	@find fhir_server tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
