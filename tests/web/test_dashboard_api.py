# SPDX-License-Identifier: Apache-2.0
"""The dashboard's data under /dashboard/: what it answers, what it refuses, and when its stream speaks."""

import json
import os
import select
import subprocess
import time

import pytest

import looks
from harness import BIN, PATIENCE, get, make_task, wait_for


def ask(master, path):
    answer = get(master.address, "/dashboard/" + path)
    assert answer.status == 200, answer.text
    return answer.json()


@pytest.fixture
def swarm(cluster, master):
    """swarm(agents, tasks): simulated agents whose tasks do not end."""
    def start(agents, tasks, roles=2):
        process = cluster.popen([os.path.join(BIN, "mesos-swarm"), "--master=" + master.address, "--agents=%d" % agents,
                                 "--connections=20", "--frameworks=4", "--roles=%d" % roles, "--tasks=%d" % tasks, "--hold", "--progress=0ns",
                                 "--agent_resources=cpus:11;mem:11264;disk:102400"], stdout=subprocess.DEVNULL)
        wait_for(lambda: ask(master, "overview")["tasks"]["states"].get("TASK_RUNNING") == tasks, 60, "the tasks to run")
        return process
    return start


def test_what_is_refused_says_why(cluster, master):
    for path, text in (("tasks?sort=colour", "'sort' must be one of updated, started, id,"), ("tasks?order=up", "'order' must be asc or desc, not 'up'"),
                       ("tasks?limit=1001", "'limit' must be a number from 0 to 1000, not '1001'"), ("tasks?offset=-1", "'offset' must be a number"),
                       ("tasks?place=here", "'place' must be all, active, unreachable or completed, not 'here'"),
                       ("tasks?state=TASK_HAPPY", "'state' names an unknown state: 'TASK_HAPPY'"),
                       ("tasks?search=a+b+c+d+e+f+g+h+i", "'search' may hold 8 words at most"), ("agents?sort=x", "'sort' must be one of host,"),
                       ("agent", "Missing query parameter"), ("framework?id=", "Missing query parameter"),
                       ("frameworks?state=new", "'state' must be running or completed, not 'new'")):
        answer = get(master.address, "/dashboard/" + path)
        assert answer.status == 400 and text in answer.text, (path, answer.text)
    assert get(master.address, "/dashboard/agent?id=x").status == 404
    assert get(master.address, "/dashboard/framework?id=x").status == 404
    assert get(master.address, "/dashboard/").status == 404


def test_pages_of_many_tasks(cluster, master, swarm, pages):
    """More tasks than a turn looks at: each is found once, in order, whatever the page; and the browser's search keeps up."""
    swarm(2000, 21000)
    whole = []
    for offset in range(0, 21000, 1000):
        answer = ask(master, "tasks?sort=id&limit=1000&offset=%d" % offset)
        assert answer["matched"] == answer["total"] == 21000 and answer["offset"] == offset
        whole += [(row["framework_id"], row["id"]) for row in answer["rows"]]
    assert len(whole) == len(set(whole)) == 21000
    numbers = [int(task) for _, task in whole]
    assert numbers == sorted(numbers)
    # From the other end, by a number, with a search.
    last = ask(master, "tasks?sort=id&order=desc&limit=3")["rows"]
    assert [int(row["id"]) for row in last] == sorted(numbers)[-3:][::-1]
    host = ask(master, "tasks?sort=agent&order=desc&limit=1")["rows"][0]["host"]
    found = ask(master, "tasks?search=%s+running" % host.upper())
    assert found["matched"] >= 1 and all(host in row["host"] for row in found["rows"])
    assert found["states"] == {"TASK_RUNNING": found["matched"]}
    # Each agent once in the heat map; names only on demand.
    heat = ask(master, "heat")
    assert heat["count"] == 2000 and len(heat["names"]) == 4000 and len(heat["cpus"]) == len(heat["states"]) == 2000
    assert "names" not in ask(master, "heat?known=" + heat["set"])
    assert set(heat["gpus"]) == {"-"} and heat["cpus"].count("+") > 1000
    page = pages(master, "/#/tasks")
    page.wait("document.querySelectorAll('tr[data-row]').length > 10")
    looks.settle(page)
    page.press("/")
    page.wait("document.activeElement.matches('main [data-search]')")
    page.type(host)
    page.wait("[...document.querySelectorAll('tr[data-row]')].length > 0 && [...document.querySelectorAll('tr[data-row]')].every((r) => r.innerText.includes('%s'))" % host)
    page.open(page.base + "#/agents")
    page.wait("!!document.querySelector('#heat') && document.querySelectorAll('#agents tr[data-row]').length > 10")
    looks.settle(page)
    looks.keep(page, "agents-many")
    page.open(page.base + "#/")
    page.wait("document.querySelectorAll('#active tr[data-row]').length > 10")
    # Scrolled to the end, only what is in sight is there, and it is the end.
    page.run("document.querySelector('#active .table-box').scrollTop = 1e9")
    page.wait("!!document.querySelector('#active tr[data-row=\"20999\"]')")
    assert page.run("document.querySelectorAll('#active tbody tr').length") < 80
    looks.keep(page, "home-many")


