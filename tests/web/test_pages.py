# SPDX-License-Identifier: Apache-2.0
"""The dashboard's pages: frameworks, agents, roles; by keyboard, on a phone, in the dark, for everybody."""

import json

import pytest

import looks
from harness import get, make_task, post, wait_for
from test_page import execute

MARK = "document.querySelector('%s')"


def run_one(scheduler, command="sleep 1000"):
    """A task that stays; the id of its agent."""
    scheduler.launch(scheduler.take_offer(), [make_task(command, task_id="held")])
    return scheduler.wait_update("held", "TASK_RUNNING")["agent_id"]["value"]


def drain(master, agent_id):
    answer = post(master.address, "/api/v1", {"type": "DRAIN_AGENT", "drain_agent": {"agent_id": {"value": agent_id}}})
    assert answer.status == 200, answer.text


def test_a_framework_with_its_finished_tasks(cluster, master, agent, pages):
    """The tutorial's second picture: an ended framework, its finished tasks, the way to their sandboxes."""
    assert execute(master, "hello", "echo hello").returncode == 0
    page = pages(master, "/#/frameworks")
    page.wait("document.querySelectorAll('#completed tr[data-row]').length == 1")
    page.run("document.querySelector('#completed tr[data-row] a').click()")
    page.wait("document.querySelectorAll('#completed tr[data-row]').length == 1 && !!document.querySelector('.trail')")
    looks.settle(page)
    row = page.rows("#completed")[0]
    assert row[0] == "hello" and "Finished" in row and row[-1] == "Sandbox"
    assert page.run("document.querySelector('#completed a[aria-label=\"Sandbox of hello\"]').hash").endswith("/executors/hello/tasks/hello/browse")
    assert "Completed" in page.text(".page-head") and "Finished 1" in page.text(".facts").replace("\n", " ")
    looks.keep(page, "framework-completed")


def test_a_running_framework_and_the_allocators_why(cluster, master, agent, scheduler, pages):
    run_one(scheduler)
    page = pages(master, "/#/frameworks/%s" % scheduler.framework_id)
    looks.settle(page)
    page.wait("document.querySelectorAll('#active tr[data-row]').length == 1")
    assert "This framework" in page.text("#shares")
    page.click("#ask-why")
    page.wait_text("1 agent", MARK % "#why")
    # A sentence, not a code.
    assert "NOTHING_FREE" not in page.text("#why") and "In the role" in page.text("#why")
    looks.check_barriers(page)
    looks.keep(page, "framework")
    page.open(page.base + "#/frameworks/nobody")
    page.wait_text("No framework with ID nobody is known to the master")
    page.expected = ["404"]


def test_agents_heat_and_drain(cluster, master, agent, scheduler, pages):
    agent_id = run_one(scheduler)
    page = pages(master, "/#/agents")
    looks.settle(page)
    assert page.rows("#agents")[0][2] == "Active"
    page.wait("!!document.querySelector('#heat')")
    page.run("document.querySelector('#heat').focus()")
    page.press("ArrowDown")
    page.wait_text("CPUs", MARK % "#heat-word")
    looks.check_barriers(page)
    page.press("Enter")
    page.wait("location.hash == '#/agents/%s'" % agent_id)
    looks.settle(page)
    page.wait("document.querySelectorAll('#active tr[data-row]').length == 1")
    assert len(page.rows("#frameworks")) == 1
    looks.keep(page, "agent")
    # Drained by whoever: the open page follows, to the end.
    drain(master, agent_id)
    scheduler.wait_end("held")
    page.wait_text("is drained", MARK % "#agent-state")
    page.wait_text("Drained", MARK % ".page-head", timeout=30)
    page.wait("document.querySelectorAll('#active tr[data-row]').length == 0")
    # And back again, by its button.
    page.run("[...document.querySelectorAll('.agent-actions button')].find((b) => b.innerText.startsWith('Reactivate')).click()")
    looks.check_barriers(page)
    page.click("dialog[open] button[type=submit]")
    page.wait_text("Active", MARK % ".page-head")


def test_an_agents_framework_and_executor(cluster, master, agent, scheduler, pages):
    agent_id = run_one(scheduler)
    framework_id = scheduler.framework_id
    # As Mesos' page called it before agents were agents.
    page = pages(master, "/#/slaves/%s/frameworks/%s" % (agent_id, framework_id))
    looks.settle(page)
    page.wait("document.querySelectorAll('#executors tr[data-row]').length == 1")
    assert page.rows("#executors")[0][0] == "held"
    page.open(page.base + "#/agents/%s/frameworks/%s/executors/held" % (agent_id, framework_id))
    page.wait("document.querySelectorAll('#active tr[data-row]').length == 1")
    assert "Running" in page.rows("#active")[0]
    looks.check_barriers(page)
    looks.keep(page, "executor")


