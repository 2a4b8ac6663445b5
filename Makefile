.DEFAULT_GOAL := help
.PHONY: help run test clients check format fix lint types imports cover snapshots roles obligations sbom audit searches mutants bench bench-search bench-erasing bench-regulators bench-lots clean
PORT ?= 8000
DATA_DIR ?= .data
PYTHON ?= python3
BIN := .venv/bin
T ?=
N ?= 100000
# A command that compiles all of its modules anew takes twice as long to start.
export PYTHONDONTWRITEBYTECODE :=

help: ## Show what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q fhir_server mappers
	touch $@

run: .venv/installed ## Serve a demo clinic: make run [PORT=8000] [DATA_DIR=.data]
	@exec $(BIN)/fhir-server demo --port $(PORT) --data-dir $(DATA_DIR)

test: .venv/installed clients ## All tests, against a real mongod; T=tests/unit for some
	$(BIN)/python -m pytest -q -n 3 --dist loadscope --no-loadscope-reorder $(T)

clients: ## Install the clients of npm that are tried on the server, where there is npm
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory tests/clients/node_modules/.package-lock.json; \
	else echo "No npm: the tests of its clients will be skipped."; fi

tests/clients/node_modules/.package-lock.json: tests/clients/package-lock.json tests/clients/package.json
	cd tests/clients && npm ci --silent
	touch $@

check: .venv/installed format lint types imports cover ## Everything CI checks, in CI's order

format: .venv/installed ## Is every file formatted?
	$(BIN)/ruff format --check .

fix: .venv/installed ## Format, and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: .venv/installed ## Ruff, every rule, each exception with its reason
	$(BIN)/ruff check .

types: .venv/installed ## mypy, strict
	$(BIN)/mypy fhir_server mappers tests benchmarks

imports: .venv/installed ## Do the floors hold?
	$(BIN)/lint-imports

cover: .venv/installed clients ## All tests, with the coverage that may only rise
	$(BIN)/coverage erase
	$(BIN)/python -m pytest -q -n 3 --dist loadscope --no-loadscope-reorder --cov --cov-report=
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --include='fhir_server/crypto/*' --fail-under=100
	$(BIN)/coverage report --include='fhir_server/smart/*' --fail-under=100
	$(BIN)/coverage report --include='fhir_server/media/*' --fail-under=100
	$(BIN)/coverage report --include='fhir_server/consent/*' --fail-under=100

snapshots: .venv/installed ## Write the snapshots of tests/snapshots anew, to be read in the diff
	RENEW_SNAPSHOTS=1 $(BIN)/python -m pytest -q tests/snapshots

searches: .venv/installed ## Hold 100,000 searches against a second opinion: make searches [N=100000] [FIRST=0]
	$(BIN)/python -m tests.properties.search.oracle.many $(N) --first $(or $(FIRST),0)

mutants: .venv/installed ## Alter the consent decision, and see whether a test fails: make mutants [SAMPLE=300] [SEED=1]
	$(BIN)/python conformance/mutants.py $(or $(SAMPLE),300) --seed $(or $(SEED),1)

obligations: .venv/installed ## Write conformance/reports/obligations.md anew from the tests
	$(BIN)/python conformance/obligations.py

sbom: .venv/installed ## A bill of materials of the lock, CycloneDX JSON: make -s sbom > sbom.cdx.json
	@$(BIN)/python conformance/sbom.py

audit: requirements.lock ## Look the lock up among known vulnerabilities: needs pip-audit and a way to the network
	pip-audit --disable-pip --require-hashes --requirement requirements.lock

roles: .venv/installed ## Write docs/roles.md anew from the roles
	$(BIN)/python -m fhir_server.smart.role_table > docs/roles.md

bench: .venv/installed ## Measure the main paths beside floors in the same run
	$(BIN)/python -m benchmarks

bench-search: .venv/installed ## Measure searches beside plain documents: make bench-search [PATIENTS=5000]
	$(BIN)/python -m benchmarks.search --patients $(or $(PATIENTS),5000)

bench-erasing: .venv/installed ## Measure the erasure of a patient with 1,000 resources and 200 photos
	$(BIN)/python -m benchmarks.erasing

bench-regulators: .venv/installed ## Measure what audit and exports must keep, each beside its bound
	$(BIN)/python -m benchmarks.regulators --write

bench-lots: .venv/installed ## Measure a lot's way to its patients and back: make bench-lots [GIVEN=100000]
	$(BIN)/python -m benchmarks.lots --given $(or $(GIVEN),100000)

clean: ## Remove what was made, keep the data
	rm -rf .venv tests/clients/node_modules .mypy_cache .ruff_cache .pytest_cache .coverage* build *.egg-info
