PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# tests on servers mostly wait
TWO_AT_A_TIME := --numprocesses 2 --dist loadfile
SLOWEST := --durations 30 --durations-min 2

# beside each environment, because compiled modules are for one version of Python
COMPILED := $(VENV:.venv%=.compiled%)
COMPILED_PYTHON = cd $(COMPILED) && PYTHONSAFEPATH=1 PYTHONPATH=$(CURDIR)/$(COMPILED) RESEGMENT_EXPECT_COMPILED=1 $(abspath $(BIN))/python
COPY_TREE = git ls-files -z --cached --others --exclude-standard \
	| xargs -0 sh -c 'for file; do test ! -e "$$file" || printf "%s\0" "$$file"; done' sh | tar -c --null -T - | tar -x -C $(COMPILED)
COMPILED_TESTS := tests/unit/test_compiled.py tests/unit/routing tests/unit/segmentation tests/unit/schemas tests/unit/agents tests/unit/state \
	tests/unit/identity tests/unit/cli/replaying \
	tests/unit/streams/kafka/test_unpacking.py tests/unit/streams/test_message_factory.py \
	$(patsubst %,tests/contracts/test_%.py,compiled_core growth mutations partition_store redis_store released state_of_arrays)
# long ones about modules that are not compiled
NOT_OF_COMPILED := tests/unit/schemas/test_compatibility.py tests/unit/schemas/test_vocabulary.py \
	tests/unit/segmentation/analysis/test_lint.py tests/unit/segmentation/versions/test_differences.py tests/unit/segmentation/versions/test_wording.py
PIP_WHEEL = $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

.PHONY: demo up test test-all test-compiled bench faults dbt check lint mutants wheel wheels compiled contracts install lock clean

demo: $(STAMP) ## four years of real companies through the whole pipeline
	$(BIN)/resegment demo

up: $(STAMP) ## everything on this machine, until Ctrl-C
	$(BIN)/resegment up --segments examples/segments.yaml

test: $(STAMP) ## the tests that need nothing but the wheels: a few minutes
	PYTHONSAFEPATH=1 $(BIN)/python -m pytest --numprocesses auto $(or $(TESTS),tests/unit tests/contracts tests/oracle)
	PYTHONSAFEPATH=1 $(BIN)/python -m pytest $(TWO_AT_A_TIME) $(or $(SERVERS),tests/integration)

test-all: $(STAMP) ## every test but the faults, on Apache Kafka and Redis too: needs Java 17, Maven, redis-server, kcat and npm
	PYTHONSAFEPATH=1 $(BIN)/python -m pytest -m "not faults" $(SLOWEST) --numprocesses auto tests/unit tests/contracts tests/oracle
	PYTHONSAFEPATH=1 $(BIN)/python -m pytest -m "not faults" $(SLOWEST) $(TWO_AT_A_TIME) tests/integration tests/faults

test-compiled: compiled ## the tests of what is compiled, on the compiled modules, and the whole pipeline: needs a C compiler
	$(COMPILED_PYTHON) -m pytest --numprocesses auto $(COMPILED_TESTS) $(addprefix --ignore ,$(NOT_OF_COMPILED))
	$(COMPILED_PYTHON) -m pytest tests/integration/test_pipeline.py -k real_companies

bench: compiled ## the compiled core beside the job by hand and other frameworks, on Apache Kafka and Redis: needs Java 17 and Maven, too
	$(COMPILED_PYTHON) -m resegment bench --peers --full

faults: $(STAMP) ## every fault on real servers, with a table: SEEDS=5 FAULTS_SEED=1 SOAK=2 FUZZ=0.5 (minutes)
	PYTHONSAFEPATH=1 SEEDS=$(or $(SEEDS),5) $(BIN)/python -m pytest -q -m "faults or not faults" tests/faults
	PYTHONSAFEPATH=1 $(BIN)/python -m pytest -q -m faults tests/integration
	PYTHONSAFEPATH=1 $(BIN)/python -m pytest -q -m faults --numprocesses auto tests/unit/outcomes
	PYTHONSAFEPATH=1 ROUTING_HISTORIES=1000 $(BIN)/python -m pytest -q tests/oracle/test_naive_teams.py tests/oracle/test_naive_entrances.py

dbt: $(STAMP) .venv-dbt/.installed ## the dbt package, with dbt in an environment of its own
	PYTHONSAFEPATH=1 RESEGMENT_DBT=$(CURDIR)/.venv-dbt/bin/dbt $(BIN)/python -m pytest tests/contracts/test_dbt.py

.venv-dbt/.installed: integrations/dbt/requirements.txt
	$(PYTHON) -m venv .venv-dbt
	.venv-dbt/bin/python -m pip install --quiet --disable-pip-version-check -r integrations/dbt/requirements.txt
	touch $@

mutants: $(STAMP) ## small changes of the core that the tests should notice: TARGETS="routing stores" SHARE=0.3 (minutes)
	PYTHONPATH=. $(BIN)/python -m tests.mutation $(TARGETS) --share $(or $(SHARE),1)

lint: $(STAMP) ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test-all ## style, types, layers, and every test but the faults

wheel: $(STAMP) ## build the wheel into dist/
	rm -rf build dist
	$(PIP_WHEEL)

wheels: wheel ## build the wheel, and beside it the compiled one for this machine: needs a C compiler
	RESEGMENT_COMPILE=1 $(PIP_WHEEL)

compiled: $(STAMP) $(COMPILED)/build/.compiled ## the tree with its core compiled, in .compiled/: needs a C compiler
	rm -rf $(COMPILED)/tests
	$(COPY_TREE)

# compiled modules hold the types of what they import, so that a change there counts, too
$(COMPILED)/build/.compiled: setup.py pyproject.toml $(shell git ls-files 'resegment/*.py' 'schemas/*.py' 'agents/*.py' 'streams/*.py' 2>/dev/null)
	mkdir -p $(COMPILED)/build
	find $(COMPILED) -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
	$(COPY_TREE)
	cd $(COMPILED) && RESEGMENT_COMPILE=1 $(abspath $(BIN))/python setup.py --quiet build_ext --inplace
	touch $@

contracts: $(STAMP) ## regenerate docs/contracts, docs/settings.md and docs/sources-reference.md
	$(BIN)/resegment schema --write docs/contracts
	$(BIN)/resegment schema settings > docs/settings.md
	$(BIN)/resegment schema sources > docs/sources-reference.md

install: $(STAMP)

$(STAMP): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Resegment needs Python 3.11 or later: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

lock: ## pin what pyproject.toml allows, with hashes
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/python -m piptools compile --quiet --extra dev --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
		--strip-extras --allow-unsafe --no-annotate --no-header --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) $(COMPILED) .venv-dbt .resegment build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
