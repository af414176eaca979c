# SPDX-License-Identifier: Apache-2.0
"""Machines of a test, each a network namespace, joined by a bridge in a namespace of its own.

Namespaces have no names: the test process holds them open, and they and all that is in them go with it, whatever
happens to it. While a Network is open the test's main thread lives in the namespace of the bridge, so that it (and
what it starts) reaches the machines at their addresses.

    with Network() as network:
        a, b = network.add(), network.add()     # a.ip, a.prefix (to run a program there)
        network.cut(a, b)                       # they cannot reach each other
        network.split([a])                      # these stay together, apart from all others and from the test
        network.heal()
"""

import ctypes
import os
import subprocess
import threading

CLONE_NEWNET = 0x40000000
SUBNET = "10.77.0."

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), "%s: %s" % (what, os.strerror(ctypes.get_errno())))


def _make_namespace():
    """An open file of a new namespace."""
    made = []

    def make():
        try:
            _check(_libc.unshare(CLONE_NEWNET), "unshare")
            made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def is_possible():
    """Whether namespaces and veths can be made here."""
    if os.geteuid() != 0:
        return False
    try:
        with Network() as network:
            network.add()
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _ip(*lines):
    """Runs commands of `ip`, all in one."""
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", encoding="ascii", check=True,
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)


class Machine:
    def __init__(self, number, file):
        self.file = file
        self.path = "/proc/%d/fd/%d" % (os.getpid(), file)
        self.ip = SUBNET + str(number)
        self.port = "port%d" % number  # its end at the bridge
        self.prefix = ["nsenter", "--net=" + self.path]

    def run(self, *lines):
        """Commands of `ip` within."""
        subprocess.run([*self.prefix, "ip", "-batch", "-"], input="\n".join(lines) + "\n", encoding="ascii", check=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)


class Network:
    def __init__(self):
        self.machines = []
        self.cuts = []  # (machine, ip)
        self.apart = []
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.hub = None

    def __enter__(self):
        try:
            self.hub = _make_namespace()
            _check(_libc.setns(self.hub, CLONE_NEWNET), "setns")
            _ip("link set lo up",
                "link add bridge0 type bridge", "link set bridge0 up", "address add %s1/24 dev bridge0" % SUBNET,
                "link add bridge1 type bridge", "link set bridge1 up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        _check(_libc.setns(self.home, CLONE_NEWNET), "setns")
        for file in [self.home, self.hub] + [m.file for m in self.machines]:
            if file is not None:
                os.close(file)

    def add(self):
        machine = Machine(len(self.machines) + 2, _make_namespace())
        self.machines.append(machine)
        _ip("link add %s type veth peer name eth0 netns %s" % (machine.port, machine.path),
            "link set %s master bridge0 up" % machine.port)
        machine.run("link set lo up", "link set eth0 up", "address add %s/24 dev eth0" % machine.ip)
        return machine

    def cut(self, machine, *others):
        """Nothing goes from `machine` to the others any more; what they send arrives, and is not answered."""
        for other in others:
            machine.run("route add blackhole %s/32" % other.ip)
            self.cuts.append((machine, other.ip))

    def split(self, machines):
        """Moves these to the other bridge, where they see each other only."""
        for machine in machines:
            _ip("link set %s master bridge1" % machine.port)
            self.apart.append(machine)

    def heal(self):
        for machine, ip in self.cuts:
            machine.run("route del blackhole %s/32" % ip)
        for machine in self.apart:
            _ip("link set %s master bridge0" % machine.port)
        self.cuts, self.apart = [], []
