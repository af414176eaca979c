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
pytest_collection_modifyitems = _system.pytest_collection_modifyitems
pytest_runtest_setup = _system.pytest_runtest_setup
pytest_runtest_makereport = _system.pytest_runtest_makereport
cluster = _system.cluster
master = _system.master
agent = _system.agent
scheduler = _system.scheduler


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests. It is made before a test's cluster, which looks for what that test leaves behind; the
    processes of a test's own tabs end with them."""
    if not os.path.exists(CHROMIUM):
        pytest.exit("chromium is not installed (./dev test installs it)", 2)
    one = Browser()
    one.page().close()  # whatever it starts with its first tab is there
    yield one
    one.close()


class Pages:
    """Opens tabs, and closes them with the browser."""

    def __init__(self, browser):
        self.browser = browser
        self.tabs = []

    def __call__(self, master, path="/", **options):
        tab = self.browser.page(**options)
        tab.masters = [master.address]
        tab.expected = []  # patterns of what may be on the console
        self.tabs.append(tab)
        tab.base = "http://%s/" % master.address
        tab.open(tab.base + path.lstrip("/"))
        return tab

    def check(self):
        for tab in self.tabs:
            known = "|".join("http://%s/" % re.escape(address) for address in tab.masters)
            assert [text for text in tab.console if not any(re.search(one, text) for one in tab.expected)] == []
            assert [address for address in tab.requests if not re.match(known + "|data:|about:", address)] == []


@pytest.fixture
def pages(browser, cluster):
    """pages(master, "/#/agents", dark=True): a tab. The test fails when anything unexpected was on its console, or when it
    asked anybody but the master."""
    opened = Pages(browser)
    yield opened
    for tab in opened.tabs:
        tab.close()
    opened.check()
