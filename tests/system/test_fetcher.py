# SPDX-License-Identifier: Apache-2.0
"""mesos-fetcher against real HTTP and HTTPS servers, driven through src/container by container_driver."""

import gzip
import http.server
import io
import json
import os
import ssl
import stat
import subprocess
import tarfile
import threading
import time
import zipfile

import pytest

import harness

DRIVER = os.path.join(harness.BUILD, "tests", "unit", "container", "container_driver")
LAUNCH_FAILED = 21


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requests.append(self.path)
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path[len("/moved"):])
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"moved")
            return
        if self.path.startswith("/outside"):
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
            return
        body = server.files.get(self.path.split("?")[0])
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        if not self.path.startswith("/unsized"):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path.startswith("/stall"):
            self.wfile.write(body[:1])
            self.wfile.flush()
            server.released.wait(20)
            return
        if self.path.startswith("/slow"):
            time.sleep(0.5)
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server:
    """An HTTP server on a free loopback port. `files` maps paths to bytes, `requests` is its log."""

    def __init__(self, context=None):
        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.files, self.httpd.requests = {}, []
        self.httpd.released = threading.Event()
        if context:
            self.httpd.socket = context.wrap_socket(self.httpd.socket, server_side=True)
        self.url = "%s://localhost:%d" % ("https" if context else "http", self.httpd.server_address[1])
        self.thread = threading.Thread(target=self.httpd.serve_forever, args=(0.02,))
        self.thread.start()

    def put(self, path, body):
        self.httpd.files[path] = body
        return self.url + path

    @property
    def requests(self):
        return self.httpd.requests

    def close(self):
        self.httpd.released.set()
        self.httpd.shutdown()
        self.thread.join()
        self.httpd.server_close()


@pytest.fixture
def server():
    started = Server()
    yield started
    started.close()


class Box:
    """Runs container_driver on a directory of its own."""

    def __init__(self, path):
        self.path = path
        self.metrics = None

    def run(self, *containers, options=(), environment=None):
        """Each container is (id, uris or CommandInfo), or "then"; id -> outcome."""
        arguments = []
        for container in containers:
            if container == "then":
                arguments.append("then")
                continue
            name, command = container
            if isinstance(command, list):
                command = {"value": "true", "uris": command}
            arguments += [name, json.dumps(command)]
        done = subprocess.run([DRIVER, str(self.path), *options, *arguments], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False,
                              env={**os.environ, "MESETA_BIN_DIR": harness.BIN, **(environment or {})})
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.metrics = lines.pop()
        return {line["id"]: line for line in lines}

    def fetch(self, *uris, **more):
        """One container with these URIs; it must succeed. The sandbox' path."""
        outcome = self.run(("one", list(uris)), **more)["one"]
        assert outcome.get("status") == 0, (outcome, self.read("one", "stderr"))
        return self.path / "one"

    def fail(self, *uris, **more):
        """One container with these URIs; it must fail. The sandbox' stderr."""
        outcome = self.run(("one", list(uris)), **more)["one"]
        assert outcome["reason"] == LAUNCH_FAILED
        assert "status" not in outcome
        assert outcome["message"] == ("Failed to launch container: Failed to fetch all URIs for container 'one': "
                                      "exited with status 1")
        assert self.metrics["failed"] == 1
        return self.read("one", "stderr")

    def read(self, name, file):
        return (self.path / name / file).read_text()

    def cache_files(self):
        return sorted(file.name for file in (self.path / "cache").rglob("*") if file.is_file())


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path)


