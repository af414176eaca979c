# SPDX-License-Identifier: Apache-2.0
"""The first page, in a real Chromium."""

import os
import re
import shutil
import subprocess

import pytest

from harness import BIN, PATIENCE, get

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]


class Page:
    """What Chromium made of an address after some seconds of its own (virtual) time."""

    def __init__(self, url, profile, *more):
        command = [CHROMIUM, *FLAGS, "--user-data-dir=%s" % profile, "--virtual-time-budget=5000",
                   "--enable-logging=stderr", *more, "--dump-dom", url]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60 * PATIENCE, check=False)
        assert answer.returncode == 0, answer.stderr
        self.dom = answer.stdout
        self.console = [line for line in answer.stderr.splitlines() if ":CONSOLE" in line]

    def table(self, name):
        """The rows of a table as lists of their cells' texts."""
        body = re.search(r'<table id="%s">.*?<tbody>(.*?)</tbody>' % name, self.dom, re.S).group(1)
        rows = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.S) for row in re.findall(r"<tr>(.*?)</tr>", body, re.S)]
        return [[re.sub(r"<[^>]+>", "", cell) for cell in row] for row in rows]


def execute(master, name, command):
    return subprocess.run([os.path.join(BIN, "mesos-execute"), "--master=" + master.address, "--name=" + name,
                           "--command=" + command], capture_output=True, text=True, timeout=60 * PATIENCE, check=False)


def test_page_shows_the_cluster(cluster, master, agent, tmp_path):
    assert execute(master, "well", "echo hello").returncode == 0
    assert execute(master, "badly", "exit 3").returncode != 0
    page = Page("http://%s/" % master.address, tmp_path / "profile")
    assert page.console == []
    completed = {row[0]: row for row in page.table("completed")}
    assert completed["well"][2] == "FINISHED" and completed["badly"][2] == "FAILED"
    assert [row[2] for row in page.table("agents")] == ["active"]
    assert [row[4] for row in page.table("frameworks")] == ["completed", "completed"]
    assert page.table("active") == [["No task is active."]]
    assert "Leader" in page.dom and ">live<" in page.dom
    # The links to a task's output lead to it.
    link = re.search(r'<td[^>]*>well</td>.*?href="//([^"/]+)(/files/download[^"]+stdout)"', page.dom, re.S)
    answer = get(link.group(1), link.group(2).replace("&amp;", "&"))
    assert answer.status == 200 and "hello" in answer.text


def test_page_shows_names_as_text(cluster, master, agent, tmp_path):
    """A task's name comes from a user: no markup in it takes effect."""
    name = "<img src=x onerror=console.error(1)>"
    assert execute(master, name, "true").returncode == 0
    page = Page("http://%s/" % master.address, tmp_path / "profile")
    assert page.console == []
    assert "&lt;img src=x" in page.dom and "<img src=x" not in page.dom


def test_page_comes_from_the_master_alone(cluster, master):
    """No request goes anywhere else."""
    page = get(master.address, "/")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    for path, kind in (("/assets/app.js", "javascript"), ("/assets/app.css", "text/css"),
                       ("/assets/icon.svg", "image/svg+xml")):
        asset = get(master.address, path)
        assert asset.status == 200 and kind in asset.headers["Content-Type"]
    assert get(master.address, "/assets/none.js").status == 404
    # Everything that the page loads is its own.
    for reference in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert reference.startswith(("/", "#")) and not reference.startswith("//")


if not os.path.exists(CHROMIUM):
    pytest.exit("chromium is not installed (./dev test installs it)", 2)
