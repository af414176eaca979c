# SPDX-License-Identifier: Apache-2.0
"""npm's mesos-framework, unmodified, as a second client."""

import json
import os
import subprocess

from harness import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
NODE = os.path.join(HERE, "node")


def test_mesos_framework(cluster, master):
    agent = cluster.start_agent(resources="cpus:2;mem:1024;ports:[31000-31009]")
    host, port = master.address.split(":")
    logs = cluster.path("logs")
    os.makedirs(logs)
    process = cluster.popen(["node", os.path.join(NODE, "framework.js"), host, port, logs], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, cwd=logs)
    output = process.communicate(timeout=40)[0]
    assert process.returncode == 0, output
    events = [json.loads(line) for line in output.splitlines() if line.startswith("[")]
    assert not [content for kind, content in events if kind == "error"], output
    framework_id = next(content for kind, content in events if kind == "subscribed")["frameworkId"]
    states = {}
    for kind, status in events:
        if kind == "update":
            states.setdefault(status["task_id"]["value"], []).append(status["state"])
    assert len(states) == 2, output
    for task_id, seen in states.items():
        assert seen == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"], output
        with open(os.path.join(cluster.sandbox(agent, framework_id, task_id), "stdout"), encoding="utf-8") as file:
            assert file.read() == "from node on 127.0.0.1\n"
    done = wait_for(lambda: master.state()["completed_frameworks"])
    assert done[0]["name"] == "node-framework"
