#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Browsers at a hub behind a real proxy (nginx), which leaves the path of --public-url on or takes it off; links that
sign in; and values that are none."""
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

from fleet import Fleet, quiet_port, wait_until

NGINX = shutil.which("nginx") or ("/usr/sbin/nginx" if os.path.exists("/usr/sbin/nginx") else None)
MODULES = pathlib.Path(os.environ["GERES_TYPESCRIPT_CLIENT"]) / "node_modules"

CONFIGURATION = """
worker_processes 1; daemon off; master_process off; pid {place}/pid; error_log {place}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/f;
  uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  server {{
    listen 127.0.0.1:{port};
    location /ops/geres/ {{
      proxy_pass {hub}{path};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_buffering off;
    }}
  }}
}}
"""


class Nginx:
    """Passes /ops/geres/ on to the hub, with its path or without; Host is the hub's, as nginx has it by default."""

    def __init__(self, fleet, port, strips):
        self.place = fleet.directory / f"nginx-{strips}"
        self.place.mkdir()
        path = "/" if strips else ""
        (self.place / "conf").write_text(CONFIGURATION.format(place=self.place, port=port, hub=fleet.url, path=path))
        self.port = port

    def __enter__(self):
        self.process = subprocess.Popen([NGINX, "-p", self.place, "-c", self.place / "conf"], stderr=subprocess.DEVNULL)
        wait_until(lambda: self.listens(), "nginx listens")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def listens(self):
        try:
            self.call("GET", "/ops/geres/healthz")
            return True
        except ConnectionRefusedError:
            assert self.process.poll() is None, (self.place / "error.log").read_text()
            return False

    def call(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, text


class Socket:
    """A WebSocket of node's `ws`, line by line."""

    def __init__(self, url, cookie, origin):
        self.process = subprocess.Popen(
            ["node", pathlib.Path(__file__).with_name("live_client.mjs"), MODULES, url, cookie, origin],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def send(self, what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def hear(self, member):
        for line in self.process.stdout:
            told = json.loads(line)
            if member in told:
                return told[member]
        raise AssertionError(f"no {member}")


class Page(unittest.TestCase):
    @unittest.skipUnless(NGINX, "no nginx")
    def test_a_hub_below_a_path_of_a_proxy(self):
        port = quiet_port("127.0.0.1")
        origin = f"http://127.0.0.1:{port}"
        with Fleet() as fleet:
            fleet.hub("--public-url", f"{origin}/ops/geres/")
            token = (fleet.data / "admin.token").read_text().strip()
            has_page = "page" in fleet.api("GET", "/v1/info")
            for strips in (True, False):
                with self.subTest(strips=strips), Nginx(fleet, port, strips) as proxy:
                    self.through(fleet, proxy, origin, token)
                    if has_page:
                        self.page_through(fleet, proxy)

    def through(self, fleet, proxy, origin, token):
        base = "/ops/geres"
        status, headers, body = proxy.call("POST", base + "/v1/session", {"token": token}, Origin=origin)
        self.assertEqual(status, 201, body)
        cookie = headers["set-cookie"].split(";")[0]
        self.assertRegex(headers["set-cookie"], "^geres=[0-9a-f]{64}; Path=/ops/geres/; .*HttpOnly; SameSite=Lax$")
        spec = {"type": "Work", "tenant": "demo"}
        status, headers, body = proxy.call("POST", base + "/v1/jobs", spec, Origin=origin, Cookie=cookie)
        self.assertEqual(status, 201, body)
        job = json.loads(body)["id"]
        self.assertEqual(headers["location"].removeprefix(origin), f"{base}/v1/jobs/{job}")
        self.assertEqual(proxy.call("GET", base + f"/v1/jobs/{job}", Cookie=cookie)[0], 200)
        status, _, body = proxy.call("POST", base + "/v1/jobs", spec, Origin="https://evil.example", Cookie=cookie)
        self.assertEqual((status, json.loads(body)["code"]), (403, "foreignOrigin"))
        live = f"ws{origin.removeprefix('http')}{base}/v1/live"
        with Socket(live, cookie, "https://evil.example") as socket:
            self.assertEqual(socket.hear("refused"), 403)
        with Socket(live, cookie, origin) as socket:
            socket.hear("open")
            socket.send({"watch": {"jobs": [job], "status": True}})
            self.assertEqual(socket.hear("job")["state"], "ready")
            fleet.api("POST", f"/v1/jobs/{job}/cancel", {})
            self.assertEqual(socket.hear("job")["state"], "cancelled")
            self.assertEqual(proxy.call("DELETE", base + "/v1/session", Cookie=cookie, Origin=origin)[0], 204)
            self.assertEqual(socket.hear("closed"), 4401)
        self.assertEqual(proxy.call("GET", base + "/v1/session", Cookie=cookie)[0], 401)

    def page_through(self, fleet, proxy):
        for path in ("/", "/jobs/1", "/settings"):
            status, headers, body = proxy.call("GET", "/ops/geres" + path, Accept="text/html")
            self.assertEqual(status, 200)
            self.assertIn(b'<base href="/ops/geres/">', body)
            self.assertIn("default-src 'none'", headers["content-security-policy"])
        for asset in re.findall(rb'(?:src|href)="(?:\./)?(assets/[^"]+)"', body):
            status, headers, _ = proxy.call("GET", "/ops/geres/" + asset.decode())
            self.assertEqual(status, 200, asset)
            self.assertIn("immutable", headers["cache-control"])

    def test_links_that_sign_in(self):
        with Fleet() as fleet:
            fleet.hub("--public-url", "https://jobs.example/ops/")
            made = fleet.api("POST", "/v1/session/codes")
            self.assertEqual(made["page"], "https://jobs.example/ops/")
            for expected in (201, 401):
                status, _, _ = fleet.call("POST", "/v1/session", {"code": made["code"]}, token="")
                self.assertEqual(status, expected)
            job = fleet.submit(type="Work")
            shown = fleet.cli("job", "show", job, "--web", check=False)
            link = fleet.cli("web", check=False)
            if "page" not in fleet.api("GET", "/v1/info"):
                for done in (shown, link):
                    self.assertEqual(done.returncode, 1, done)
                    self.assertIn("this hub has no page", done.stderr)
                return
            self.assertEqual(shown.stdout, f"https://jobs.example/ops/jobs/{job}\n")
            self.assertRegex(link.stdout, r"^https://jobs\.example/ops/#login=[0-9a-f]{32}\n$")

    def test_addresses_that_no_browser_could_use(self):
        with Fleet() as fleet:
            for bad in ("jobs.example", "ftp://jobs.example", "https://", "https://Jobs.example", "https://a.example:443",
                        "https://u@a.example/", "https://a.example/?x", "https://a.example/x#y", "https://a.example//x",
                        "https://a.example/../x", "https://a.example/a b", "https://a.example/v1/",
                        "https://a.example/assets", "https://a.example/\"><script>"):
                for command in ("hub", "up"):
                    with self.subTest(bad=bad, command=command):
                        done = fleet.cli(command, "--data", fleet.data, "--listen", "127.0.0.1:0", "--public-url", bad,
                                         check=False)
                        self.assertEqual(done.returncode, 2, done)
                        self.assertIn(f"--public-url '{bad}'", done.stderr)
                        self.assertIn("--public-url https://jobs.example.com", done.stderr)


if __name__ == "__main__":
    unittest.main()
