# SPDX-License-Identifier: Apache-2.0
"""Runs `mesos` as a script does (run) and as a person at a terminal does (Terminal)."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import harness

MESOS = os.path.join(harness.BIN, "mesos")

DONE, FAILED, USAGE, UNREACHABLE, NOT_FOUND, AMBIGUOUS, DENIED, NOT_RUN = 0, 1, 2, 3, 4, 5, 6, 125


def environment(cluster, master=None, **more):
    """No configuration and no habits of whoever runs the test."""
    kept = {n: v for n, v in os.environ.items() if n not in ("MESOS_MASTER", "NO_COLOR", "TERM", "MESOS_CLI_CONFIG")}
    kept.update({"HOME": cluster.directory, "TERM": "xterm", "LC_ALL": "C.UTF-8"})
    if master is not None:
        kept["MESOS_MASTER"] = master if isinstance(master, str) else master.address
    kept.update(more)
    return kept


class Cli:
    """cli("task list -q") gives what it wrote; a status other than the expected one fails the test."""

    def __init__(self, cluster, master=None, prefix=(), **more):
        self.environment = environment(cluster, master, **more)
        self.prefix = list(prefix)

    def command(self, words):
        return self.prefix + [MESOS] + (words.split() if isinstance(words, str) else list(words))

    def run(self, words, input=None, timeout=30):
        return subprocess.run(self.command(words), input=input, stdin=subprocess.DEVNULL if input is None else None,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment,
                              timeout=timeout * harness.PATIENCE, check=False)

    def __call__(self, words, status=DONE, input=None):
        result = self.run(words, input)
        assert result.returncode == status, (words, result.returncode, result.stdout, result.stderr)
        return result.stdout.decode()

    def json(self, words):
        return json.loads(self(([*words.split()] if isinstance(words, str) else list(words)) + ["-o", "json"]))

    def fails(self, words, status, text):
        """It ends with that status, says `text`, and writes nothing else."""
        result = self.run(words)
        assert result.returncode == status, (words, result.returncode, result.stdout, result.stderr)
        assert text in result.stderr.decode(), (words, result.stderr)
        assert result.stdout == b"", (words, result.stdout)
        return result.stderr.decode()

    def rows(self, words):
        """The table's rows as dictionaries by the columns' titles; columns have two blanks between."""
        lines = self(words).splitlines()
        titles = re.split(r"  +", lines[0].strip())
        return [dict(zip(titles, re.split(r"  +", line.strip()))) for line in lines[1:]]

    def popen(self, cluster, words, **options):
        process = subprocess.Popen(self.command(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.environment, **options)
        cluster.others.append(process)
        return process

    def terminal(self, words, **size):
        return Terminal(self.command(words), self.environment, **size)


class Terminal:
    """A program at a terminal of its own. `text` is all that it wrote so far."""

    def __init__(self, command, env, columns=120, rows=40):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env,
                                        preexec_fn=self._own_terminal)
        self.text = ""

    @staticmethod
    def _own_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        return self

    def keys(self, text):
        os.write(self.master, text.encode())
        return self

    def pump(self, seconds=0.02):
        while select.select([self.master], [], [], seconds)[0]:
            try:
                self.text += os.read(self.master, 65536).decode("utf-8", "replace")
            except OSError:
                return

    def wait(self, text, timeout=10):
        def find():
            self.pump()
            return text in self.text
        harness.wait_for(find, timeout, "%r in %r" % (text, self.text[-2000:]))
        return self

    def wait_end(self, timeout=10):
        """Its exit status, once it has ended and put the terminal back as it was."""
        def has_ended():
            self.pump()
            return self.process.poll() is not None
        try:
            harness.wait_for(has_ended, timeout, "the end; so far: %r" % self.text[-2000:])
            self.pump()
            assert termios.tcgetattr(self.slave) == self.before
        finally:
            self.close()
        return self.process.returncode

    def signal(self, number):
        self.process.send_signal(number)
        return self

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for file in (self.master, self.slave):
            try:
                os.close(file)
            except OSError:
                pass

    @property
    def lines(self):
        return self.text.replace("\r", "").splitlines()


def interrupt_when(process, wanted, timeout=10):
    """Reads a program's output until `wanted` is in it, then sends SIGINT. Gives what it wrote and its status."""
    text = b""
    deadline = time.monotonic() + timeout * harness.PATIENCE
    while wanted not in text:
        assert time.monotonic() < deadline, text
        if select.select([process.stdout], [], [], 0.1)[0]:
            part = os.read(process.stdout.fileno(), 65536)
            assert part, (text, process.stderr.read())
            text += part
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=10 * harness.PATIENCE)
    return text + rest, process.returncode