def test_roles_are_a_tree_with_weights_and_quota(cluster, master, agent, pages):
    cluster.scheduler(master, roles=["eng/web", "eng/batch", "ops"], capabilities=[{"type": "MULTI_ROLE"}])
    weights = [{"role": "eng", "weight": 2.5}]
    assert post(master.address, "/api/v1", {"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": weights}}).status == 200
    quota = [{"role": "eng", "guarantees": {"cpus": {"value": 1}}, "limits": {"cpus": {"value": 2}}}]
    assert post(master.address, "/api/v1", {"type": "UPDATE_QUOTA", "update_quota": {"force": True, "quota_configs": quota}}).status == 200
    page = pages(master, "/#/roles")
    looks.settle(page)
    page.wait("document.querySelectorAll('tr[data-row]').length >= 4")
    rows = {row[0].split("\n")[-1].strip(): row for row in page.rows("#roles")}
    assert {"eng", "web", "batch", "ops"} <= set(rows)
    assert rows["eng"][1] == "2.5" and rows["eng"][7] == "1 CPU" and rows["eng"][8] == "2 CPUs" and "at most" in rows["eng"][5]
    looks.check_barriers(page)
    looks.keep(page, "roles")
    page.click("button[aria-label='Hide roles below eng']")
    page.wait("![...document.querySelectorAll('tr[data-row]')].some((r) => r.innerText.includes('batch'))")


def test_by_keyboard(cluster, master, agent, pages):
    for i in range(3):
        assert execute(master, "task-%d" % i, "true").returncode == 0
    page = pages(master)
    looks.settle(page)
    page.press("?")
    page.wait("document.querySelector('#help').open")
    looks.check_barriers(page)
    page.press("Escape")
    page.wait("!document.querySelector('#help').open")
    page.press("g")
    page.press("a")
    page.wait("location.hash == '#/agents' && document.querySelectorAll('#agents tr[data-row]').length == 1")
    page.press("/")
    page.wait("document.activeElement.matches('main [data-search]')")
    page.type("nothing-has-this")
    page.wait_text("Nothing matches")
    # What is searched stands in the address, and a reload keeps it.
    assert "search=nothing-has-this" in page.run("location.hash")
    page.press("Escape")
    page.wait("document.activeElement === document.body")
    page.press("g")
    page.press("h")
    page.wait("document.querySelectorAll('#completed tr[data-row]').length == 3")
    page.run("document.querySelector('#completed .table-box').focus()")
    page.press("ArrowDown")
    page.press("j")
    assert page.run("document.activeElement.closest('tr').dataset.row") == "1"
    page.press("End")
    assert page.run("document.activeElement.innerText") == "task-0"
    page.press("Enter")
    page.wait("location.hash.endsWith('/tasks/task-0')")


def test_themes(cluster, master, agent, pages):
    page = pages(master, dark=True)
    looks.settle(page)
    dark = page.run("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")  # light
    light = page.run("getComputedStyle(document.body).backgroundColor")
    assert dark != light and page.run("document.documentElement.dataset.theme") == "light"
    page.call("Page.reload")
    looks.settle(page)
    assert page.run("getComputedStyle(document.body).backgroundColor") == light
    page.click("#theme")  # dark, whatever the system says
    assert page.run("getComputedStyle(document.body).backgroundColor") == dark


VIEWS = ["#/", "#/?by=role", "#/frameworks", "#/agents", "#/roles", "#/nowhere"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_barriers_on_any_screen(cluster, master, agent, pages, dark):
    assert execute(master, "well", "true").returncode == 0
    run_one(cluster.scheduler(master))
    wide = pages(master, dark=dark, width=1360)
    phone = pages(master, dark=dark, width=390, height=844, phone=True)
    for view in VIEWS:
        # Colours do not depend on the width: in the dark one page is enough for the phone.
        for page, screen in ((wide, "wide"), (phone, "phone")) if not dark or view == "#/" else ((wide, "wide"),):
            page.run("location.hash = %s" % json.dumps(view))
            page.wait("location.hash == %s" % json.dumps(view))
            looks.settle(page)
            looks.check_barriers(page)
            looks.check_width(page)
            name = view.strip("#/").replace("?by=", "home-by-") or "home"
            looks.keep(page, "%s-%s-%s" % (name, screen, "dark" if dark else "light"))


def test_an_empty_cluster_says_what_to_do(cluster, master, pages):
    page = pages(master)
    looks.settle(page)
    assert "No task is active" in page.text("main")
    looks.check_barriers(page)
    looks.keep(page, "home-empty")
    page.open(page.base + "#/frameworks")
    page.wait_text("mesos-execute --master=" + master.address)
    page.open(page.base + "#/agents")
    page.wait_text("mesos-agent --master=" + master.address)
    looks.check_barriers(page)


def test_trouble_is_told_and_mended(cluster, master, agent, pages):
    """The master is away: the page says so, and goes on by itself when it is back."""
    page = pages(master, "/#/agents")
    looks.settle(page)
    page.expected = ["Failed to load resource", "ERR_", "CORS"]
    master.stop()
    page.wait_text("What you see is from before", MARK % "#notice")
    looks.check_barriers(page)
    master.start()
    page.wait_text("Live", MARK % "#live", 30)
    page.wait("!document.querySelector('#notice')")
    wait_for(lambda: get(master.address, "/dashboard/overview").json()["agents"]["active"] == 1, 20, "the agent to be back")
    page.wait("document.querySelectorAll('#agents tr[data-row]').length == 1", timeout=20)
