# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy whose connections a test can cut, hold up or refuse."""

import socket
import threading


class Proxy:
    """Forwards its `address` to `target` ("host:port"), byte for byte."""

    def __init__(self, target):
        self.target = target.split(":")[0], int(target.split(":")[1])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.pairs, self.lock = [], threading.Lock()
        self.flows = threading.Event()
        self.flows.set()
        self.refuses = False
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                if self.refuses:
                    raise OSError
                server = socket.create_connection(self.target, 5)
            except OSError:
                client.close()
                continue
            with self.lock:
                self.pairs.append((client, server))
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(one, other), daemon=True).start()

    def _forward(self, one, other):
        try:
            while True:
                data = one.recv(65536)
                self.flows.wait()
                if not data:
                    break
                other.sendall(data)
        except OSError:
            pass
        for sock in (one, other):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Ends all connections; new ones are taken unless `refuses` is set."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for sock in pair:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def hold(self):
        """Lets nothing through, with all connections open, until release()."""
        self.flows.clear()

    def release(self):
        self.flows.set()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.release()
        self.cut()
