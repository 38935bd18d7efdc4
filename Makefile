# make demo   see one request across three services, on this machine, with nothing installed but Python
# make test   run the tests
# make check  run every static check and try the built wheel in a clean environment
# make help   list all targets

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-native native oldest matrix soak bench-boundaries bench-privacy bench-delivery kills bench-collector fuzz check lint types imports wheel format otelcol compose-demo clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with the package, all extras and the test tools; quick when it is there

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "otelctx needs Python 3.10 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV) (a minute or two, once) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "Making $(VENV) failed; on Debian and Ubuntu: apt install python3-venv"; rm -rf $(VENV); exit 1; }
	@$(BIN)/python -m pip install --quiet --upgrade --disable-pip-version-check 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	@touch $@

demo: $(READY) ## run three services and show the story of one request; KEEP=1 leaves them running
	@$(BIN)/otelctx demo $(if $(KEEP),--keep)

test: $(READY) ## run the tests, with Python alone; ARGS="-k name" narrows them
	@OTELCTX_NATIVE=0 $(BIN)/python -m pytest $(ARGS)

test-native: native ## compile the twins, and run the tests of what they do with them; ARGS as above
	@OTELCTX_NATIVE=1 $(BIN)/python -m pytest $(ARGS) \
	  $(addprefix tests/,native core propagation signals integrations export counts boundaries detect)

matrix: $(READY) ## run every claim on every boundary, and print the table to docs/boundaries.md
	@$(BIN)/python -m tests.conformance

native: $(VENV)/.native ## compile the twins of the hottest functions beside their sources; OTELCTX_NATIVE=0 runs without them
	@$(BIN)/python hatch_build.py

$(VENV)/.native: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group native \
	  $$(command -v cc >/dev/null || echo --group compiler)
	@touch $@

oldest: $(READY) ## run the tests of the lower floors with the oldest OpenTelemetry that is supported; OTELCTX_NATIVE=0 as above
	@$(BIN)/python tests/packaging/oldest.py $(ARGS)

soak: $(READY) ## 1,000,000 requests through mixed boundaries, every value checked; ARGS="--minutes 5" shortens it
	@$(BIN)/python -m tests.soak $(ARGS)

.PHONY: bench bench-quick
bench: $(VENV)/.bench ## measure everything beside its peers, and keep the results; ARGS="span --python PATH" narrows it
	@$(BIN)/python -m benchmarks $(ARGS)

bench-quick: $(VENV)/.bench ## the cases with targets in under two minutes, beside the last results; ARGS as above
	@$(BIN)/python -m benchmarks --quick $(ARGS)

$(VENV)/.bench: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench
	@touch $@

bench-collector: $(READY) ## what a span costs the real collector, for each configuration
	@$(BIN)/python -m benchmarks.collector

bench-boundaries: $(READY) ## what each boundary costs, beside plain Python and OpenTelemetry's instrumentor
	@$(BIN)/python benchmarks/boundaries.py $(ARGS)

bench-delivery: $(READY) ## what an outage of the collector costs, beside the plain SDK; ARGS="--minutes 10" for a longer one
	@$(BIN)/python -m benchmarks.delivery $(ARGS)

kills: $(READY) ## kill a loaded service 200 times, and look for what was acknowledged; ARGS="--write-through"
	@$(BIN)/python -m tests.export.kills $(ARGS)

fuzz: $(READY) ## ten minutes of coverage-guided fuzzing of the codec; ARGS="-max_total_time=60" shortens it
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group fuzz
	@mkdir -p .cache/fuzz
	@$(BIN)/python -m tests.fuzz -max_total_time=600 -max_len=20000 -len_control=0 -timeout=5 \
	  -artifact_prefix=.cache/fuzz/ $(ARGS) .cache/fuzz tests/fuzz/corpus/codec

bench-privacy: $(READY) ## what redaction and seals cost
	@$(BIN)/python benchmarks/privacy.py

check: lint types imports wheel ## every static check, and the built wheel in a clean environment

lint: $(READY) ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY) ## mypy and pyright
	$(BIN)/mypy
	$(BIN)/pyright

imports: $(READY) ## import-linter: the floors of docs/architecture.md
	$(BIN)/lint-imports --no-cache

wheel: $(READY) ## build the wheel, and try it and each extra in a clean environment
	$(BIN)/python tests/packaging/check_wheel.py

format: $(READY) ## let ruff format and fix what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

compose-demo: ## the shop in containers, with the real collector, Jaeger, Prometheus, Loki and Grafana, and a story from there
	docker compose up --detach --build
	docker compose run --rm visitor
	@echo "Grafana http://127.0.0.1:3000  Jaeger http://127.0.0.1:16686  gateway http://127.0.0.1:8000"
	@echo "docker compose --profile load up adds load; docker compose --profile '*' down --volumes ends it all"

otelcol: ## get the real OpenTelemetry Collector for the tests: the pinned image, or a build of the same version
	@collector-config/otelcol build

clean: ## remove .venv and everything built
	rm -rf otelctx/native/*.so $(VENV) dist build .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
