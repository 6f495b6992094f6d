# SPDX-License-Identifier: Apache-2.0
"""Webhooks with real receivers: signed, told again after trouble of all kinds, lost by no crash, and let nowhere that
they should not go."""
import base64
import contextlib
import datetime
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import re
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from fleet import DEADLINE, Fleet, quiet_port, wait_until

ALLOW = ["--webhook-allow", "127.0.0.1", "--webhook-retry", "50ms"]
PATIENCE = 9  # seconds: the hub's with a receiver is ten, beyond which it takes a call for one in vain
EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "webhook"
RECEIVER = EXAMPLE / "receiver.py"
TYPESCRIPT = pathlib.Path(os.environ["GERES_TYPESCRIPT_CLIENT"])


class Receiver:
    """Listens on loopback and answers as `answer(handler, number of the call)` says: a status, or None when it has
    answered by itself."""

    def __init__(self, answer=lambda handler, n: 204, port=0):
        self.calls, self.lock, self.answer = [], threading.Lock(), answer
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.lock:
                    outer.calls.append((self.path, dict(self.headers.items()), body))
                    n = len(outer.calls)
                status = outer.answer(self, n)
                if status:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *words):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, address):
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def serve_tls(self, context):
        """From now on: the handshake is made by the thread of each connection."""
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = self.url.replace("http://", "https://")

    def events(self):
        with self.lock:
            return [json.loads(body) for _, _, body in self.calls]

    def subjects(self, type):
        return {e["subject"] for e in self.events() if e["type"] == type}


