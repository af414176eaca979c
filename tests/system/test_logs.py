# SPDX-License-Identifier: Apache-2.0
"""Log files: their names and lines, in glog's form and as JSON, and a real logrotate that moves them away while the
daemons write."""

import calendar
import glob
import gzip
import json
import os
import re
import signal
import subprocess
import time

import pytest

from harness import BIN, ROOT, make_task, wait_for

LINE = re.compile(r"[IWE]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [a-z_0-9]+\.c:\d+\] .+")


def read(path):
    with open(path, encoding="utf-8") as log:
        return log.read()


def files(directory, program, severity="INFO"):
    return sorted(glob.glob("%s/%s.*.log.%s.*" % (directory, program, severity)))


def test_names_and_lines(cluster):
    directory = cluster.path("logs")
    master = cluster.start_master(log_dir=directory)
    agent = cluster.start_agent(master, log_dir=directory)
    for program, daemon in (("mesos-master", master), ("mesos-agent", agent)):
        for severity in ("INFO", "WARNING", "ERROR"):
            names = files(directory, program, severity)
            assert len(names) == 1
            assert re.fullmatch(r".*/%s\.[^/]+\.root\.log\.%s\.\d{8}-\d{6}\.%d" % (program, severity, daemon.pid), names[0])
            assert os.readlink("%s/%s.%s" % (directory, program, severity)) == os.path.basename(names[0])
        lines = read(files(directory, program)[0]).splitlines()
        assert len(lines) > 2 and all(LINE.fullmatch(line) for line in lines)
        assert lines == daemon.read_log().splitlines()[-len(lines):]
    # What is in the log of the master is what /files shows of it.
    shown = master.get("/files/read?path=/master/log&offset=0").json()["data"]
    assert read(files(directory, "mesos-master")[0]).startswith(shown[:200])


@pytest.mark.parametrize("level, least", [("WARNING", "WE"), ("ERROR", "E")])
def test_levels(cluster, level, least):
    directory = cluster.path("logs")
    master = cluster.start_master(log_dir=directory, logging_level=level, ip="127.0.0.1")
    cluster.start_agent(master, hostname="x")
    assert {line[0] for line in read(files(directory, "mesos-master")[0]).splitlines()} <= set(least)
    # More, for a while.
    assert master.post("/logging/toggle?level=1&duration=10mins", "").status == 200
    cluster.start_agent(master, hostname="y")
    wait_for(lambda: "Registered agent" in read(files(directory, "mesos-master")[0]), what="a line of INFO")


def test_json(cluster):
    directory = cluster.path("logs")
    master = cluster.start_master(log_dir=directory, log_format="json")
    agent = cluster.start_agent(master, log_format="json")
    scheduler = cluster.scheduler(master, name='a "name"\n\x01with \\ é')
    scheduler.launch(scheduler.take_offer(), [make_task("true", task_id="t")])
    scheduler.wait_end("t")
    before = time.time()
    for text in (read(files(directory, "mesos-master")[0]), master.read_log(), agent.read_log()):
        records = [json.loads(line) for line in text.splitlines()]
        assert len(records) > 4
        for record in records:
            assert list(record) == ["time", "level", "thread", "file", "line", "message"]
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record["time"])
            assert record["level"] in ("DEBUG", "INFO", "WARNING", "ERROR")
            assert record["file"].endswith(".c") and record["line"] > 0 and record["thread"] > 0
            seconds = calendar.timegm(time.strptime(record["time"][:19], "%Y-%m-%dT%H:%M:%S"))
            assert before - 300 < seconds < before + 5
    assert any('a "name"\n\x01with \\ é' in json.loads(line)["message"] for line in master.read_log().splitlines())


@pytest.mark.parametrize("program", ["mesos-master", "mesos-agent"])
def test_no_such_format(program, tmp_path):
    ended = subprocess.run([os.path.join(BIN, program), "--log_format=xml", "--work_dir=%s" % tmp_path, "--ip=127.0.0.1",
                            "--master=127.0.0.1:1"][:4 if program == "mesos-master" else 5], timeout=20, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    assert ended.returncode != 0
    assert "'xml' is not a log format (text, json)" in ended.stdout


def logrotate(cluster, *flags):
    """What the package installs, for a directory of the test."""
    directory = cluster.path("logs")
    path = cluster.path("logrotate.conf")
    with open(os.path.join(ROOT, "packaging", "etc", "logrotate.d", "mesos"), encoding="utf-8") as shipped:
        text = shipped.read().replace("/var/log/mesos", directory)
    with open(path, "w", encoding="utf-8") as own:
        own.write(text)
    ended = subprocess.run(["/usr/sbin/logrotate", "-s", cluster.path("logrotate.state"), *flags, path], check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", timeout=60)
    assert ended.returncode == 0, ended.stdout


def test_logrotate(cluster):
    """No line is lost, whoever writes meanwhile; the name is the same; the dead are moved away for good."""
    directory = cluster.path("logs")
    master = cluster.start_master(log_dir=directory)
    first = cluster.start_agent(master, log_dir=directory)
    path, dead = files(directory, "mesos-master")[0], files(directory, "mesos-agent")[0]
    first.kill()
    wait_for(lambda: "disconnected" in read(path), what="the disconnection")
    before = read(path)
    logrotate(cluster, "--force")
    wait_for(lambda: os.path.exists(path) and "Opened the log files anew" in read(path), what="the new file")
    old = cluster.path("logs", "old", os.path.basename(path) + ".1")
    assert read(old).startswith(before)
    assert not os.path.exists(dead) and os.path.exists(cluster.path("logs", "old", os.path.basename(dead) + ".1"))
    cluster.start_agent(master, log_dir=directory)
    assert "Registered agent" in read(path)
    assert read(old) + read(path) == master.read_log()
    assert files(directory, "mesos-master") == [path]  # the link still leads to it
    assert os.path.realpath(directory + "/mesos-master.INFO") == os.path.realpath(path)
    assert "Registered agent" in master.get("/files/download?path=/master/log").text
    # The next time: the older one is packed.
    logrotate(cluster, "--force")
    wait_for(lambda: os.path.exists(path) and "Opened the log files anew" in read(path), what="the new file")
    with gzip.open(old[:-1] + "2.gz", "rt", encoding="utf-8") as packed:
        assert packed.read().startswith(before)


def test_copytruncate(cluster):
    """The other way: the file stays and is emptied; writing goes on at its end, which is its beginning."""
    directory = cluster.path("logs")
    master = cluster.start_master(log_dir=directory)
    path = files(directory, "mesos-master")[0]
    with open(path, "r+", encoding="utf-8") as log:
        log.truncate(0)
    master.send_signal(signal.SIGHUP)  # harmless
    wait_for(lambda: "anew" in read(path), what="a line")
    assert LINE.fullmatch(read(path).splitlines()[0])
