# SPDX-License-Identifier: Apache-2.0
"""What mesos-init-wrapper makes of the files below /etc: its own copy of /etc, and a program that tells its arguments."""

import json
import os
import shutil
import socket
import stat
import subprocess

import pytest

from harness import ROOT

WRAPPER = os.path.join(ROOT, "packaging", "mesos-init-wrapper")
# Tells what it was started with, and as which process.
PROGRAM = """#!/usr/bin/python3
import json, os, resource, sys
print("a line to stdout", flush=True)
print("a line to stderr", file=sys.stderr, flush=True)
with open(%r, "w") as file:
    json.dump({"name": sys.argv[0], "arguments": sys.argv[1:], "environment": dict(os.environ), "pid": os.getpid(),
               "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0]}, file)
"""
# Stands in for logger(1): appends what it is given, with its arguments, to a file.
LOGGER = """#!/bin/sh
while IFS= read -r line; do echo "$* $line" >>%s; done
"""


class Etc:
    def __init__(self, root):
        self.root = str(root)
        self.told = os.path.join(self.root, "told.json")
        self.logged = os.path.join(self.root, "logged")
        for name in ("mesos-master", "mesos-slave"):
            self.write_script("usr/sbin/" + name, PROGRAM % self.told)
        self.write_script("bin/logger", LOGGER % self.logged)
        self.write("etc/mesos-master/?no-logger", "")
        self.write("etc/mesos-slave/?no-logger", "")

    def write(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)
        return full

    def write_script(self, path, text):
        os.chmod(self.write(path, text), 0o755)

    def remove(self, path):
        os.unlink(os.path.join(self.root, path))

    def make_system_log(self):
        os.mkdir(os.path.join(self.root, "dev"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.bind(os.path.join(self.root, "dev/log"))

    def start(self, *arguments, **environment):
        path = os.path.join(self.root, "bin") + ":" + os.environ["PATH"]
        return subprocess.Popen([WRAPPER, "--root=" + self.root, *arguments], env={"PATH": path, **environment},
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, role, **environment):
        """What the program was started with."""
        process = self.start(role, **environment)
        self.stdout, self.stderr = process.communicate(timeout=20)
        assert process.returncode == 0, self.stderr
        with open(self.told, encoding="utf-8") as file:
            told = json.load(file)
        assert told["pid"] == process.pid  # services know the program by the pid that they started
        return told

    def arguments(self, role, **environment):
        return self.run(role, **environment)["arguments"]


@pytest.fixture
def etc(tmp_path):
    return Etc(tmp_path)


def test_nothing_written(etc):
    told = etc.run("master")
    assert told["arguments"] == []
    assert told["name"] == os.path.join(etc.root, "usr/sbin/mesos-master")
    assert etc.run("slave")["name"] == os.path.join(etc.root, "usr/sbin/mesos-slave")
    assert etc.stdout == "a line to stdout\n"
    assert etc.stderr == "a line to stderr\n"


def test_variables_of_the_master(etc):
    etc.write("etc/default/mesos", 'LOGS=/var/log/mesos\nULIMIT="-n 123"\n')
    etc.write("etc/default/mesos-master", "ZK=`echo zk://h:2181/mesos`\nIP=10.1.2.3\nPORT=5055\nCLUSTER='my cluster'\n"
                                          "MASTER=no\nISOLATION=no\n")
    told = etc.run("master")
    assert told["arguments"] == ["--cluster=my cluster", "--ip=10.1.2.3", "--log_dir=/var/log/mesos", "--port=5055",
                                 "--zk=zk://h:2181/mesos"]
    assert told["files"] == 123


def test_variables_of_the_agent(etc):
    etc.write("etc/default/mesos", "LOGS=/var/log/mesos\n")
    etc.write("etc/default/mesos-slave", "MASTER=h:5050\nIP=10.1.2.3\nISOLATION=cgroups/cpu,cgroups/mem\n"
                                         "ZK=no\nPORT=1\nCLUSTER=no\n")
    expected = ["--ip=10.1.2.3", "--isolation=cgroups/cpu,cgroups/mem", "--log_dir=/var/log/mesos", "--master=h:5050"]
    assert etc.arguments("slave") == expected
    assert etc.arguments("agent") == expected


def test_later_settings_win(etc):
    etc.write("etc/default/mesos", "LOGS=/one\nIP=10.0.0.1\n")
    etc.write("etc/default/mesos-slave", "LOGS=/two\n")
    assert etc.arguments("slave") == ["--ip=10.0.0.1", "--log_dir=/two"]
    etc.write("etc/default/mesos-agent", "LOGS=/three\n")
    assert etc.arguments("slave") == ["--ip=10.0.0.1", "--log_dir=/three"]
    assert etc.arguments("master") == ["--ip=10.0.0.1", "--log_dir=/one"]


def test_an_empty_variable_is_no_flag(etc):
    etc.write("etc/default/mesos-master", "ZK=\nPORT=5050\n")
    assert etc.arguments("master") == ["--port=5050"]


def test_the_caller_s_environment_is_no_setting(etc):
    assert etc.arguments("master", PORT="1", ZK="zk://x/y", IP="1.2.3.4", LOGS="/tmp", ULIMIT="-n 3") == []


def test_every_variable_reaches_the_program(etc):
    etc.write("etc/default/mesos", "MESOS_ROLES=a,b\n")
    etc.write("etc/default/mesos-master", "MESOS_WORK_DIR='/a b'\nLIBPROCESS_IP=127.0.0.1\nexport MESOS_QUIET=true\n")
    environment = etc.run("master", MESOS_HOSTNAME="h")["environment"]
    assert environment["MESOS_ROLES"] == "a,b"
    assert environment["MESOS_WORK_DIR"] == "/a b"
    assert environment["LIBPROCESS_IP"] == "127.0.0.1"
    assert environment["MESOS_QUIET"] == "true"
    assert environment["MESOS_HOSTNAME"] == "h"


def test_a_file_per_flag(etc):
    etc.write("etc/mesos-master/quorum", "1\n")
    etc.write("etc/mesos-master/work_dir", "/var/lib/mesos")
    etc.write("etc/mesos-master/weights", "a=2,b=3\n\n")
    etc.write("etc/mesos-master/acls", '{"a": "$HOME `x` *"}\n')
    etc.write("etc/mesos-slave/resources", "cpus:1\n")
    assert etc.arguments("master") == ['--acls={"a": "$HOME `x` *"}', "--quorum=1", "--weights=a=2,b=3",
                                       "--work_dir=/var/lib/mesos"]
    assert etc.arguments("slave") == ["--resources=cpus:1"]


def test_files_that_begin_with_a_question_mark(etc):
    etc.write("etc/mesos-master/?no-hostname_lookup", "")
    etc.write("etc/mesos-master/?registry_strict", "content is of no matter\n")
    assert etc.arguments("master") == ["--no-hostname_lookup", "--registry_strict"]


def test_a_file_replaces_a_variable(etc):
    etc.write("etc/default/mesos-master", "PORT=5050\nIP=10.0.0.1\n")
    etc.write("etc/mesos-master/port", "5055\n")
    assert etc.arguments("master") == ["--ip=10.0.0.1", "--port=5055"]


def test_folders_of_attributes_and_resources(etc):
    etc.write("etc/mesos-slave/attributes/rack", "r2\n")
    etc.write("etc/mesos-slave/attributes/level", "10\n")
    etc.write("etc/mesos-slave/resources/cpus", "4")
    etc.write("etc/mesos-slave/resources/mem(prod)", "512\n")
    etc.write("etc/mesos-slave/resources/ports", "[31000-32000]\n")
    assert etc.arguments("slave") == ["--attributes=level:10;rack:r2",
                                      "--resources=cpus:4;mem(prod):512;ports:[31000-32000]"]


def test_the_other_name_of_the_agent_s_folder(etc):
    etc.write("etc/mesos-slave/work_dir", "/var/lib/mesos\n")
    etc.write("etc/mesos-slave/port", "5051\n")
    etc.write("etc/mesos-agent/work_dir", "/data\n")
    etc.write("etc/mesos-agent/?no-switch_user", "")
    etc.write("etc/mesos-agent/attributes/rack", "a\n")
    assert etc.arguments("slave") == ["--attributes=rack:a", "--port=5051", "--work_dir=/data", "--no-switch_user"]


def test_what_is_no_flag_is_skipped_and_named(etc):
    etc.write("etc/mesos-master/quorum", "1\n")
    for name in ("quorum.dpkg-old", "quorum~", "quorum.bak", ".hidden"):
        etc.write("etc/mesos-master/" + name, "2\n")
    etc.write("etc/mesos-master/attributes/rack", "a\n")
    os.symlink("/nowhere", os.path.join(etc.root, "etc/mesos-master/roles"))
    assert etc.arguments("master") == ["--quorum=1"]
    for name in ("quorum.dpkg-old", "quorum~", "quorum.bak", "attributes"):
        assert "mesos-init-wrapper: skipped %s/etc/mesos-master/%s: " % (etc.root, name) in etc.stderr


def test_a_limit_that_cannot_be_set_stops_nothing(etc):
    etc.write("etc/default/mesos", "ULIMIT='-n 1000000000000'\n")
    etc.run("master")
    assert "the limit '-n 1000000000000' cannot be set" in etc.stderr


@pytest.mark.parametrize("role, tag", [("master", "mesos-master"), ("slave", "mesos-slave")])
def test_output_goes_to_the_logger(etc, role, tag):
    etc.remove("etc/mesos-%s/?no-logger" % role)
    etc.make_system_log()
    told = etc.run(role)  # the loggers end before communicate() does: they hold the pipes
    assert (etc.stdout, etc.stderr) == ("", "")
    with open(etc.logged, encoding="utf-8") as file:
        assert sorted(file.read().splitlines()) == ["-p user.err -t %s[%d] a line to stderr" % (tag, told["pid"]),
                                                    "-p user.info -t %s[%d] a line to stdout" % (tag, told["pid"])]
    assert told["arguments"] == []


def test_output_stays_where_there_is_no_system_log(etc):
    etc.remove("etc/mesos-master/?no-logger")
    etc.run("master")
    assert (etc.stdout, etc.stderr) == ("a line to stdout\n", "a line to stderr\n")
    assert not os.path.exists(etc.logged)


def test_output_stays_where_the_file_says_so(etc):
    etc.make_system_log()
    assert etc.arguments("master") == []
    assert (etc.stdout, etc.stderr) == ("a line to stdout\n", "a line to stderr\n")


def test_exit_status_is_the_program_s(etc):
    etc.write_script("usr/sbin/mesos-master", "#!/bin/sh\nexit 7\n")
    process = etc.start("master")
    process.communicate(timeout=20)
    assert process.returncode == 7


def test_a_program_that_is_not_there(etc):
    etc.remove("usr/sbin/mesos-master")
    process = etc.start("master")
    assert process.communicate(timeout=20)[1] == \
        "mesos-init-wrapper: there is no program %s/usr/sbin/mesos-master\n" % etc.root
    assert process.returncode == 1


@pytest.mark.parametrize("arguments", [[], ["scheduler"], ["master", "slave"], ["--help"]])
def test_usage(etc, arguments):
    process = etc.start(*arguments)
    assert process.communicate(timeout=20)[1].startswith("usage: ")
    assert process.returncode == 2


def test_the_package_s_own_settings(etc):
    """The files that the package brings, taken as they are but for the place of /etc."""
    shutil.copytree(os.path.join(ROOT, "packaging/etc"), os.path.join(etc.root, "etc"), dirs_exist_ok=True)
    for name in ("mesos-master", "mesos-slave"):
        path = os.path.join(etc.root, "etc/default", name)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        etc.write("etc/default/" + name, text.replace("/etc/mesos/zk", etc.root + "/etc/mesos/zk"))
    told = etc.run("master")
    assert told["arguments"] == ["--log_dir=/var/log/mesos", "--port=5050", "--quorum=1", "--work_dir=/var/lib/mesos",
                                 "--zk=zk://localhost:2181/mesos"]
    assert told["files"] == 8192
    assert etc.arguments("slave") == ["--log_dir=/var/log/mesos", "--master=zk://localhost:2181/mesos",
                                      "--work_dir=/var/lib/mesos"]
    # A single master, without ZooKeeper.
    etc.write("etc/mesos/zk", "")
    etc.write("etc/mesos-slave/master", "localhost:5050\n")
    assert "--zk" not in " ".join(etc.arguments("master"))
    assert "--master=localhost:5050" in etc.arguments("slave")


def test_scripts_parse(tmp_path):
    with open(os.path.join(ROOT, "packaging/init.in"), encoding="utf-8") as file:
        script = tmp_path / "init"
        script.write_text(file.read())
    for shell, path in (("bash", WRAPPER), ("sh", script), ("sh", os.path.join(ROOT, "packaging/build-deb")),
                        ("sh", os.path.join(ROOT, "packaging/setup-release")),
                        *(("sh", os.path.join(ROOT, "packaging/debian", name)) for name in ("postinst", "prerm", "postrm"))):
        subprocess.run([shell, "-n", path], check=True, stdin=subprocess.DEVNULL)
    assert os.stat(WRAPPER).st_mode & stat.S_IXUSR
