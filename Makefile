# Targets a person uses; each installs what it needs (Debian packages, PyPI, npm) and says so.
PYTHON := .venv/bin/python
SETUP  := /usr/bin/python3 demo/machine.py

.PHONY: demo test image images images-test package deployment-test openstack-test lint clean bench bench-whole

demo: ## A small facility on this machine, until Ctrl-C
	@$(SETUP) demo
	@exec $(PYTHON) -m demo

test: ## Every test, against the real parts
	@$(SETUP) test
	@$(MAKE) --no-print-directory lint
	@exec $(PYTHON) -m tests.run

image: ## The base image
	@$(SETUP) demo
	@$(PYTHON) -m images.build base

images: ## The images of all recipes, as far as they have changed
	@$(SETUP) demo
	@$(PYTHON) -m images.build

images-test: ## The images of all recipes, and the tests of those that `make test` leaves out as well
	@$(SETUP) test
	@$(PYTHON) -m images.build
	@VISA_TEST_IMAGES=all exec $(PYTHON) -m pytest -q tests/images

package: ## What ansible/ installs: the wheel and the images' recipes, in dist/
	@[ -x .venv-ansible/bin/python ] || /usr/bin/python3 -m venv .venv-ansible
	@.venv-ansible/bin/python -m pip install -q --disable-pip-version-check -r ansible/requirements.txt
	@.venv-ansible/bin/python ansible/package.py

deployment-test: ## ansible/ on machines of its own, with the parts that `make test` leaves out as well
	@$(SETUP) test
	@$(PYTHON) -m images.build base general
	@VISA_TEST_DEPLOYMENT=all exec $(PYTHON) -m pytest -q tests/ansible

openstack-test: ## Sessions in servers of a real OpenStack alone, with the part that `make test` leaves out as well
	@$(SETUP) test
	@/usr/bin/python3 tests/openstack_cloud/environment.py
	@VISA_TEST_OPENSTACK=all exec $(PYTHON) -m pytest -q tests/openstack_cloud

bench: ## This project beside stock parts, in ten minutes
	@$(SETUP) test
	@exec $(PYTHON) -m bench --short

bench-whole: ## The same with more rounds; writes bench/RESULTS.md
	@$(SETUP) test
	@exec $(PYTHON) -m bench

lint:
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

clean: ## What the demo and the tests made, the data tree included
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m demo.clean; fi
	@rm -rf .venv .venv-ansible .venv-openstack build dist *.egg-info node_modules demo/node_modules tests/axe/node_modules tests/grafana/node_modules visa_session/node_modules \
		visa_session/static/novnc tests/results .pytest_cache .ruff_cache .hypothesis
