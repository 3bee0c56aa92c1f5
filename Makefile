# `make` lists the targets. PYTHON picks the interpreter of the environment (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test gpu check up down lock clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\n  make demo VIDEO=any.mp4       your own video\n'
	@printf '  make demo MODEL=hf:FOLDER     another Video-LLM (also MODEL=openai:URL#NAME)\n'
	@printf '  make demo KEEP=1              leave the stack running afterwards\n'

setup: $(READY)  ## create .venv with the locked dependencies

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .
	-@$(BIN)/python -m graphdb.local > $(VENV)/neo4j.txt  # fetches Neo4j and halves its starts; the stack starts without it too
	@touch $@

demo: $(READY)  ## a video in, its graph in Neo4j, reasoning data out
	$(BIN)/stsg demo $(if $(VIDEO),--video '$(VIDEO)') $(if $(MODEL),--model '$(MODEL)') $(if $(KEEP),--keep)

up: $(READY)  ## start the local stack and print its addresses
	$(BIN)/stsg up

down: $(READY)  ## stop the local stack
	$(BIN)/stsg down

test: $(READY)  ## the whole test suite
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

gpu: $(READY)  ## the tests that need a GPU
	STSG_TEST_GPU=1 $(BIN)/pytest tests/gpu

check: $(READY)  ## lint, formatting, strict types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: $(READY)  ## resolve requirements.lock anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --upgrade --group dev pyproject.toml --output-file requirements.lock

clean: down  ## remove the environment and all local state
	rm -rf $(VENV) .stsg
