# SPDX-License-Identifier: Apache-2.0
"""Calls of the agent's operator API about the agent itself: its files, how much it logs, and what it has none of."""

import base64

import pytest

import harness
from harness import make_task, wait_for
from test_operator import call

cluster = pytest.fixture(scope="module")(harness.run_cluster)
INFO = {"type": "org.apache.mesos.rp.local.storage", "name": "x"}


@pytest.fixture(scope="module")
def agent(cluster):
    master = cluster.start_master()
    agent = cluster.start_agent(master)
    scheduler = cluster.scheduler(master)
    scheduler.launch(scheduler.take_offer(), [make_task("printf 0123456789 >file; sleep 1000", task_id="t")], 0)
    scheduler.wait_update("t", "TASK_RUNNING")
    return agent


@pytest.mark.parametrize("kind, content, status, text", [
    ("ADD_RESOURCE_PROVIDER_CONFIG", None, 400,
     "Failed to validate agent::Call: Expecting 'add_resource_provider_config' to be present"),
    ("ADD_RESOURCE_PROVIDER_CONFIG", {"info": {**INFO, "id": {"value": "i"}}}, 400,
     "Failed to validate agent::Call: Expecting 'add_resource_provider_config.info.id' to be unset"),
    ("UPDATE_RESOURCE_PROVIDER_CONFIG", {"info": {**INFO, "id": {"value": "i"}}}, 400,
     "Failed to validate agent::Call: Expecting 'update_resource_provider_config.info.id' to be unset"),
    ("ADD_RESOURCE_PROVIDER_CONFIG", {"info": INFO}, 500, "Missing required flag --resource_provider_config_dir"),
    ("UPDATE_RESOURCE_PROVIDER_CONFIG", {"info": INFO}, 500, "Missing required flag --resource_provider_config_dir"),
    ("REMOVE_RESOURCE_PROVIDER_CONFIG", INFO, 500, "Missing required flag --resource_provider_config_dir"),
    ("MARK_RESOURCE_PROVIDER_GONE", {"resource_provider_id": {"value": "x"}}, 500,
     "Attempted to remove an unknown resource provider"),
    ("PRUNE_IMAGES", None, 501, "There are no images to prune: this agent cannot use images yet (--image_providers)"),
    ("LIST_FILES", {"path": "/nowhere"}, 404, "There is no '/nowhere'"),
    ("READ_FILE", {"path": "/nowhere", "offset": 0}, 404, "There is no '/nowhere'"),
    ("SET_LOGGING_LEVEL", {"level": 1}, 400,
     "Failed to convert JSON into Call protobuf: Missing required fields: set_logging_level.duration"),
])
def test_refused(agent, kind, content, status, text):
    answer = agent.post("/api/v1", {"type": kind, **({kind.lower(): content} if content is not None else {})})
    assert (answer.status, answer.text.strip().rstrip(".")) == (status, text)


def test_nothing_of_that(agent):
    assert call(agent, "GET_RESOURCE_PROVIDERS") == {}
    assert agent.state()["resource_providers"] == []


def test_files(agent):
    sandbox = agent.state()["frameworks"][0]["executors"][0]["directory"]
    wait_for(lambda: any(f["path"].endswith("/file") and int(f["size"]) == 10
                         for f in call(agent, "LIST_FILES", path=sandbox)["file_infos"]), what="the file")
    piece = call(agent, "READ_FILE", path=sandbox + "/file", offset=3, length=4)
    assert (int(piece["size"]), base64.b64decode(piece["data"])) == (10, b"3456")


def test_more_is_logged_for_a_while(agent):
    assert call(agent, "GET_LOGGING_LEVEL") == {"level": 0}
    assert call(agent, "SET_LOGGING_LEVEL", level=2, duration={"nanoseconds": 3 * 10**8}) is None
    assert call(agent, "GET_LOGGING_LEVEL") == {"level": 2}
    wait_for(lambda: call(agent, "GET_LOGGING_LEVEL") == {"level": 0}, what="the end of it")
