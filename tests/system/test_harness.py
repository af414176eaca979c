# SPDX-License-Identifier: Apache-2.0
"""The harness itself: what a test leaves behind must be seen, and records must be read as they come."""

import os
import socket
import subprocess
import sys
import threading
import time

import pytest

import harness
import leftovers


@pytest.fixture
def untidy():
    cluster = harness.Cluster()
    yield cluster
    cluster.close()


def test_an_empty_cluster_leaves_nothing(untidy):
    assert untidy.close() == []
    assert not os.path.exists(untidy.directory)


def test_a_lost_process_is_seen_and_killed(untidy):
    # Its parent ends at once and it has a session of its own, as a daemon's lost child would.
    shell = subprocess.run("setsid sleep 1000 >/dev/null 2>&1 & echo $!", shell=True, stdout=subprocess.PIPE, check=True)
    pid = int(shell.stdout)
    harness.PATIENCE, patience = 0.05, harness.PATIENCE
    try:
        complaints = untidy.close()
    finally:
        harness.PATIENCE = patience
    assert any("processes left" in c and str(pid) in c for c in complaints)
    leftovers.reap_orphans(set())
    assert not os.path.exists("/proc/%d" % pid)


@pytest.mark.root
def test_a_mount_left_is_seen_and_undone(untidy):
    place = untidy.path("place")
    os.mkdir(place)
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    complaints = untidy.close()
    assert complaints == ["mounts left: ['%s']" % place]
    assert leftovers.find_mounts_below(untidy.directory) == []


@pytest.mark.root
def test_a_control_group_left_is_seen_and_removed(untidy):
    roots = [point for point, kind in leftovers.read_mounts() if kind in ("cgroup", "cgroup2")]
    for root in roots:
        try:
            os.makedirs(os.path.join(root, untidy.cgroups_root, "container"))
            break
        except OSError:
            continue
    else:
        pytest.skip("no control group hierarchy that can be written")
    complaints = untidy.close()
    assert len(complaints) == 1 and "control groups left" in complaints[0]
    assert leftovers.find_cgroups(untidy.cgroups_root) == []


def test_a_program_that_will_not_end_is_killed_and_told(untidy):
    daemon = harness.Daemon(untidy, "stubborn", "none", {"port": 1})
    daemon.process = subprocess.Popen([sys.executable, "-c", "import signal, time\nsignal.signal(15, signal.SIG_IGN)\n"
                                       "print('ready', flush=True)\ntime.sleep(1000)"], stdout=subprocess.PIPE)
    daemon.process.stdout.readline()
    untidy.masters.append(daemon)
    daemon.stop(timeout=0.2)
    daemon.process.stdout.close()
    assert daemon.process.returncode == -9
    assert "stubborn did not end" in untidy.close()[0]


def serve_once(parts, keep_open=0.0):
    """A server for one connection, which answers with these parts of bytes one after the other."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        connection, _ = listener.accept()
        with connection, listener:
            connection.recv(65536)
            for part in parts:
                connection.sendall(part)
                time.sleep(0.02)
            time.sleep(keep_open)

    threading.Thread(target=run, daemon=True).start()
    return "127.0.0.1:%d" % listener.getsockname()[1]


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nMesos-Stream-Id: s\r\n\r\n"


def test_records_are_read_across_chunks():
    address = serve_once([HEAD, b"4\r\n3\nab\r\n", b"4\r\nc2\nd\r\n", b"1\r\ne\r\n", b"0\r\n\r\n"])
    stream = harness.Stream(address, "/", "{}", {})
    assert stream.headers["Mesos-Stream-Id"] == "s"
    assert [stream.next(5), stream.next(5), stream.next(5), stream.next(5)] == [b"abc", b"de", None, None]
    stream.close()


def test_a_cut_stream_ends():
    stream = harness.Stream(serve_once([HEAD, b"4\r\n3\nab\r\n"]), "/", "{}", {})
    assert stream.next(5) is None
    stream.close()


def test_an_open_stream_can_be_closed_while_it_is_read():
    stream = harness.Stream(serve_once([HEAD], keep_open=3), "/", "{}", {})
    start = time.monotonic()
    stream.close()
    assert stream.next(2) is None
    assert time.monotonic() - start < 2


def test_a_refusal_is_no_stream():
    address = serve_once([b"HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\nnope"])
    stream = harness.Stream(address, "/", "{}", {})
    assert (stream.status, stream.error_text, stream.next(1)) == (400, "nope", None)
