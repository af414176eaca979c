# SPDX-License-Identifier: Apache-2.0
"""The leader dies under an open page: it says so, finds the next leader, and goes there, to the same place."""

import re

import pytest

import zookeeper
from harness import get, wait_for

pytestmark = pytest.mark.skipif(not zookeeper.is_installed(), reason="needs zookeeper and java")


@pytest.fixture
def zk():
    ensemble = zookeeper.ZooKeeper()
    yield ensemble
    ensemble.close()


def start_master(cluster, zk):
    return cluster.start_master(registry="replicated_log", quorum=1, zk=zk.url(), zk_session_timeout="2secs", hostname="127.0.0.1")


def leads(master):
    answer = get(master.address, "/dashboard/leader").json()
    return answer["leads"] and answer["ready"]


def test_the_page_goes_to_the_next_leader(zk, cluster, pages):
    first = start_master(cluster, zk)
    wait_for(lambda: leads(first), 20, "the first leader")
    second = start_master(cluster, zk)
    cluster.start_agent(first, master_flag=zk.url(), zk_session_timeout="2secs")
    page = pages(first, "/#/agents?heat=mem")
    page.masters.append(second.address)
    page.expected = ["Failed to load resource", "ERR_"]  # the dead master does not answer
    # The page learns of the standby before anything happens.
    known = page.wait("import('/assets/live.js').then((m) => m.overview.get()?.masters.length == 2 && m.overview.get().masters)")
    assert sorted(known) == sorted([first.address, second.address])
    page.wait("document.querySelectorAll('#agents tr[data-row]').length == 1")
    first.kill()
    page.wait_text("What you see is from before", "document.querySelector('#notice')")
    page.wait("location.host == '%s'" % second.address, "the next leader", 30)
    page.wait_text("Live", "document.querySelector('#live')", 30)
    assert page.run("location.hash") == "#/agents?heat=mem"
    page.wait("document.querySelectorAll('#agents tr[data-row]').length == 1", "the agent to be back", 30)


def test_a_standby_sends_pages_to_the_leader(zk, cluster, pages):
    first = start_master(cluster, zk)
    wait_for(lambda: leads(first), 20, "the leader")
    second = start_master(cluster, zk)
    wait_for(lambda: get(second.address, "/dashboard/leader").json()["leader"], 10, "the leader to be known")
    answer = get(second.address, "/")
    assert answer.status == 307 and re.search(r"^//%s" % re.escape(first.address), answer.headers["Location"])
    told = get(second.address, "/dashboard/leader")
    assert told.headers["Access-Control-Allow-Origin"] == "*"
    assert told.json()["leader"]["port"] == int(first.address.split(":")[1]) and not told.json()["leads"]
