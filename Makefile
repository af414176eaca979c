# SPDX-License-Identifier: Apache-2.0
# A short front for Meson and Ninja. `./dev TARGET` installs what a target needs and then comes here.

BUILD := build
SECONDS := 60
SEEDS := 1000
FIRST := 1
VENV := .venv
NODE := tests/system/node/node_modules/.ready
WEB := tests/web/node_modules/.ready
PYTHON := $(CURDIR)/$(VENV)/bin/python

.PHONY: all deb demo test soak test-package lint bench bench-quick sim fuzz asan clean compatibility
all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

# build-deb/meseta_VERSION_ARCHITECTURE.deb, of a release build.
deb:
	packaging/build-deb

# The first run of a job: mesos-local, the tutorial's two tasks, mesos-execute. ARGS=--keep leaves it running.
demo: all $(VENV)/.ready
	$(PYTHON) tests/demo/demo.py $(ARGS)

# Everything that proves something; the parts are in tests/run (PARTS="unit lint" runs only these).
test: all $(VENV)/.ready $(NODE) $(WEB)
	/usr/bin/python3 tests/run $(PARTS)

# The Debian package in a new Debian system, and the commands of docs/tutorial.md.
test-package: $(VENV)/.ready
	/usr/bin/python3 tests/run package

# The long versions of system tests: hundreds of crashes, full disks, partitions.
soak: all $(VENV)/.ready
	/usr/bin/python3 tests/run soak

lint: $(BUILD)/build.ninja
	/usr/bin/python3 tests/run lint

# Unit and system tests on programs built with the address and undefined-behaviour sanitizers.
asan: $(VENV)/.ready $(NODE)
	/usr/bin/python3 tests/run asan system-asan

# SECONDS of libFuzzer for each target.
fuzz:
	/usr/bin/python3 tests/fuzz/run --seconds=$(SECONDS) $(TARGETS)

# On programs as users get them.
bench: $(VENV)/.ready
	packaging/setup-release build-release
	ninja -C build-release benchmarks
	$(PYTHON) bench/run $(ARGS)

# The same in two minutes, with smaller sizes.
bench-quick:
	$(MAKE) bench ARGS="--quick $(ARGS)"

# Tries every call, endpoint, flag and metric of Mesos and writes docs/compatibility.md.
compatibility: all
	/usr/bin/python3 tests/system/compat.py

# SEEDS simulated clusters, from seed FIRST on. A failing one says how to replay it.
sim:
	test -f build-sim/build.ninja || meson setup build-sim --buildtype=release -Db_lto=true
	ninja -C build-sim bin/mesos-sim
	build-sim/bin/mesos-sim --first=$(FIRST) --seeds=$(SEEDS) --jobs=$(shell nproc) $(ARGS)

clean:
	rm -rf $(BUILD) build-asan build-gcc build-fuzz build-release build-release-instrumented build-sim build-deb \
		build-deb-instrumented

$(BUILD)/build.ninja:
	meson setup $(BUILD)

# pymesos and a few others come from PyPI; all else that Python needs is Debian's.
$(VENV)/.ready: tests/requirements.txt
	/usr/bin/python3 -m venv --system-site-packages $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@

# mesos-framework, the second client.
$(NODE): tests/system/node/package.json tests/system/node/package-lock.json
	cd tests/system/node && npm ci --no-audit --no-fund --ignore-scripts
	touch $@

# axe-core, which looks for barriers in the dashboard.
$(WEB): tests/web/package.json tests/web/package-lock.json
	cd tests/web && npm ci --no-audit --no-fund --ignore-scripts
	touch $@
