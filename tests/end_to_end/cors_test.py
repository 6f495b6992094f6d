# SPDX-License-Identifier: Apache-2.0
"""Web pages of other origins: what the hub answers to their browsers, and what a real browser lets them do."""
import http.client
import json
import os
import pathlib
import shutil
import unittest

from browser import CHROMIUM, Browser, Site
from fleet import Fleet, wait_until

SIGNALR = pathlib.Path(os.environ["GERES_TYPESCRIPT_CLIENT"]) / "node_modules/@microsoft/signalr/dist/browser/signalr.js"
PAGE = pathlib.Path(__file__).parent.parent.parent / "examples/events/browser/job.html"
APP = "https://app.example"


def ask(fleet, method, path, **headers):
    """A call without a token: (status, headers in lower case)."""
    connection = http.client.HTTPConnection(fleet.url.removeprefix("http://"), timeout=60)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def words(text):
    return {word.strip().lower() for word in text.split(",")}


class CorsTest(unittest.TestCase):
    def test_preflights_of_all_that_clients_do(self):
        with Fleet() as fleet:
            fleet.hub("--cors-origin", "http://localhost:5173", "--cors-origin", APP)
            signalr = "authorization,x-requested-with,x-signalr-user-agent"
            for method, path, sent in (("POST", "/v1/jobs", "authorization,content-type,idempotency-key"),
                                       ("PATCH", "/v1/jobs/7", "authorization,content-type"),
                                       ("PUT", "/v1/packages/demo/greet", "authorization,content-type"),
                                       ("DELETE", "/v1/webhooks/7", "authorization"),
                                       ("GET", "/v1/events", "authorization,last-event-id"),
                                       ("GET", "/v1/jobs/7/files/a.txt", "authorization,range"),
                                       ("POST", "/hubs/jobs/negotiate?negotiateVersion=1", signalr),
                                       ("POST", "/hubs/jobs?id=7", signalr + ",content-type"),
                                       ("DELETE", "/hubs/jobs?id=7", signalr)):
                with self.subTest(f"{method} {path}"):
                    status, headers = ask(fleet, "OPTIONS", path, Origin=APP, Access_Control_Request_Method=method,
                                          Access_Control_Request_Headers=sent)
                    self.assertEqual(status, 204)
                    self.assertEqual(headers["access-control-allow-origin"], APP)
                    self.assertEqual(headers["access-control-allow-credentials"], "true")
                    self.assertIn(method.lower(), words(headers["access-control-allow-methods"]))
                    self.assertLessEqual(words(sent), words(headers["access-control-allow-headers"]))
                    self.assertGreater(int(headers["access-control-max-age"]), 0)
                    self.assertEqual(headers["vary"], "Origin")
            for origin in ("https://other.example", "null"):
                status, headers = ask(fleet, "OPTIONS", "/v1/jobs", Origin=origin, Access_Control_Request_Method="POST")
                self.assertNotIn("access-control-allow-origin", headers)

    def test_pages_may_read_answers_and_refusals(self):
        with Fleet() as fleet:
            fleet.hub("--cors-origin", APP)
            status, headers, made = fleet.call("POST", "/v1/jobs", {"tenant": "demo", "type": "Gone", "delay": "1h"},
                                               headers={"Origin": APP})
            self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (201, APP))
            self.assertLessEqual({"location", "idempotency-replayed", "retry-after"},
                                 words(headers["Access-Control-Expose-Headers"]))
            for path, token, expected in (("/v1/jobs/" + made["id"], "wrong", 401), ("/v1/jobs/7", None, 404),
                                          ("/nowhere", None, 404), ("/v1/events?type=nonsense", None, 422)):
                status, headers, _ = fleet.call("GET", path, token=token, headers={"Origin": APP})
                self.assertEqual((status // 100, headers["Access-Control-Allow-Origin"]), (expected // 100, APP), path)
            status, headers, _ = fleet.call("GET", "/v1/jobs/" + made["id"], headers={"Origin": "https://other.example"})
            self.assertEqual(status, 200)
            self.assertEqual([name for name in headers if name.startswith("Access-Control")], [])
            self.assertEqual(headers["Vary"], "Origin")

    def test_pages_may_read_every_header_of_our_own(self):
        with Fleet() as fleet:
            fleet.up("--cors-origin", APP)
            fleet.push_shell()
            job = fleet.shell("echo hello")
            fleet.ended(job)
            for path, own in ((f"/v1/jobs/{job}/log", {"geres-attempt", "geres-offset"}),
                              ("/v1/packages/demo/shell", {"geres-package-version"})):
                status, headers, _ = fleet.call("GET", path, headers={"Origin": APP})
                self.assertEqual(status, 200, path)
                self.assertEqual({name.lower() for name in headers if name.lower().startswith("geres-")}, own)
                self.assertLessEqual(own, words(headers["Access-Control-Expose-Headers"]), path)

    def test_without_the_flag_there_is_nothing_of_it(self):
        with Fleet() as fleet:
            fleet.hub()
            for method, path in (("OPTIONS", "/v1/jobs"), ("GET", "/v1/jobs"), ("GET", "/healthz")):
                _, headers = ask(fleet, method, path, Origin=APP, Access_Control_Request_Method="POST")
                self.assertEqual([name for name in headers if name.startswith("access-control") or name == "vary"], [])

    def test_refuses_what_is_no_origin(self):
        with Fleet() as fleet:
            for command in ("hub", "up"):
                for bad, why in (("*", "name each origin"), ("app.example", "https://"), (APP + "/", "without '/'"),
                                 (APP + ":443", "without ':443'"), ("https://*.example", "not a host"), ("null", "https://")):
                    done = fleet.cli(command, "--data", fleet.data, "--listen", "127.0.0.1:0", "--cors-origin", bad,
                                     check=False)
                    self.assertEqual(done.returncode, 2, (command, bad, done.stderr))
                    self.assertIn(f"--cors-origin '{bad}'", done.stderr)
                    self.assertIn(why, done.stderr)
                    self.assertIn("--cors-origin https://app.example", done.stderr)

    def test_a_token_in_a_query_is_never_logged(self):
        with Fleet() as fleet:
            hub = fleet.hub("--log", "debug", "--cors-origin", APP)
            token = fleet.api("POST", "/v1/tokens", {"name": "page", "roles": ["viewer"], "tenants": ["demo"]})["token"]
            wrong = "wrong-secret-of-a-page"
            seen = []
            for secret in (token, wrong):
                for method, path in (("GET", "/v1/events?follow=false&access_token={}"),
                                     ("GET", "/v1/events?type=nonsense&access_token={}"),
                                     ("OPTIONS", "/v1/events?access_token={}"),
                                     ("POST", "/hubs/jobs/negotiate?negotiateVersion=1&access_token={}"),
                                     ("GET", "/hubs/jobs?id=7&access_token={}"),
                                     ("DELETE", "/hubs/jobs?id=7&access_token={}"),
                                     ("GET", "/v1/jobs?access_token={}"),
                                     ("GET", "/nowhere?access_token={}"),
                                     ("GET", "/v1/events?access_token={}%00"),
                                     ("BREW", "/v1/events?access_token={}")):
                    seen.append(ask(fleet, method, path.format(secret), Origin=APP)[0])
            self.assertIn(200, seen, "the token counts")
            self.assertIn(401, seen)
            hub.terminate()
            log = hub.text()
            self.assertIn("/hubs/jobs/negotiate", log, "calls are logged")
            self.assertNotIn(token, log)
            self.assertNotIn(wrong, log)
            self.assertNotIn("access_token", log)


@unittest.skipUnless(CHROMIUM, "there is no chromium: ./dev setup")
class BrowserTest(unittest.TestCase):
    """A page on one port, the hub on another: two origins."""

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.__exit__)

    def site(self, fleet):
        directory = fleet.directory / "site"
        directory.mkdir()
        shutil.copy(PAGE, directory)
        shutil.copy(SIGNALR, directory)
        (directory / "blank.html").write_text('<script src="signalr.js"></script>')
        site = Site(directory)
        self.addCleanup(site.__exit__)
        return site

    def viewer(self, fleet):
        return fleet.api("POST", "/v1/tokens", {"name": "page", "roles": ["viewer"], "tenants": ["demo"]})["token"]

    def held_job(self, fleet):
        """A job that says half and then waits for the gate."""
        gate = fleet.directory / "gate"
        script = f'echo "50 half" > $GERES_PROGRESS; while [ ! -e {gate} ]; do sleep 0.05; done; echo done > $GERES_RESULT'
        return fleet.shell(script), gate

    def test_the_example_shows_a_job_as_it_goes(self):
        with Fleet() as fleet:
            site = self.site(fleet)
            fleet.up("--cors-origin", site.origin)
            fleet.push_shell()
            job, gate = self.held_job(fleet)
            page = self.browser.open(f"{site.origin}/job.html#hub={fleet.url}&job={job}&token={self.viewer(fleet)}")
            wait_until(lambda: page.text("message") == "half", "the page shows progress")
            self.assertEqual(page.value("document.getElementById('bar').value"), 50)
            self.assertIn("running on", page.text("state"))
            gate.touch()
            wait_until(lambda: page.text("state") == "finished", "the page shows the end")
            self.assertEqual(page.text("result"), "done\n")
            stranger = self.browser.open(f"{site.origin}/job.html#hub={fleet.url}&job={job}&token=wrong")
            wait_until(lambda: stranger.text("state") == "refused", "the page shows that its token is wrong")

    def test_a_page_of_an_origin_that_was_not_named_hears_nothing(self):
        with Fleet() as fleet:
            site = self.site(fleet)
            fleet.up("--cors-origin", APP)
            job = fleet.submit(type="Gone", delay="1h")
            page = self.browser.open(f"{site.origin}/job.html#hub={fleet.url}&job={job}&token={self.viewer(fleet)}")
            wait_until(lambda: page.text("state") == "refused", "the browser withholds the stream")

    def test_pages_call_the_api_and_signalr(self):
        with Fleet() as fleet:
            site = self.site(fleet)
            fleet.up("--cors-origin", site.origin)
            fleet.push_shell()
            token = fleet.api("POST", "/v1/tokens", {"name": "app", "roles": ["submitter"], "tenants": ["demo"]})["token"]
            page = self.browser.open(f"{site.origin}/blank.html")
            submit = """
                const answer = await fetch(hub + "/v1/jobs", {method: "POST", body: JSON.stringify(spec), headers: {
                    "Authorization": "Bearer " + token, "Content-Type": "application/json", "Idempotency-Key": "one"}});
                return [answer.status, answer.headers.get("Location")];"""
            follow = """
                const live = new signalR.HubConnectionBuilder().withUrl(hub + "/hubs/jobs", {
                    accessTokenFactory: () => token, transport: signalR.HttpTransportType[transport]}).build();
                const completed = new Promise((tell) => live.on("JobCompleted", (job) => tell(job.result)));
                await live.start();
                await live.invoke("SubscribeToJob", id);
                const result = await completed;
                await live.stop();
                return result;"""

            def run(code, **names):
                names = {"hub": fleet.url, "token": token, **names}
                constants = "".join(f"const {name} = {json.dumps(value)};" for name, value in names.items())
                return page.value("(async () => {" + constants + code + "})()")

            status, location = run(submit, spec={"type": "Shell", "package": "shell", "parameters": {
                "script": "echo from a page > $GERES_RESULT"}})
            self.assertEqual(status, 201)
            id = location.rpartition("/")[2]
            for transport in ("WebSockets", "ServerSentEvents", "LongPolling"):
                with self.subTest(transport):
                    self.assertEqual(run(follow, transport=transport, id=id), "from a page\n")


if __name__ == "__main__":
    unittest.main()
