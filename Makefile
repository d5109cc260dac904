# The verbs of daily work; CI calls nothing else. `make` alone lists them.
#
# What each needs is made on the way and kept, so a second call starts at once. Needed beforehand: Python 3.11 or
# newer with venv, Node 20 or newer with npm, make; for browser tests a Chromium, which `make chromium` installs on Debian.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: help env lab demo test check lint house pictures format types bench faults soak load fuzz wheel chromium clean

PYTHON ?= python3
NOTEBOOK ?= notebooks/01-quickstart.ipynb
TESTS ?= tests
TEST_WORKERS ?= 2

BIN := .venv/bin
PY := $(BIN)/python
# npm's build finds jupyter-builder here
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

DEPENDENCIES := .venv/.dependencies
INSTALLED := .venv/.installed
NODE_MODULES := node_modules/.package-lock.json
BUILT := widgets/jupyter_ext_widgets/static/manifest.json
LAB_BUILT := jupyter_ext/labextension/static/style.js
BROWSER_SOURCES := $(shell find widgets/src widgets/*.mjs widgets/*.json labextension/src labextension/schema \
	labextension/style labextension/*.json package.json -type f 2>/dev/null)
PYTHON_SOURCES := jupyter_ext widgets/jupyter_ext_widgets tests benchmarks .ci

BENCHES_IN_BROWSER := $(basename $(notdir $(shell grep -l benchmarks.support.lab benchmarks/*.py)))

AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
HAS_SCREEN := $(or $(DISPLAY),$(WAYLAND_DISPLAY),$(filter Darwin,$(shell uname -s)))
CHROMIUM = $(or $(JUPYTER_EXT_CHROMIUM),$(shell command -v chromium || command -v chromium-browser || command -v google-chrome))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: ## make .venv with jupyter-ext (editable) and build the browser half
	@$(MAKE) --no-print-directory -j2 $(INSTALLED)

lab: env ## start JupyterLab on notebooks/01-quickstart.ipynb (another one: NOTEBOOK=…)
	$(BIN)/jupyter lab --ServerApp.root_dir=$(dir $(NOTEBOOK)) --LabApp.default_url=/lab/tree/$(notdir $(NOTEBOOK)) \
		$(AS_ROOT) $(if $(HAS_SCREEN),,--no-browser) \
		--LabApp.extension_manager=readonly --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate

demo: env ## run the quickstart notebook without a browser and print what it trained
	@$(PY) .ci/demo.py $(NOTEBOOK)

test: env chromium ## run all tests, also those in a browser (some of them: TESTS=tests/unit)
	$(PY) -m pytest -n $(TEST_WORKERS) --dist loadfile $(TESTS)

faults: env ## kill, stop, race and starve processes and disks, and check what is left (SEED=… ROUNDS=… SCENE=…; one alone: ROUND=…)
	$(PY) -m tests.faults $(if $(SEED),--seed $(SEED)) $(if $(SCENE),--scene "$(SCENE)") \
		$(if $(ROUND),--round $(ROUND),--rounds $(or $(ROUNDS),100))
	$(if $(SCENE)$(ROUND),,ROUNDS=$(or $(ROUNDS),100) $(PY) -m pytest -q -o timeout=0 tests/faults/test_life_of_a_run.py)

soak: env ## train for MINUTES=60 and watch the engine's memory, descriptors and threads
	$(PY) -m tests.faults --minutes $(or $(MINUTES),60)

load: env ## put an engine under SHARE=0.1 of its full load for SECONDS=60 and tell how long anybody waits for it
	$(PY) -m tests.faults --load $(or $(SHARE),0.1) --seconds $(or $(SECONDS),60)

fuzz: env .venv/.fuzz ## feed every decoder, guided by coverage, then the HTTP API (INPUTS=2000000 EXAMPLES=100; one alone: DECODER=…)
	$(PY) -m tests.fuzz --inputs $(or $(INPUTS),2000000) $(if $(DECODER),--decoder "$(DECODER)")
	$(if $(DECODER),,EXAMPLES=$(or $(EXAMPLES),100) $(PY) -m pytest -q -s -o timeout=0 tests/fuzz/test_http_api.py)

check: lint ## lint, types, import directions, unit and contract tests; about a minute
	$(PY) -m pytest -n $(TEST_WORKERS) --dist loadfile -m "not slow and not browser" tests/unit tests/contract

lint: env ## the part of `make check` that runs no tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(PY) .ci/wire_types.py --check
	$(PY) .ci/house.py --check
	npm run check
	npm test

pictures: env chromium ## take the README's pictures of the real product, light and dark
	$(PY) .ci/pictures.py docs/pictures

house: env ## print how large rooms, functions and modules are, beside their limits
	@$(PY) .ci/house.py

format: env ## let ruff and biome format and repair what they can
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	npm run format

types: env ## write widgets/src/wire/types.generated.ts from jupyter_ext/protocol
	$(PY) .ci/wire_types.py

bench: env .venv/.bench $(if $(filter $(or $(ONLY),%),$(BENCHES_IN_BROWSER)),chromium) ## measure beside peers and limits (some: ONLY="models table"; against earlier ones: COMPARE=FILE; only whether all run: SMOKE=1)
	@$(PY) -m benchmarks $(if $(COMPARE),--compare $(COMPARE)) $(if $(SMOKE),--smoke) $(ONLY)

wheel: env ## build sdist and wheel into dist/ from freshly built browser files
	rm -rf dist $(dir $(BUILT)) jupyter_ext/labextension
	npm run build:prod
	$(PY) -m build --no-isolation

chromium: ## install Chromium from Debian's packages where there is none (JUPYTER_EXT_CHROMIUM names another one)
	@if [ -n "$(CHROMIUM)" ]; then exit 0; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; \
	else \
		echo "No Chromium for the browser tests: run 'sudo apt-get install chromium' or set JUPYTER_EXT_CHROMIUM." >&2; \
		[ "$${CI:-}" != true ]; \
	fi

clean: ## remove everything that the other targets made
	rm -rf .venv node_modules */node_modules dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .cache
	rm -rf $(dir $(BUILT)) jupyter_ext/labextension labextension/lib widgets/lib tests/browser/screenshots benchmarks/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '*.tsbuildinfo' -delete

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit("jupyter-ext needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

# The dependencies come before the project, beside npm's, because building the project needs both.
$(DEPENDENCIES): .venv/pyvenv.cfg pyproject.toml constraints.txt
	$(PY) -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; e = p["optional-dependencies"]; \
		print(*p["dependencies"], *(r for n in ("lab", "cog", "hf", "keyring", "ray", "sweep", "test", "dev") for r in e[n] if "jupyter-ext" not in r), sep="\n")' \
		> .venv/requirements.txt
	$(PY) -m pip install -q -c constraints.txt -r .venv/requirements.txt
	touch $@

$(NODE_MODULES): package-lock.json package.json
	@node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' || { echo "jupyter-ext needs Node 20 or newer to be built: https://nodejs.org" >&2; exit 1; }
	npm ci --no-audit --no-fund
	touch $@

$(BUILT): $(DEPENDENCIES) $(NODE_MODULES) $(BROWSER_SOURCES)
	npm run build:prod
	test -f $(LAB_BUILT)
	touch $@

# Linked, not copied: JupyterLab then sees every later build. The link goes before pip comes again, which would otherwise
# write and delete through it. The settings keep Jupyter's news off the screen.
$(INSTALLED): $(DEPENDENCIES) install.json $(wildcard jupyter-config/server-config/*) | $(BUILT)
	rm -rf .venv/share/jupyter/labextensions/jupyter-ext jupyter_ext/labextension/install.json
	HATCH_JUPYTER_BUILDER_SKIP_NPM=1 $(PY) -m pip install -q --no-deps --no-build-isolation -e .
	$(BIN)/jupyter-builder develop --overwrite .
	mkdir -p .venv/share/jupyter/lab/settings
	echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}' \
		> .venv/share/jupyter/lab/settings/overrides.json
	touch $@

.venv/.fuzz: $(INSTALLED)
	$(PY) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["fuzz"], sep="\n")' \
		> .venv/requirements-fuzz.txt
	$(PY) -m pip install -q -c constraints.txt -r .venv/requirements-fuzz.txt
	touch $@

.venv/.bench: $(INSTALLED)
	$(PY) -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
		print(*p["optional-dependencies"]["bench"], sep="\n")' > .venv/requirements-bench.txt
	$(PY) -m pip install -q -c constraints.txt -r .venv/requirements-bench.txt
	touch $@
