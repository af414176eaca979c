# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the system tests. Each test gets daemons of its own and must leave nothing behind.

    def test_x(cluster):                 # an empty cluster: cluster.start_master(), cluster.start_agent(...)
    def test_y(master, agent, scheduler) # one of each; the scheduler is subscribed
"""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness  # noqa: E402
import leftovers  # noqa: E402


def pytest_configure(config):
    leftovers.become_subreaper()
    config.addinivalue_line("markers", "root: the test needs to be root")
    config.addinivalue_line("markers", "cgroups: the test needs cgroup controllers that it may use")
    config.addinivalue_line("markers", "soak: takes minutes; runs with `make soak` only")


def pytest_collection_modifyitems(config, items):
    """Either the soak tests (MESETA_SOAK=1) or all the others."""
    is_soak = bool(os.environ.get("MESETA_SOAK"))
    others = [item for item in items if bool(item.get_closest_marker("soak")) != is_soak]
    items[:] = [item for item in items if item not in others]
    config.hook.pytest_deselected(items=others)


def pytest_runtest_setup(item):
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the daemons' logs beside a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        cluster = item.funcargs.get("cluster")
        for daemon in cluster.masters + cluster.agents if cluster else []:
            report.sections.append(("log of " + daemon.name, daemon.read_log()))


cluster = pytest.fixture(harness.run_cluster)


@pytest.fixture
def master(cluster):
    return cluster.start_master()


@pytest.fixture
def agent(cluster, master):
    return cluster.start_agent(master)


@pytest.fixture
def scheduler(cluster, master, agent):
    return cluster.scheduler(master)
