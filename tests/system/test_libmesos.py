# SPDX-License-Identifier: Apache-2.0
"""libmesos as its users have it: installed, found by pkg-config, and the two examples compiled against it and run."""

import os
import re
import shutil
import signal
import subprocess

import pytest

from harness import BUILD, PATIENCE, ROOT, wait_for

EXAMPLES = os.path.join(ROOT, "src", "libmesos", "examples")

pytestmark = pytest.mark.skipif(shutil.which("cc") is None or shutil.which("pkg-config") is None,
                                reason="needs cc and pkg-config")


class Installed:
    """The library below a directory of the test's own, and programs made with it."""

    def __init__(self, directory):
        self.directory = directory
        subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", directory], check=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.pc, = [os.path.join(path, "mesos.pc") for path, _, files in os.walk(directory) if "mesos.pc" in files]
        self.library = os.path.dirname(os.path.dirname(self.pc))
        self.environment = {**os.environ, "PKG_CONFIG_PATH": os.path.dirname(self.pc), "PKG_CONFIG_SYSROOT_DIR": directory}

    def flags(self, *which):
        return subprocess.run(["pkg-config", *which, "mesos"], env=self.environment, check=True, capture_output=True,
                              encoding="ascii").stdout.split()

    def compile(self, source, *options, compiler="cc"):
        program = os.path.join(self.directory, os.path.basename(source) + ".out")
        command = [compiler, "-Wall", "-Wextra", "-Werror", *options, "-o", program, source, *self.flags("--cflags", "--libs"),
                   "-Wl,-rpath," + self.library]
        if "asan" in os.path.basename(BUILD):
            command.append("-Wl,--unresolved-symbols=ignore-in-shared-libs")
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False)
        assert result.returncode == 0, result.stdout
        return program


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    if "asan" in os.path.basename(BUILD):
        pytest.skip("the library wants the sanitizer in the program too")
    return Installed(str(tmp_path_factory.mktemp("installed")))


@pytest.fixture(scope="module")
def framework(installed):
    return installed.compile(os.path.join(EXAMPLES, "framework.c"))


@pytest.fixture(scope="module")
def executor(installed):
    program = installed.compile(os.path.join(EXAMPLES, "executor.c"))
    os.chmod(program, 0o755)
    return program


def start(cluster, *command):
    return cluster.popen(list(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process, timeout=30):
    output = process.communicate(timeout=timeout * PATIENCE)[0]
    assert process.returncode == 0, output
    return output


# ---- what is installed ----

def test_the_library_shows_its_api_alone(installed):
    library = os.path.join(installed.library, "libmesos.so.1")
    names = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, encoding="ascii").stdout
    shown = {line.split()[2].partition("@")[0] for line in names.splitlines() if line.split()[1] != "A"}
    declared = set()
    for header in ("message.h", "scheduler.h", "executor.h"):
        with open(os.path.join(ROOT, "src", "libmesos", "mesos", header), encoding="utf-8") as file:
            declared |= set(re.findall(r"^MESOS_API [^;]*?\**(mesos_\w+)\(", file.read(), re.M))
    assert shown == declared
    dynamic = subprocess.run(["readelf", "-d", library], check=True, capture_output=True, encoding="ascii").stdout
    assert "Library soname: [libmesos.so.1]" in dynamic


def test_each_header_stands_alone_also_in_other_dialects(installed, tmp_path):
    dialects = [("cc", "c", "-std=c99"), ("cc", "c", "-std=c17")]
    if shutil.which("c++"):
        dialects.append(("c++", "c++", "-std=c++11"))
    for compiler, language, standard in dialects:
        for header in ("message", "scheduler", "executor"):
            source = tmp_path / ("%s.%s" % (header, language))
            source.write_text("#include <mesos/%s.h>\n#include <mesos/%s.h>\nint main(void) { return 0; }\n" % (header, header))
            installed.compile(str(source), standard, "-pedantic", compiler=compiler)


