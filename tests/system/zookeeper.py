# SPDX-License-Identifier: Apache-2.0
"""A real ZooKeeper of one or three nodes, for one test: on loopback, or on machines of netns.py.

Needs Debian's packages zookeeper and default-jre-headless. The client is a small one of our own, in
the same protocol, so that the tests look at znodes without our C code.
"""

import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading

import harness
from harness import find_port, wait_for

JARS = ["/usr/share/java/" + name for name in ("zookeeper.jar", "slf4j-log4j12.jar", "log4j-1.2.jar")]
LOG = """log4j.rootLogger=WARN, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %c - %m%n
"""


def is_installed():
    return all(os.path.exists(jar) for jar in JARS) and shutil.which("java") is not None


class Node:
    """One server; its directory holds zoo.cfg, data and log."""

    def __init__(self, directory, number, host, port, prefix=()):
        self.directory = directory
        self.number = number
        self.host = host
        self.port = port
        self.prefix = list(prefix)
        self.process = None

    def start(self):
        command = [*self.prefix, "java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData",
                   "-Dzookeeper.preAllocSize=64",  # kB of its log at a time, rather than 64 MB
                   "-cp", ":".join([self.directory] + JARS), "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                   os.path.join(self.directory, "zoo.cfg")]
        with open(os.path.join(self.directory, "log"), "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.directory)
        return self

    def serves(self):
        """Answers as a server that has a quorum."""
        assert self.process.poll() is None, "ZooKeeper ended:\n" + self.read_log()
        return self.mode() is not None

    def mode(self):
        """"leader", "follower", "standalone"; None without a quorum."""
        try:
            with socket.create_connection((self.host, self.port), timeout=2) as s:
                s.sendall(b"srvr")
                answer = s.recv(4096).decode("ascii", "replace")
        except OSError:
            return None
        return answer.partition("Mode: ")[2].partition("\n")[0] or None

    def kill(self):
        self.send_signal(signal.SIGKILL)
        self.process.wait()

    def send_signal(self, number):
        self.process.send_signal(number)

    def read_log(self):
        with open(os.path.join(self.directory, "log"), encoding="utf-8", errors="replace") as log:
            return log.read()[-4000:]


class ZooKeeper:
    """An ensemble. close() ends it and removes its files. `machines`: where each node is to run (netns.Machine);
    or for one node what its command begins with, and where its data is to be."""

    def __init__(self, count=1, machines=None, prefix=(), data=None):
        self.directory = tempfile.mkdtemp(prefix="meseta-zk-")
        self.nodes = []
        if machines:
            places = [(m.ip, 2181, 2888, 3888) for m in machines]
        else:
            places = [("127.0.0.1", find_port(), find_port(), find_port()) for _ in range(count)]
        for number, (host, port, _, _) in enumerate(places, 1):
            directory = os.path.join(self.directory, str(number))
            os.makedirs(os.path.join(directory, "data"))
            lines = ["tickTime=500", "dataDir=" + (data or os.path.join(directory, "data")), "clientPort=%d" % port,
                     "clientPortAddress=" + host, "admin.enableServer=false", "4lw.commands.whitelist=*",
                     "maxClientCnxns=0"]
            if len(places) > 1:
                lines += ["initLimit=20", "syncLimit=5"]
                lines += ["server.%d=%s:%d:%d" % (n, h, a, b) for n, (h, _, a, b) in enumerate(places, 1)]
                with open(os.path.join(directory, "data", "myid"), "w", encoding="ascii") as file:
                    file.write("%d\n" % number)
            for name, text in (("zoo.cfg", "\n".join(lines) + "\n"), ("log4j.properties", LOG)):
                with open(os.path.join(directory, name), "w", encoding="ascii") as file:
                    file.write(text)
            prefix = machines[number - 1].prefix if machines else prefix
            self.nodes.append(Node(directory, number, host, port, prefix).start())
        try:
            for node in self.nodes:
                wait_for(node.serves, 30, "ZooKeeper to serve")
        except BaseException:
            self.close()
            raise

    @property
    def servers(self):
        return ",".join("%s:%d" % (node.host, node.port) for node in self.nodes)

    def url(self, path="/mesos", credentials=None):
        return "zk://%s%s%s" % (credentials + "@" if credentials else "", self.servers, path)

    def client(self):
        for node in self.nodes:
            if node.process.poll() is None and node.serves():
                return Client(node.port, node.host)
        raise AssertionError("no ZooKeeper node serves")

    def close(self):
        for node in self.nodes:
            if node.process.poll() is None:
                node.process.send_signal(signal.SIGCONT)
                node.process.kill()
            node.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Proxy:
    """Stands before one node and can lose, once, a request of some kind or the answer to it: then it breaks the
    connection that it came on. `loses` is "request" or "answer"; `lost` counts.

    hold(part) keeps back the first request with those bytes in it until let_go(), and all that ZooKeeper says on other
    connections until hear()."""

    MULTI = 14

    def __init__(self, port):
        self.target = port
        self.loses = None
        self.kind = self.MULTI
        self.lost = 0
        self.is_open = True
        self.held_part = self.held_pair = None
        self.held, self.goes, self.hears = threading.Event(), threading.Event(), threading.Event()
        self.hears.set()
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while self.is_open:
            try:
                client, _ = self.listener.accept()
                if not self.is_open:
                    client.close()
                    return
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            pair = (client, server)
            self.connections.append(pair)
            swallow = threading.Event()
            threading.Thread(target=self._requests, args=(pair, swallow), daemon=True).start()
            threading.Thread(target=self._answers, args=(pair, swallow), daemon=True).start()

    def hold(self, part):
        self.held_part = part

    def let_go(self):
        self.goes.set()

    def hear(self):
        self.hears.set()

    def _keep_back(self, pair, frame):
        if self.held_part is None or self.held_part not in frame:
            return
        self.held_part, self.held_pair = None, pair
        self.hears.clear()
        self.held.set()
        self.goes.wait()

    @staticmethod
    def _read(sock, size):
        data = b""
        while len(data) < size:
            part = sock.recv(size - len(data))
            if not part:
                raise OSError("closed")
            data += part
        return data

    @staticmethod
    def _break(pair):
        for sock in pair:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _requests(self, pair, swallow):
        try:
            is_first = True
            while True:
                head = self._read(pair[0], 4)
                frame = self._read(pair[0], struct.unpack(">i", head)[0])
                kind = None if is_first else struct.unpack(">i", frame[4:8])[0]
                is_first = False
                if kind == self.kind and self.loses is not None:
                    how, self.loses = self.loses, None
                    self.lost += 1
                    if how == "request":
                        break
                    swallow.set()
                self._keep_back(pair, frame)
                pair[1].sendall(head + frame)
        except OSError:
            pass
        self._break(pair)

    def _answers(self, pair, swallow):
        try:
            while True:
                data = pair[1].recv(65536)
                if not data or swallow.is_set():
                    break
                if pair is not self.held_pair:
                    self.hears.wait()
                pair[0].sendall(data)
        except OSError:
            pass
        self._break(pair)

    def close(self):
        self.is_open = False
        self.listener.close()
        self.goes.set()
        self.hears.set()
        for pair in self.connections:
            self._break(pair)
            for sock in pair:
                sock.close()


class ZooKeeperError(Exception):
    NO_NODE = -101
    NO_AUTH = -102

    def __init__(self, code):
        super().__init__("ZooKeeper's error %d" % code)
        self.code = code


class Client:
    """A session for looking: children, data, delete, create."""

    def __init__(self, port, host="127.0.0.1"):
        self.sock = socket.create_connection((host, port), timeout=10 * harness.PATIENCE)
        self.xid = 0
        self._send(struct.pack(">iqiqi16sb", 0, 0, 10000, 0, 16, b"\0" * 16, 0))
        self._receive()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def _send(self, data):
        self.sock.sendall(struct.pack(">i", len(data)) + data)

    def _read(self, size):
        data = b""
        while len(data) < size:
            part = self.sock.recv(size - len(data))
            if not part:
                raise EOFError("ZooKeeper closed the connection")
            data += part
        return data

    def _receive(self):
        return self._read(struct.unpack(">i", self._read(4))[0])

    def _call(self, kind, body, xid=None):
        self.xid += 1
        xid = self.xid if xid is None else xid
        self._send(struct.pack(">ii", xid, kind) + body)
        while True:
            answer = self._receive()
            answered, _, error = struct.unpack(">iqi", answer[:16])
            if answered == xid:
                if error != 0:
                    raise ZooKeeperError(error)
                return answer[16:]

    @staticmethod
    def _text(text):
        data = text.encode()
        return struct.pack(">i", len(data)) + data

    def authenticate(self, credentials):
        self._call(100, struct.pack(">i", 0) + self._text("digest") + self._text(credentials), xid=-4)

    def children(self, path):
        answer = self._call(8, self._text(path) + b"\0")
        count, = struct.unpack(">i", answer[:4])
        at, names = 4, []
        for _ in range(count):
            size, = struct.unpack(">i", answer[at:at + 4])
            names.append(answer[at + 4:at + 4 + size].decode())
            at += 4 + size
        return sorted(names)

    def get(self, path):
        """(data, version) of a znode."""
        answer = self._call(4, self._text(path) + b"\0")
        size, = struct.unpack(">i", answer[:4])
        data = answer[4:4 + size] if size > 0 else b""
        stat = answer[4 + max(size, 0):]
        return data, struct.unpack(">i", stat[32:36])[0]

    def set(self, path, data):
        self._call(5, self._text(path) + struct.pack(">i", len(data)) + data + struct.pack(">i", -1))

    def delete(self, path):
        self._call(2, self._text(path) + struct.pack(">i", -1))

    def create(self, path, data=b""):
        acl = struct.pack(">ii", 1, 31) + self._text("world") + self._text("anyone")
        self._call(1, self._text(path) + struct.pack(">i", len(data)) + data + acl + struct.pack(">i", 0))
