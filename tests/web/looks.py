# SPDX-License-Identifier: Apache-2.0
"""What every page must be: without barriers (axe-core), no wider than the screen, and kept as a picture for people."""

import json
import os

from harness import BUILD

AXE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node_modules", "axe-core", "axe.min.js")
PICTURES = os.path.join(BUILD, "artefacts", "web")


def settle(page):
    """Everything that was asked for is there."""
    page.wait("!!document.querySelector('main h1, main .empty') && !document.querySelector('.skeleton, tr.waiting')")
    page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def keep(page, name):
    page.picture(os.path.join(PICTURES, name + ".png"), whole=True)


def check_barriers(page):
    """No rule of axe-core is broken, best practices included."""
    if not page.run("'axe' in window"):
        with open(AXE, encoding="utf-8") as file:
            page.run(file.read() + ";1")
    found = json.loads(page.run("axe.run(document, {resultTypes: ['violations']}).then((r) => JSON.stringify(r.violations.map("
                                "(v) => [v.id, v.help, v.nodes.map((n) => n.html.slice(0, 150) + ' ' + (n.any[0]?.message ?? '')).slice(0, 3)])))"))
    assert found == [], "%s: %s" % (page.run("location.hash"), json.dumps(found, indent=1))


def check_width(page):
    """Nothing sticks out to the right."""
    assert page.run("document.documentElement.scrollWidth <= innerWidth"), page.run("location.hash")
