# `make` alone prints this list. Everything runs inside .venv, which `setup` makes.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup web pictures torch orbbec demo test fuzz chaos chaos-batch audit lint format bench lock clean

VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PAGES  := recon_service/web/static/build.json
# Two test processes suit a laptop and a small CI machine; `make test JOBS=8` on a bigger one.
JOBS   ?= 2
# One math thread per process: the matrices are small, and parallel tests would otherwise fight over the cores.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

help: ## print this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: $(STAMP) $(PAGES) ## make .venv with the command `recon` in it, and the web pages

$(STAMP): pyproject.toml locks/dev.txt scripts/make_venv.sh
	@VENV=$(VENV) sh scripts/make_venv.sh
	@touch $@

# Without a package index for npm everything but the pages works; the service says so where they are asked for.
$(PAGES): $(STAMP) $(shell find web/src web/build.mjs web/package-lock.json -type f 2>/dev/null)
	@VENV=$(VENV) sh scripts/build_web.sh || echo "the web pages were not built; try: make web" >&2

web: $(STAMP) ## build the web pages
	VENV=$(VENV) sh scripts/build_web.sh

pictures: setup ## draw the pictures of the web pages in docs/pictures
	VENV=$(VENV) sh scripts/build_web.sh browser
	$(BIN)/python -m tests.browser.make_pictures
	$(BIN)/python -m tests.browser.make_kiosk_pictures
	$(BIN)/python -m tests.browser.make_console_pictures

demo: setup ## enroll two portraits and verify depth captures, with pictures
	$(BIN)/recon weights pull --set default
	$(BIN)/recon demo

torch: setup ## add torch, which only tests need (RECON_TORCH=no: leave it out)
	@VENV=$(VENV) sh scripts/install_torch.sh

orbbec: setup ## add the SDK of Orbbec cameras (RECON_ORBBEC=no: leave it out)
	@VENV=$(VENV) sh scripts/install_orbbec.sh

test: setup torch orbbec ## run the whole test suite
	$(BIN)/recon weights pull --set default
	@VENV=$(VENV) sh scripts/build_web.sh test
	@VENV=$(VENV) sh scripts/build_web.sh browser
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(PYTEST_ARGS)

fuzz: setup ## attack uploads and requests with FUZZ_CASES damaged files (FUZZ_SEED: other ones)
	FUZZ_CASES=$(FUZZ_CASES) FUZZ_SEED=$(FUZZ_SEED) $(BIN)/python -m pytest -q -s tests/hostile 2>/dev/null

FUZZ_CASES ?= 200000
FUZZ_SEED  ?= $(shell date +%s)

chaos: setup ## kill everything at random moments for minutes, then audit every promise
	$(BIN)/recon weights pull --set default
	@for stack in $(CHAOS_STACKS); do $(BIN)/python -m tests.chaos.run --stack $$stack $(CHAOS_ARGS) || exit 1; done

CHAOS_STACKS ?= production

chaos-batch: setup ## kill everything while many templates are derived anew, activated and rolled back
	$(BIN)/recon weights pull --set default
	@for stack in $(CHAOS_STACKS); do $(BIN)/python -m tests.chaos.batches --stack $$stack $(CHAOS_ARGS) || exit 1; done

lint: setup ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

audit: setup ## known vulnerabilities of the locked packages, bill of materials (dist/sbom.json), secrets
	@$(BIN)/python -c "import detect_secrets, pip_audit" 2>/dev/null || $(BIN)/python -m pip install -q pip-audit detect-secrets
	@mkdir -p dist
	$(BIN)/python scripts/sbom.py locks/base.txt locks/cpu.txt web/package-lock.json > dist/sbom.json
	$(BIN)/python scripts/find_secrets.py
	AUDIT_REQUIRED=$(AUDIT_REQUIRED) $(BIN)/python scripts/audit.py locks/base.txt locks/cpu.txt web/package-lock.json

format: setup ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## print the speed and accuracy tables
	@set -e; for bench in $(BENCHES); do echo; echo "== $$bench"; $(BIN)/python $$bench; done

BENCHES ?= $(sort $(wildcard benchmarks/[a-z]*.py))

lock: ## resolve the dependencies again (needs uv)
	@command -v uv >/dev/null 2>&1 || [ -x $(BIN)/uv ] || { echo "make lock needs uv: $(BIN)/python -m pip install uv"; exit 1; }
	@PATH="$(CURDIR)/$(BIN):$$PATH"; set -e; \
	flags="--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade"; \
	uv pip compile $$flags pyproject.toml -o locks/base.txt; \
	uv pip compile $$flags --extra demo --extra dev -c locks/base.txt pyproject.toml -o locks/dev.txt; \
	image="--quiet --python-platform x86_64-manylinux_2_28 --python-version 3.12 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate"; \
	echo pyorbbecsdk2 | uv pip compile $$flags --no-deps - -o locks/orbbec.txt; \
	for kind in cpu gpu; do uv pip compile $$image --extra $$kind --extra otel -c locks/dev.txt pyproject.toml -o locks/$$kind.txt; done

clean: ## remove .venv and caches; downloaded weights stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find recon_service worker tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
