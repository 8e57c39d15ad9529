# dlscore: score once, render at will. `make` alone prints help.
# Settings go on the command line: make render EPISODE=3 METHOD=likelihood COLORMAP=plasma RESOLUTION=60

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

# ---- settings ---------------------------------------------------------------------------------------------------

# A file of settings (EPISODE = 0 1 2, and so on), for what is made again and again; the command line goes first.
PIPELINE ?= pipeline.mk
-include $(PIPELINE)

POLICY     ?= data/demo/policy
DATASET    ?= data/demo/episodes
EPISODE    ?= 0
METHOD     ?= likelihood
RESOLUTION ?= 50
STYLE      ?= default
COLORMAP   ?=
STEPS      ?=
DEVICE     ?= auto
SCORE_FLAGS  ?=
RENDER_FLAGS ?= --show-confidence-intervals
CACHE      ?= data/cache
OUTPUTS    ?= outputs

# ---- set-up -----------------------------------------------------------------------------------------------------

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready
LOCK  := requirements.lock

help:  ## print this help
	@printf 'dlscore: what does a Diffusion Policy think of every action in PushT?\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@printf '\nSettings (make render NAME=value): POLICY DATASET EPISODE METHOD RESOLUTION STYLE COLORMAP STEPS DEVICE\n'
	@printf '  SCORE_FLAGS RENDER_FLAGS CACHE OUTPUTS; EPISODE=0-9,12 makes several, -j2 two at a time\n'

setup: $(READY)  ## build .venv with everything that was tested (about 5.5 GB on Linux: torch brings CUDA)

# A `python3` older than 3.12 may come first on PATH: ask each candidate what it is.
$(READY): pyproject.toml $(LOCK)
	@python=; for candidate in python3.12 python3.13 python3 python; do \
	    if $$candidate -c 'import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 14))' 2>/dev/null; then \
	        python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then echo 'make: no Python 3.12 or 3.13 on PATH; install one (https://www.python.org)' >&2; exit 1; fi; \
	$$python -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(LOCK) -e '.[score,zarr,colormaps,ray,rerun,dev]'
	@touch $@

# ---- pipeline: episode -> cache -> video --------------------------------------------------------------------------

# A stamp holds settings, and is written anew only when they differ from what it holds, so that only what a change touches
# is made again. Asking costs nothing and leaves nothing, so `make -n` tells the truth.
changed = $(shell printf '%s\n' '$(2)' | cmp -s - $(1) || echo FORCE)
define stamp
	@mkdir -p $(@D)
	@printf '%s\n' '$(1)' > $@
endef

comma := ,
empty :=
space := $(empty) $(empty)
methods := $(subst $(space),$(comma),$(strip $(METHOD)))
cache_of = $(CACHE)/episode_$(shell printf '%03d' $(1)).h5

