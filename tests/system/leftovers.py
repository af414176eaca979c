# SPDX-License-Identifier: Apache-2.0
"""What a test must not leave behind: processes, control groups, mounts, files.

The test process makes itself the one that adopts orphans (PR_SET_CHILD_SUBREAPER). So whatever a
daemon, an executor or a task started and lost shows up as a descendant of ours.
"""

import ctypes
import os
import signal
import time

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def read_processes():
    """pid -> (parent, state, command line)."""
    processes = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            with open("/proc/%s/cmdline" % name, "rb") as file:
                command = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:
            continue  # it ended meanwhile
        processes[int(name)] = (int(fields[1]), fields[0], command)
    return processes


def find_descendants(root=None):
    """pid -> command line of all that descends from `root` (this process) and still runs."""
    root = root or os.getpid()
    processes = read_processes()
    children = {}
    for pid, (parent, _, _) in processes.items():
        children.setdefault(parent, []).append(pid)
    found, queue = {}, [root]
    while queue:
        for pid in children.get(queue.pop(), []):
            queue.append(pid)
            if processes[pid][1] != "Z":
                found[pid] = processes[pid][2]
    return found


def reap_orphans(known):
    """Reaps the dead that came to us, but not the `known`, for whom somebody waits."""
    for pid, (parent, state, _) in read_processes().items():
        if parent == os.getpid() and state == "Z" and pid not in known:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


def find_processes_in(directory):
    """pid -> command line of processes anywhere whose working directory is below `directory`."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            place = os.readlink("/proc/%s/cwd" % name)
            if (place + "/").startswith(directory.rstrip("/") + "/"):
                with open("/proc/%s/cmdline" % name, "rb") as file:
                    found[int(name)] = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:
            continue
    return found


def find_cgroups(name):
    """Control groups that are called `name` right below any mounted hierarchy."""
    found = []
    for mount in read_mounts():
        if mount[1] in ("cgroup", "cgroup2"):
            path = os.path.join(mount[0], name)
            if os.path.isdir(path) and path not in found:
                found.append(path)
    return found


def has_cgroups():
    """Whether control groups can be made here in the hierarchies that the linux launcher wants."""
    if os.geteuid() != 0:
        return False
    points = [point for point, kind in read_mounts() if kind in ("cgroup", "cgroup2")]
    names = {os.path.basename(point) for point in points}
    if not {"freezer", "cpu", "cpuacct", "memory"} <= names and not os.path.exists("/sys/fs/cgroup/cgroup.procs"):
        return False
    return all(os.access(point, os.W_OK) for point in points)


def remove_cgroup(path):
    for inner, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(inner)
        except OSError:
            pass


def read_mounts():
    """(mount point, type) of every mount that we see."""
    mounts = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            fields, _, rest = line.partition(" - ")
            point = fields.split()[4].encode().decode("unicode_escape")
            mounts.append((point, rest.split()[0]))
    return mounts


def find_mounts_below(directory):
    return [point for point, _ in read_mounts() if (point + "/").startswith(directory.rstrip("/") + "/")]


def wait_until_gone(find, timeout=5.0):
    """What `find` still finds after `timeout` seconds; it is asked again and again until it finds nothing."""
    deadline = time.monotonic() + timeout
    while True:
        found = find()
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def kill_all(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
