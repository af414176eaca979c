# SPDX-License-Identifier: Apache-2.0
"""A new Debian system for a test, with namespaces of its own: nothing that happens in it reaches the machine.

What debootstrap makes is kept in build/new-debian-*, with the archives of the Debian packages and of the Python
packages that the tests install: a system itself has no network but loopback. What it writes is in memory, and gone
when it ends.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLACE = os.path.join(ROOT, "build")
TIMEOUT = 600.0
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
               "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
WHEELS = "var/cache/wheels"

# Runs as the first process of the namespaces. It reaps what loses its parent, as an init does.
START = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o size=4g,mode=755 new-debian "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
cd "$2/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=755 dev dev
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
mknod -m 666 dev/tty c 5 0
ln -s /proc/self/fd dev/fd
mkdir -m 1777 dev/shm
mkdir dev/pts
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ip link set lo up
hostname new-debian
echo "127.0.0.1 localhost new-debian" >etc/hosts
echo ready
while :; do sleep 1000 & wait $!; done
"""


def run(command, **options):
    """Runs a command and fails with what it said."""
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            encoding="utf-8", errors="replace", timeout=TIMEOUT, check=False, **options)
    assert result.returncode == 0, "%s\n%s" % (" ".join(command), result.stdout)
    return result.stdout


def read_release():
    """This machine's Debian, by its name: a package fits the Debian that built it."""
    with open("/etc/os-release", encoding="utf-8") as file:
        for line in file:
            if line.startswith("VERSION_CODENAME="):
                return line.partition("=")[2].strip().strip('"')
    raise AssertionError("/etc/os-release names no release")


def build_package():
    """The path of the package, built as `make deb` does."""
    path = run([os.path.join(ROOT, "packaging", "build-deb")]).strip().splitlines()[-1]
    return os.path.join(ROOT, path)


def make_base(package, debian_packages, python_packages):
    """A directory with a minimal Debian and the archives of all that `package` and the others need."""
    depends = run(["dpkg-deb", "--field", package, "Depends"])
    key = hashlib.sha256(repr((depends, debian_packages, python_packages)).encode()).hexdigest()[:12]
    base = os.path.join(PLACE, "new-debian-" + key)
    with open(base + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(base):
            fill_base(base + ".part", package, debian_packages, python_packages)
            os.rename(base + ".part", base)
    return base


def fill_base(part, package, debian_packages, python_packages):
    shutil.rmtree(part, ignore_errors=True)
    # Its mounts, if it makes any, end with the namespace.
    isolated = ["unshare", "--mount", "--propagation", "private"]
    run(isolated + ["debootstrap", "--variant=minbase", read_release(), part, "http://deb.debian.org/debian"])
    with open(os.path.join(part, "etc/dpkg/dpkg.cfg.d/fast"), "w", encoding="utf-8") as file:
        file.write("force-unsafe-io\n")
    shutil.copy(package, os.path.join(part, "root", "package.deb"))
    inside = isolated + ["chroot", part, "env", "-i"] + ["%s=%s" % pair for pair in ENVIRONMENT.items()]
    run(inside + ["apt-get", "-q", "update"])
    for wanted in ["/root/package.deb"] + debian_packages:
        run(inside + ["apt-get", "-q", "install", "-y", "--download-only", wanted])
    os.unlink(os.path.join(part, "root", "package.deb"))
    run([os.path.join(ROOT, ".venv/bin/pip"), "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
         "--wheel-dir", os.path.join(part, WHEELS)] + python_packages)


class NewDebian:
    """One such system. run() runs a shell script in it as root; close() ends it."""

    def __init__(self, base, place):
        self.root = os.path.join(place, "root")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "bash", "-c", START,
             "start", base, place], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines = []
        for line in self.process.stdout:
            if line == "ready\n":
                break
            lines.append(line)
        else:
            raise AssertionError("no new Debian: %s" % "".join(lines))
        with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid), encoding="utf-8") as file:
            self.pid = int(file.read().split()[0])

    def run(self, script, timeout=TIMEOUT, **environment):
        """(exit status, output) of a script for bash -e."""
        # The system has no network: these say so to apt and pip, which then take what is there.
        variables = {**ENVIRONMENT, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/" + WHEELS, **environment}
        result = subprocess.run(
            ["nsenter", "--target=%d" % self.pid, "--mount", "--net", "--pid", "--ipc", "--uts", "chroot", self.root,
             "env", "-i", "--chdir=/root"] + ["%s=%s" % pair for pair in variables.items()] + ["bash", "-ec", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
            errors="replace", timeout=timeout, check=False)
        return result.returncode, result.stdout

    def check(self, script, **options):
        """The output of a script that must end with 0."""
        status, output = self.run(script, **options)
        assert status == 0, "%s\nended with %d:\n%s" % (script, status, output)
        return output

    def put(self, path, target):
        """Copies a file of this machine into the system."""
        with open(path, "rb") as file:
            subprocess.run(["nsenter", "--target=%d" % self.pid, "--mount", "cp", "/dev/stdin", self.root + target],
                           stdin=file, check=True)

    def close(self):
        if self.process.poll() is None:
            os.kill(self.pid, 9)  # the first process: all others end with it
        self.process.stdout.close()
        self.process.wait(30)
