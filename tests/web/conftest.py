# SPDX-License-Identifier: Apache-2.0
"""The web tests use the system tests' harness and fixtures."""

import importlib.util
import os
import sys

SYSTEM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "system")
sys.path.insert(0, SYSTEM)

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
