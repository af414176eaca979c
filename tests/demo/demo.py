# SPDX-License-Identifier: Apache-2.0
"""The first run of a job: ./dev demo

Starts a master and an agent (mesos-local), runs the tutorial's two tasks through a pymesos framework and one
through mesos-execute, shows their status lines and what they wrote into their sandboxes, and ends. With --keep
the cluster stays until Ctrl-C. Exits with 0 when all of that worked.
"""

import argparse
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(ROOT, "build", "bin")


def say(text):
    print("\n== " + text, flush=True)


def find_port(wanted, count=2):
    """`wanted`, where it and those behind it are free; otherwise others."""
    for port in [wanted] + list(range(15050, 16000, 10)):
        sockets = []
        try:
            for offset in range(count):
                s = socket.socket()
                sockets.append(s)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", port + offset))
            return port
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    sys.exit("no free port was found")


def get_json(address, path):
    with urllib.request.urlopen("http://%s%s" % (address, path), timeout=5) as answer:
        return json.load(answer)


def wait_ready(cluster, address, seconds=30):
    """True when the master counts an active agent."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and cluster.poll() is None:
        try:
            if get_json(address, "/metrics/snapshot").get("master/slaves_active", 0) >= 1:
                return True
        except OSError:
            pass
        time.sleep(0.05)
    return False


def show_sandboxes(work_dir):
    """Prints every task's stdout; returns all of them as one text."""
    texts = []
    pattern = os.path.join(work_dir, "**", "frameworks", "*", "executors", "*", "runs", "latest", "stdout")
    for path in sorted(glob.glob(pattern, recursive=True)):
        if "/meta/" in path:
            continue
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
        texts.append(text)
        print(path)
        for line in text.splitlines():
            print("    " + line)
    return "".join(texts)


def run_jobs(address, directory, work_dir):
    """What went wrong, as a list of sentences."""
    wrong = []
    say("The tutorial's framework, on pymesos: `echo HelloWorld` and `mkdir %s`" % directory)
    if subprocess.run([sys.executable, os.path.join(ROOT, "tests", "demo", "tutorial.py"), "--master=" + address,
                       "--directory=" + directory], stdin=subprocess.DEVNULL, timeout=120, check=False).returncode != 0:
        wrong.append("the tutorial's tasks did not finish")
    if not os.path.isdir(directory):
        wrong.append("the second task's directory is not there")

    say("One task from the shell: mesos-execute")
    if subprocess.run([os.path.join(BIN, "mesos-execute"), "--master=" + address, "--name=echo-test",
                       "--command=echo \"Hello, World\""], stdin=subprocess.DEVNULL, timeout=120,
                      check=False).returncode != 0:
        wrong.append("mesos-execute did not end with 0")

    say("What the tasks wrote, in their sandboxes")
    written = show_sandboxes(work_dir)
    for line in ("HelloWorld", "Hello, World"):
        if line not in written.splitlines():
            wrong.append("no sandbox holds the line '%s'" % line)
    return wrong


def main():
    parser = argparse.ArgumentParser(prog="demo")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running until Ctrl-C")
    parser.add_argument("--port", type=int, default=5050)
    options = parser.parse_args()

    place = tempfile.mkdtemp(prefix="meseta-demo-")
    os.chmod(place, 0o755)
    work_dir = os.path.join(place, "work")
    address = "127.0.0.1:%d" % find_port(options.port)
    say("Starting a master and an agent: mesos-local")
    with open(os.path.join(place, "mesos-local.log"), "wb") as log:
        cluster = subprocess.Popen([os.path.join(BIN, "mesos-local"), "--port=" + address.split(":")[1],
                                    "--work_dir=" + work_dir], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        if not wait_ready(cluster, address):
            wrong = ["the cluster did not start"]
        else:
            print("The dashboard is on http://%s/" % address)
            wrong = run_jobs(address, os.path.join(place, "made-by-a-task"), work_dir)
            if not wrong and options.keep:
                say("The cluster goes on until Ctrl-C; the dashboard is on http://%s/" % address)
                try:
                    cluster.wait()
                except KeyboardInterrupt:
                    pass
    except subprocess.TimeoutExpired as error:
        wrong = ["%s took too long" % error.cmd[0]]
    finally:
        cluster.send_signal(signal.SIGTERM)
        try:
            status = cluster.wait(30)
        except subprocess.TimeoutExpired:
            cluster.kill()
            status = cluster.wait()
    if status != 0:
        wrong.append("mesos-local ended with %d" % status)
    if wrong:
        for path in sorted(glob.glob(os.path.join(place, "**", "*.log"), recursive=True)):
            with open(path, encoding="utf-8", errors="replace") as file:
                print("-- %s\n%s" % (path, file.read()[-4000:]))
    shutil.rmtree(place, ignore_errors=True)
    say("All of it worked." if not wrong else "Not all of it worked: " + "; ".join(wrong) + ".")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
