# Every target does its own set-up: the Debian packages it needs (as root), a virtual environment, the pinned packages.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
XVFB := xvfb-run -a -s "-screen 0 1280x800x24 +extension GLX"
DEMO := demo

.PHONY: help install demo test test-all test-pyside6 bench bench-gpu gui docs docs-images site clean
help:  ## show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(STAMP)  ## make .venv with everything for use and development

$(STAMP): pyproject.toml constraints.txt
	@bash tools/require_debian.sh python
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' || \
		{ echo "$$($(PYTHON) --version) is here, and 3.11 or 3.12 is needed: make install PYTHON=path/to/python3.12" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

demo: $(STAMP)  ## the whole path on synthetic scans, or on yours: make demo DATA=folder
	$(BIN)/napari-genesis demo --out $(DEMO) $(if $(DATA),--data "$(DATA)") --overwrite

test: $(STAMP)  ## lint, types and all tests but the long ones (under 10 minutes on 2 cores)
	@bash tools/require_debian.sh display
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	$(BIN)/npe2 validate napari_genesis/napari.yaml
	$(XVFB) $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-all: $(STAMP)  ## every test, also the long ones
	@bash tools/require_debian.sh display
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	$(BIN)/npe2 validate napari_genesis/napari.yaml
	$(XVFB) $(BIN)/python -m pytest -n 2 --dist worksteal
	$(MAKE) test-pyside6

test-pyside6: $(STAMP)  ## the tests of the window with PySide6 in place of PyQt6
	@bash tools/require_debian.sh display
	test -d build/pyside6/PySide6 || $(BIN)/python -m pip install --quiet -c constraints.txt --target build/pyside6 PySide6-Essentials
	PYTHONPATH=build/pyside6 QT_API=pyside6 PYTEST_QT_API=pyside6 $(XVFB) $(BIN)/python -m pytest tests/napari -n 2 --dist worksteal

bench: $(STAMP)  ## measure, beside the nearest peers
	@bash tools/require_debian.sh display
	for file in benchmarks/bench_*.py; do $(XVFB) $(BIN)/python $$file || exit 1; done

bench-gpu: $(STAMP)  ## measure training on a GPU: make bench-gpu ARGS="--out steps.md" PRETRAIN="SCANS --out run.md"
	$(BIN)/python benchmarks/bench_gpu.py $(ARGS) && $(BIN)/python benchmarks/bench_gpu_pretrain.py $(PRETRAIN)

gui: $(STAMP)  ## open napari with a synthetic thorax CT
	$(BIN)/python -m napari_genesis

docs: $(STAMP)  ## write docs/settings.md and docs/cli.md from the declarations
	$(BIN)/python docs/write_reference.py

site: $(STAMP)  ## build the user guide into build/site, and refuse dead links
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open build/site/index.html, or with search: $(BIN)/mkdocs serve"

docs-images: $(STAMP)  ## take the pictures in docs/images anew from the screenshots that tests made
	$(BIN)/python docs/take_pictures.py

clean:  ## remove what the other targets made, except .venv and demo
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache
