# Two commands matter: `make demo` and `make test`. Both set up first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test unit check bench soak constraints setup clean

demo: setup
	$(BIN)/evener run demo

# two at once: most tests wait for processes, not for a processor. Compiled before: they start
# hundreds, and where PYTHONDONTWRITEBYTECODE is set each would do it anew
test: check
	$(BIN)/python -m compileall -q src
	$(BIN)/python -m pytest -n 2 --no-loadscope-reorder

# the tests that start no processes: seconds
unit: setup
	$(BIN)/python -m pytest -m "not slow"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	for system in win32 darwin; do \
	  $(BIN)/mypy --platform $$system --cache-dir .mypy_cache/$$system src || exit 1; done
	$(BIN)/lint-imports

bench: setup
	@failed=0; for b in exactness overhead scripts learning start faults head docker uneven swarm pool mesh; do \
	  $(BIN)/python benchmarks/$$b.py --quick || failed=1; done; exit $$failed

# an hour of faults, then a million seeds of membership, which takes a processor seven hours: MINUTES
# and SEEDS for less, FROM to go on with a later one
soak: setup
	$(BIN)/python benchmarks/soak.py --minutes $(or $(MINUTES),60)
	$(BIN)/python -m tests.membership $(or $(SEEDS),1000000) $(FROM)

# pin what is installed here and tested, and of that in images what they need; the build of torch is
# left to the machine
constraints: setup
	@{ sed -n '/^#/p' constraints.txt; $(BIN)/python -m pip freeze --all --exclude-editable | \
	  grep -v -E '^(evener|pip|wheel)==| @ ' | sed 's/+.*//'; } > constraints.new
	@mv constraints.new constraints.txt
	@$(BIN)/python -m tests.image.pinned > pins.new && mv pins.new src/evener/image/pins.txt

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv build dist
