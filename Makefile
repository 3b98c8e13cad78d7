# Everything a newcomer types. `make demo` and `make test` need Python 3.11+ and nothing else.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: install demo test test-slow lint format clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $(INSTALLED)

# Real pages -> corpus, tokenizer, shards, report -> a small trained model that continues a prompt.
demo: install
	$(BIN)/pangu sample-crawl demo/crawl
	$(BIN)/pangu run recipes/demo.yaml --out demo/run --workers $(WORKERS)
	$(BIN)/pangu train demo/run/pretrain.yaml
	$(BIN)/pangu generate demo/run/checkpoints --prompt 记者从会上了解到 --tokens 80 \
	  --temperature 0.9 --top-k 40 --seed 2
	@echo
	@echo "What happened to every page:  demo/run/report/index.html"
	@echo "The corpus:                   demo/run/corpus/"
	@echo "The loss curve:               demo/run/checkpoints/loss.svg"
	@echo "The life of one page:         $(BIN)/pangu inspect demo/run ID_OR_URL"

test: install
	$(BIN)/python -m pytest -n 2 -m 'not slow'

test-slow: install
	$(BIN)/python -m pytest -n 2

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv demo *.egg-info .pytest_cache .mypy_cache .ruff_cache
