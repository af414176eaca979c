# SPDX-License-Identifier: Apache-2.0
"""A real Chromium over its DevTools pipe: opens pages, runs scripts in them, presses keys, takes pictures.

It notes what a test must not see: messages on the console, exceptions, and every address that was asked for.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
         "--disable-dev-shm-usage", "--remote-debugging-pipe", "--force-device-scale-factor=1",
         "--disable-features=Translate,OptimizationHints,MediaRouter,SpareRendererForSitePerProcess", "--lang=en-GB"]
PATIENCE = float(os.environ.get("MESETA_PATIENCE", "1"))

KEYS = {"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "Home": 36, "End": 35, "Tab": 9}


class Browser:
    """One Chromium process with a profile of its own."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="meseta-chromium-")
        to_read, self.to_write = os.pipe()
        self.from_read, from_write = os.pipe()

        def place():  # the pipe's ends are descriptors 3 and 4 there
            source = os.dup(to_read), os.dup(from_write)
            os.dup2(source[0], 3)
            os.dup2(source[1], 4)

        self.process = subprocess.Popen(
            [CHROMIUM, *FLAGS, "--user-data-dir=" + self.profile, "about:blank"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=place, close_fds=False,
            start_new_session=True)
        os.close(to_read)
        os.close(from_write)
        self.lock = threading.Condition()
        self.answers = {}
        self.events = []
        self.sinks = {}
        self.last = 0
        self.ended = False
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        waiting = b""
        while True:
            try:
                data = os.read(self.from_read, 1 << 20)
            except OSError:
                data = b""
            if not data:
                with self.lock:
                    self.ended = True
                    self.lock.notify_all()
                return
            waiting += data
            *messages, waiting = waiting.split(b"\0")
            for text in messages:
                message = json.loads(text)
                with self.lock:
                    if "id" in message:
                        self.answers[message["id"]] = message
                        self.lock.notify_all()
                    else:
                        sink = self.sinks.get(message.get("sessionId"))
                        if sink:
                            sink(message)

    def call(self, method, session=None, **params):
        with self.lock:
            self.last += 1
            number = self.last
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to_write, data):]
        with self.lock:
            if not self.lock.wait_for(lambda: number in self.answers or self.ended, 60 * PATIENCE):
                raise AssertionError("Chromium does not answer %s" % method)
            if number not in self.answers:
                raise AssertionError("Chromium ended during %s" % method)
            answer = self.answers.pop(number)
        if "error" in answer:
            raise AssertionError("%s: %s" % (method, answer["error"].get("message")))
        return answer["result"]

    def page(self, width=1280, height=900, **options):
        return Page(self, width, height, **options)

    def close(self):
        try:
            self.call("Browser.close")
        except (AssertionError, OSError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # its helpers are in a session of its own
        except ProcessLookupError:
            pass
        self.process.wait()
        self.thread.join(10)
        os.close(self.to_write)
        os.close(self.from_read)
        for _ in range(20):
            shutil.rmtree(self.profile, ignore_errors=True)
            if not os.path.exists(self.profile):
                break
            time.sleep(0.1)


class Page:
    """One tab, in a context of its own: nothing is stored or cached from others."""

    def __init__(self, browser, width, height, dark=False, phone=False, reduced_motion=True):
        self.browser = browser
        self.console = []  # texts of warnings, errors and exceptions
        self.requests = []  # addresses
        self.context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=self.context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        browser.sinks[self.session] = self.note
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")
        self.resize(width, height, phone)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if reduced_motion else "no-preference"}])

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def note(self, message):
        method, params = message["method"], message["params"]
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.console.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.console.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.console.append("%s %s" % (params["entry"]["text"], params["entry"].get("url", "")))

    def resize(self, width, height, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def open(self, url):
        self.call("Page.navigate", url=url)

    def run(self, script):
        """The value of an expression, or of a promise, in the page."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError("%s: %s" % (script[:200], answer["exceptionDetails"].get("exception", {}).get(
                "description", answer["exceptionDetails"]["text"])))
        return answer["result"].get("value")

    def wait(self, script, what=None, timeout=15.0):
        """The first value of the expression that counts as true."""
        deadline = time.monotonic() + timeout * PATIENCE
        while True:
            try:
                value = self.run(script)
            except AssertionError:  # the page is just being replaced
                if time.monotonic() > deadline:
                    raise
                value = None
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError("waited in vain for %s; the page shows: %s\nconsole: %s" % (
                    what or script, self.run("document.body.innerText")[:1500], self.console))
            time.sleep(0.03)

    def wait_text(self, text, where="document.body", timeout=15.0):
        self.wait("%s?.innerText.includes(%s)" % (where, json.dumps(text)), "the text " + text, timeout)

    def text(self, selector="body"):
        return self.run("document.querySelector(%s)?.innerText" % json.dumps(selector))

    def rows(self, selector):
        """The rows of a table as lists of their cells' texts."""
        return self.run("[...document.querySelectorAll(%s)].map((row) => [...row.cells].map((c) => c.innerText.trim()))"
                        % json.dumps(selector + " tr[data-row]"))

    def click(self, selector):
        self.wait("!!document.querySelector(%s)" % json.dumps(selector), selector)
        self.run("document.querySelector(%s).click()" % json.dumps(selector))

    def press(self, key):
        code = KEYS.get(key, ord(key[0].upper()) if len(key) == 1 else 0)
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", key=key, text=text,
                  windowsVirtualKeyCode=code)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def picture(self, path, whole=False):
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
            data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        else:
            data = self.call("Page.captureScreenshot", format="png")["data"]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def close(self):
        self.browser.sinks.pop(self.session, None)
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)
