# Targets for running, testing and building Loan Desk. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PRODUCT ?= consumer_credit
FAULTS_SECONDS ?= 600
# Outcomes of the invented loans are known after 60 days.
DEMO = LOAN_INSTANCE=instance-demo LOAN_BUNDLE=models/$(PRODUCT) LOAN_OBSERVATION_DAYS=60
TRANSLATIONS := $(wildcard webapp/translations/*/LC_MESSAGES/messages.po)
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

.PHONY: help run demo test faults lint types contracts check train bench bench-models bench-growth translations lock image up down clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

run: $(VENV)/run translations models/$(PRODUCT)/manifest.json ## install, train if there is no model, migrate and serve on port 5000
	@$(BIN)/flask --app webapp prepare
	@LOAN_BUNDLE=$${LOAN_BUNDLE:-models/$(PRODUCT)} exec $(BIN)/gunicorn

demo: $(VENV)/run translations models/$(PRODUCT)/manifest.json ## serve an invented history of 180 days from the folder instance-demo
	@export $(DEMO) && $(BIN)/flask --app webapp prepare && { [ -e instance-demo/demo ] || $(BIN)/flask --app webapp demo; }
	@export $(DEMO) && exec $(BIN)/gunicorn

test: $(VENV)/dev translations ## install, and run the tests; skip those whose programs are missing
	@$(BIN)/pytest -q -n 3 --dist loadfile --no-loadscope-reorder # three processes: usually one of them waits for a service

faults: $(VENV)/dev translations ## break the service and its databases under load, and print a table: make faults FAULTS_SECONDS=60
	@FAULTS_SECONDS=$(FAULTS_SECONDS) $(BIN)/pytest -q tests/faults

check: lint types contracts ## run the static checks: lint, types and contracts

lint: $(VENV)/dev ## check style and format with ruff
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/dev ## check types with mypy
	@$(BIN)/mypy

contracts: $(VENV)/dev ## check the import rules with import-linter
	@$(BIN)/lint-imports

train: $(VENV)/run ## train a product's model: make train PRODUCT=mortgage
	@$(BIN)/python -m ml train --product $(PRODUCT)

bench: $(VENV)/dev translations models/consumer_credit/manifest.json ## compare Loan Desk with other services over HTTP; writes docs/benchmarks.md
	@$(BIN)/python -m bench.http --write

bench-growth: $(VENV)/dev translations models/consumer_credit/manifest.json ## measure the growth of memory over a million requests; writes docs/benchmarks.md
	@$(BIN)/python -m bench.http --growth 1000000 --write

bench-models: $(VENV)/run models/$(PRODUCT)/manifest.json ## compare the speed of scoring and reasons with their reference implementations
	@$(BIN)/python -m bench.scorer --bundle models/$(PRODUCT)
	@$(BIN)/python -m bench.reasons --bundle models/$(PRODUCT)

lock: $(VENV)/dev ## compile the lock files from pyproject.toml
	@$(LOCK) pyproject.toml -o requirements.lock
	@$(LOCK) pyproject.toml --group dev -o requirements-dev.lock
	@$(LOCK) -c requirements.lock bench/peers/requirements.in -o bench/peers/requirements.lock

image: ## build the Docker image
	docker build -t receive_loan_from_bank .

up: .env ## start the service with PostgreSQL, Prometheus and Grafana
	docker compose up -d --build

down: ## stop what `make up` started, and keep the data
	docker compose down

clean: ## remove the environment, the models and caches; keep the instance folder
	rm -rf $(VENV) models build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

models/%/manifest.json: | $(VENV)/run
	@$(BIN)/python -m ml train --product $*

translations: $(TRANSLATIONS:.po=.mo)

%.mo: %.po | $(VENV)/any
	@$(BIN)/pybabel -q compile -i $< -o $@

$(VENV)/any:
	@test -x $(BIN)/pybabel || $(MAKE) --no-print-directory $(VENV)/run

# The development lock contains the other lock, so installing it also completes `run`.
$(VENV)/run: requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing (once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/dev: requirements-dev.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing for development (once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@ $(VENV)/run

# Random passwords for the containers, chosen once.
.env:
	@umask 077; while IFS= read -r line; do \
	  case $$line in *_PASSWORD=) line+=$$(LC_ALL=C tr -dc A-Za-z0-9 </dev/urandom | head -c 32) ;; esac; \
	  printf '%s\n' "$$line"; \
	done <.env.example >$@

# The same passwords, for a service outside the containers that uses their database (PGPASSFILE).
.pgpass: .env
	@umask 077; . ./.env; printf '*:*:*:%s:%s\n' \
	  loan_owner "$$OWNER_DATABASE_PASSWORD" loan_desk "$$DESK_DATABASE_PASSWORD" >$@
