# `make demo` shows the whole way from PostgreSQL to Apollo, `make test` and `make test-all` prove it.
# Everything is set up inside this folder; Python 3.10 or newer is needed (make PYTHON=python3.12 …).

PYTHON ?= python3
JOBS ?= 2
PYTEST_ARGS ?=
OLDEST_PYTHON ?= python3.10
NEWEST_PYTHON ?= python3.13
BENCH_ARGS ?=

VENV := .venv
MELTANO_VENV := .venv-meltano
# Meltano keeps an environment of its own, since it pins packages that the target needs newer.
MELTANO := meltano[postgres]>=4.4,<5

# Taps and mappers of others that the whole suite runs, each in an environment of its own.
TAPS_VENV := .venv-taps
TAPS := pipelinewise-tap-postgres==2.1.0 tap-spreadsheets==1.1.2 meltano-map-transform==0.12.3
# pipelinewise-tap-postgres pins a driver without wheels for Python 3.12 and newer.
TAPS_OVERRIDE := psycopg2-binary>=2.9.10

# The engines that many teams are run with, each in an environment of its own.
DAGSTER_VENV := .venv-dagster
DAGSTER := 'dagster>=1.13,<1.14' 'dagster-postgres>=0.29,<0.30'
AIRFLOW_VENV := .venv-airflow
AIRFLOW := 'apache-airflow[postgres]>=3.3,<3.4'

# Else each start of the target, a tap or an engine compiles its modules where Python may not keep
# what it has compiled.
export PYTHONDONTWRITEBYTECODE :=

# What builds and checks a distribution, in an environment of its own.
DIST_VENV := .venv-dist
DIST_TOOLS := 'build>=1.2' 'twine>=6'
# The tag to publish; empty: the distribution is only built and looked at.
PUBLISH ?=

# The builders of an image, of which the first that is there is taken, and what the image is called.
BUILDERS := docker podman buildah
IMAGE ?= target-apollo
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REPOSITORY = $(shell sed -n 's/^Repository = "\(.*\)"/\1/p' pyproject.toml)
IMAGE_LABELS = --label org.opencontainers.image.version=$(VERSION) \
	--label org.opencontainers.image.revision=$(shell git rev-parse HEAD) \
	$(if $(findstring .example/,$(REPOSITORY)),,--label org.opencontainers.image.source=$(REPOSITORY))

PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test test-all engines compat chaos bench docs reference pictures lint audit dist image clean

help:
	@echo 'make demo    load a warehouse, sync it into the sandbox, change rows, sync again'
	@echo 'make test    a test of every promise, with real PostgreSQL, Meltano and sandbox (about four minutes)'
	@echo 'make test-all  the whole test suite: also more moments of kills, both databases, chaos, how-tos, demo (twenty minutes)'
	@echo 'make engines  many teams under Dagster and Airflow, at full length'
	@echo 'make compat  the tests of the package with the oldest and with the newest dependencies'
	@echo 'make chaos   an hour of worlds, altered answers, faults, kills at every moment, and what else test-all leaves out'
	@echo 'make bench   every bar of the benchmarks, measured (ten minutes; BENCH_ARGS=--full: an hour)'
	@echo 'make docs    the documentation as a site, in build/site; fails on a dead link'
	@echo 'make reference  the tables of docs/reference and the definitions for Meltano Hub, from the code'
	@echo 'make pictures  the pictures of the README and the documentation (needs chromium and npm)'
	@echo 'make lint    formatting, style, types, security and, where the network lets it, known vulnerabilities'
	@echo 'make audit   known vulnerabilities of the dependencies (needs the network)'
	@echo 'make dist    build the sdist and the wheel in dist/, and check what is in them'
	@echo 'make image   build the container image with docker, podman or buildah (IMAGE=name:tag)'
	@echo 'make clean   remove environments, caches and what the demo left (your runs are kept)'

demo: $(VENV)/.ready $(MELTANO_VENV)/.ready
	@$(VENV)/bin/python -m target_apollo.demo

