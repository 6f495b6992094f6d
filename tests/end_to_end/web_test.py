# SPDX-License-Identifier: Apache-2.0
"""The hub's page in a real Chromium, with real hubs, hosts and jobs behind it. What is tried in it lies in web/test: each
file there runs in node with the fleet's addresses, tokens and jobs in GERES_PAGE, and may have the fleet changed by calls
to the control address: see Control."""
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest
import urllib.request

from browser import CHROMIUM
from fleet import Fleet, nobody, wait_until

WEB = pathlib.Path(__file__).parent.parent.parent / "web"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAFUlEQVR42mNk+M+AF4wqGFUwqoDqCgC9QhP9hXuiagAAAABJRU5ErkJggg=="
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"
LEAVES = f"""set -e
echo '{PNG}' | base64 -d > $GERES_OUTPUT_DIR/picture.png
echo 'hello from a file' > $GERES_OUTPUT_DIR/notes.txt
echo '<script>document.title="taken";fetch("/v1/tokens")</script><h1>hostile</h1>' > $GERES_OUTPUT_DIR/page.html
echo '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(3)"/>' > $GERES_OUTPUT_DIR/drawing.svg
touch "$GERES_OUTPUT_DIR/<img src=x onerror=alert(1)>.txt"
ln -s /etc/passwd $GERES_OUTPUT_DIR/link
printf '%s' '{EVIL}' > $GERES_RESULT
i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo "line $i of a long log"; done
"""
POOL = {"mode": "observe", "provider": {"name": "local"}, "policy": {"name": "messageWaitingTime", "wait": "5s"},
        "template": {"labels": {"gpu": "a100"}}, "limits": {"maximum": 3, "interval": "1s"}}


class Control(http.server.BaseHTTPRequestHandler):
    """POST /restart: the hub stops and comes back; /submit?N: so many jobs more; /sicken: a host is sick; /mend: what failed would go well now."""
    def log_message(self, *words):
        pass

    def do_POST(self):
        answer = getattr(self.server.test, "control_" + self.path[1:].split("?")[0])(*self.path.split("?")[1:])
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def built(directory):
    """The page, built into a directory."""
    subprocess.run(["npm", "run", "build", "--silent"], cwd=WEB, check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "GERES_WEB_OUT": str(directory)})
    return directory


