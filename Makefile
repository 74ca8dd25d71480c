# make run    the bot and its own homeserver, with a prompt in this terminal
# make demo   a guided tour on a throw-away homeserver
# make test   all tests            make check   all linters          make bench   figures, beside a floor
# make fuzz   a million odd inputs, or RUNS=n, or only TARGETS="sync command"
# make attack the threat model's attacks against the running bot (make attack ARGS="--only S8,S9")
# make lock   resolve requirements/*.in again (make lock UPGRADE=1 takes newer releases)
# make migration NAME=what_changes   write the step from the tables so far to those in the code
#
# Each target sets up what it needs; a second run finds it done. Set-up speaks on stderr only and reads nothing, so
# that `echo '!ping' | make run` has stdin and stdout to itself.

SHELL := /bin/sh
.DEFAULT_GOAL := run
.DELETE_ON_ERROR:
.PHONY: run demo test attack check bench fuzz lock lock-python lock-js migration clean

VENV := .venv
BIN := $(VENV)/bin
JS := tests/e2e/js
PYTHONS := python3.13 python3.12 python3.11 python3

comma := ,
say = printf 'set-up: %s\n' '$(1)' >&2
# uv is quick; pip is there where uv is not or cannot. Both refuse whatever does not match its hash.
# Certificates are the system's, for networks whose own authority reads along.
install = { $(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python $(1) || { \
	$(call say,uv could not; pip tries$(comma) more slowly); \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(1); }; } </dev/null >&2
npm = PATH="$(CURDIR)/$(BIN):$$PATH" NODE_OPTIONS=--use-system-ca $(BIN)/npm --prefix $(JS)

run: $(VENV)/.run
	@$(BIN)/tandem run --console

demo: $(VENV)/.run
	@$(BIN)/tandem demo

test: $(VENV)/.test $(JS)/node_modules/.installed
	@$(BIN)/python -m pytest $(ARGS)

attack: $(VENV)/.test
	@$(BIN)/python -m tests.attack $(ARGS)

bench: $(VENV)/.test
	@$(BIN)/python -m tests.bench

fuzz: $(VENV)/.fuzz
	@$(BIN)/python -m tests.fuzz --runs $(or $(RUNS),1000000) $(TARGETS)

check: $(VENV)/.test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/lint-imports

$(VENV)/.base: requirements/bootstrap.txt
	@set -e; for python in $(PYTHONS); do \
		if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 </dev/null; \
		then found=$$python; break; fi; done; \
	if [ -z "$$found" ]; then \
		echo 'Tandem needs Python 3.11 or newer with its venv module (on Debian and Ubuntu: apt install python3-venv).' >&2; \
		exit 1; fi; \
	$(call say,creating .venv); \
	$$found -m venv --clear $(VENV) </dev/null >&2; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements/bootstrap.txt </dev/null >&2 || $(call say,no uv for this machine)
	@touch $@

$(VENV)/.run: $(VENV)/.base requirements/run.txt pyproject.toml
	@$(call say,installing what the bot needs)
	@$(call install,--require-hashes -r requirements/run.txt)
	@$(call install,--no-deps --no-build-isolation --editable .)
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements/test.txt
	@$(call say,installing what the tests need)
	@$(call install,--no-deps --require-hashes -r requirements/test.txt)
	@touch $@

$(VENV)/.fuzz: $(VENV)/.test requirements/fuzz.txt
	@$(call say,installing the fuzzer)
	@$(call install,--require-hashes -r requirements/fuzz.txt)
	@touch $@

$(JS)/node_modules/.installed: $(VENV)/.test $(JS)/package.json $(JS)/package-lock.json
	@$(call say,installing the JavaScript client of the tests)
	@$(npm) ci --loglevel=error </dev/null >&2
	@touch $@

# A file that comes out the same keeps its date, so that nothing is set up again for it.
lock: lock-python lock-js

lock-python: $(VENV)/.base
	@set -e; cd requirements; for name in bootstrap run test fuzz; do \
		cp $$name.txt $$name.new 2>/dev/null || true; \
		../$(BIN)/uv pip compile --quiet --system-certs --universal --python-version 3.11 --generate-hashes \
			--no-header --no-annotate --no-emit-index-url --no-emit-find-links --override overrides.in \
			$(if $(UPGRADE),--upgrade) $$name.in -o $$name.new; \
		if cmp -s $$name.new $$name.txt; then rm $$name.new; else mv $$name.new $$name.txt; fi; done

# Addresses of where to send money are addresses too.
define without_funding
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
lock = json.loads(path.read_text())
for package in lock["packages"].values():
    package.pop("funding", None)
path.write_text(json.dumps(lock, indent=2) + "\n")
endef
export without_funding

lock-js: $(VENV)/.test
	@$(npm) $(if $(UPGRADE),update,install) --package-lock-only --loglevel=error </dev/null >&2
	@$(BIN)/python -c "$$without_funding" $(JS)/package-lock.json

migration: $(VENV)/.test
	@$(BIN)/python -m storage.migrations $(NAME)
	@$(BIN)/ruff check --quiet --fix-only storage/migrations
	@$(BIN)/ruff format --quiet storage/migrations

clean:
	@rm -rf $(VENV) $(JS)/node_modules build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
