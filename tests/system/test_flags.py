# SPDX-License-Identifier: Apache-2.0
"""Flags of both daemons that no other test is about: each with what it does, and what it refuses."""

import json
import os
import subprocess

import pytest

from harness import BIN, find_port, get, wait_for

PROGRAMS = ["mesos-master", "mesos-agent"]


def try_to_start(program, directory, *flags, environment=None):
    """What a program says that ends at once."""
    flags = ["--work_dir=%s/work" % directory, "--port=%d" % find_port(), *flags]
    if program == "mesos-agent":
        flags += ["--master=127.0.0.1:1", "--launcher=posix", "--isolation=posix/cpu", "--runtime_dir=%s/run" % directory]
    ended = subprocess.run([os.path.join(BIN, program), *flags], timeout=30, check=False, stdin=subprocess.DEVNULL,
                           env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           encoding="utf-8")
    assert ended.returncode != 0
    return ended.stdout


def disabled(*paths):
    return json.dumps({"disabled_endpoints": {"paths": list(paths)}})


def test_firewall(cluster):
    rules = cluster.path("rules")
    with open(rules, "w", encoding="ascii") as file:
        file.write(disabled("/files/browse", "/master/flags", "/teardown", "/no/such", "/quota/role"))
    master = cluster.start_master(firewall_rules="file://" + rules)
    agent = cluster.start_agent(master, firewall_rules=disabled("/slave(1)/containers"))
    for path in ("/files/browse", "/files/browse?path=/x", "/master/files/browse", "/files/browse/", "/files/browse.json",
                 "/flags", "/master/flags", "/master/flags.json", "/teardown", "/no/such"):
        answer = master.get(path)
        assert answer.status == 403, path
        assert answer.text == "Endpoint '%s' is disabled" % path.split("?", maxsplit=1)[0]
    assert master.post("/master/teardown", "frameworkId=x").status == 403
    # Nothing else is.
    for path in ("/files/debug", "/state", "/version", "/quota", "/health", "/no/such/thing"):
        assert master.get(path).status in (200, 404), path
    assert agent.get("/containers").status == agent.get("/slave(1)/containers").status == 403
    assert agent.get("/state").status == 200
    # Not through the master either.
    assert master.get("/agent/%s/containers" % agent.state()["id"]).status == 403


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("rules, text", [
    ("{", "Flag 'firewall_rules': "),
    ("{}", "Flag 'firewall_rules': expecting 'disabled_endpoints'"),
    ('{"disabled_endpoints": {"paths": ["files"]}}', "Flag 'firewall_rules': the path 'files' begins with no '/'"),
])
def test_bad_firewall(program, rules, text, tmp_path):
    assert text in try_to_start(program, tmp_path, "--ip=127.0.0.1", "--firewall_rules=" + rules)


def test_ip_discovery(cluster):
    """The address is what a command says; also where LIBPROCESS_IP says another."""
    master = cluster.start_master(ip=None, hostname=None, hostname_lookup=False, wait=False,
                                  ip_discovery_command="echo; echo ' 127.0.0.3 '",
                                  environment={"LIBPROCESS_IP": "127.0.0.2"})
    master.address = "127.0.0.3:%s" % master.flags["port"]
    master.wait_serving()
    assert master.state()["pid"] == "master@" + master.address
    with pytest.raises(OSError):
        get("127.0.0.1:%s" % master.flags["port"], "/health", timeout=2)
    agent = cluster.start_agent(master, ip=None, hostname=None, hostname_lookup=False, wait=False,
                                ip_discovery_command="printf 127.0.0.4")
    agent.address = "127.0.0.4:%s" % agent.flags["port"]
    agent.wait_serving()
    wait_for(lambda: [s["pid"] for s in master.state()["slaves"]] == ["slave(1)@" + agent.address], what="the agent")


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("flags, text", [
    (["--ip_discovery_command=exit 3"], "--ip_discovery_command 'exit 3' failed with status 3"),
    (["--ip_discovery_command=true"], "--ip_discovery_command 'true' printed '', not an IPv4 address"),
    (["--ip_discovery_command=echo here"], "--ip_discovery_command 'echo here' printed 'here', not an IPv4 address"),
    (["--ip_discovery_command=echo 127.0.0.1", "--ip=127.0.0.1"],
     "Only one of `--ip` or `--ip_discovery_command` should be specified"),
    (["--logbufsecs=-1", "--ip=127.0.0.1"], "Flag 'logbufsecs' must not be negative"),
])
def test_bad_values(program, flags, text, tmp_path):
    assert text in try_to_start(program, tmp_path, *flags)


def test_logs_are_never_held_back(cluster):
    master = cluster.start_master(logbufsecs=30, log_dir=cluster.path("logs"))
    assert master.get("/flags").json()["flags"]["logbufsecs"] == "30"
    with open(cluster.path("logs", "mesos-master.INFO"), encoding="utf-8") as log:
        assert "Elected as the leading master" in log.read()