def test_the_stream_speaks_when_something_changed(cluster, master, agent):
    process = cluster.popen(["curl", "-sN", "http://%s/dashboard/stream" % master.address], stdout=subprocess.PIPE, text=True)

    def read():
        name = process.stdout.readline()
        data = process.stdout.readline()
        assert process.stdout.readline() == "\n"
        return name.removeprefix("event: ").strip(), json.loads(data.removeprefix("data: "))

    kind, before = read()
    assert kind == "overview" and before["agents"]["active"] == 1 and before["tasks"]["active"] == 0
    # Nothing changes: it is silent. Then it is not, and says which tables are new.
    assert select.select([process.stdout], [], [], 1.5)[0] == []
    scheduler = cluster.scheduler(master)
    kind, after = read()
    assert kind == "overview" and after["versions"]["frameworks"] != before["versions"]["frameworks"]
    assert after["versions"]["agents"] == before["versions"]["agents"]
    while after["frameworks"]["active"] != 1:
        kind, after = read()
    task_id, _ = scheduler.run("true")
    while after["tasks"]["ended"].get("TASK_FINISHED") != 1:
        kind, after = read()
    assert after["versions"]["tasks"] != before["versions"]["tasks"]
    row = ask(master, "tasks?id=" + task_id)["rows"][0]
    assert row["place"] == "completed" and row["started"] <= row["updated"] <= time.time()
    process.terminate()
    process.wait()


def test_history_and_roles_tell_what_is_held(cluster, master, agent):
    scheduler = cluster.scheduler(master, roles=["a/b", "c"], capabilities=[{"type": "MULTI_ROLE"}])
    offer = scheduler.take_offer()
    role = offer["allocation_info"]["role"]
    scheduler.launch(offer, [make_task("sleep 100", cpus=0.5, task_id="t")])
    scheduler.wait_update("t", "TASK_RUNNING")
    roles = {one["name"]: one for one in ask(master, "roles")["roles"]}
    assert {"a", "a/b", "c"} <= set(roles)
    assert roles[role]["used"]["cpus"] == 0.5 and roles[role]["frameworks"] == 1
    # A sample is taken every ten seconds.
    history = wait_for(lambda: (lambda h: h if h["roles"] else None)(ask(master, "history")), 15, "a sample with the task in it")
    cpus = history["resources"]["cpus"]
    assert len(cpus["used"]) == len(cpus["total"]) == history["samples"] == len(history["tasks"])
    assert cpus["used"][-1] == 0.5 and history["roles"][role]["cpus"][-1] == 0.5 and history["tasks"][-1] == 1


@pytest.mark.soak
def test_ten_thousand_agents(cluster, master, swarm, pages):
    """10,000 agents and 100,000 tasks: the home page is usable within two seconds; open, it costs less than 1 % of a core."""
    def cpu():
        with open("/proc/%d/stat" % master.pid, encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    swarm(10000, 100000)
    began = cpu()
    time.sleep(20)
    without = cpu() - began
    clock = time.monotonic()
    page = pages(master)
    page.wait("document.querySelectorAll('#active tr[data-row]').length > 10")
    looks.settle(page)
    usable = time.monotonic() - clock
    began = cpu()
    time.sleep(20)
    share = (cpu() - began - without) / 20
    print("usable after %.2f s; open it costs %.2f %% of a core" % (usable, 100 * share))
    assert usable < 2 * PATIENCE and share < 0.01
    took = [ask(master, "tasks?search=%s" % text)["took_us"] for text in ("swarm-9999", "none-has-this", "99999")]
    print("search: %s us" % took)
    assert max(took) < 200000 * PATIENCE