# EPISODE is as --episodes, and spaces do as commas: 3, 0-9,12, 20- or all. Numbers are decimal, whatever they begin with.
# What needs the data set (how many episodes there are) is asked of dlscore; so is a digest of the files that decide an
# episode's numbers, by path, size and time, which changes when one of them does, or when a training run moves on.
goals := $(or $(MAKECMDGOALS),help)
scoring := $(filter cache render page bench-page $(CACHE)/% $(OUTPUTS)/%,$(goals))
wanted := $(subst $(space),$(comma),$(strip $(subst $(comma),$(space),$(EPISODE))))
ask = $(BIN)/dlscore inputs --policy-path $(POLICY) --dataset-root $(DATASET) --episodes
ifneq ($(and $(scoring),$(filter 1,$(words $(POLICY))),$(wildcard $(READY))),)
inputs := $(shell $(ask) '$(wanted)' 2>/dev/null)
endif
define expand
for item in $${wanted//,/ }; do \
    if [[ $$item =~ ^[0-9]+$$ ]]; then echo $$((10#$$item)); \
    elif [[ $$item =~ ^([0-9]+)-([0-9]+)$$ ]] && (( 10#$${BASH_REMATCH[1]} <= 10#$${BASH_REMATCH[2]} )); then \
        seq $$((10#$${BASH_REMATCH[1]})) $$((10#$${BASH_REMATCH[2]})); \
    else echo "?$$item"; fi; done | sort -nu
endef
ifneq ($(inputs),)
episodes := $(foreach line,$(inputs),$(firstword $(subst :, ,$(line))))
else
episodes := $(shell wanted='$(wanted)'; $(expand))
unknown := $(patsubst ?%,%,$(filter ?%,$(episodes)))
ifneq ($(and $(scoring),$(unknown)),)
ifneq ($(filter-out all %-,$(unknown)),)
$(error EPISODE '$(EPISODE)' is not understood at '$(firstword $(unknown))'; write such as 3 or 0-9,12,20- or all)
endif
$(error EPISODE '$(EPISODE)' needs the data set, which could not be read; make setup first, or see $(ask) '$(wanted)')
endif
endif
digest_of = $(patsubst $(1):%,%,$(filter $(1):%,$(inputs)))

score_settings  := $(POLICY) $(DATASET) $(METHOD) $(RESOLUTION) $(STEPS) $(SCORE_FLAGS)
render_settings := $(STYLE) $(COLORMAP) $(RENDER_FLAGS)
style_file := $(wildcard $(STYLE))

$(CACHE)/settings.stamp: $(call changed,$(CACHE)/settings.stamp,$(score_settings))
	$(call stamp,$(score_settings))

$(OUTPUTS)/style.stamp: $(call changed,$(OUTPUTS)/style.stamp,$(render_settings))
	$(call stamp,$(render_settings))

FORCE:

# Under -jN each job gets its share of the cores: networks that fight for cores are many times slower, not twice.
parallel = $(filter -j%,$(MAKEFLAGS))
jobs = $(patsubst -j%,%,$(parallel))
threads = $(if $(jobs),OMP_NUM_THREADS=$$($(BIN)/python -c 'import os; print(max(1, os.cpu_count() // $(jobs)))'))

define inputs_rule
$(CACHE)/episode_$(2).inputs: $(call changed,$(CACHE)/episode_$(2).inputs,$(call digest_of,$(1))) | $(READY)
	@mkdir -p $$(@D)
	@$(ask) $(1) | cut -d: -f2 > $$@
endef
$(foreach e,$(episodes),$(eval $(call inputs_rule,$(e),$(shell printf '%03d' $(e)))))

# A finished name is a finished file, so it stays whatever ends the command, also where .DELETE_ON_ERROR would remove it.
.PRECIOUS: $(CACHE)/episode_%.h5

# The cache keeps its own record of its settings: --replace-stale starts over what another setting made, and what a kill
# left half done is continued.
$(CACHE)/episode_%.h5: $(CACHE)/settings.stamp $(CACHE)/episode_%.inputs | $(READY)
	$(threads) $(BIN)/dlscore compute --policy-path $(POLICY) --dataset-root $(DATASET) --episodes $* --scoring-method $(methods) \
	    --action-resolution $(RESOLUTION) $(if $(STEPS),--max-steps $(STEPS)) --device $(DEVICE) --output-dir $(CACHE) \
	    --replace-stale $(SCORE_FLAGS)
	@touch $@

# One rule an episode and method, since the video's name has the bare index and the cache's name three digits. The
# methods of one episode share its environment video and config: $(3) makes them wait for each other under -j.
define render_rule
$(OUTPUTS)/episode_$(1)_combined_$(2).mp4: $(call cache_of,$(1)) $(OUTPUTS)/style.stamp $(style_file) | $(READY) $(3)
	$(BIN)/dlrender render $$< --scoring-method $(2) --style $(STYLE) $(if $(COLORMAP),--colormap $(COLORMAP)) \
	    --output-dir $(OUTPUTS) --force $$(if $$(parallel),--jobs 1) $(RENDER_FLAGS)
endef
$(foreach e,$(episodes),$(eval previous :=)$(foreach m,$(METHOD),\
    $(eval $(call render_rule,$(e),$(m),$(previous)))$(eval previous := $(OUTPUTS)/episode_$(e)_combined_$(m).mp4)))

# One page an episode, with all methods of its cache.
define page_rule
$(OUTPUTS)/episode_$(1).html: $(call cache_of,$(1)) | $(READY)
	$(BIN)/dlrender page $$< -o $$@
endef
$(foreach e,$(episodes),$(eval $(call page_rule,$(e))))

caches := $(foreach e,$(episodes),$(call cache_of,$(e)))
pages := $(foreach e,$(episodes),$(OUTPUTS)/episode_$(e).html)
videos := $(foreach e,$(episodes),$(foreach m,$(METHOD),$(OUTPUTS)/episode_$(e)_combined_$(m).mp4))

# One policy is made here, several each by a make of its own, in folders that are named after them.
names := $(notdir $(patsubst %/,%,$(POLICY)))
ifneq ($(words $(names)),$(words $(sort $(names))))
$(error POLICY has two folders of one name, whose caches would have one place: $(POLICY))
endif
define policy_rule
cache@$(2) render@$(2) page@$(2):
	+@$$(MAKE) --no-print-directory $$(firstword $$(subst @, ,$$@)) POLICY=$(1) CACHE=$(CACHE)/$(2) OUTPUTS=$(OUTPUTS)/$(2)
.PHONY: cache@$(2) render@$(2) page@$(2)
endef
ifneq ($(words $(POLICY)),1)
$(foreach p,$(POLICY),$(eval $(call policy_rule,$(p),$(notdir $(patsubst %/,%,$(p))))))
caches := $(addprefix cache@,$(names))
videos := $(addprefix render@,$(names))
pages := $(addprefix page@,$(names))
cache_folders := $(addprefix $(CACHE)/,$(names))
else
cache_folders := $(CACHE)
endif

cache: $(caches)  ## score EPISODE with METHOD under each POLICY into CACHE
render: $(videos)  ## score if need be, then make the videos of EPISODE in OUTPUTS
page: $(pages)  ## score if need be, then make an interactive page of EPISODE in OUTPUTS

status: | $(READY)  ## a table of the caches: finished, partial, damaged
	@$(BIN)/dlscore status $(or $(wildcard $(cache_folders)),$(CACHE))

clean-cache:  ## remove the caches of CACHE, which may have cost days: CONFIRM=yes
	@if [ '$(CONFIRM)' != yes ]; then \
	    echo 'make: $(CACHE) holds '"$$(find $(CACHE) -name '*.h5' 2>/dev/null | wc -l)"' finished caches; make clean-cache CONFIRM=yes' \
	        'removes them' >&2; exit 1; fi
	find $(CACHE) -name 'episode_*.h5*' -delete -o -name 'episode_*.inputs' -delete -o -name 'settings.stamp' -delete

demo: ## the whole workflow on the embedded policy and episodes: a video, and a page for the browser in outputs
	@$(MAKE) --no-print-directory render EPISODE=0 METHOD=likelihood
	@$(MAKE) --no-print-directory page EPISODE=0 METHOD=likelihood

picture: demo  ## the README's pictures and its page, from the demo's cache (needs a browser)
	$(BIN)/dlrender sheet $(CACHE)/episode_000.h5 --steps 0,20,42,60 --style paper --heat off --overlay regions \
	    --no-overlay contours --overlay inset --no-environment --width 9in --dpi 170 -o data/demo/picture.png
	$(BIN)/dlrender page $(CACHE)/episode_000.h5 -o data/examples/demo.html
	$(BIN)/python tests/bench/page.py data/examples/demo.html --size 1280x1030 --picture data/examples/page.png

gallery: | $(READY)  ## the pictures of data/examples, from the demo's first episode under three methods (5 minutes)
	@$(MAKE) --no-print-directory cache EPISODE=0 METHOD='likelihood distance noise_pred' CACHE=data/cache
	@mkdir -p data/examples/gallery
	set -e; for script in data/examples/*.py; do MPLBACKEND=agg $(BIN)/python $$script; done

# The published tool's three example settings.
examples: quick high-quality research-grade  ## the published tool's three example settings, side by side in outputs/

quick: | $(READY)  ## distance, 50 steps, 40 cells
	@$(MAKE) --no-print-directory render METHOD=distance RESOLUTION=40 STEPS=50 COLORMAP=viridis RENDER_FLAGS= \
	    CACHE=$(CACHE)/quick OUTPUTS=$(OUTPUTS)/quick
high-quality: | $(READY)  ## likelihood, 60 cells, contours, plasma
	@$(MAKE) --no-print-directory render METHOD=likelihood RESOLUTION=60 COLORMAP=plasma \
	    RENDER_FLAGS='--show-confidence-intervals --no-show-policy-prediction' CACHE=$(CACHE)/high-quality \
	    OUTPUTS=$(OUTPUTS)/high-quality
research-grade: | $(READY)  ## likelihood, 80 cells, contours and prediction, inferno
	@$(MAKE) --no-print-directory render METHOD=likelihood RESOLUTION=80 COLORMAP=inferno \
	    RENDER_FLAGS='--show-confidence-intervals --show-policy-prediction' CACHE=$(CACHE)/research-grade \
	    OUTPUTS=$(OUTPUTS)/research-grade

# ---- development ---------------------------------------------------------------------------------------------------

# Tests of pages drive a browser: under CI one is installed, elsewhere they are skipped without.
browser:  ## a browser for the tests of pages, if there is none: Debian's Chromium (as root, with apt)
	@for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do \
	    if command -v $$name > /dev/null; then exit 0; fi; done; \
	if ! command -v apt-get > /dev/null || [ "$$(id -u)" != 0 ]; then \
	    echo 'make: no Chromium on PATH, and no apt-get as root to install one; install it, or name it in CHROMIUM' >&2; exit 1; fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core > /dev/null

# The family multi_task_dit needs transformers, with which each start of LeRobot takes three seconds more.
families: $(READY)  ## what the tests of multi_task_dit need, as under CI: transformers
	@$(BIN)/python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("transformers") is None)' || \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(LOCK) -e '.[dit]'

test: $(READY) $(if $(filter true,$(CI)),families $(if $(CHROMIUM),,browser))  ## run the linter, the type checker and the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 2 --dist worksteal --ignore tests/dlrender/page
	$(BIN)/python tests/pages.py

compat: $(READY)  ## the tests of checkpoints and data sets, and equal scores, under LeRobot 0.5.1, 0.6.0 and 0.6.1 (10 minutes; network)
	$(BIN)/python tests/compat.py

certify: $(READY)  ## every score, and the published ones, against policies whose density is known (40 minutes)
	@mkdir -p $(OUTPUTS)
	$(BIN)/python tests/bench/certify.py --json $(OUTPUTS)/certification.json --figure $(OUTPUTS)/certification.png

bench: $(READY)  ## speed and memory beside the published definition, at the demo's and the full size (10 minutes)
	@mkdir -p $(OUTPUTS)
	$(BIN)/python tests/bench/speed.py --device $(DEVICE) --json $(OUTPUTS)/speed.json

bench-accuracy: $(READY)  ## likelihood of the demo policy against 16,384 chunks of its own sampler (two hours on 2 cores; goes on)
	@mkdir -p $(OUTPUTS)
	$(BIN)/python tests/bench/accuracy.py --json $(OUTPUTS)/accuracy.json

bench-budget: $(READY)  ## what likelihood is made of, one choice changed at a time (15 minutes)
	$(BIN)/python tests/bench/budget.py

bench-pose: $(READY)  ## the block's pose from pictures, and the drift of replays, on HUMAN (4 minutes)
	@mkdir -p $(OUTPUTS)
	$(BIN)/python tests/bench/pose.py --source $(HUMAN) --json $(OUTPUTS)/pose.json

bench-render: $(READY)  ## frames a second of dlrender, of a naive program and of the encoder alone; memory (5 minutes)
	@mkdir -p $(OUTPUTS)
	$(BIN)/python tests/bench/render.py --json $(OUTPUTS)/render.json

bench-batch: $(READY)  ## a batch against single runs, -j2 against -j1, and how cost grows (10 minutes)
	@mkdir -p $(OUTPUTS)
	$(BIN)/python tests/bench/batch.py --json $(OUTPUTS)/batch.json

bench-kills: $(READY)  ## 100 SIGKILLs and 20 SIGTERMs of a 60-step run, each resumed (15 minutes)
	@mkdir -p $(OUTPUTS)
	$(BIN)/python tests/bench/kills.py --json $(OUTPUTS)/kills.json

bench-damage: $(READY)  ## 2,000 damaged caches against dlscore verify, dlscore info and dlrender (15 minutes)
	@mkdir -p $(OUTPUTS)
	$(BIN)/python tests/bench/damage.py --json $(OUTPUTS)/damage.json

bench-answers: $(READY)  ## whether statistics, intervals and p are right on known densities (15 minutes)
	$(BIN)/python tests/bench/answers.py $(if $(wildcard $(CACHE)/episode_000.h5),--cache $(CACHE)/episode_000.h5)
	$(BIN)/python tests/bench/certified.py --quality draft
	$(BIN)/python tests/bench/certified.py --quality standard
	$(BIN)/python tests/bench/certified.py --quality standard --density executed

bench-resolved: $(READY)  ## whether log densities are right where pictures have whole colours, on known densities (5 minutes)
	@mkdir -p $(OUTPUTS)
	$(BIN)/python tests/bench/resolved.py --json $(OUTPUTS)/resolved.json

bench-page: $(firstword $(pages))  ## a page in the browser: until ready, steps a second, time of a picture (1 minute)
	$(BIN)/python tests/bench/page.py $<

bench-alternatives: $(READY)  ## what was measured for speed and not taken (5 minutes; needs a C++ compiler)
	$(BIN)/python tests/bench/alternatives.py

lock:  ## write requirements.lock anew from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.12 --extra score --extra dit --extra zarr --extra colormaps --extra ray --extra rerun \
	    --extra dev --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o $(LOCK) pyproject.toml

# ---- the demo's own data (see data/README.md) ----------------------------------------------------------------------

HUMAN ?= ../shared/pusht_human/pusht_cchi_v7_replay.zarr
WORK  := data/work

demo-policy: $(WORK)/policy/evaluation.json  ## train the demo policy again on HUMAN (data/README.md)
	rm -rf data/demo/policy && mkdir -p data/demo && cp -r $(WORK)/policy data/demo/policy
demo-data: $(WORK)/expert/evaluation.json  ## make the demo episodes again with another network trained on HUMAN
	$(BIN)/python data/recipe/make_episodes.py --policy $(WORK)/expert --output data/demo/episodes

$(WORK)/human/meta/info.json: | $(READY)
	$(BIN)/python data/recipe/convert_human.py --source $(HUMAN) --output $(WORK)/human
$(WORK)/policy/evaluation.json: $(WORK)/human/meta/info.json
	$(BIN)/python data/recipe/train_policy.py --dataset $(WORK)/human --output $(WORK)/policy --steps 5000
$(WORK)/expert/evaluation.json: $(WORK)/human/meta/info.json
	$(BIN)/python data/recipe/train_policy.py --dataset $(WORK)/human --output $(WORK)/expert --steps 3000 --seed 1 \
	    --prediction-type sample

clean:  ## remove the videos (the caches stay)
	rm -rf $(OUTPUTS)

.PHONY: help setup cache render page browser families status clean-cache demo picture gallery examples quick high-quality research-grade test compat certify bench bench-accuracy \
    bench-budget bench-pose bench-render bench-batch bench-kills bench-damage bench-answers bench-resolved bench-page bench-alternatives \
    lock demo-policy demo-data clean FORCE