# Files stay whole, since their tests share a Meltano or a server and two demos in one folder are one
# too many; the slow ones are not left for the end.
PYTEST = $(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

# Its tests wait for processes and answers most of their time, so that three at a time leave a
# third of two cores idle.
test test-all: JOBS = 5
test: $(VENV)/.ready $(MELTANO_VENV)/.ready
	$(PYTEST) -m 'not full' --hypothesis-profile=fast $(PYTEST_ARGS)

test-all: $(VENV)/.ready $(MELTANO_VENV)/.ready $(TAPS_VENV)/.ready
	$(PYTEST) -m 'not chaos' --hypothesis-profile=thorough $(PYTEST_ARGS)

# The tests of docs/how-to/many-teams.md at full length: all teams by Meltano, a minute of a quota.
# The whole suite has no time for the engines: it skips these tests where they are not installed.
engines: $(VENV)/.ready $(MELTANO_VENV)/.ready $(DAGSTER_VENV)/.ready $(AIRFLOW_VENV)/.ready
	ENGINES=whole $(VENV)/bin/python -m pytest $(PYTEST_ARGS) \
		tests/promises/test_many_teams.py tests/docs/test_many_teams_engines.py

# The lower bounds in pyproject.toml are a promise too: the oldest versions on the oldest Python,
# then the newest on the newest.
COMPAT_TESTS := $(addprefix tests/,apollo cli config ledger mapper model reporting sync tap target) \
	$(addprefix tests/promises/test_,modes.py state.py singer_sdk.py bad_input.py)

compat:
	@$(call tested_with,oldest,$(OLDEST_PYTHON),lowest-direct)
	@$(call tested_with,newest,$(NEWEST_PYTHON),highest)

define tested_with
echo 'Setting up .venv-$(1) with $(2) and the $(1) dependencies …' && \
	$(2) -m venv --clear .venv-$(1) && \
	.venv-$(1)/bin/python $(PIP_INSTALL) uv && \
	.venv-$(1)/bin/uv pip install --quiet --python .venv-$(1)/bin/python \
		--resolution $(3) --editable '.[dev]' && \
	PATH="$(CURDIR)/.venv-$(1)/bin:$$PATH" .venv-$(1)/bin/python -m pytest \
		-q -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS) $(COMPAT_TESTS)
endef

chaos: $(VENV)/.ready
	$(VENV)/bin/python -m tests.helpers.many_worlds --jobs $(JOBS) --seeds 1000 --minutes 10
	$(VENV)/bin/python -m tests.helpers.border_sweep --minutes 10
	$(VENV)/bin/python -m tests.helpers.chaos --jobs $(JOBS) --seeds 1000 --minutes 25
	$(VENV)/bin/python -m pytest -n $(JOBS) --dist load -m chaos --timeout 3600 $(PYTEST_ARGS)

bench: $(VENV)/.ready
	$(VENV)/bin/python benchmarks/bench.py $(BENCH_ARGS)

# The versions are those of the extra `docs`; see .mkdocs.yml on how long they are kept.
docs: $(VENV)/.ready reference
	$(VENV)/bin/python -m mkdocs build --config-file .mkdocs.yml
	@echo 'Open build/site/index.html; to search too: python3 -m http.server --directory build/site'

reference: $(VENV)/.ready
	$(VENV)/bin/python -m docs.tools.reference
	$(VENV)/bin/python -m docs.tools.hub_definition

# The browser draws the diagrams once, so that no page of the site needs mermaid.
MERMAID := mermaid@12.3.0

pictures: $(VENV)/.ready
	@mkdir -p build/mermaid
	@cd build/mermaid && npm pack --silent $(MERMAID) | xargs tar -xzf
	$(VENV)/bin/python -m docs.tools.diagrams build/mermaid/package/dist/mermaid.min.js
	$(VENV)/bin/python -m docs.tools.screenshots

lint: $(VENV)/.ready
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/bandit -q -c pyproject.toml -r target_apollo
	@$(MAKE) --no-print-directory audit > $(VENV)/audit.log 2>&1 && echo 'No known vulnerabilities.' || \
	if grep -Eq 'Found [0-9]+ known vulnerabilit' $(VENV)/audit.log; then \
		cat $(VENV)/audit.log; exit 1; \
	else echo 'Dependencies not audited: the advisory service does not answer (make audit).'; fi

