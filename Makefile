# make only starts things; the commands themselves are `incidentlens …` in .venv/bin.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.8
READY := $(VENV)/.ready
NODE_READY := plugin/node_modules/.ready
NODE_OK := command -v npm >/dev/null && node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 15) ? 0 : 1)' 2>/dev/null

.PHONY: demo test test-plugin lint fuzz plugin proto dashboards env provisioning setup lock clean
.DEFAULT_GOAL := setup

setup: $(READY)

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; found " + sys.version.split()[0] + ". Name one: make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)
	@$(BIN)/incidentlens demo $(ARGS)

test: $(READY) lint
	@$(BIN)/python -m pytest $(ARGS)
	@if ! ($(NODE_OK)); then echo "skipped: the data source's front end (its tests need npm and Node.js 20.15 or newer)"; \
	elif ! $(MAKE) --no-print-directory $(NODE_READY); then echo "skipped: the tests of the data source's front end (npm ci failed, see above)"; \
	else $(MAKE) --no-print-directory test-plugin; fi

test-plugin: $(NODE_READY)
	@cd plugin && npm run --silent typecheck && npm test --silent

# dist/, which Grafana loads, and the zip to unpack into a plugins folder.
plugin: $(NODE_READY)
	@cd plugin && npm run --silent zip

$(NODE_READY): plugin/package.json plugin/package-lock.json
	@$(NODE_OK) || { echo "npm and Node.js 20.15 or newer are needed for plugin/" >&2; exit 1; }
	@cd plugin && npm ci --silent --no-progress
	@touch $@

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

# Every fuzz target for SECONDS; what breaks a promise is kept as .fuzz/crash-*.
SECONDS ?= 60
fuzz: $(READY)
	@mkdir -p .fuzz && cd .fuzz && for target in reading structured signing causes logql patterns; do \
	echo "fuzzing $$target for $(SECONDS) s"; \
	../$(BIN)/python ../tests/fuzz/run.py $$target -max_total_time=$(SECONDS) >$$target.log 2>&1 \
	|| { tail -n 25 $$target.log; exit 1; }; tail -n 1 $$target.log; done

# The Python of proto/*.proto; a test checks that what is committed is what this makes.
proto: $(READY)
	@$(BIN)/python proto/generate.py

# The JSON of dashboards/source; a test checks that what is committed is what this makes.
dashboards: $(READY)
	@$(BIN)/python dashboards/generate.py

# The lock holds hashes and no address, so it is the same wherever it is made.
lock: $(VENV)/bin/python
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --extra dev pyproject.toml -o requirements.lock

# The secrets of docker-compose.yml, made once; the file is yours to change and is never committed.
env: .env

.env:
	@umask 077 && for name in POSTGRES_PASSWORD INCIDENTLENS_TOKEN GRAFANA_ADMIN_PASSWORD GRAFANA_SECRET_KEY; do echo "$$name=$$($(PYTHON) -c 'import secrets; print(secrets.token_hex(24))')"; done > $@
	@echo ".env is written: secrets of this machine alone"

# What docker-compose.yml gives Grafana to read; a test checks that what is committed is what this makes.
provisioning: $(READY)
	@$(BIN)/incidentlens provision --out provisioning --project shop --dashboards-path /var/lib/grafana/dashboards --grafana-version 12.4

$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache plugin/node_modules plugin/dist
