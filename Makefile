# The book in a few targets; `make help` lists them.
PYTHON  ?= python3
PROFILE ?= phantom
PORT    ?= 8000
# GPU=1: TensorFlow's build for NVIDIA cards, in an environment and with a lock of its own.
KIND     := $(if $(GPU),-gpu)
VENV     := .venv$(KIND)
LOCK     := requirements$(KIND).lock
BIN      := $(VENV)/bin
RUN      := .run/$(PROFILE)
MEASURED := results/measured.json results/scratch.json
# Last first: later chapters train more and take longest, and none of them should end up alone.
CHAPTERS := $(patsubst notebooks/%,$(RUN)/%,$(shell ls -r notebooks/[0-9]*.ipynb))
# The manifest of a profile with images of your own, by a name without blanks.
IMAGES   := $(shell path=$$(sed -nE 's/^dataset: *"?(.*\.csv)"?$$/\1/p' notebooks/profiles/$(PROFILE).yml 2>/dev/null); \
              if [ -f "$$path" ]; then mkdir -p .run && echo .run/$(PROFILE).csv && \
              ln -sf "$$(cd "$$(dirname "$$path")" && pwd)/$$(basename "$$path")" .run/$(PROFILE).csv; fi)
# What every chapter's numbers rest on, besides the chapter itself.
HOUSE    := $(wildcard xraylib/*.py xraylib/*/*.py xraylib/*/*/*.py data/*.csv data/*.json data/*.yml results/*.npz $(MEASURED) book/references.bib) \
            notebooks/run.py notebooks/assemble.py notebooks/profiles/$(PROFILE).yml $(LOCK) $(VENV)/ready $(IMAGES)
PAGES    := _config.yml $(wildcard README.md book/*.md book/*.yml book/*.bib book/_ext/*.py book/_pages/*.py book/_static/* results/*)
# All pages each time: Sphinx misses changes of styles, scripts and extensions.
BUILD    := $(BIN)/jupyter-book build book --path-output book --config _config.yml --all -W --keep-going -q
# The network that a page loads when it is asked to, and the chapter that trains it.
NETWORK  := book/_build/html/_static/network
TRANSFER := $(filter $(RUN)/04_%,$(CHAPTERS))
CHROMIUM ?= $(firstword $(shell command -v chromium chromium-browser google-chrome))

# `make reproduce` measures again, with fewer seeds, what rests on images. In a hurry: 02 (counts
# and measures of images) and 04 (trainings and probes); the sets of 05 and 06 take minutes to read.
AGAIN    = reproduce$(if $(QUICK),_quick)
PART     = $(patsubst notebooks/%,.run/$(AGAIN)/%,$(shell ls -r notebooks/0[$(if $(QUICK),24,23456)]*.ipynb))
# One thread and no oneDNN: sums are rounded otherwise, which must not change what is found.
ROUNDING := TF_ENABLE_ONEDNN_OPTS=0 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 \
            OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# The environment's own kernel, not one of the same name in the home folder.
export JUPYTER_PREFER_ENV_PATH = 1
export TF_CPP_MIN_LOG_LEVEL = 2
# Several chapters may share a graphics card: none takes the whole of it.
export TF_FORCE_GPU_ALLOW_GROWTH = true

# Chapters side by side share the cores: each has its part of them, for workers or for threads.
CORES    := $(shell getconf _NPROCESSORS_ONLN)
SHARE    := $(shell echo $$(( $(CORES) > 7 ? $(CORES) / 7 : 1 )))
export LOKY_MAX_CPU_COUNT ?= $(SHARE)
export TF_NUM_INTRAOP_THREADS ?= $(SHARE)
export OMP_NUM_THREADS ?= $(SHARE)
export OPENBLAS_NUM_THREADS ?= $(SHARE)

# As many chapters side by side as there are cores; a -j of your own counts for more. What make
# starts in turn shares these jobs already.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(CORES)
endif

.DEFAULT_GOAL := help
.PHONY: help book chapters pdf serve lab test links results scratch reproduce bench bench-scale lock clean FORCE

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

book: .run/html  ## execute what changed and render the book (PROFILE=phantom, xray or report; FILMS=phantom to publish)
	@echo "book/_build/html/index.html"

chapters: $(CHAPTERS)  ## execute what changed, without rendering

.run/html: $(CHAPTERS) $(PAGES) .run/profile $(if $(TRANSFER),.run/network/made)
	$(if $(FILMS),$(MAKE) --no-print-directory chapters PROFILE=$(FILMS))
	$(BIN)/python book/_pages/write.py $(RUN) results/measured.json book/chapters $(FILMS:%=--films .run/%)
	$(BUILD)
	mkdir -p $(NETWORK); for script in .run/network/*.js; do [ ! -f $$script ] || cp $$script $(NETWORK); done
	touch $@

# Made where chapter 04 ran anew: reading the model takes its time.
.run/network/made: $(TRANSFER) book/_pages/network.py .run/profile
	$(BIN)/python book/_pages/network.py $(RUN) .run/network
	touch $@

pdf: book  ## the whole book as one file, printed by Chromium (CHROMIUM=path)
	@test -n "$(CHROMIUM)" || { echo "pdf: found no Chromium; install it, or name one: CHROMIUM=path" >&2; exit 1; }
	$(BUILD) --builder singlehtml
	$(BIN)/python book/_pages/print.py "$(CHROMIUM)" book/_build/singlehtml/index.html book/_build/book.pdf

# A chapter may have records, which run with it.
.SECONDEXPANSION:
$(RUN)/%.ipynb: notebooks/%.ipynb $$(wildcard notebooks/records/$$*.py) $(HOUSE)
	$(BIN)/python notebooks/run.py $< $@ --profile notebooks/profiles/$(PROFILE).yml

notebooks/profiles/$(PROFILE).yml:
	@echo "PROFILE=$(PROFILE): there is no $@; known: $(basename $(notdir $(wildcard notebooks/profiles/*.yml)))" >&2; exit 1

# Changes only when another profile, or other films, are asked for.
.run/profile: FORCE
	@mkdir -p .run; echo $(PROFILE) $(FILMS) | cmp -s - $@ || echo $(PROFILE) $(FILMS) > $@

$(VENV)/ready: $(LOCK) pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-deps --require-hashes -r $(LOCK)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

serve: book  ## show the book at http://localhost:8000 (PORT); what is edited runs and renders again
	$(BIN)/python book/_pages/serve.py $(PROFILE) $(PORT)

lab: $(VENV)/ready  ## open the chapters in JupyterLab, to run and to change them
	$(BIN)/jupyter lab notebooks

links: book  ## ask every address that the book links to
	$(BUILD) --builder linkcheck

test: book  ## all tests: the package, the pipeline, the chapters' tables (SLOW=1: also those of minutes)
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder \
		--nbval-lax --nbval-cell-timeout=600 $(wildcard notebooks/[0-9]*.ipynb) tests

results:  ## measure again on the 75 X-rays and write results/ (XRAYLIB_DATA or a download)
	$(BIN)/python notebooks/without_pictures.py
	$(MAKE) --no-print-directory chapters PROFILE=xray
	$(BIN)/python notebooks/collect.py .run/xray results/measured.json
	$(BIN)/python book/_pages/marks.py
	$(BIN)/python book/_pages/cover.py results/measured.json results/cover.png

scratch:  ## train the report's own network anew, into results/scratch.json (5 hours on two cores, can be interrupted)
	$(MAKE) --no-print-directory .run/scratch/07_report_network.ipynb PROFILE=scratch LOKY_MAX_CPU_COUNT=$(CORES)
	$(BIN)/python notebooks/collect.py .run/scratch results/scratch.json

reproduce:  ## measure again, other seeds and rounding, and compare with results/ (QUICK=1: a part, 3 minutes)
	rm -rf .run/$(AGAIN)
	$(ROUNDING) $(MAKE) --no-print-directory PROFILE=$(AGAIN) $(PART)
	$(BIN)/python notebooks/reproduce.py .run/$(AGAIN) results/measured.json $(if $(QUICK),.run,results)/reproduced.json

bench: $(VENV)/ready  ## ours against the report's own way, side by side
	$(BIN)/python -m benchmarks

bench-scale: $(VENV)/ready  ## 75 to 75,000 films through all stages, into results/scale.json (hours; SIZES="75 750")
	$(BIN)/python -m benchmarks.scale $(SIZES)

lock: $(VENV)/ready  ## refresh both lock files from pyproject.toml
	$(foreach kind,cpu gpu,$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 \
		--fork-strategy fewest --upgrade --generate-hashes --no-annotate --extra $(kind) --extra dicom \
		--extra book --extra test --extra lock --custom-compile-command "make lock" --quiet \
		-o requirements$(if $(filter gpu,$(kind)),-gpu).lock && ) true

clean:  ## remove what was generated; environments, downloads and finished folds (.run/folds) stay
	rm -rf book/_build book/chapters
	find .run -mindepth 1 -maxdepth 1 ! -name folds -exec rm -rf {} + 2>/dev/null || true
