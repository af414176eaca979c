# SPDX-License-Identifier: Apache-2.0
"""The Debian package in a new Debian system, and the tutorial's pages: their commands are run as they stand there."""

import os
import re
import shutil
import tempfile
import time

import pytest

import new_debian
from new_debian import ROOT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

PAGE = os.path.join(ROOT, "docs", "tutorial.md")
TRANSLATION = os.path.join(ROOT, "docs", "tutorial.pt.md")
DEBIAN_PACKAGES = ["curl", "python3-venv", "python3-http-parser", "zookeeperd"]
PYTHON_PACKAGES = ["pymesos==0.3.15", "addict", "kazoo", "six"]
SECONDS_UNTIL_SHOWN = 30


@pytest.fixture(scope="module")
def package():
    return new_debian.build_package()


@pytest.fixture(scope="module")
def base(package):
    return new_debian.make_base(package, DEBIAN_PACKAGES, PYTHON_PACKAGES)


@pytest.fixture
def debian(base, package):
    place = tempfile.mkdtemp(prefix="meseta-debian-")
    system = new_debian.NewDebian(base, place)
    try:
        system.put(package, "/root/" + os.path.basename(package))
        yield system
    finally:
        system.close()
        shutil.rmtree(place)


# ---- the pages ----

def read_blocks(path):
    """(info string, content) of each fenced block."""
    with open(path, encoding="utf-8") as file:
        return re.findall(r"^```(\S[^\n]*)\n(.*?)^```$", file.read(), re.M | re.S)


def read_steps(path, variant):
    """(commands, what they show) in the page's order; without those of the other way."""
    steps, is_ours = [], False
    for info, content in read_blocks(path):
        if info.split()[0] == "sh":
            is_ours = info in ("sh", "sh " + variant)
            if is_ours:
                steps.append([content, ""])
        elif info == "text" and is_ours:
            steps[-1][1] = content
    return steps


def find_missing_line(shown, output):
    """The first line of `shown` that does not come in `output` in its turn; None when all do."""
    lines = iter(output.splitlines())
    for expected in shown.splitlines():
        pattern = ".+".join(re.escape(part) for part in expected.split("…"))
        if not any(re.fullmatch(pattern, line) for line in lines):
            return expected
    return None


def run_step(debian, commands, shown):
    deadline = time.monotonic() + SECONDS_UNTIL_SHOWN
    while True:
        status, output = debian.run(commands)
        missing = find_missing_line(shown, output)
        if status == 0 and missing is None:
            return
        # What asks only may be asked again, as a reader would who was too quick.
        if not commands.startswith(("curl ", "grep ")) or time.monotonic() > deadline:
            logs = debian.run("tail -n 30 /var/log/mesos/*.INFO")[1]
            raise AssertionError("%s\nended with %d, and showed:\n%s\nmissing: %s\n%s" %
                                 (commands, status, output, missing, logs))
        time.sleep(0.2)


def speaks_to_zookeeper(debian):
    usage = debian.check("mesos-master --help")
    return "No effect yet" not in re.search(r"^  --zk=VALUE\n(.*?)(?=^  --)", usage, re.M | re.S).group(1)


def test_the_tutorial_without_zookeeper(debian):
    steps = read_steps(PAGE, "single")
    assert len(steps) > 10
    for commands, shown in steps:
        run_step(debian, commands, shown)


def test_the_tutorial_with_zookeeper(debian):
    steps = read_steps(PAGE, "zookeeper")
    run_step(debian, *steps.pop(0))  # the package is installed: now its master can be asked
    if not speaks_to_zookeeper(debian):
        # The page owes its reader a word about that.
        with open(PAGE, encoding="utf-8") as page, open(TRANSLATION, encoding="utf-8") as translation:
            assert "does not speak to ZooKeeper yet" in page.read()
            assert "ainda não fala com o ZooKeeper" in translation.read()
        status, output = debian.run("mesos-master --work_dir=/tmp/w --quorum=1 --zk=zk://localhost:2181/mesos")
        assert status == 1 and "zk" in output, output
        return
    for commands, shown in steps:
        run_step(debian, commands, shown)


def test_the_translation_has_the_same_commands():
    assert [block for block in read_blocks(TRANSLATION)] == [block for block in read_blocks(PAGE)]


# ---- the services ----

def install(debian):
    debian.check("apt-get install -y ./meseta_*.deb curl")
    debian.check(": >/etc/mesos/zk; echo 127.0.0.1:5050 >/etc/mesos-slave/master;"
                 "echo 127.0.0.1 | tee /etc/mesos-master/ip >/etc/mesos-slave/ip")


def check_wrong_setting(debian):
    """A service that cannot start says so; the wrapper on a terminal says why."""
    debian.check("echo nonsense >/etc/mesos-master/agent_ping_timeout")
    status, output = debian.run("service mesos-master start")
    assert status == 1, output
    assert "mesos-master ended at once" in output
    assert debian.run("service mesos-master status")[0] == 3
    status, output = debian.run("touch '/etc/mesos-master/?no-logger'; mesos-init-wrapper master")
    assert status == 1 and "agent_ping_timeout" in output, output
    debian.check("rm /etc/mesos-master/agent_ping_timeout '/etc/mesos-master/?no-logger'")


