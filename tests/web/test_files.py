# SPDX-License-Identifier: Apache-2.0
"""Sandboxes and growing files in a real Chromium."""

import json
import os
import signal
import urllib.parse

import looks
import pods
from harness import make_task, wait_for


def address(page_path, **query):
    return "/#%s%s" % (page_path, "?" + urllib.parse.urlencode(query) if query else "")


def run(cluster, scheduler, agent, command, task_id):
    """A task that ends; the directory of its sandbox on disk."""
    scheduler.launch(scheduler.take_offer(), [make_task(command, task_id=task_id)])
    scheduler.wait_end(task_id)
    return cluster.sandbox(agent, scheduler.framework_id, task_id)


def sandbox(agent, scheduler, task_id):
    """The path of a task's sandbox, for its agent."""
    return "/frameworks/%s/executors/%s/runs/latest" % (scheduler.framework_id, task_id)


def agent_id(master):
    return master.get("/slaves").json()["slaves"][0]["id"]


def at_end(page):
    return page.run("(() => { const r = document.querySelector('.reader');"
                    " return r.scrollHeight - r.scrollTop - r.clientHeight < 4; })()")


def test_from_the_framework_to_a_finished_tasks_output(cluster, master, agent, scheduler, pages):
    """The way that the tutorial's second picture shows: framework, finished task, sandbox, stdout."""
    run(cluster, scheduler, agent, "echo hello; mkdir deep; echo inner > deep/file; head -c 5000 /dev/urandom > random.dat",
        "done")
    page = pages(master, address("/frameworks/" + scheduler.framework_id))
    page.click("#completed a[aria-label='Sandbox of done']")
    page.wait("document.querySelectorAll('main tr[data-row]').length === 4")
    rows = page.rows("main table")
    assert [row[0] for row in rows] == ["deep/", "random.dat", "stderr", "stdout"]
    assert rows[1][1] == "5 kB" and rows[1][3] == "-rw-r--r--" and rows[0][3].startswith("drwx")
    looks.check_barriers(page)
    looks.keep(page, "sandbox")
    page.click("main tr[data-row='3'] a.row-link")
    page.wait_text("hello", "document.querySelector('.reader')")
    looks.check_barriers(page)
    assert page.text("h1") == "stdout" and "The file begins here" in page.text(".reader")
    page.run("history.back()")
    page.click("main tr[data-row='0'] a.row-link")
    page.wait_text("file", "document.querySelector('main table')")
    assert page.text("h1") == "deep"
    page.run("history.back()")
    page.wait_text("random.dat")
    page.click("main tr[data-row='1'] a.row-link")
    page.wait_text("This file is not text")
    link = page.run("document.querySelector('main .empty a').getAttribute('href')")
    assert len(master.get(link).body) == 5000


def test_a_running_tasks_log_grows(cluster, master, agent, scheduler, pages):
    scheduler.launch(scheduler.take_offer(), [make_task(
        "seq -f 'number %g' 20000; while ! [ -e go ]; do sleep 0.05; done; echo grown; sleep 1000", task_id="growing")])
    scheduler.wait_update("growing", "TASK_RUNNING")
    directory = cluster.sandbox(agent, scheduler.framework_id, "growing")
    wait_for(lambda: os.path.getsize(os.path.join(directory, "stdout")) > 200000, what="the task's output")
    page = pages(master, address("/agents/%s/file" % agent_id(master), path=sandbox(agent, scheduler, "growing") + "/stdout"))
    page.wait_text("number 20000", "document.querySelector('.reader')")
    assert at_end(page) and page.text("#follow") == "Following"
    looks.keep(page, "file")
    # The end alone was fetched, and what grows appears by itself.
    assert "number 10000\n" not in page.text(".reader")
    with open(os.path.join(directory, "go"), "w", encoding="utf-8"):
        pass
    page.wait_text("grown", "document.querySelector('.reader')")
    assert at_end(page)
    # Who scrolls up is left in peace, and gets what was before; each line is there once.
    page.run("document.querySelector('.reader').scrollTop = 300")
    page.wait("document.querySelector('#follow').textContent === 'Follow the end'")
    for _ in range(12):
        page.run("document.querySelector('.reader').scrollTop = 0")
        page.wait("document.querySelector('.reader').scrollTop > 0 ||"
                  " document.querySelector('.reader').innerText.includes('The file begins here')")
        if "The file begins here" in page.text(".reader"):
            break
    lines = page.run("[...document.querySelectorAll('.line')].map((line) => line.textContent.trim())")
    assert lines == ["number %d" % n for n in range(1, 20001)] + ["grown"]
    scheduler.kill("growing")


def test_who_scrolls_up_while_the_end_is_looked_at_gets_what_was_before(cluster, master, agent, scheduler, pages):
    run(cluster, scheduler, agent, "seq -f 'line %g of many' 60000", "busy")
    page = pages(master, address("/agents/%s/file" % agent_id(master), path=sandbox(agent, scheduler, "busy") + "/stdout"))
    page.wait_text("line 60000 of many", "document.querySelector('.reader')")
    # Every answer takes a while from here on, and a look is under way when the top is reached.
    page.run("""(() => {
        const plain = window.fetch;
        window.looks = 0;
        window.fetch = async (...order) => {
            window.looks += 1;
            await new Promise((done) => setTimeout(done, 500));
            return plain(...order).finally(() => { window.looks -= 1; });
        };
        document.querySelector('.reader').scrollTop = 2000;
    })()""")
    page.wait("document.querySelector('#follow').textContent === 'Follow the end'")
    page.wait("window.looks > 0 && (document.querySelector('.reader').scrollTop = 0, true)")
    page.wait("document.querySelector('.reader').scrollTop > 0")


