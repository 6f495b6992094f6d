# SPDX-License-Identifier: Apache-2.0
"""A real Chromium without a window, and the origins whose pages it opens.

It is driven over a pipe by the DevTools protocol; page.value(EXPRESSION) is what JavaScript on the page says."""
import fcntl
import functools
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading

from fleet import DEADLINE, wait_until

CHROMIUM = shutil.which("chromium")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe")


class Site:
    """Serves a directory on a port of its own: an origin."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass

    def __init__(self, directory):
        handler = functools.partial(self.Handler, directory=str(directory))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()


class Browser:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="geres-browser-")
        to_read, self.to_write = os.pipe()
        self.to_read, to_write = os.pipe()

        def place():  # where --remote-debugging-pipe looks; first out of the way, should one of them be 3 or 4
            here, there = (fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (to_read, to_write))
            os.dup2(here, 3)
            os.dup2(there, 4)

        self.popen = subprocess.Popen([CHROMIUM, *FLAGS, f"--user-data-dir={self.directory}", "about:blank"],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      close_fds=False, preexec_fn=place, start_new_session=True,
                                      env={**os.environ, "HOME": self.directory})
        os.close(to_read)
        os.close(to_write)
        self.numbers, self.rest = 0, b""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        os.close(self.to_write)  # it ends when nobody drives it any more
        try:
            self.popen.wait(DEADLINE)
        finally:
            self.popen.kill()
            self.popen.wait()
            os.close(self.to_read)
            shutil.rmtree(self.directory, ignore_errors=True)

    def call(self, method, session=None, **parameters):
        self.numbers += 1
        message = {"id": self.numbers, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.to_write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.numbers:
                assert "error" not in answer, (method, answer)
                return answer["result"]

    def message(self):
        while b"\0" not in self.rest:
            piece = os.read(self.to_read, 65536)
            assert piece, "the browser has gone"
            self.rest += piece
        text, _, self.rest = self.rest.partition(b"\0")
        return json.loads(text)

    def open(self, url):
        return Page(self, url)


class Page:
    def __init__(self, browser, url):
        self.browser = browser
        target = browser.call("Target.createTarget", url=url)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        # Asked at once: the blank page before it is complete, too.
        wait_until(lambda: self.value(f"document.readyState == 'complete' && location.href == {json.dumps(url)}"),
                   f"{url} is loaded")

    def value(self, expression):
        """What the expression says; of a promise what it comes to."""
        said = self.browser.call("Runtime.evaluate", self.session, expression=expression, awaitPromise=True,
                                 returnByValue=True)
        assert "exceptionDetails" not in said, (expression, said["exceptionDetails"])
        return said["result"].get("value")

    def text(self, id):
        return self.value(f"document.getElementById({json.dumps(id)}).textContent")