def test_the_manual_has_every_function(installed):
    text = ""
    for name in ("message", "scheduler", "executor"):
        page, = [os.path.join(path, f) for path, _, files in os.walk(installed.directory) for f in files
                 if f == "mesos_%s.3" % name]
        with open(page, encoding="utf-8") as file:
            text += file.read()
    nm = subprocess.run(["nm", "-D", "--defined-only", os.path.join(installed.library, "libmesos.so")], check=True,
                        capture_output=True, encoding="ascii").stdout
    for name in re.findall(r" T (mesos_\w+)", nm):
        assert re.search(r"\b%s\(" % name, text), name
    assert "MESOS_API" not in text


def test_the_examples_are_short():
    for name in os.listdir(EXAMPLES):
        with open(os.path.join(EXAMPLES, name), encoding="utf-8") as file:
            assert len(file.readlines()) < 150, name


# ---- what it does ----

def test_commands_run_and_failed_ones_run_again(cluster, master, agent, framework):
    mark = cluster.path("mark")
    output = finish(start(cluster, framework, master.address, "mkdir %s || test -e %s.again || { touch %s.again; exit 3; }" % (
        mark, mark, mark), "3"))
    assert output.count("is TASK_FINISHED") == 3
    assert output.count("is TASK_FAILED") == 1 and "exited with status 3" in output
    assert output.count("Launched") == 4
    wait_for(lambda: not master.state()["frameworks"], what="the framework to be gone")
    ended, = master.state()["completed_frameworks"]
    assert ended["name"] == "example" and ended["checkpoint"]


def test_an_executor_of_ones_own(cluster, master, agent, framework, executor):
    output = finish(start(cluster, framework, master.address, "echo $PPID >> %s" % cluster.path("parents"), "4", executor))
    assert output.count("is TASK_FINISHED: exited with status 0") == 4
    assert output.count("is TASK_RUNNING") == 4
    with open(cluster.path("parents"), encoding="ascii") as file:
        assert len(set(file.read().split())) == 1  # one executor ran them all


def test_a_signal_ends_the_framework_and_its_tasks(cluster, master, agent, framework):
    process = start(cluster, framework, master.address, "sleep 600", "2")
    wait_for(lambda: [t["state"] for t in master.get("/tasks").json()["tasks"]] == ["TASK_RUNNING"] * 2, 10, "both to run")
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=20 * PATIENCE)[0]
    assert process.returncode == 1 and "Ending all tasks" in output
    wait_for(lambda: not agent.state()["frameworks"], 10, "the tasks to be gone")


def test_a_master_that_refuses(cluster, framework):
    master = cluster.start_master(roles="only")
    process = start(cluster, framework, master.address, "true", "1")
    output = process.communicate(timeout=20 * PATIENCE)[0]
    assert process.returncode == 1 and "The master refuses this framework: " in output


def test_it_comes_back_to_a_new_master_under_its_id(cluster, framework, executor):
    master = cluster.start_master(registry="replicated_log")
    agent = cluster.start_agent(master)
    done = cluster.path("done")
    command = "while ! test -e %s; do sleep 0.1; done" % done
    processes = [start(cluster, framework, master.address, command, "2"),
                 start(cluster, framework, master.address, command, "2", executor)]

    def running():
        return [t["state"] for t in master.get("/tasks").json()["tasks"]].count("TASK_RUNNING") == 4

    wait_for(running, 15, "all tasks to run")
    master.kill()
    master.restart()
    cluster.wait_registered(agent, master)
    agent.kill()  # the executors outlive it as well
    agent.restart()
    cluster.wait_registered(agent, master)
    wait_for(lambda: all(f["active"] for f in master.state()["frameworks"]) and running(), 15, "all to be back")
    with open(done, "w", encoding="ascii"):
        pass
    for process in processes:
        output = finish(process)
        assert len(set(re.findall(r"Subscribed as (\S+)", output))) == 1
        assert output.count("Subscribed as") == 2 and "Disconnected: " in output
        assert output.count("is TASK_FINISHED") == 2 and output.count("Launched") == 2