def check_local(debian):
    """mesos-local starts sbin's programs, and they find libexec's; no flag says where."""
    debian.check("mesos-local --port=5050 >/root/local.log 2>&1 & until grep -q Ready /root/local.log; do sleep 0.1; done;"
                 "mesos-execute --master=127.0.0.1:5050 --name=x --command='exit 0'; kill $!; wait $!", timeout=60)


def check_command_line(debian):
    """`mesos` has its libraries, its page and its completion."""
    assert "Usage: mesos task logs" in debian.check("mesos help task logs")
    assert debian.run("mesos agent list")[0] == 3  # no master runs yet
    debian.check("ls /usr/share/man/man1/mesos.1.gz /usr/share/doc/meseta/cli.md"
                 " /usr/share/bash-completion/completions/mesos /usr/share/fish/vendor_completions.d/mesos.fish")


def test_the_life_of_the_package(debian):
    install(debian)
    # Nothing has started by itself; all is where scripts look for it; both start at boot.
    assert debian.run("service mesos-master status")[0] == 3
    assert debian.run("service mesos-slave status")[0] == 3
    debian.check("ls /usr/sbin/mesos-master /usr/sbin/mesos-agent /usr/sbin/mesos-slave /usr/bin/mesos-execute"
                 " /usr/bin/mesos-local /usr/bin/mesos /usr/bin/mesos-swarm /usr/bin/mesos-init-wrapper /usr/libexec/mesos/mesos-executor"
                 " /usr/libexec/mesos/mesos-default-executor /usr/libexec/mesos/mesos-http-check"
                 " /usr/libexec/mesos/mesos-containerizer /usr/libexec/mesos/mesos-fetcher"
                 " /usr/include/mesos/scheduler.h /usr/lib/*/libmesos.so.1 /usr/lib/*/pkgconfig/mesos.pc"
                 " /usr/share/man/man3/mesos_scheduler.3.gz"
                 " /etc/rc2.d/S??mesos-master /etc/rc2.d/S??mesos-slave"
                 " /etc/systemd/system/multi-user.target.wants/mesos-master.service"
                 " /etc/systemd/system/multi-user.target.wants/mesos-slave.service")
    assert debian.check("dpkg-query -W -f '${Conffiles}' meseta").split()[0::2] == [
        "/etc/default/mesos", "/etc/default/mesos-master", "/etc/default/mesos-slave", "/etc/init.d/mesos-master",
        "/etc/init.d/mesos-slave", "/etc/logrotate.d/mesos", "/etc/mesos-master/quorum", "/etc/mesos-master/work_dir",
        "/etc/mesos-slave/work_dir", "/etc/mesos/zk"]
    assert "missing" not in debian.check("dpkg --verify meseta; ldd /usr/sbin/mesos-master /usr/bin/mesos-execute"
                                           " /usr/lib/*/libmesos.so.1")
    assert "libmesos.so.1" in debian.check("ldconfig -p")

    check_command_line(debian)
    check_wrong_setting(debian)
    check_local(debian)

    # start, start again, restart, status
    debian.check("service mesos-master start && service mesos-slave start")
    pids = debian.check("cat /run/mesos-master.pid /run/mesos-slave.pid").split()
    for pid, name in zip(pids, ("mesos-master", "mesos-slave")):
        assert debian.check("tr '\\0' ' ' </proc/%s/cmdline" % pid).startswith("/usr/sbin/%s --" % name)
    debian.check("service mesos-master start")
    assert debian.check("cat /run/mesos-master.pid /run/mesos-slave.pid").split() == pids
    debian.check("service mesos-master restart")
    restarted = debian.check("cat /run/mesos-master.pid").strip()
    assert restarted != pids[0]
    debian.check("service mesos-master status && service mesos-slave status")
    debian.check("service mesos-slave try-restart && service mesos-slave status")

    # An upgrade leaves settings and running daemons alone.
    debian.check("dpkg -i ./meseta_*.deb")
    assert debian.check("cat /etc/mesos/zk") == ""
    assert debian.check("cat /run/mesos-master.pid").strip() == restarted
    debian.check("service mesos-master status && service mesos-slave status")

    # A removal stops them and leaves settings; a purge takes all but the work directory.
    debian.check("dpkg -r meseta")
    assert debian.run("pidof mesos-master mesos-slave")[0] == 1
    debian.check("ls /etc/mesos-slave/master /etc/mesos-master/work_dir")
    debian.check("dpkg -P meseta")
    assert debian.run("ls -d /etc/init.d/mesos-* /etc/default/mesos* /etc/rc?.d/*mesos* /var/log/mesos /etc/mesos"
                      " /etc/systemd/system/multi-user.target.wants/mesos-* 2>/dev/null")[1] == ""
    debian.check("ls /var/lib/mesos/slaves")