def make_tar(mode="w", **files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            info.mode = 0o755 if name.endswith("script") else 0o644
            tar.addfile(info, io.BytesIO(body))
    return out.getvalue()


def make_zip(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return out.getvalue()


# ---- where from ----

def test_http(box, server):
    sandbox = box.fetch({"value": server.put("/a.txt", b"hello")}, {"value": server.put("/b.txt", b"")})
    assert (sandbox / "a.txt").read_bytes() == b"hello"
    assert (sandbox / "b.txt").read_bytes() == b""
    assert server.requests == ["/a.txt", "/b.txt"]
    assert box.metrics["succeeded"] == 1


def test_http_redirect_and_unknown_length(box, server):
    server.put("/a.txt", b"hello")
    sandbox = box.fetch({"value": server.url + "/moved/a.txt"}, {"value": server.put("/unsized.txt", b"x" * 100000)})
    assert (sandbox / "a.txt").read_bytes() == b"hello"
    assert (sandbox / "unsized.txt").read_bytes() == b"x" * 100000


def test_a_query_is_part_of_the_name(box, server):
    sandbox = box.fetch({"value": server.put("/a.tgz", b"no archive") + "?v=1"})
    assert (sandbox / "a.tgz?v=1").read_bytes() == b"no archive"


def test_a_redirect_may_not_lead_to_a_local_file(box, server):
    assert "Error downloading resource" in box.fail({"value": server.url + "/outside"})
    assert not (box.path / "one" / "outside").exists()


def test_http_error(box, server):
    text = box.fail({"value": server.url + "/missing"})
    assert "Error downloading resource, received HTTP return code 404" in text
    assert not (box.path / "one" / "missing").exists()


def test_nobody_listens(box, server):
    assert "Error downloading resource" in box.fail({"value": "http://127.0.0.1:1/x"})


def test_stall(box, server):
    started = time.monotonic()
    text = box.fail({"value": server.put("/stall", b"x" * 1000)}, options=["stall=2secs"])
    assert "Error downloading resource" in text
    assert time.monotonic() - started < 15


def test_https(box, tmp_path, monkeypatch):
    for variable in ("CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)
    key, cert = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = Server(context)
    try:
        uri = {"value": server.put("/a.txt", b"secret")}
        assert "certificate" in box.fail(uri)
        assert server.requests == []
        for variable in ("CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            sandbox = box.fetch(uri, environment={variable: cert})
            assert (sandbox / "a.txt").read_bytes() == b"secret"
    finally:
        server.close()


def test_files(box, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("a")
    (source / "tool").write_text("#!/bin/sh\necho tool\n")
    (source / "tool").chmod(0o755)
    sandbox = box.fetch({"value": "file://%s/a.txt" % source}, {"value": "%s/tool" % source})
    assert (sandbox / "a.txt").read_text() == "a"
    assert stat.S_IMODE((sandbox / "a.txt").stat().st_mode) == 0o644
    assert os.access(sandbox / "tool", os.X_OK)
    sandbox = box.fetch({"value": "a.txt", "output_file": "b.txt"}, options=["home=%s" % source])
    assert (sandbox / "b.txt").read_text() == "a"


@pytest.mark.parametrize("uri, reason", [
    ("relative.txt", "framework home was not specified"),
    ("file://relative/x", "only supports absolute paths"),
    ("/no/such/file", "No such file or directory"),
    ("/proc/self", "Failed to open"),
    ("hdfs://host/file", "Unsupported kind of URI"),
])
def test_bad_places(box, uri, reason):
    assert reason in box.fail({"value": uri})


def test_a_fifo_does_not_hold_it(box, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert "not a regular file" in box.fail({"value": str(tmp_path / "fifo")})


@pytest.mark.parametrize("uri, reason", [
    ({"value": "http://host"}, "Malformed URI (missing path)"),
    ({"value": "http://host/"}, "Malformed URI (missing path)"),
    ({"value": "/tmp/it's"}, "Illegal characters in URI"),
    ({"value": "/tmp/.."}, "Malformed URI"),
    ({"value": "/etc/passwd", "output_file": "/tmp/x"}, "must be within the sandbox"),
    ({"value": "/etc/passwd", "output_file": "a/../../x"}, "must be within the sandbox"),
    ({"value": "/etc/passwd", "output_file": ""}, "output file path is empty"),
])
def test_refused_before_anything_runs(box, uri, reason):
    outcome = box.run(("one", [uri]))["one"]
    assert outcome["reason"] == LAUNCH_FAILED
    assert outcome["message"].startswith("Failed to launch container: Could not fetch: ")
    assert reason in outcome["message"]


# ---- what becomes of it ----

@pytest.mark.parametrize("name, body", [
    ("a.tar", make_tar("w", in_it=b"x", a_script=b"#!/bin/sh\necho hi\n")),
    ("a.tgz", make_tar("w:gz", in_it=b"x", a_script=b"#!/bin/sh\necho hi\n")),
    ("a.tar.gz", make_tar("w:gz", in_it=b"x", a_script=b"#!/bin/sh\necho hi\n")),
    ("a.tbz2", make_tar("w:bz2", in_it=b"x", a_script=b"#!/bin/sh\necho hi\n")),
    ("a.tar.bz2", make_tar("w:bz2", in_it=b"x", a_script=b"#!/bin/sh\necho hi\n")),
    ("a.txz", make_tar("w:xz", in_it=b"x", a_script=b"#!/bin/sh\necho hi\n")),
    ("a.tar.xz", make_tar("w:xz", in_it=b"x", a_script=b"#!/bin/sh\necho hi\n")),
    ("a.zip", make_zip(in_it=b"x")),
])
@pytest.mark.parametrize("cache", [False, True])
def test_archives(box, server, name, body, cache):
    outcome = box.run(("one", {"value": "./a_script || cat in_it",
                               "uris": [{"value": server.put("/" + name, body), "cache": cache}]}))["one"]
    assert outcome["status"] == 0, box.read("one", "stderr")
    assert box.read("one", "in_it") == "x"
    assert box.read("one", "stdout") == ("x" if name == "a.zip" else "hi\n")
    assert (box.path / "one" / name).exists() == (not cache)


@pytest.mark.parametrize("cache", [False, True])
def test_gzip_alone(box, server, cache):
    sandbox = box.fetch({"value": server.put("/data.txt.gz", gzip.compress(b"unpacked")), "cache": cache})
    assert (sandbox / "data.txt").read_bytes() == b"unpacked"


def test_not_extracted(box, server):
    body = make_tar("w:gz", in_it=b"x")
    sandbox = box.fetch({"value": server.put("/a.tgz", body), "extract": False})
    assert (sandbox / "a.tgz").read_bytes() == body
    assert not (sandbox / "in_it").exists()


@pytest.mark.parametrize("cache", [False, True])
def test_executable(box, server, cache):
    body = b"#!/bin/sh\necho ran\n"
    uri = {"value": server.put("/tool.tgz", body), "executable": True, "cache": cache}
    outcome = box.run(("one", {"value": "./tool.tgz", "uris": [uri]}))["one"]
    assert outcome["status"] == 0
    assert box.read("one", "stdout") == "ran\n"
    assert stat.S_IMODE((box.path / "one" / "tool.tgz").stat().st_mode) == 0o755


@pytest.mark.parametrize("cache", [False, True])
def test_output_file(box, server, cache):
    uri = {"value": server.put("/x", make_tar("w", in_it=b"x")), "output_file": "sub/dir/b.tar", "cache": cache}
    sandbox = box.fetch(uri)
    assert (sandbox / "in_it").read_bytes() == b"x"
    assert (sandbox / "sub" / "dir").is_dir()


@pytest.mark.parametrize("name, body", [("a.tgz", b"no archive"), ("a.gz", b"plain text"), ("a.zip", b"PK\3\4 broken")])
def test_broken_archives(box, server, name, body):
    assert "Failed to extract" in box.fail({"value": server.put("/" + name, body)})


def test_truncated_archive(box, server):
    body = make_tar("w:gz", in_it=os.urandom(100000))
    assert "Failed to extract" in box.fail({"value": server.put("/a.tgz", body[:50000])})


def escaping_tar(kind, path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("way")
        if kind == "dotdot":
            info.name = "../escaped"
        elif kind == "absolute":
            info.name = path + "/escaped"
        elif kind == "symlink":
            info.type, info.linkname = tarfile.SYMTYPE, path
            tar.addfile(info)
            info = tarfile.TarInfo("way/escaped")
        elif kind == "hardlink":
            info.type, info.linkname = tarfile.LNKTYPE, path + "/victim"
            tar.addfile(info)
            info = tarfile.TarInfo("way")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"bad"))
    return out.getvalue()


@pytest.mark.parametrize("kind", ["dotdot", "absolute", "symlink", "hardlink"])
def test_archives_stay_in_the_sandbox(box, server, kind):
    (box.path / "victim").write_text("good")
    body = escaping_tar(kind, str(box.path))
    assert "Failed to extract" in box.fail({"value": server.put("/a.tar", body)})
    assert not (box.path / "escaped").exists()
    assert (box.path / "victim").read_text() == "good"


def test_downloads_do_not_follow_links_out(box, server):
    (box.path / "outside").mkdir()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, target in (("way", str(box.path / "outside")), ("file", str(box.path / "outside" / "file"))):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    archive = {"value": server.put("/a.tar", out.getvalue())}
    box.fail(archive, {"value": server.put("/x", b"bad"), "output_file": "way/escaped"})
    box.fail(archive, {"value": server.put("/file", b"bad")})
    assert list((box.path / "outside").iterdir()) == []


# ---- as whom ----

@pytest.mark.root
def test_as_the_user(box, server, tmp_path):
    os.chmod(tmp_path, 0o755)
    for parent in tmp_path.parents:  # the user must be able to come to the sandbox by its path
        if parent.stat().st_uid == 0 and str(parent) != "/" and str(parent).startswith("/tmp/pytest"):
            os.chmod(parent, 0o755)
    secret = tmp_path / "secret"
    secret.write_text("root's own")
    secret.chmod(0o600)
    options = ["user=nobody"]
    sandbox = box.fetch({"value": server.put("/a.txt", b"a"), "cache": True}, options=options)
    assert (sandbox / "a.txt").stat().st_uid == 65534
    assert (box.path / "cache" / "nobody").stat().st_uid == 65534
    assert "Permission denied" in box.fail({"value": str(secret)}, options=options)


# ---- the cache ----

def test_fetched_once(box, server):
    uri = [{"value": server.put("/a.txt", b"cached"), "cache": True}]
    box.run(("one", uri), "then", ("two", uri), ("three", uri))
    assert server.requests == ["/a.txt"]
    assert [box.read(name, "a.txt") for name in ("one", "two", "three")] == ["cached"] * 3
    assert box.metrics == {"succeeded": 3, "failed": 0, "cache_used": 6, "cache_total": 1 << 20}
    assert box.cache_files() == ["c1-a.txt"]


def test_many_at_once_fetch_once(box, server):
    uri = [{"value": server.put("/slow.txt", b"cached"), "cache": True}]
    names = ["n%d" % i for i in range(8)]
    outcomes = box.run(*[(name, uri) for name in names])
    assert all(outcome["status"] == 0 for outcome in outcomes.values())
    assert server.requests == ["/slow.txt"]
    assert all(box.read(name, "slow.txt") == "cached" for name in names)


def test_two_fetches_that_want_what_the_other_has(box, server):
    a = {"value": server.put("/slow-a", b"a"), "cache": True}
    b = {"value": server.put("/slow-b", b"b"), "cache": True}
    outcomes = box.run(("one", [a, b]), ("two", [b, a]))
    assert all(outcome["status"] == 0 for outcome in outcomes.values())
    assert sorted(server.requests) == ["/slow-a", "/slow-b"]


def test_the_same_uri_twice(box, server):
    uri = {"value": server.put("/a.txt", b"a"), "cache": True}
    sandbox = box.fetch(uri, {**uri, "output_file": "b.txt"})
    assert (sandbox / "a.txt").read_text() == (sandbox / "b.txt").read_text() == "a"
    assert server.requests == ["/a.txt"]


def test_a_failed_download_is_not_cached(box, server):
    uri = [{"value": server.url + "/later.txt", "cache": True}]
    outcomes = box.run(("one", uri), ("two", uri), ("three", uri))
    assert {outcome["reason"] for outcome in outcomes.values()} == {LAUNCH_FAILED}
    assert box.metrics["cache_used"] == 0
    assert box.cache_files() == []


def test_eviction_of_the_least_recently_used(box, server):
    a, b, c = ([{"value": server.put("/" + name, name.encode() * 400), "cache": True}] for name in "abc")
    box.run(("1", a), "then", ("2", b), "then", ("3", a), "then", ("4", c), "then", ("5", a), "then", ("6", b),
            options=["cache=1000"])
    assert server.requests == ["/a", "/b", "/c", "/b"]
    assert box.metrics["cache_used"] == 800


def test_what_does_not_fit_goes_past_the_cache(box, server):
    uri = [{"value": server.put("/big", b"x" * 5000), "cache": True}]
    box.run(("one", uri), "then", ("two", uri), options=["cache=1000"])
    assert server.requests == ["/big", "/big"]
    assert box.read("two", "big") == "x" * 5000
    assert "past the cache" in box.read("two", "stderr")
    assert box.cache_files() == []


def test_of_unknown_length_goes_past_the_cache(box, server):
    sandbox = box.fetch({"value": server.put("/unsized", b"x"), "cache": True})
    assert (sandbox / "unsized").read_bytes() == b"x"
    assert box.metrics["cache_used"] == 0


def test_local_files_are_cached_too(box, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    sandbox = box.fetch({"value": str(tmp_path / "a.txt"), "cache": True})
    assert (sandbox / "a.txt").read_text() == "a"
    assert box.cache_files() == ["c1-a.txt"]


def test_a_new_agent_empties_the_cache(box, server):
    box.fetch({"value": server.put("/a.txt", b"a"), "cache": True})
    (box.path / "cache" / "somebody's own").write_text("stays")
    box.run(("two", {"value": "true"}))
    assert box.cache_files() == ["somebody's own"]
