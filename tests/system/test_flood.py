# SPDX-License-Identifier: Apache-2.0
"""A framework that floods the master with calls does not hold up another one: of each connection a turn handles what one
read brought, and no more."""

import socket
import threading

from harness import wait_for


class Flood:
    """Sends calls one behind the other, without waiting for answers, until it is stopped; another thread reads those."""

    def __init__(self, scheduler):
        host, port = scheduler.address.split(":")
        self.socket = socket.create_connection((host, int(port)))
        body = scheduler.encode({"type": "RECONCILE", "framework_id": {"value": scheduler.framework_id},
                                 "reconcile": {"tasks": [{"task_id": {"value": "nobody"}}]}}).encode()
        head = ("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nMesos-Stream-Id: %s\r\nContent-Length: %d\r\n\r\n"
                % (scheduler.PATH, scheduler.address, scheduler.MEDIA, scheduler.stream_id, len(body))).encode()
        self.calls = (head + body) * 200
        self.answers = 0
        self.stopping = False
        self.threads = [threading.Thread(target=self.send), threading.Thread(target=self.read)]
        for thread in self.threads:
            thread.start()

    def send(self):
        while not self.stopping:
            try:
                self.socket.sendall(self.calls)
            except OSError:
                return

    def read(self):
        while True:
            try:
                data = self.socket.recv(1 << 20)
            except OSError:
                return
            if not data:
                return
            self.answers += data.count(b"HTTP/1.1 202")

    def stop(self):
        self.stopping = True
        self.socket.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        self.socket.close()


def test_a_flood_of_calls_starves_no_other(cluster):
    master = cluster.start_master()
    cluster.start_agent(master, resources="cpus:8;mem:1024;disk:1024")
    flooder, other = (cluster.scheduler(master, name=name) for name in ("flooder", "other"))
    flooder.subscribe()
    other.subscribe()
    flooder.call("SUPPRESS")
    floods = [Flood(flooder) for _ in range(3)]
    try:
        wait_for(lambda: all(flood.answers > 1000 for flood in floods), 30, "the flood")
        # While the calls of one are handled all the time, the other's are too, each in a few turns: far from as
        # many calls pass between its question and the answer as wait in the buffers of the connections.
        between = []
        for i in range(100):
            before = sum(flood.answers for flood in floods)
            other.call("RECONCILE", tasks=[{"task_id": {"value": "task-%d" % i}}])
            other.wait("UPDATE", lambda e: e["update"]["status"]["task_id"]["value"] == "task-%d" % i, 30)
            between.append(sum(flood.answers for flood in floods) - before)
        assert all(flood.answers > 1000 for flood in floods)
        assert sorted(between)[50] < 10000, sorted(between)
    finally:
        for flood in floods:
            flood.stop()
