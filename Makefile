# Every target sets up what it needs: a virtual environment in .venv with the exact versions of constraints.txt.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
# two test processes of one thread each: the same on a laptop and on a large machine; bytecode is kept, which the
# hundred processes that tests start would otherwise each make anew
WORKERS ?= 2
IMAGE ?= vae-lightning
# how long `make soak` reproduces studies; it goes on with them the next time
STUDIES_TIME ?= 30m
# what needs most of the packages, and the least time
FLOORS = tests/test_examples.py tests/test_checkpoints.py tests/test_version_0_1.py tests/test_resume.py tests/test_trust.py \
	tests/test_cli.py tests/acceptance tests/answers tests/callbacks/run tests/data/arrays tests/data/images tests/data/texts \
	tests/decoders tests/encoders tests/estimators tests/executors tests/exports tests/families tests/metrics tests/models/test_vae.py \
	tests/objectives tests/sweeps/test_search.py tests/training

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs browse notebooks soak floors machines gpu bench measure lock audit image container clean

help: ## print this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r target text; do \
		printf '  make %-9s %s\n' "$$target" "$$text"; done

# the main job from end to end, begun anew each time in a folder of its own
demo: $(INSTALLED) ## train, test and use a VAE of digits, reproduce the Gaussian mixture, report both: all in runs/demo
	rm -rf runs/demo
	$(BIN)/vae-lightning fit --config configs/digits/vae.yaml --trainer.max_epochs 100 \
		--trainer.logger.save_dir runs/demo --trainer.logger.version digits
	$(BIN)/vae-lightning test --ckpt_path runs/demo/digits
	$(BIN)/python -c "import numpy, vae_lightning as vl; data = vl.Digits(vl.StaticBinarisation()); data.setup(); \
		numpy.save('runs/demo/rows.npy', data.test.x[:64])"
	$(BIN)/vae-lightning encode --ckpt runs/demo/digits --data runs/demo/rows.npy --out runs/demo/codes.csv
	$(BIN)/vae-lightning score --ckpt runs/demo/digits --data runs/demo/rows.npy --out runs/demo/scores.csv
	$(BIN)/vae-lightning sample --ckpt runs/demo/digits --n 64 --out runs/demo/samples.png
	$(BIN)/vae-lightning reproduce mixture --out runs/demo/mixture
	$(BIN)/vae-lightning report runs/demo/digits runs/demo/mixture --title "The demo" --out runs/demo/report.html
	@echo "curves and histograms: $(BIN)/tensorboard --logdir runs/demo"

test: $(INSTALLED) ## all tests; ARGS="-k elbo" selects, VAE_LIGHTNING_DATA is where real data lies
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: $(INSTALLED) ## style, format, types, and who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED) ## the documentation as a site in site/, whose links and references all have to hold
	$(BIN)/zensical build --strict --clean

browse: docs ## open every page of it in Chromium, wide, narrow, light and dark; status 1 where something sticks out
	$(BIN)/python tests/browse.py $(ARGS)

notebooks: $(INSTALLED) ## execute the guides to own data as notebooks in docs/notebooks; ARGS="own-table" selects
	OMP_NUM_THREADS=1 $(BIN)/python docs/notebooks/make.py $(ARGS)

soak: $(INSTALLED) ## damage files, fill disks, train long, kill runs at random and at every hook: 2.5 hours; ARGS="--every 10" tries a tenth
	RANDOM_KILLS=20 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -rP -k killed_at \
		tests/models/test_gan.py tests/studies tests/data/images/test_cache.py tests/data/texts/test_cache.py
	ENDURANCE=1 RANDOM_KILLS=17 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -rP tests/test_endurance.py tests/test_full_disk.py \
		tests/test_package.py
	FUZZ_INPUTS=840 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -rP tests/test_fuzz.py
	OMP_NUM_THREADS=1 $(BIN)/python tests/soak.py --workers $(WORKERS) $(ARGS)
	timeout $(STUDIES_TIME) $(BIN)/vae-lightning reproduce all --scale quick --out runs/soak \
		--generator checkpoints/celeba.ckpt && rm -rf runs/soak/*/cells || [ $$? -eq 124 ]

floors: $(INSTALLED) ## the lowest versions that pyproject.toml promises, in an environment of their own: tests of what needs them most
	$(BIN)/python tests/floors.py
	$(PYTHON) -m venv $(VENV)/floors
	$(VENV)/floors/bin/python -m pip install --disable-pip-version-check -c constraints-floors.txt -e '.[dev,ray]'
	OMP_NUM_THREADS=1 $(VENV)/floors/bin/python -m pytest -n $(WORKERS) -W ignore $(FLOORS) $(ARGS)

machines: $(INSTALLED) ## two machines as network namespaces, as root: torchrun, a lost one, Ray; ARGS="--only lost" selects
	$(BIN)/python tests/machines.py $(ARGS)

gpu: $(INSTALLED) ## check all models and diagnostics on a CUDA device; ARGS="--only digits/vae" selects, --device cpu tries it
	$(BIN)/python tests/gpu.py $(ARGS)

bench: $(INSTALLED) ## every benchmark, one table, what moved: benchmarks/bench.json; ARGS="--only hashing,rbm", "--quick"
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/run.py $(ARGS)

measure: $(INSTALLED) ## the house in numbers: functions, files, rooms, what is asked for by name
	$(BIN)/python benchmarks/house.py

lock: $(INSTALLED) ## write the versions of .venv into constraints.txt
	$(BIN)/python -m pip list --disable-pip-version-check --format=freeze \
		--exclude pip --exclude vae-lightning > $(VENV)/versions
	LC_ALL=C sort -f $(VENV)/versions > constraints.txt
	@touch $(INSTALLED)

audit: $(INSTALLED) ## known weaknesses of the versions in constraints.txt (an index has to answer), and all parts in dist/sbom.json
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --disable-pip-version-check -q 'pip-audit>=2.10' 'cyclonedx-bom>=7.5'
	@mkdir -p dist
	$(VENV)/audit/bin/cyclonedx-py environment --pyproject pyproject.toml --of JSON -o dist/sbom.json $(BIN)/python
	$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt

image: ## build the Docker image and print its size; ARGS="--build-arg EXTRAS=text" are options of docker build
	docker build -t $(IMAGE) $(ARGS) .
	@docker image ls $(IMAGE)

container: ## build and run the image: stopped, resumed, watched; CONTAINER_ENGINE=podman; ARGS=--built checks the one there is
	$(PYTHON) tests/container.py --image $(IMAGE) $(ARGS)

clean: ## remove .venv, builds and caches; runs/ stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .cache site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1):" \
			"name one by make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	@touch $@
