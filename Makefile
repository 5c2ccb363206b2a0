# make run     install what is missing and start the program (ARGS="--headless" and the like are handed on)
# make test    install what is missing and run every check and test
# `make help` lists the rest.

.PHONY: run test setup lint format coverage bench lock clean help

run: setup  ## start the program
	@exec .venv/bin/python main.py $(ARGS)

test:  ## every check and test, as CI runs them
	@scripts/setup.sh tests
	@HYPOTHESIS_PROFILE=ci scripts/check.sh

setup:  ## system libraries and .venv; quick when all is there
	@scripts/setup.sh

lint: setup  ## format, lint, types, imports: without the tests
	@scripts/check.sh lint

format: setup  ## let ruff format the code and mend what it can
	@.venv/bin/python -m ruff format .
	@.venv/bin/python -m ruff check --fix .

coverage:  ## run the tests and show what they do not reach
	@scripts/setup.sh tests
	@.venv/bin/python -m coverage erase
	@.venv/bin/python -m coverage run -m pytest
	@.venv/bin/python -m coverage combine -q
	@.venv/bin/python -m coverage report

bench: setup  ## what steps, runs and requests cost, as tables (ARGS="--rounds 3 W1 W3", BASELINES=python)
	@.venv/bin/python benchmarks/steps.py $(if $(BASELINES),--baselines $(BASELINES)) $(ARGS)
	@$(if $(ARGS),,.venv/bin/python benchmarks/curves.py && .venv/bin/python benchmarks/rest.py && .venv/bin/python benchmarks/websocket.py && .venv/bin/python benchmarks/window.py)

lock:  ## renew requirements.lock (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade --generate-hashes \
	    --no-header --no-emit-index-url --no-emit-find-links --no-annotate --quiet -o requirements.lock

clean:  ## remove .venv and caches
	rm -rf .venv .cache

help:
	@sed -n 's/^\([a-z]*\):.*  ## /make \1	/p' $(MAKEFILE_LIST) | expand -t 16