def test_a_link_to_a_place_shows_that_place(cluster, master, agent, scheduler, pages):
    directory = run(cluster, scheduler, agent, "seq -f 'line %g of many' 60000", "long")
    with open(os.path.join(directory, "stdout"), encoding="utf-8") as file:
        text = file.read()
    at = text.index("line 30000 of many")
    page = pages(master, address("/agents/%s/file" % agent_id(master), path=sandbox(agent, scheduler, "long") + "/stdout", at=at))
    top = """(() => {
        const reader = document.querySelector('.reader').getBoundingClientRect();
        return [...document.querySelectorAll('.line')].find((line) => line.getBoundingClientRect().bottom > reader.top + 2)?.textContent.trim();
    })()"""
    page.wait("(%s) === 'line 30000 of many'" % top)
    page.run("document.querySelector('.reader').scrollTop += 400")
    page.wait("!location.hash.endsWith('at=%d')" % at)
    there = int(page.run("new URLSearchParams(location.hash.split('?')[1]).get('at')"))
    assert page.run(top).encode() == text.encode()[there:].split(b"\n")[0].strip()


def test_the_reader_on_a_phone(cluster, master, agent, scheduler, pages):
    run(cluster, scheduler, agent, "seq -f 'a line that is somewhat longer than a phone is wide: number %g' 100", "small")
    page = pages(master, address("/agents/%s/file" % agent_id(master), path=sandbox(agent, scheduler, "small") + "/stdout"),
                 width=390, height=844, phone=True, dark=True)
    page.wait_text("number 100", "document.querySelector('.reader')")
    looks.check_barriers(page)
    looks.check_width(page)
    looks.keep(page, "file-phone-dark")


def test_find_marks_what_is_loaded(cluster, master, agent, scheduler, pages):
    run(cluster, scheduler, agent, "echo one Needle; seq 300; printf 'two nee\\033[31mdle\\033[0m here\\n'; seq 300", "hay")
    page = pages(master, address("/agents/%s/file" % agent_id(master), path=sandbox(agent, scheduler, "hay") + "/stdout"))
    page.wait_text("two needle here", "document.querySelector('.reader')")
    page.press("/")
    page.type("needle")
    page.wait_text("2 of 2", "document.querySelector('.found')")
    page.press("Enter")
    page.wait_text("1 of 2", "document.querySelector('.found')")
    page.wait("document.querySelector('.reader').scrollTop < 400")
    assert page.run("[...CSS.highlights.get('found')].map(String)") == ["Needle", "needle"]


def test_a_pods_task_has_its_own_sandbox(cluster, master, agent, scheduler, pages):
    tasks = pods.make_tasks("echo from-the-first; sleep 1000", "echo from-the-second; sleep 1000")
    executor = pods.launch(scheduler, tasks)
    for task in tasks:
        scheduler.wait_update(pods.id_of(task), "TASK_RUNNING")
    page = pages(master, address("/frameworks/%s/tasks/%s" % (scheduler.framework_id, pods.id_of(tasks[1]))))
    page.click("main a.button")
    page.wait_text("stdout", "document.querySelector('main table')")
    page.run("[...document.querySelectorAll('a.row-link')].find((a) => a.textContent === 'stdout').click()")
    page.wait_text("from-the-second", "document.querySelector('.reader')")
    assert "from-the-first" not in page.text(".reader")
    assert executor["executor_id"]["value"] in page.text(".trail")


def test_what_cannot_be_read_is_told(cluster, master, agent, scheduler, pages):
    identity = agent_id(master)
    page = pages(master, address("/agents/%s/browse" % identity, path="/frameworks/none/executors/x/runs/latest"))
    page.expected.append("404")  # the browser notes each
    page.wait_text("This directory is not here")
    page.open(page.base + address("/agents/%s/file" % identity, path="/nowhere")[1:])
    page.wait_text("There is no '/nowhere'")
    page.open(page.base + address("/agents/nobody/browse", path="/x")[1:])
    page.wait_text("nobody", "document.querySelector('main .failure, main .empty')")


def test_the_reader_goes_on_when_the_agent_is_back(cluster, master, agent, scheduler, pages):
    scheduler.launch(scheduler.take_offer(), [make_task("echo before; sleep 1000", task_id="stays")])
    scheduler.wait_update("stays", "TASK_RUNNING")
    directory = cluster.sandbox(agent, scheduler.framework_id, "stays")
    page = pages(master, address("/agents/%s/file" % agent_id(master), path=sandbox(agent, scheduler, "stays") + "/stdout"))
    page.wait_text("before", "document.querySelector('.reader')")
    agent.send_signal(signal.SIGSTOP)
    try:
        with open(os.path.join(directory, "stdout"), "a", encoding="utf-8") as file:
            file.write("after\n")
    finally:
        agent.send_signal(signal.SIGCONT)
    page.wait_text("after", "document.querySelector('.reader')", timeout=30)
    assert json.dumps(page.text(".reader")).count("before") == 1
