# SPDX-License-Identifier: Apache-2.0
"""The web tests use the system tests' harness and fixtures."""

import importlib.util
import os
import re
import sys

import pytest

SYSTEM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "system")
sys.path.insert(0, SYSTEM)

from browser import CHROMIUM, Browser  # noqa: E402

_spec = importlib.util.spec_from_file_location("system_conftest", os.path.join(SYSTEM, "conftest.py"))
_system = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_system)

pytest_configure = _system.pytest_configure
pytest_runtest_setup = _system.pytest_runtest_setup
pytest_runtest_makereport = _system.pytest_runtest_makereport
cluster = _system.cluster
master = _system.master
agent = _system.agent
scheduler = _system.scheduler


@pytest.fixture
def browser(cluster):
    """A Chromium that is gone before the cluster looks for what is left over."""
    if not os.path.exists(CHROMIUM):
        pytest.exit("chromium is not installed (./dev test installs it)", 2)
    one = Browser()
    yield one
    one.close()


@pytest.fixture
def page(request, browser, master):
    """A tab. The test fails when anything was on its console, or when it asked anybody but the master."""
    options = getattr(request, "param", {})
    tab = browser.page(**options)
    yield tab
    console, requests = tab.console, tab.requests
    tab.close()
    assert console == []
    assert [address for address in requests if not re.match(r"http://%s/|data:|about:" % master.address, address)] == []
