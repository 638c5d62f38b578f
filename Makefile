# voiceguard's commands for people and for CI. `make` alone lists them.

PYTHON ?= python3
VENV := .venv
# A file of tests per process, and one process more than processors: a third of a test's time is
# waiting. Each holds an encoder, so there are never many.
PYTEST_ARGS ?= --numprocesses=$(shell expr $$(nproc) + 1) --maxprocesses=4 --dist=loadfile
BIN := $(VENV)/bin

# What tests and the demo's recordings need from the system.
SERVICES := pulseaudio pulseaudio-utils libportaudio2 libasound2-plugins mosquitto flite espeak-ng sox systemd

# Strict: a dead link is an error (not with --quiet, which counts no warnings). Without the theme's
# advertisement of its successor.
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --config-file .mkdocs.yml

.DEFAULT_GOAL := help
CAMPAIGN_SECONDS ?= 600

# The core that tests/packages/home runs, 630 MB beside pip's cache, not in the checkout.
HOME_ASSISTANT := 2026.2.3
HOME_ASSISTANT_VENV := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/voiceguard/homeassistant-$(HOME_ASSISTANT)

# What tests/packages installs in: what the Debian package depends on, and pip for the container.
DEBIAN := $(shell . /etc/os-release 2>/dev/null && echo $$VERSION_CODENAME)
DEBIAN_ROOT := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/voiceguard/debian-$(DEBIAN)
DEBIAN_PACKAGES := python3 python3-venv adduser ca-certificates libportaudio2
comma := ,

PYTHON_3_13 ?= $(or $(shell command -v python3.13),$(wildcard $(HOME)/.pyenv/versions/3.13.*/bin/python))

.PHONY: help demo test coverage campaign test-packages home-assistant requirements packages addon deb debian-root release check docs docs-pictures services demo-audio clean

help:
	@echo 'make demo          enroll a synthetic voice, listen to a scene, see the decisions (1 minute)'
	@echo 'make test          the test suite but for the next one'
	@echo 'make test-packages builds wheel and sdist, runs the wheel alone, and the daemon with a real'
	@echo '                   Home Assistant, if that is there'
	@echo 'make home-assistant installs one for that into ~/.cache: 630 MB, with a Python 3.13'
	@echo 'make campaign      faults for 10 minutes (CAMPAIGN_SECONDS=600): kills, full disks, mutated'
	@echo '                   files, brokers that vanish; a table, and JSON in build/'
	@echo 'make requirements  requirements-light.txt anew: what a machine without torch installs'
	@echo 'make packages      wheel and source distribution, into dist/'
	@echo 'make addon         the Home Assistant add-on, complete, into build/addon'
	@echo 'make deb           the Debian package, for the Debian of this machine, into dist/'
	@echo 'make debian-root   as root: a Debian root in ~/.cache (190 MB), in which test-packages installs'
	@echo '                   that package and follows the Containerfile'
	@echo 'make release       packages, notes from CHANGELOG.md, bill of materials, hashes: into dist/'
	@echo 'make check         ruff, mypy, import-linter, bandit, the structure, no dead link in the site'
	@echo 'make coverage      as make test, slower: which lines of voiceguard no test reaches'
	@echo 'make docs          settings and commands written anew, the site built in build/site'
	@echo 'make docs-pictures draws the pictures of README and docs anew, from a run of the demo'
	@echo 'make services      as root: installs by apt-get what the tests need of the system'
	@echo 'make demo-audio    speaks the recordings of the demo anew (needs flite)'
	@echo 'make clean         removes the virtual environment and every build output'
	@echo
	@echo 'The first of them makes $(VENV) with $(PYTHON); another Python: make PYTHON=... demo'

demo: $(VENV)/.installed-demo
	$(BIN)/voiceguard demo

test: $(VENV)/.installed-test
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    $(MAKE) --no-print-directory services; fi
	$(BIN)/pytest $(PYTEST_ARGS) --ignore=tests/packages $(COVERAGE)

coverage:
	@$(MAKE) --no-print-directory test COVERAGE='--cov --cov-report=term:skip-covered'

requirements: $(VENV)/.installed-test
	$(BIN)/python -m tests.packages.light

test-packages: $(VENV)/.installed-test
	$(BIN)/pytest tests/packages

