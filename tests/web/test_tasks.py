# SPDX-License-Identifier: Apache-2.0
"""The pages of tasks, one task, offers and maintenance in a real Chromium."""

import json
import os
import re
import subprocess
import time

import looks
from harness import BIN, PATIENCE, get, make_task, wait_for


def start_swarm(cluster, master, agents, tasks):
    """A swarm whose tasks all run until it is ended."""
    process = cluster.popen([
        os.path.join(BIN, "mesos-swarm"), "--master=" + master.address, "--agents=%d" % agents, "--tasks=%d" % tasks,
        "--frameworks=4", "--connections=8", "--hold", "--progress=0ns", "--timeout=%dsecs" % (240 * PATIENCE),
    ], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: get(master.address, "/metrics/snapshot").json()["master/tasks_running"] == tasks,
             120, "%d running tasks" % tasks)
    return process


def look_at(page, name):
    looks.settle(page)
    looks.check_barriers(page)
    looks.check_width(page)
    looks.keep(page, name)


def search(page, text):
    """Types into the table's search; the shown rows once the master has answered."""
    page.run("(() => { const field = document.querySelector('.table-search'); field.value = %s;"
             " field.dispatchEvent(new Event('input', {bubbles: true})); })()" % json.dumps(text))


def check_search(page, count):
    page.wait("document.querySelectorAll('main tr[data-row]').length > 10", timeout=30)
    some = page.rows("main table")[7]
    search(page, some[0])
    page.wait("document.querySelector('main tr[data-row] td').innerText.trim() === %s" % json.dumps(some[0]))
    page.wait_text("of %s" % format(count, ","), "document.querySelector('.table-count')")
    search(page, "no-such-task")
    page.wait_text("No row has “no-such-task”")
    search(page, "")
    page.wait("document.querySelectorAll('main tr[data-row]').length > 10")
    # The last row of all is reached at once.
    page.run("document.querySelector('.table-box').focus()")
    page.press("End")
    page.wait("!!document.querySelector('tr[data-row=\"%d\"] a.row-link')" % (count - 1))
    page.click(".chip")
    page.wait("location.hash.includes('state=TASK_RUNNING')")


def test_search_among_100000_tasks(cluster, master, pages):
    swarm = start_swarm(cluster, master, 10000, 100000)
    page = pages(master, "/#/tasks")
    check_search(page, 100000)
    looks.check_barriers(page)
    looks.keep(page, "tasks")
    swarm.terminate()
    swarm.wait(60 * PATIENCE)


def test_one_tasks_timeline(cluster, master, agent, scheduler, pages):
    """States, how long, who said why: in words."""
    task = make_task("echo no >&2; exit 7", task_id="fails", labels={"labels": [{"key": "team", "value": "blue"}]},
                     discovery={"visibility": "CLUSTER", "name": "web",
                                "ports": {"ports": [{"number": 8080, "protocol": "tcp", "name": "http"}]}})
    scheduler.launch(scheduler.take_offer(), [task])
    scheduler.wait_end("fails")
    page = pages(master, "/#/frameworks/%s/tasks/fails" % scheduler.framework_id)
    page.wait_text("Failed", "document.querySelector('.timeline')")
    steps = page.run("[...document.querySelectorAll('.timeline li')].map((step) => step.innerText)")
    assert [step.split()[0] for step in steps] == ["Starting", "Running", "Failed"]
    assert "Command exited with status 7" in steps[2] and "Said by the executor" in steps[2]
    assert "for " in steps[1] and "for " not in steps[2].split("\n")[0]
    text = page.text("main")
    for wanted in ("team=blue", "8080/tcp (http)", "CPUs", "0.1", "32 MB"):
        assert wanted in text, wanted
    look_at(page, "task")
    phone = pages(master, "/#/frameworks/%s/tasks/fails" % scheduler.framework_id, width=390, height=844, phone=True, dark=True)
    phone.wait_text("Failed", "document.querySelector('.timeline')")
    look_at(phone, "task-phone-dark")
    phone.open(phone.base + "#/tasks")
    phone.wait("document.querySelectorAll('main tr[data-row]').length === 1")
    look_at(phone, "tasks-phone-dark")
    page.expected.append("404")
    page.open(page.base + "#/frameworks/%s/tasks/none" % scheduler.framework_id)
    page.wait_text("This task is not here")


