# The book in a few targets; `make help` lists them.
PYTHON  ?= python3
PROFILE ?= phantom
BIN      := .venv/bin
RUN      := .run/$(PROFILE)
CHAPTERS := $(patsubst notebooks/%,$(RUN)/%,$(wildcard notebooks/[0-9]*.ipynb))
# What every chapter's numbers rest on, besides the chapter itself.
HOUSE    := $(wildcard xraylib/*.py xraylib/*/*.py data/*.csv data/*.json results/*.json book/references.bib notebooks/*.py) \
            notebooks/profiles/$(PROFILE).yml requirements.lock .venv/ready
PAGES    := _config.yml $(wildcard book/*.md book/*.yml book/*.bib book/_static/*)

# The environment's own kernel, not one of the same name in the home folder.
export JUPYTER_PREFER_ENV_PATH = 1
export TF_CPP_MIN_LOG_LEVEL = 2

.DEFAULT_GOAL := help
.PHONY: help book chapters test results bench serve lock clean FORCE

help:  ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 18

book: .run/html  ## execute what changed and render the book (PROFILE=phantom, xray or report)
	@echo "book/_build/html/index.html"

chapters: $(CHAPTERS)  ## execute what changed, without rendering

.run/html: $(CHAPTERS) $(PAGES) .run/profile
	mkdir -p book/chapters && rm -f book/chapters/*.ipynb && cp -p $(CHAPTERS) book/chapters/
	$(BIN)/python notebooks/ledger_page.py book/chapters results/measured.json book/chapters/ledger.md
	$(BIN)/jupyter-book build book --path-output book --config _config.yml -W --keep-going -q
	touch $@

$(RUN)/%.ipynb: notebooks/%.ipynb $(HOUSE)
	$(BIN)/python notebooks/run.py $< $@ --profile notebooks/profiles/$(PROFILE).yml

notebooks/profiles/$(PROFILE).yml:
	@echo "PROFILE=$(PROFILE): there is no $@; known: $(basename $(notdir $(wildcard notebooks/profiles/*.yml)))" >&2; exit 1

# Changes only when another profile is asked for.
.run/profile: FORCE
	@mkdir -p .run; echo $(PROFILE) | cmp -s - $@ || echo $(PROFILE) > $@

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

test: book  ## all tests: the package, the pipeline, the chapters' tables
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -n 2 --dist loadfile tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --nbval-lax --nbval-cell-timeout=600 \
		$(wildcard notebooks/[0-9]*.ipynb)

results:  ## measure again on the 75 X-rays and write results/ (XRAYLIB_DATA or a download)
	$(MAKE) --no-print-directory chapters PROFILE=xray
	$(BIN)/python notebooks/collect.py .run/xray results/measured.json

bench: .venv/ready  ## ours against the report's own way, side by side
	$(BIN)/python -m benchmarks

serve: book  ## show the book at http://localhost:8000
	$(BIN)/python -m http.server 8000 --bind localhost --directory book/_build/html

lock: .venv/ready  ## refresh requirements.lock from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.10 --upgrade --generate-hashes \
		--no-annotate --extra cpu --extra dicom --extra book --extra test --extra lock \
		--custom-compile-command "make lock" --quiet -o requirements.lock

clean:  ## remove what was generated; the environment and downloads stay
	rm -rf .run book/_build book/chapters
