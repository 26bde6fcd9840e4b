# `make` lists the targets. Everything installs into .venv and runs on 127.0.0.1; see README.md.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
STARTED := $(shell date +%s)
# Where nothing was ever started, `make stop` need not install anything first.
ONCE_STARTED = $(if $(wildcard .local $(SPARKIFY_STATE)),$(STAMP))

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(STAMP) ## Start everything, load the sample month, show the first answers
	@SPARKIFY_STARTED=$(STARTED) $(RUN) -m local demo

.PHONY: stop
stop: $(ONCE_STARTED) ## Stop everything that runs and keep the data
	@if [ -x $(RUN) ]; then $(RUN) -m local down; else echo "Nothing was started here."; fi

.PHONY: clean
clean: $(ONCE_STARTED) ## Stop everything and delete the local data: sample data, warehouse, run history
	@if [ -x $(RUN) ]; then $(RUN) -m local clean; else echo "Nothing was started here."; fi

.PHONY: up
up: $(STAMP) ## Start everything that does not run; load nothing
	@$(RUN) -m local up

.PHONY: status
status: $(STAMP) ## Show what is running
	@$(RUN) -m local status || test $$? -eq 3

REPORT ?= sparkify-report.html

.PHONY: report
report: $(STAMP) ## Write the local stack's answers to one HTML file: REPORT=file, START=day and END=day
	@eval "$$($(RUN) -m local env)" && PYTHONPATH=plugins $(RUN) -m sparkify.report --output $(REPORT) \
	  $(if $(START),--start $(START)) $(if $(END),--end $(END))

.PHONY: picture
picture: $(STAMP) ## Take the picture of the page for README, from the running local stack, with Chromium
	$(RUN) -m tests.support.picture docs/page.png

.PHONY: docker-env
docker-env: .env ## Create .env for Docker: .env.example with new secrets