# Asks an advisory service on the network, and says nothing true without it: an error by itself, a
# remark in lint.
audit: $(VENV)/.ready
	@$(VENV)/bin/python -m pip freeze --exclude-editable > $(VENV)/audited.txt
	@$(VENV)/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off \
		-r $(VENV)/audited.txt || \
	{ echo 'Not audited, or not clean: the lines above say which.'; \
		echo 'The advisory service must be reachable.'; exit 1; }

dist: $(VENV)/.ready $(DIST_VENV)/.ready
	rm -rf dist
	$(DIST_VENV)/bin/python -m build --outdir dist .
	$(DIST_VENV)/bin/twine check --strict dist/*
	$(VENV)/bin/python -m docs.tools.distribution $(if $(PUBLISH),--publish '$(PUBLISH)')

image:
	@for builder in $(BUILDERS); do \
		if command -v $$builder >/dev/null; then \
			set -x; exec $$builder build -f docs/docker/Dockerfile -t '$(IMAGE)' $(IMAGE_LABELS) .; \
		fi; \
	done; \
	echo 'None of $(BUILDERS) is installed: one of them builds the image.'; exit 1

clean:
	rm -rf $(VENV) $(MELTANO_VENV) $(TAPS_VENV) $(DAGSTER_VENV) $(AIRFLOW_VENV) $(DIST_VENV) .venv-oldest .venv-newest .demo build dist
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf .meltano/extractors .meltano/loaders .meltano/mappers .meltano/run .meltano/installed

$(VENV)/.ready: pyproject.toml
	@$(call python_is_new_enough)
	@echo 'Setting up $(VENV) …'
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python $(PIP_INSTALL) --editable '.[dev]'
	@touch $@

$(MELTANO_VENV)/.ready: Makefile
	@$(call python_is_new_enough)
	@echo 'Setting up Meltano in $(MELTANO_VENV) …'
	@$(PYTHON) -m venv $(MELTANO_VENV)
	@$(MELTANO_VENV)/bin/python $(PIP_INSTALL) '$(MELTANO)'
	@touch $@

# uv comes with Meltano.
UV := $(MELTANO_VENV)/bin/uv --quiet

$(TAPS_VENV)/.ready: Makefile $(MELTANO_VENV)/.ready
	@echo 'Setting up the taps of others in $(TAPS_VENV) …'
	@mkdir -p $(TAPS_VENV) && echo '$(TAPS_OVERRIDE)' > $(TAPS_VENV)/overrides.txt
	@set -e; for tap in $(TAPS); do \
		folder=$(TAPS_VENV)/$${tap%%==*}; \
		$(PYTHON) -m venv --clear --without-pip $$folder; \
		$(UV) pip install --python $$folder/bin/python \
			--overrides $(TAPS_VENV)/overrides.txt $$tap; \
	done
	@touch $@

$(DAGSTER_VENV)/.ready: Makefile $(MELTANO_VENV)/.ready
	@echo 'Setting up Dagster in $(DAGSTER_VENV) …'
	@$(PYTHON) -m venv --clear --without-pip $(DAGSTER_VENV)
	@$(UV) pip install --python $(DAGSTER_VENV)/bin/python $(DAGSTER)
	@touch $@

$(AIRFLOW_VENV)/.ready: Makefile $(MELTANO_VENV)/.ready
	@echo 'Setting up Airflow in $(AIRFLOW_VENV) …'
	@$(PYTHON) -m venv --clear --without-pip $(AIRFLOW_VENV)
	@$(UV) pip install --python $(AIRFLOW_VENV)/bin/python $(AIRFLOW)
	@touch $@

$(DIST_VENV)/.ready: Makefile
	@$(call python_is_new_enough)
	@echo 'Setting up what builds a distribution in $(DIST_VENV) …'
	@$(PYTHON) -m venv --clear $(DIST_VENV)
	@$(DIST_VENV)/bin/python $(PIP_INSTALL) $(DIST_TOOLS)
	@touch $@

define python_is_new_enough
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	{ echo 'Python 3.10 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)'; exit 1; }
endef
