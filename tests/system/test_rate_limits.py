# SPDX-License-Identifier: Apache-2.0
"""--rate_limits: a framework that asks too much waits, and is told when it asks far too much; others are not held up."""

import http.client
import json
import os
import subprocess
import threading

import pytest

import harness
from harness import BIN, wait_for

LIMITS = {"limits": [{"principal": "slow", "qps": 10}, {"principal": "small", "qps": 0.001, "capacity": 1},
                     {"principal": "free"}], "aggregate_default_qps": 0.001}


@pytest.fixture(params=["text", "file"])
def master(cluster, request):
    text = json.dumps(LIMITS)
    if request.param == "file":
        path = cluster.path("limits.json")
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        text = "file://" + path
    return cluster.start_master(rate_limits=text)


def numbers(master, principal):
    metrics = master.metrics()
    return [metrics["frameworks/%s/messages_%s" % (principal, what)] for what in ("received", "processed")]


def post_aside(scheduler, kind, answers):
    """A call that waits in a thread of its own, for its answer or the end of its connection (None)."""
    body = {"type": kind, "framework_id": {"value": scheduler.framework_id}}

    def run():
        try:
            answers.append(scheduler.post(body))
        except (OSError, http.client.HTTPException):
            answers.append(None)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_rate_limits(cluster, master):
    slow, small, free = (cluster.scheduler(principal=name) for name in ("slow", "small", "free"))
    for _ in range(5):
        slow.call("SUPPRESS")
    assert numbers(master, "slow") == [5, 5]
    # One passes, one waits for a quarter of an hour, one is too many.
    small.call("SUPPRESS")
    answers = []
    thread = post_aside(small, "REVIVE", answers)
    wait_for(lambda: numbers(master, "small") == [2, 1])
    refused = small.post({"type": "REVIVE", "framework_id": {"value": small.framework_id}})
    text = "Message mesos.scheduler.Call dropped: capacity(1) exceeded"
    assert (refused.status, refused.text) == (429, text)
    wait_for(lambda: small.pump() or [e for e in small.events if e["type"] == "ERROR"])
    assert small.events[-1]["error"]["message"] == text
    for _ in range(20):
        free.call("SUPPRESS")
    assert numbers(master, "free") == [20, 20]
    # Those of no principal, or of one that is not listed, share the default.
    one, two = cluster.scheduler(), cluster.scheduler(principal="other")
    one.call("SUPPRESS")
    others = [post_aside(two, "SUPPRESS", answers)]
    wait_for(lambda: numbers(master, "other") == [1, 0])
    # Nothing that waits keeps the master from ending.
    assert answers == []
    assert master.stop() == 0
    for waiting in [thread, *others]:
        waiting.join(10 * harness.PATIENCE)
    assert answers == [None, None]


def test_a_framework_takes_its_name_along(cluster):
    master = cluster.start_master()
    scheduler = cluster.scheduler(principal="p")
    scheduler.call("REVIVE")
    assert numbers(master, "p") == [1, 1]
    scheduler.teardown()
    assert "frameworks/p/messages_received" not in master.metrics()


@pytest.mark.parametrize("limits, text", [
    ("{", "Flag 'rate_limits'"),
    ('{"limits":[{"qps":1}]}', "principal"),
    ('{"limits":[{"principal":"a","qps":-1}]}', "Invalid qps: -1. It must be a positive number"),
    ('{"limits":[{"principal":"a"},{"principal":"a"}]}', "Duplicate principal a found in RateLimits configuration"),
])
def test_bad_limits(cluster, limits, text):
    done = subprocess.run([os.path.join(BIN, "mesos-master"), "--ip=127.0.0.1", "--port=0", "--registry=in_memory",
                           "--rate_limits=" + limits], capture_output=True, text=True, timeout=20, check=False,
                          cwd=cluster.directory)
    assert done.returncode != 0 and text in done.stderr, done.stderr