# It asks for 3.13.2 and runs with any 3.13. Where there is none, its tests are skipped and say so.
home-assistant: $(VENV)/.installed-test
	@if [ -x $(HOME_ASSISTANT_VENV)/bin/python ]; then exit 0; fi; \
	if ! $(firstword $(PYTHON_3_13) false) --version >/dev/null 2>&1; then \
	    echo "No Python 3.13 here (make PYTHON_3_13=/path/to/it home-assistant): its tests skip." >&2; \
	    exit 0; fi; \
	$(firstword $(PYTHON_3_13) false) -m venv $(HOME_ASSISTANT_VENV).new && \
	$(HOME_ASSISTANT_VENV).new/bin/pip install --quiet --disable-pip-version-check \
	    --ignore-requires-python homeassistant==$(HOME_ASSISTANT) paho-mqtt && \
	mv $(HOME_ASSISTANT_VENV).new $(HOME_ASSISTANT_VENV)

campaign: $(VENV)/.installed-test
	$(BIN)/python -m tests.campaign --seconds $(CAMPAIGN_SECONDS) $(CAMPAIGN_ARGS)

packages: $(VENV)/.installed-test
	$(BIN)/python -m tests.packages.making

addon: $(VENV)/.installed-test
	$(BIN)/python -m tests.packages.addon

deb: $(VENV)/.installed-test
	$(BIN)/python -m tests.packages.debian

# Of the release that this machine runs, since the package is for that one's Python.
debian-root:
	@if [ -d $(DEBIAN_ROOT) ] && command -v lintian >/dev/null; then exit 0; fi; \
	$(MAKE) --no-print-directory services SERVICES='debootstrap python3-venv lintian' && \
	if [ -d $(DEBIAN_ROOT) ]; then exit 0; fi && \
	mkdir -p $(dir $(DEBIAN_ROOT)) && rm -rf $(DEBIAN_ROOT).new && \
	debootstrap --variant=minbase --include=$(subst $() ,$(comma),$(DEBIAN_PACKAGES)) \
	    $(DEBIAN) $(DEBIAN_ROOT).new >$(DEBIAN_ROOT).log || { tail $(DEBIAN_ROOT).log >&2; exit 1; } && \
	rm -rf $(DEBIAN_ROOT).new/var/cache/apt/* $(DEBIAN_ROOT).new/var/lib/apt/lists/* && \
	mv $(DEBIAN_ROOT).new $(DEBIAN_ROOT)

release: $(VENV)/.installed-test
	$(BIN)/python -m tests.packages.release

check: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive voiceguard
	$(BIN)/python -m tests.checks
	$(SITE)

docs: $(VENV)/.installed-test
	$(BIN)/python -m tests.docs
	$(SITE)

docs-pictures: $(VENV)/.installed-test
	$(BIN)/python -m tests.docs --pictures

services:
	@missing=; \
	for package in $(SERVICES); do \
	    dpkg-query -W -f='$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed \
	        || missing="$$missing $$package"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	    echo "No apt-get here. Install with your own package manager:$$missing" >&2; exit 1; fi; \
	if [ "$$(id -u)" != 0 ]; then \
	    echo "Not root. Run: sudo apt-get install --no-install-recommends$$missing" >&2; exit 1; fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing

demo-audio: $(VENV)/.installed-demo
	$(BIN)/python -m voiceguard.demo.make_audio

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	    .import_linter_cache .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the virtual environment: installed again when pyproject.toml or the constraints change ---

$(VENV)/.installed-demo: EXTRAS := broker
$(VENV)/.installed-test: EXTRAS := broker,report,docs,test

$(VENV)/.installed-%: pyproject.toml config/constraints.txt | $(BIN)/pip
	@sed "$$($(BIN)/python -c '$(PINS)')" config/constraints.txt > $(VENV)/constraints.txt
	@$(BIN)/pip uninstall --yes --quiet voiceguard 2>/dev/null  # what this was called once
	@rm -rf voiceguard.egg-info
	$(BIN)/pip install --disable-pip-version-check -c $(VENV)/constraints.txt -e '.[$(EXTRAS)]'
	@touch $@ $(if $(findstring test,$@),$(VENV)/.installed-demo)

# A CPU-only torch that is there already stays, whatever its version: the constraint would replace
# it by several gigabytes of CUDA. Prints the sed command that puts its version into the pins.
define PINS
from importlib.metadata import distributions; \
cpu = [d.version for d in distributions() if d.name == "torch" and d.version.endswith("+cpu")]; \
print(f"s/^torch==.*/torch=={cpu[0]}/" if cpu else "")
endef

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "voiceguard needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	        "Name another: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