# 48 and 32 random bytes, as Airflow wants its JWT secret and its Fernet key; all fit into a URL.
.env:
	@umask 077; random() { head -c $$1 /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'; }; \
	  while IFS= read -r line; do \
	    case $$line in \
	      *FERNET_KEY=) line=$$line$$(random 32) ;; \
	      *PASSWORD= | *SECRET= | *SECRET_KEY=) line=$$line$$(random 48) ;; \
	    esac; \
	    printf '%s\n' "$$line"; \
	  done < .env.example > .env.new && mv .env.new .env
	@echo "Wrote .env, which only you can read. It holds the passwords; keep it out of git."

# The first tests are the longest: conftest.py hands them out in this order, file by file.
JOBS ?= 3
IN_PROCESSES := -n $(JOBS) --no-loadscope-reorder --durations=10

.PHONY: test
test: $(STAMP) ## Run every test: unit, integration and end to end; JOBS=3 at once
	$(RUN) -m pytest $(IN_PROCESSES)

.PHONY: test-unit
test-unit: $(STAMP) ## Run the unit tests, in seconds
	$(RUN) -m pytest -m unit tests/unit local-redshift/tests/unit

.PHONY: test-integration
test-integration: $(STAMP) ## Run the tests against the local stand-ins
	$(RUN) -m pytest $(IN_PROCESSES) -m integration tests/integration local-redshift/tests/integration

.PHONY: test-e2e
test-e2e: $(STAMP) ## Run the tests with Airflow's own processes
	$(RUN) -m pytest -m e2e tests/e2e

EXAMPLES ?= 100

.PHONY: test-convergence
test-convergence: $(STAMP) ## Play random schedules of runs and crashes: EXAMPLES=100, or SCHEDULE=file
	SPARKIFY_EXAMPLES=$(EXAMPLES) $(if $(SCHEDULE),SPARKIFY_SCHEDULE=$(SCHEDULE)) \
	  $(RUN) -m pytest tests/integration/sparkify/test_convergence.py

.PHONY: lint
lint: lint-python lint-types lint-sql ## Check the Python style, the types and the SQL

.PHONY: lint-python
lint-python: $(STAMP) ## Check the Python style with ruff
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check

.PHONY: lint-types
lint-types: $(STAMP) ## Check the types with mypy
	$(RUN) -m mypy

.PHONY: lint-sql
lint-sql: $(STAMP) ## Check the SQL with sqlfluff, as the DAGs render it
	PYTHONPATH=plugins:local-redshift/src $(RUN) -m tests.lint_sql

.PHONY: bench-copy
bench-copy: $(STAMP) ## Measure COPY of the local Redshift against what its parts can do
	PYTHONPATH=local-redshift/src $(RUN) local-redshift/benchmarks/bench_copy.py

.PHONY: bench-history
bench-history: $(STAMP) ## Measure an hourly run on top of 1, 10 and 50 million plays
	PYTHONPATH=plugins:local-redshift/src $(RUN) -m tests.benchmarks.history

.PHONY: bench-run
bench-run: $(STAMP) ## Measure an hourly run in Airflow against a DAG of the same shape that does nothing
	PYTHONPATH=plugins:local-redshift/src $(RUN) -m tests.benchmarks.run

.PHONY: bench-month
bench-month: $(STAMP) ## Measure a month as one run in Airflow: SPARKIFY_DATASET=folder of the public dataset
	PYTHONPATH=plugins:local-redshift/src $(RUN) -m tests.benchmarks.month

.PHONY: bench-lake
bench-lake: $(STAMP) ## Measure a day of compressed parts, new songs beside a million, and a busy hour
	PYTHONPATH=plugins:local-redshift/src $(RUN) -m tests.benchmarks.lake

.PHONY: bench-page
bench-page: $(STAMP) ## Measure the page of answers over a million plays
	PYTHONPATH=plugins:local-redshift/src $(RUN) -m tests.benchmarks.page

.PHONY: audit
audit: $(VENV)/bin/uv ## Check the production dependencies for known vulnerabilities
	$(VENV)/bin/uv tool run pip-audit==2.10.1 --strict --disable-pip --require-hashes -r requirements.txt

.PHONY: lock
lock: $(VENV)/bin/uv ## Pin the dependencies of the .in files again
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" requirements.in -o requirements.txt
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" -c requirements.txt requirements-dev.in -o requirements-dev.txt
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" requirements-uv.in -o requirements-uv.txt

# A tag can be moved to another image, a digest cannot. Needs Docker with buildx, and the registry of the images.
.PHONY: lock-images
lock-images: ## Pin the base images of the Docker files by the digests that their tags have now
	@set -e; for image in $$(sed -n 's/^ARG AIRFLOW_IMAGE=//p' Dockerfile) \
	    $$(sed -n 's/^    image: \(.*:.*\)$$/\1/p' docker-compose.yaml); do \
	  tag=$${image%@*}; \
	  digest=$$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$$tag"); \
	  echo "$$digest" | grep -Eqx 'sha256:[0-9a-f]{64}' || { \
	    echo "error: the registry's digest of $$tag is '$$digest', which is none." >&2; exit 1; }; \
	  for file in Dockerfile docker-compose.yaml; do \
	    sed "s|$$image\$$|$$tag@$$digest|" "$$file" > "$$file.new"; cat "$$file.new" > "$$file"; rm "$$file.new"; \
	  done; \
	  echo "$$tag@$$digest"; \
	done

# Bytecode is compiled here because Airflow's first start is three times slower without it.
$(STAMP): requirements-dev.txt | $(VENV)/bin/uv
	@echo "Installing the pinned dependencies into $(VENV) (once, until they change) ..."
	@$(VENV)/bin/uv pip install --quiet --python $(RUN) --require-hashes --compile-bytecode \
	  -r requirements-dev.txt || { \
	  echo "error: the dependencies could not be installed; the reason is above." >&2; \
	  echo "A package index must be reachable: pip's and uv's own settings choose which. Then run make again." >&2; \
	  exit 1; }
	@touch $@

$(VENV)/bin/uv:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "error: $(PYTHON) was not found. Install Python 3.11 or newer, or name one: make PYTHON=python3.12" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: $(PYTHON) is $$($(PYTHON) -V 2>&1). Python 3.11 or newer is needed: make PYTHON=python3.12" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: $(PYTHON) lacks the venv module. On Debian and Ubuntu: apt install python3-venv" >&2; \
	  exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) -V) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