@unittest.skipUnless(CHROMIUM and (WEB / "node_modules/playwright-core").exists(), "no Chromium, or no ./dev setup")
class WebTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = Fleet().__enter__()
        try:
            cls.prepare()
        except BaseException as error:
            cls.fleet.__exit__(type(error), error, None)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.control.shutdown()
        if cls.server:
            cls.server.kill()
            cls.server.wait()
        cls.fleet.__exit__(None, None, None)

    @classmethod
    def prepare(cls):
        fleet = cls.fleet
        user = nobody() if os.geteuid() == 0 else None
        cls.hub = fleet.hub()
        fleet.host("well", "--slots", "2", user=user)
        fleet.push_shell()
        fleet.push_shell("acme")
        fleet.ended(fleet.shell("true"))
        cls.mended = fleet.directory / "mended"
        jobs = cls.make_jobs()
        fleet.host("sick", "--slots", "8", "--label", "zone=eu", user=user)
        for entry in fleet.host_data("sick").iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        cls.control_sicken()
        fleet.api("PUT", "/v1/scaler/pools/gpus", POOL)
        wait_until(lambda: fleet.api("GET", "/v1/scaler/decisions?changed=true")["items"], "something is decided")
        fleet.api("POST", "/v1/webhooks", {"tenant": "demo", "name": "hook", "url": "https://hook.example/?q=<b>", "types": ["geres.job.failed"]})
        tokens = {"admin": (fleet.data / "admin.token").read_text().strip()}
        for name, role, tenants in (("viewer", "viewer", ["demo"]), ("submitter", "submitter", ["demo"]), ("operator", "operator", None),
                                    ("stranger", "viewer", ["other"])):
            body = {"name": name, "roles": [role], **({"tenants": tenants} if tenants else {})}
            tokens[name] = fleet.api("POST", "/v1/tokens", body)["token"]
        cls.served()
        control = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Control)
        control.test, cls.control = cls, control
        threading.Thread(target=control.serve_forever, daemon=True).start()
        cls.page = {"url": cls.url, "hub": fleet.url, "byHub": cls.server is None, "tokens": tokens, "jobs": jobs, "control": f"http://127.0.0.1:{control.server_port}/",
                    "dist": str(cls.dist), "chromium": CHROMIUM, "shots": os.environ.get("GERES_PAGE_SHOTS", "")}

    @classmethod
    def make_jobs(cls):
        fleet = cls.fleet
        fleet.api("POST", "/v1/batches", {"name": "photos", "tenant": "demo"})
        failing = "echo 'convert: not a JPEG file: starts with 0x%s' >&2; exit 1"
        jobs = {
            "leaves": fleet.shell(LEAVES, name=EVIL, tags={"evil": EVIL}, ref=EVIL, key="k" + EVIL),
            "evil": fleet.shell(f"echo '{EVIL}' >&2; exit 3", name="fails with markup", maxAttempts=1),
            "pictures": [fleet.shell(failing % f"{i:04x}", name=f"IMG_{i}", batch="photos", maxAttempts=1) for i in range(5)],
            "mendable": [fleet.shell(f"test -e {cls.mended} || {{ echo 'price list is missing for day {i}' >&2; exit 2; }}", name=f"prices-{i}", maxAttempts=1,
                                     tags={"region": "eu"}) for i in range(3)],
            "tries": fleet.shell("echo once more >&2; exit 4", name="tries", maxAttempts=3, backoff={"initial": "50ms"}),
            "acme": fleet.shell("echo secret of acme", tenant="acme", name="secret-of-acme"),
        }
        fleet.api("POST", "/v1/jobs", [{"tenant": "demo", "type": "Shell", "package": "shell", "name": f"many-{i}", "batch": "photos", "parameters": {"script": "true"}} for i in range(400)])
        for job in [jobs["leaves"], jobs["evil"], jobs["tries"], jobs["acme"], *jobs["pictures"], *jobs["mendable"]]:
            fleet.ended(job)
        wait_until(lambda: fleet.api("GET", "/v1/status")["jobs"]["ready"] == 0, "all that can has run")
        jobs["waits"] = fleet.submit(type="Shell", package="shell", name="needs-a-gpu", parameters={"script": "true"}, requires={"labels": {"gpu": "a100"}})
        jobs["runs"] = fleet.shell("i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.2; done", name="runs on and on")
        fleet.in_state(jobs["runs"], "running")
        return jobs

    @classmethod
    def served(cls):
        """By the hub itself where it has the page, else, or with GERES_PAGE_DEV=1, by the server that the page is made with."""
        asked = urllib.request.Request(fleet_url(cls.fleet), headers={"Accept": "text/html"})
        text = urllib.request.urlopen(asked).read().decode()
        cls.dist = built(cls.fleet.directory / "web")
        cls.server, cls.url = None, fleet_url(cls.fleet)
        if 'id="app"' in text and not os.environ.get("GERES_PAGE_DEV"):
            return
        token = cls.fleet.data / "admin.token"
        cls.server = subprocess.Popen(["node", WEB / "dev/serve.mjs", "--hub", cls.fleet.url, "--token-file", token, "--port", "0", "--dir", cls.dist],
                                      stdout=subprocess.PIPE, text=True)
        cls.url = re.match(r"http\S+", cls.server.stdout.readline()).group(0)

    @classmethod
    def control_restart(cls):
        cls.hub.terminate()
        cls.hub = cls.fleet.hub()
        return {}

    @classmethod
    def control_submit(cls, n):
        return cls.fleet.api("POST", "/v1/jobs", [{"tenant": "demo", "type": "Shell", "package": "shell", "name": "news", "parameters": {"script": "true"}}] * int(n))

    @classmethod
    def control_sicken(cls):
        """The host whose directory is gone is found to be sick, which a hub that was started again has to learn."""
        cls.control_submit(40)
        wait_until(lambda: any(h["name"] == "sick" and h["health"]["state"] != "well" for h in cls.fleet.hosts()), "a host is sick")
        return {}

    @classmethod
    def control_mend(cls):
        cls.mended.touch()
        return {}

    def try_in_browser(self, name):
        done = subprocess.run(["node", "--test", "--test-reporter=spec", WEB / "test" / f"{name}.test.mjs"], capture_output=True, text=True, timeout=150,
                              env={**os.environ, "GERES_PAGE": json.dumps(self.page), "NO_COLOR": "1"}, cwd=WEB)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])

    def test_parts(self):
        self.try_in_browser("parts")

    def test_pages(self):
        self.try_in_browser("pages")

    def test_keyboard(self):
        self.try_in_browser("keyboard")

    def test_safety(self):
        self.try_in_browser("safety")

    def test_roles(self):
        self.try_in_browser("roles")

    def test_live(self):
        self.try_in_browser("live")

    def test_choices(self):
        self.try_in_browser("choices")

    def test_walks(self):
        self.try_in_browser("walks")


def fleet_url(fleet):
    return fleet.url + "/"


if __name__ == "__main__":
    unittest.main()