def test_a_tasks_page_lives(cluster, master, agent, scheduler, pages):
    scheduler.launch(scheduler.take_offer(), [make_task("sleep 1000", task_id="lives")])
    scheduler.wait_update("lives", "TASK_RUNNING")
    page = pages(master, "/#/frameworks/%s/tasks/lives" % scheduler.framework_id)
    page.wait_text("Running", "document.querySelector('.timeline')")
    scheduler.kill("lives")
    page.wait_text("Killed", "document.querySelector('.timeline')")


def test_offers(cluster, master, agent, scheduler, pages):
    offer = scheduler.wait_offer()
    page = pages(master, "/#/offers")
    page.wait("document.querySelectorAll('main tr[data-row]').length === 1")
    look_at(page, "offers")
    row = page.rows("main table")[0]
    assert row[0] == "test" and row[1] == "*" and offer["id"]["value"].endswith(row[-1].lstrip("…"))
    scheduler.decline([offer], refuse_seconds=1000)
    page.wait_text("No offer is open")


def test_maintenance(cluster, master, agent, pages):
    page = pages(master, "/#/maintenance")
    page.wait_text("No maintenance is scheduled")
    machine = {"hostname": agent.state()["hostname"], "ip": "127.0.0.1"}
    start = int((time.time() + 7200) * 1e9)
    answer = master.post("/maintenance/schedule", json.dumps({"windows": [{
        "machine_ids": [machine, {"hostname": "elsewhere", "ip": "10.0.0.2"}],
        "unavailability": {"start": {"nanoseconds": start}, "duration": {"nanoseconds": int(3600e9)}}}]}))
    assert answer.status == 200, answer.text
    page.wait("document.querySelectorAll('#window-0 tr[data-row]').length === 2")
    assert re.search(r"for 60 min|for 1 h", page.text("#window-0 h2")) and "begins in 2 h" in page.text("#window-0")
    assert {row[1] for row in page.rows("#window-0")} == {"Draining"}
    assert master.post("/machine/down", json.dumps([{"hostname": "elsewhere", "ip": "10.0.0.2"}])).status == 200
    page.wait_text("Down", "document.querySelector('#window-0')")
    look_at(page, "maintenance")


def test_a_drain_by_the_page(cluster, master, agent, scheduler, pages):
    scheduler.launch(scheduler.take_offer(), [make_task("sleep 1000", task_id="leaves")])
    scheduler.wait_update("leaves", "TASK_RUNNING")
    identity = master.get("/slaves").json()["slaves"][0]["id"]
    page = pages(master, "/#/agents/%s" % identity)
    page.wait("[...document.querySelectorAll('button')].some((b) => b.textContent.startsWith('Drain'))")
    page.run("[...document.querySelectorAll('button')].find((b) => b.textContent.startsWith('Drain')).click()")
    page.wait("!!document.querySelector('dialog[open] input[type=number]')")
    page.run("""(() => { const field = document.querySelector('dialog[open] input[type=number]'); field.value = '1200';
        field.dispatchEvent(new Event('input', {bubbles: true})); })()""")
    page.click("dialog[open] button.primary")
    scheduler.wait_end("leaves")
    page.wait_text("Drained", "document.querySelector('main')", timeout=30)
    drained = master.get("/slaves").json()["slaves"][0]["drain_info"]
    assert drained["config"]["max_grace_period"] == {"nanoseconds": 1200 * 10 ** 9}