def signature(secret, headers, body):
    """Written anew from the specification."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret[len("whsec_"):])
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


class Webhooks(unittest.TestCase):
    def create(self, fleet, receiver, **more):
        url = receiver if isinstance(receiver, str) else receiver.url
        return fleet.api("POST", "/v1/webhooks", {"tenant": "demo", "url": url, **more})

    def cancelled(self, fleet, n, tenant="demo", **spec):
        """Jobs that end at once: no host is needed for news."""
        ids = [fleet.submit(type="Gone", delay="1h", tenant=tenant, **spec) for _ in range(n)]
        for id in ids:
            fleet.api("POST", f"/v1/jobs/{id}/cancel", {})
        return ids

    def deliveries(self, fleet, hook, state):
        return fleet.api("GET", f"/v1/webhooks/{hook['id']}/deliveries?state={state}&limit=1000")["items"]

    def test_what_is_told_is_signed_and_filtered_and_the_secret_is_shown_once(self):
        with Fleet() as fleet, Receiver() as receiver, Receiver() as other:
            hub = fleet.hub(*ALLOW)
            hook = self.create(fleet, receiver, types=["geres.job.cancelled"], name="ends")
            batch = fleet.api("POST", "/v1/batches", {"name": "night", "tenant": "demo"})["id"]
            self.create(fleet, other, batches=["night"])
            ids = self.cancelled(fleet, 3)
            of_batch = self.cancelled(fleet, 1, batch=batch)
            self.cancelled(fleet, 1, tenant="strange")
            wait_until(lambda: receiver.subjects("geres.job.cancelled") >= {*ids, *of_batch}, "all ends are told")
            wait_until(lambda: other.subjects("geres.job.cancelled") >= {*of_batch}, "the batch's too")
            self.assertEqual({e["type"] for e in receiver.events()}, {"geres.job.cancelled"})
            self.assertEqual({e["tenant"] for e in receiver.events() + other.events()}, {"demo"})
            self.assertEqual({e["subject"] for e in other.events()} - {batch}, {*of_batch})
            for _, headers, body in receiver.calls:
                self.assertEqual(headers["webhook-signature"], signature(hook["secret"], headers, body))
                self.assertEqual(headers["webhook-id"], json.loads(body)["id"])
                self.assertTrue(headers["Content-Type"].startswith("application/cloudevents+json"))
            again = fleet.api("PATCH", f"/v1/webhooks/{hook['id']}", {"secret": None})
            self.assertNotEqual(again["secret"], hook["secret"])
            tested = fleet.api("POST", f"/v1/webhooks/{hook['id']}/test")
            self.assertEqual((tested["delivered"], tested["status"]), (True, 204))
            _, headers, body = receiver.calls[-1]
            self.assertEqual(json.loads(body)["type"], "geres.webhook.ping")
            self.assertEqual(headers["webhook-signature"].split(),
                             [signature(s["secret"], headers, body) for s in (again, hook)], "both, for a day")
            shown = json.dumps([fleet.api("GET", "/v1/webhooks"), fleet.api("GET", f"/v1/webhooks/{hook['id']}")])
            hub.terminate()
            for secret in (hook["secret"], again["secret"]):
                self.assertNotIn(secret, shown + hub.text())

    def test_only_some_jobs_are_told_of(self):
        with Fleet() as fleet, Receiver() as by_type, Receiver() as by_tag, Receiver() as by_both:
            hub = fleet.hub(*ALLOW)
            self.create(fleet, by_type, jobTypes=["Rotate", "Gone"], types=["geres.job.cancelled"])
            hook = fleet.cli("webhook", "create", by_tag.url, "--tenant", "demo", "--tag", "customer=7", "--tag",
                             "kind=a=b").stdout.split()[0]
            self.assertIn("customer=7,kind=a=b", fleet.cli("webhook", "show", hook).stdout)
            fleet.cli("webhook", "create", by_both.url, "--tenant", "demo", "--job-type", "Rotate", "--tag", "customer=7")
            jobs = {}
            for type in ("Rotate", "Gone", "Thumbnail"):
                for customer in ("7", "8"):
                    tags = {"customer": customer, "kind": "a=b", "more": "x"}
                    jobs[type, customer] = fleet.submit(type=type, delay="1h", tags=tags)
            fleet.api("POST", "/v1/batches", {"name": "no_job", "tenant": "demo"})
            half_tagged = fleet.submit(type="Thumbnail", delay="1h", tags={"customer": "7"})
            for id in (*jobs.values(), half_tagged):
                fleet.api("POST", f"/v1/jobs/{id}/cancel", {})
            wanted = {by_type: {id for (type, _), id in jobs.items() if type != "Thumbnail"},
                      by_tag: {id for (_, customer), id in jobs.items() if customer == "7"},
                      by_both: {jobs["Rotate", "7"]}}
            last = fleet.submit(type="Rotate", delay="1h", tags={"customer": "7", "kind": "a=b"})
            fleet.api("POST", f"/v1/jobs/{last}/cancel", {})
            for receiver, ids in wanted.items():  # the last is told after, or at most beside, all that is wrong
                wait_until(lambda: receiver.subjects("geres.job.cancelled") >= ids | {last}, "what fits is told")
            # Nothing that does not fit, also none of what a hub that starts anew reads again.
            hub.kill()
            fleet.hub(*ALLOW)
            end = fleet.submit(type="Rotate", delay="1h", tags={"customer": "7", "kind": "a=b"})
            fleet.api("POST", f"/v1/jobs/{end}/cancel", {})
            for receiver, ids in wanted.items():
                wait_until(lambda: end in receiver.subjects("geres.job.cancelled"), "it goes on")
                self.assertEqual({e["subject"] for e in receiver.events()}, ids | {last, end})
            # A filter that is changed counts from now on.
            fleet.api("PATCH", f"/v1/webhooks/{hook}", {"tags": {}, "jobTypes": ["Thumbnail"]})
            other = fleet.submit(type="Thumbnail", delay="1h")
            wait_until(lambda: other in by_tag.subjects("geres.job.submitted"), "another filter")

    def certificate(self, fleet, name, subject, *more):
        key, pem = fleet.directory / f"{name}.key", fleet.directory / f"{name}.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", key, "-out", pem, "-days", "2", "-subj", f"/CN={name}", *subject, *more],
                       check=True, capture_output=True)
        return key, pem

    def test_over_tls_with_a_ca_of_ones_own(self):
        with Fleet() as fleet, Receiver() as good, Receiver() as named_wrong:
            ca_key, ca = self.certificate(fleet, "ca", ["-addext", "keyUsage=keyCertSign"])
            of_ca = ["-CA", ca, "-CAkey", ca_key]
            for receiver, names in ((good, "DNS:localhost,IP:127.0.0.1"), (named_wrong, "DNS:example.com")):
                key, pem = self.certificate(fleet, names[-9:], ["-addext", f"subjectAltName={names}", "-addext",
                                                                "basicConstraints=critical,CA:FALSE"], *of_ca)
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(pem, key)
                receiver.serve_tls(context)
            hub = fleet.hub(*ALLOW)
            hook = self.create(fleet, good, types=["geres.job.cancelled"], name="good")
            test = lambda name: fleet.api("POST", f"/v1/webhooks/{name}/test")
            self.assertFalse(test("good")["delivered"])
            self.assertIn("certificate", test("good")["error"])
            hub.terminate()
            for wrong in (fleet.directory / "absent", ca_key):
                refused = fleet.cli("hub", "--data", fleet.data, "--listen", "127.0.0.1:0", "--webhook-ca", wrong,
                                    check=False)
                self.assertNotEqual(refused.returncode, 0)
                self.assertIn("--webhook-ca", refused.stderr)
            fleet.hub(*ALLOW, "--webhook-ca", ca)
            told = test("good")
            self.assertEqual((told["delivered"], told["status"]), (True, 204), told)
            ids = self.cancelled(fleet, 3)
            wait_until(lambda: good.subjects("geres.job.cancelled") >= set(ids), "events arrive")
            for _, headers, body in good.calls:
                self.assertEqual(headers["webhook-signature"], signature(hook["secret"], headers, body))
            self.create(fleet, named_wrong, name="wrong")
            told = test("wrong")
            self.assertFalse(told["delivered"], "the certificate is another's")
            self.assertEqual(named_wrong.calls, [])

    def test_the_example_receiver_verifies(self):
        with Fleet() as fleet:
            fleet.hub(*ALLOW)
            secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
            receiver = subprocess.Popen([sys.executable, RECEIVER, "0"], stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "SECRET": secret})
            try:
                url = receiver.stdout.readline().split()[-1]
                self.create(fleet, url, types=["geres.job.cancelled"], secret=secret)
                wrong = self.create(fleet, url, name="wrong")
                self.assertEqual(fleet.api("POST", f"/v1/webhooks/{wrong['id']}/test")["status"], 401)
                fleet.api("DELETE", f"/v1/webhooks/{wrong['id']}")
                job, = self.cancelled(fleet, 1)
                self.assertEqual(receiver.stdout.readline().split(), ["geres.job.cancelled", job])
            finally:
                receiver.kill()
                receiver.wait()
                receiver.stdout.close()

    def verified(self, secret, headers, body):
        """As the examples in C++ and (where its compiler is installed) TypeScript see it."""
        words = [headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"]]
        env = {**os.environ, "SECRET": secret}
        results = [subprocess.run([os.environ["GERES_VERIFY_WEBHOOK"], *words], input=body, env=env).returncode == 0]
        tsc = TYPESCRIPT / "node_modules" / ".bin" / "tsc"
        if tsc.exists():
            with tempfile.TemporaryDirectory() as directory:
                subprocess.run([tsc, "--outDir", directory, "--module", "es2022", "--target", "es2022", "--strict",
                                EXAMPLE / "verify.ts"], check=True)
                made = pathlib.Path(directory) / "verify.js"
                made = made.rename(made.with_suffix(".mjs"))
                script = (f"import {{ verify }} from '{made}'; const {{ secret, headers, body }} = "
                          "JSON.parse(process.argv[1]);"
                          "process.exit((await verify(secret, new Headers(headers), body)) ? 0 : 1);")
                given = json.dumps({"secret": secret, "headers": headers, "body": body.decode()})
                done = subprocess.run(["node", "--input-type=module", "-e", script, given], capture_output=True, text=True)
                self.assertIn(done.returncode, (0, 1), done.stderr)
                results.append(done.returncode == 0)
        self.assertEqual(len(set(results)), 1, results)
        return results[0]

    def test_the_examples_verify(self):
        with Fleet() as fleet, Receiver() as receiver:
            fleet.hub(*ALLOW)
            hook = self.create(fleet, receiver)
            fleet.api("POST", f"/v1/webhooks/{hook['id']}/test")
            _, headers, body = receiver.calls[0]
            self.assertTrue(self.verified(hook["secret"], headers, body))
            self.assertFalse(self.verified(hook["secret"], headers, body + b" "))
            self.assertFalse(self.verified("whsec_" + base64.b64encode(bytes(32)).decode(), headers, body))
            old = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1000)}
            old["webhook-signature"] = signature(hook["secret"], old, body)
            self.assertFalse(self.verified(hook["secret"], old, body))

    def test_by_command(self):
        with Fleet() as fleet, Receiver() as receiver:
            fleet.hub(*ALLOW)
            made = fleet.cli("webhook", "create", receiver.url, "--tenant", "demo", "--name", "ci", "--type",
                             "geres.job.cancelled").stdout.split()
            self.assertTrue(made[1].startswith("whsec_"))
            self.assertIn("delivered: answered 204", fleet.cli("webhook", "test", "ci").stdout)
            self.assertIn(receiver.url, fleet.cli("webhook", "list").stdout)
            self.assertNotIn("whsec_", fleet.cli("webhook", "show", "ci").stdout)
            self.assertTrue(fleet.cli("webhook", "rotate", "ci").stdout.startswith("whsec_"))
            fleet.cli("webhook", "disable", "ci")
            self.assertIn("disabled", fleet.cli("webhook", "list").stdout)
            fleet.cli("webhook", "enable", "ci")
            fleet.cli("webhook", "replay", "ci", "--from", "start")
            self.assertEqual(fleet.cli("webhook", "deliveries", "ci").stdout, "")
            fleet.cli("webhook", "delete", "ci")
            self.assertEqual(fleet.cli("webhook", "show", "ci", check=False).returncode, 1)
            fleet.cli("webhook", "create", "--for-jobs", "--tenant", "demo")
            self.assertEqual(fleet.cli("webhook", "create", check=False).returncode, 2)

    def test_trouble_of_the_receiver_and_a_killed_hub_lose_nothing(self):
        with Fleet() as fleet:
            hub = fleet.hub(*ALLOW)
            flaky = Receiver(lambda handler, n: 500 if n % 3 == 0 else 204, quiet_port("127.0.0.1"))
            hook = self.create(fleet, flaky, types=["geres.job.cancelled"])
            ids = self.cancelled(fleet, 20)
            wait_until(lambda: len(flaky.calls) >= 5, "some are told")
            hub.kill()
            flaky.close()  # and is away for a while
            hub = fleet.hub(*ALLOW)
            ids += self.cancelled(fleet, 20)
            wait_until(lambda: self.deliveries(fleet, hook, "pending"), "some are told in vain")
            hub.kill()
            back = Receiver(port=flaky.port)
            fleet.hub(*ALLOW)
            ids += self.cancelled(fleet, 5)
            told = lambda: flaky.subjects("geres.job.cancelled") | back.subjects("geres.job.cancelled")
            wait_until(lambda: told() >= set(ids), "every end is told")
            wait_until(lambda: not self.deliveries(fleet, hook, "pending"), "and nothing is left to do")
            back.close()

    def test_the_cursor_passes_nothing_that_has_not_arrived(self):
        gate = threading.Event()
        with Fleet() as fleet, Receiver(lambda handler, n: (n > 1 or gate.wait(DEADLINE)) and 204) as receiver, \
                Receiver() as quick:
            hub = fleet.hub(*ALLOW)
            types = ["geres.job.cancelled"]
            hook, other = self.create(fleet, receiver, types=types), self.create(fleet, quick, types=types)
            begun = time.monotonic()
            ids = self.cancelled(fleet, 10)
            number = lambda id: int(id.rsplit("-", 1)[1])
            cursor = lambda hook: number(fleet.api("GET", f"/v1/webhooks/{hook['id']}")["cursor"])
            wait_until(lambda: receiver.subjects(types[0]) == set(ids), "all but one have arrived")
            last = max(number(e["id"]) for e in receiver.events())
            wait_until(lambda: cursor(other) >= last, "what came of them is on disk")
            held = receiver.events()[0]
            passed = cursor(hook)
            if time.monotonic() - begun < PATIENCE:
                self.assertLess(passed, number(held["id"]))
            hub.kill()
            gate.set()
            before = len(receiver.calls)
            fleet.hub(*ALLOW)
            wait_until(lambda: held["id"] in [e["id"] for e in receiver.events()[before:]], "it is told by the next hub")
            wait_until(lambda: cursor(hook) >= last, "and passed then")

    def test_a_slow_receiver_delays_nobody(self):
        def lag():
            page = fleet.call("GET", "/metrics")[2].decode()
            return float(re.search(r'^geres_event_lag\{reader="webhooks"\} (\S+)$', page, re.M)[1])

        with Fleet() as fleet:
            gate = threading.Event()
            with Receiver(lambda handler, n: gate.wait(DEADLINE) and 204) as slow, Receiver() as quick:
                fleet.hub(*ALLOW)
                self.create(fleet, slow, types=["geres.job.cancelled"])
                self.create(fleet, quick, types=["geres.job.cancelled"])
                begun = time.monotonic()
                ids = self.cancelled(fleet, 100)
                wait_until(lambda: quick.subjects("geres.job.cancelled") >= set(ids), "the quick one hears all")
                calls = len(slow.calls)
                if time.monotonic() - begun < PATIENCE:
                    self.assertLessEqual(calls, 4)
                    wait_until(lambda: lag() >= 100, "it is seen to be behind", PATIENCE)
                gate.set()
                wait_until(lambda: slow.subjects("geres.job.cancelled") >= set(ids), "the slow one too, at last")
                wait_until(lambda: lag() == 0, "and is not behind any more")

    def test_dead_letters_are_kept_and_told_again_when_asked(self):
        with Fleet() as fleet:
            well = threading.Event()
            with Receiver(lambda handler, n: 204 if well.is_set() else 503) as receiver:
                hub = fleet.hub(*ALLOW, "--webhook-attempts", "2")
                hook = self.create(fleet, receiver, types=["geres.job.cancelled"])
                ids = self.cancelled(fleet, 3)
                dead = wait_until(lambda: (lambda d: len(d) == 3 and d)(self.deliveries(fleet, hook, "dead")), "all die")
                self.assertEqual({d["subject"] for d in dead}, set(ids))
                self.assertEqual({(d["attempts"], d["status"], d["error"]) for d in dead}, {(2, 503, "answered 503")})
                hub.kill()
                fleet.hub(*ALLOW)
                well.set()
                before = len(receiver.calls)
                done = fleet.api("POST", f"/v1/webhooks/{hook['id']}/replay", {"ids": [dead[0]["id"]]})
                self.assertEqual(done["replayed"], 1)
                self.assertEqual(fleet.api("POST", f"/v1/webhooks/{hook['id']}/replay")["replayed"], 2)
                wait_until(lambda: len(receiver.calls) == before + 3, "they are told")
                wait_until(lambda: not self.deliveries(fleet, hook, "pending"), "and written down")
                self.assertEqual(self.deliveries(fleet, hook, "dead"), [])
                fleet.api("POST", f"/v1/webhooks/{hook['id']}/replay", {"from": dead[1]["id"]})
                wait_until(lambda: len(receiver.calls) == before + 5, "the log is read again from there")

    def test_a_receiver_that_is_gone_is_not_called_again(self):
        with Fleet() as fleet, Receiver(lambda handler, n: 410 if n == 1 else 204) as receiver:
            fleet.hub(*ALLOW)
            hook = self.create(fleet, receiver, types=["geres.job.cancelled"])
            first, = self.cancelled(fleet, 1)
            shown = lambda: fleet.api("GET", f"/v1/webhooks/{hook['id']}")
            wait_until(lambda: not shown()["enabled"], "it is disabled")
            self.assertIn("410", shown()["reason"])
            second, = self.cancelled(fleet, 1)
            fleet.api("PATCH", f"/v1/webhooks/{hook['id']}", {"enabled": True})
            wait_until(lambda: second in receiver.subjects("geres.job.cancelled"), "enabled again, it reads on")
            self.assertEqual([d["subject"] for d in self.deliveries(fleet, hook, "dead")], [first])

    def test_what_the_log_does_not_hold_any_more_is_told_as_a_gap(self):
        with Fleet() as fleet, Receiver() as receiver:
            hub = fleet.hub(*ALLOW)
            hook = self.create(fleet, receiver, types=["geres.job.cancelled"], name="ends")
            fleet.api("PATCH", "/v1/webhooks/ends", {"enabled": False})
            self.cancelled(fleet, 2)
            last, = self.cancelled(fleet, 1)
            told = [e["id"] for e in fleet.api("GET", f"/v1/jobs/{last}/events")["items"]]
            hub.terminate()
            before = int(told[0].split("-")[-1]) - 1
            with contextlib.closing(sqlite3.connect(fleet.data / "geres.db")) as store, store:
                store.execute("DELETE FROM event WHERE no <= ?", (before,))  # as retention does
            fleet.hub(*ALLOW)
            fleet.api("PATCH", "/v1/webhooks/ends", {"enabled": True})
            wait_until(lambda: len(receiver.calls) == 2, "the gap and what came behind it")
            events = {e["type"]: e for e in receiver.events()}
            self.assertEqual(events["geres.gap"]["data"]["until"], f"{told[0].rsplit('-', 1)[0]}-{before}")
            self.assertEqual(events["geres.job.cancelled"]["subject"], last)
            for _, headers, body in receiver.calls:
                self.assertEqual(headers["webhook-signature"], signature(hook["secret"], headers, body))

    def test_a_receiver_says_when_to_come_back(self):
        def later(handler, n):
            handler.send_response(503)
            handler.send_header("Retry-After", "3600")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        with Fleet() as fleet, Receiver(later) as receiver:
            fleet.hub(*ALLOW)
            hook = self.create(fleet, receiver, types=["geres.job.cancelled"])
            self.cancelled(fleet, 1)
            row, = wait_until(lambda: self.deliveries(fleet, hook, "pending"), "it waits")
            at = datetime.datetime.fromisoformat
            pause = at(row["dueAt"].rstrip("Z")) - at(row["triedAt"].rstrip("Z"))
            self.assertGreaterEqual(pause.total_seconds(), 3599)

    def test_redirects_and_answers_without_end(self):
        def endless(handler, n):
            handler.send_response(200)
            handler.send_header("Content-Length", str(1 << 40))
            handler.end_headers()
            try:
                while True:
                    handler.wfile.write(b"x" * 65536)
            except OSError:
                cut.set()
            handler.close_connection = True

        cut = threading.Event()
        with Fleet() as fleet, Receiver() as inside, Receiver(endless) as chatty:
            def redirect(handler, n):
                handler.send_response(307)
                handler.send_header("Location", inside.url)
                handler.send_header("Content-Length", "0")
                handler.end_headers()
            with Receiver(redirect) as elsewhere:
                fleet.hub(*ALLOW)
                told = fleet.api("POST", f"/v1/webhooks/{self.create(fleet, elsewhere)['id']}/test")
                self.assertEqual((told["delivered"], told["status"]), (False, 307))
                self.assertIn("redirect", told["error"])
                self.assertEqual(inside.calls, [])
                told = fleet.api("POST", f"/v1/webhooks/{self.create(fleet, chatty)['id']}/test")
                self.assertTrue(told["delivered"], told)
                self.assertTrue(cut.wait(DEADLINE), "the hub has hung up")

    def test_nothing_inside_is_called(self):
        with Fleet() as fleet, Receiver() as inside:
            hub = fleet.hub()
            for url in ("file:///etc/passwd", "ftp://example.com/", "http://user:secret@example.com/", "http://",
                        "example.com", "", "http://169.254.169.254/latest/meta-data", inside.url, "http://127.1/",
                        "http://2130706433/", "http://0x7f.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/",
                        "http://10.1.2.3/", "http://[fd00::1]/", "http://0.0.0.0/", "http://localhost/"):
                status, _, problem = fleet.call("POST", "/v1/webhooks", {"tenant": "demo", "url": url})
                self.assertEqual((status, problem.get("field")), (400, "/url"), (url, problem))
            hub.terminate()
            # Allowed once, and not any more: the address that is connected to is what counts.
            hub = fleet.hub("--webhook-allow", "127.0.0.1", "--webhook-allow", "localhost")
            hook = self.create(fleet, f"http://localhost:{inside.port}/", types=["geres.job.cancelled"])
            self.assertTrue(fleet.api("POST", f"/v1/webhooks/{hook['id']}/test")["delivered"])
            hub.terminate()
            fleet.hub("--webhook-attempts", "1")
            told = fleet.api("POST", f"/v1/webhooks/{hook['id']}/test")
            self.assertFalse(told["delivered"])
            self.assertIn("loopback", told["error"])
            self.cancelled(fleet, 1)
            dead = wait_until(lambda: self.deliveries(fleet, hook, "dead"), "it is a dead letter")
            self.assertIn("loopback", dead[0]["error"])
            self.assertEqual(len(inside.calls), 1)

    def test_a_jobs_own_webhook(self):
        with Fleet() as fleet, Receiver(port=quiet_port("127.0.0.1")) as receiver:
            hub = fleet.hub(*ALLOW)
            status, _, problem = fleet.call("POST", "/v1/jobs", {"tenant": "demo", "type": "Gone", "webhook": receiver.url})
            self.assertEqual((status, problem["field"]), (409, "/webhook"))
            hook = fleet.api("POST", "/v1/webhooks", {"tenant": "demo", "forJobs": True})
            plain, = self.cancelled(fleet, 1, webhook=receiver.url, key="once")
            chatty, = self.cancelled(fleet, 1, webhook={"url": receiver.url + "/b", "types": ["geres.job.*"]})
            self.cancelled(fleet, 1)
            wait_until(lambda: len(receiver.calls) >= 3, "they are told")
            wait_until(lambda: not self.deliveries(fleet, hook, "pending"), "and written down")
            self.assertEqual(sorted((e["subject"], e["type"]) for e in receiver.events()),
                             sorted([(plain, "geres.job.cancelled"), (chatty, "geres.job.submitted"),
                                     (chatty, "geres.job.cancelled")]))
            for _, headers, body in receiver.calls:
                self.assertEqual(headers["webhook-signature"], signature(hook["secret"], headers, body))
            self.assertEqual(fleet.job(plain)["webhook"], {"url": receiver.url})
            spec = {"tenant": "demo", "type": "Gone", "delay": "1h", "key": "once"}
            self.assertEqual(fleet.api("POST", "/v1/jobs", {**spec, "webhook": receiver.url})["id"], plain)
            self.assertEqual(fleet.call("POST", "/v1/jobs", spec)[0], 422, "another spec under the same key")
            bad = {**spec, "key": "", "webhook": {"url": "http://10.0.0.1/"}}
            self.assertEqual(fleet.call("POST", "/v1/jobs", bad)[2]["field"], "/webhook")
            bad["webhook"] = {"url": receiver.url, "types": ["geres.job.finshed"]}
            self.assertIn("geres.job.finished", fleet.call("POST", "/v1/jobs", bad)[2]["hint"])
            # What was to be told when the hub died is told by the next.
            hub.kill()
            receiver.close()
            fleet.hub(*ALLOW)
            late, = self.cancelled(fleet, 1, webhook=receiver.url)
            wait_until(lambda: self.deliveries(fleet, hook, "pending"), "it is told in vain")
            with Receiver(port=receiver.port) as back:
                wait_until(lambda: late in back.subjects("geres.job.cancelled"), "it is told")

    def test_tenants_are_apart(self):
        with Fleet() as fleet, Receiver() as receiver:
            fleet.hub(*ALLOW)
            hook = self.create(fleet, receiver)
            path = f"/v1/webhooks/{hook['id']}"
            theirs = fleet.api("POST", "/v1/tokens", {"name": "theirs", "roles": ["operator"], "tenants": ["theirs"]})["token"]
            viewer = fleet.api("POST", "/v1/tokens", {"name": "viewer", "roles": ["viewer"], "tenants": ["demo"]})["token"]
            self.assertEqual(fleet.call("GET", "/v1/webhooks", token=theirs)[2]["items"], [])
            for method, rest in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/replay"),
                                 ("GET", "/deliveries")):
                self.assertEqual(fleet.call(method, path + rest, {} if method == "PATCH" else None, token=theirs)[0], 404)
            self.assertEqual(fleet.call("POST", "/v1/webhooks", {"tenant": "demo", "url": receiver.url}, token=theirs)[0], 403)
            self.assertEqual(fleet.call("GET", path, token=viewer)[0], 200)
            self.assertEqual(fleet.call("DELETE", path, token=viewer)[0], 403)
            self.assertEqual(fleet.call("DELETE", path)[0], 204)
            self.assertEqual(fleet.call("GET", path)[0], 404)


if __name__ == "__main__":
    unittest.main()
