# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a real Chromium: what it shows, and what it must not do."""

import os
import re
import subprocess

from harness import BIN, PATIENCE, get


def execute(master, name, command):
    return subprocess.run([os.path.join(BIN, "mesos-execute"), "--master=" + master.address, "--name=" + name,
                           "--command=" + command], capture_output=True, text=True, timeout=60 * PATIENCE, check=False)


def test_home_shows_the_cluster(cluster, master, agent, pages):
    assert execute(master, "well", "echo hello").returncode == 0
    assert execute(master, "badly", "exit 3").returncode != 0
    page = pages(master)
    page.wait("document.querySelectorAll('#completed tr[data-row]').length == 2")
    completed = {row[0]: row for row in page.rows("#completed")}
    assert completed["well"][2] == "Finished" and completed["badly"][2] == "Failed"
    assert page.rows("#active") == [] and "No task is active" in page.text("#active")
    page.wait_text("Live", "document.querySelector('#live')")


def test_home_follows_the_cluster(cluster, master, agent, pages):
    """What happens while the page is open appears without a reload, and without polling."""
    page = pages(master)
    page.wait_text("No task is active")
    before = len(page.requests)
    assert execute(master, "later", "true").returncode == 0
    page.wait_text("later", "document.querySelector('#completed')")
    assert len(page.requests) > before


def test_names_are_text(cluster, master, agent, pages):
    """A task's name comes from a user: no markup in it takes effect."""
    name = "<img src=x onerror=console.error(1)>"
    assert execute(master, name, "true").returncode == 0
    page = pages(master)
    page.wait_text(name, "document.querySelector('#completed')")
    assert page.run("document.querySelectorAll('main img').length") == 0


def test_all_comes_from_the_master(cluster, master):
    """What is built in is packed, named by its content, and allowed to load nothing else."""
    front = get(master.address, "/")
    assert front.status == 200 and front.headers["Content-Type"].startswith("text/html")
    policy = front.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert not re.search(r"<script>|<style|style=|\son\w+=", front.text)
    for reference in re.findall(r'(?:src|href)="([^"]+)"', front.text):
        assert reference.startswith("/") and not reference.startswith("//")
        if not reference.startswith("/assets/"):
            continue
        asset = get(master.address, reference)
        assert asset.status == 200, reference
        packed = get(master.address, reference, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip" and len(packed.body) < len(asset.body)
        known = get(master.address, reference, headers={"If-None-Match": asset.headers["ETag"]})
        assert known.status == 304 and known.body == b""
    assert get(master.address, "/assets/none.js").status == 404
