# SPDX-License-Identifier: Apache-2.0
"""The event log on an AMQP 1.0 address: with a broker in miniature that refuses, stumbles and is away as it is told, and
with RabbitMQ. Every event arrives, in order, whatever dies."""
import contextlib
import json
import os
import pathlib
import queue
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest

import rabbitmq
from fleet import DEADLINE, Fleet, quiet_port, wait_until

HERE = pathlib.Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "amqp"
MODULES = EXAMPLE / "node_modules"


def python_with_proton():
    """A Python that is first on the path may hide Debian's, which has what Debian's packages install."""
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import proton"], capture_output=True).returncode == 0:
            return python
    return None


class Broker:
    """See amqp_broker.mjs. Started again it keeps its port, and its memory of what it got."""

    def __init__(self, *flags, port=None):
        self.flags, self.told, self.lock = flags, [], threading.Lock()
        self.port = quiet_port("127.0.0.1") if port is None else port
        self.answers = queue.Queue()
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(["node", HERE / "amqp_broker.mjs", MODULES, str(self.port), *map(str, self.flags)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        listening = threading.Event()
        threading.Thread(target=self.listen, args=(self.process.stdout, listening), daemon=True).start()
        if not listening.wait(DEADLINE):
            raise AssertionError("the broker does not start")

    def listen(self, lines, listening):
        for line in lines:
            said = json.loads(line)
            if said["what"] == "listening":
                self.port = said["port"]
                listening.set()
            elif said["what"] == "done":
                self.answers.put(said)
            else:
                with self.lock:
                    self.told.append(said)

    def tell(self, *words):
        self.process.stdin.write(" ".join(w if isinstance(w, str) else json.dumps(w) for w in words) + "\n")
        self.process.stdin.flush()
        self.answers.get(timeout=DEADLINE)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.kill()

    def said(self, what):
        with self.lock:
            return [t for t in self.told if t["what"] == what]

    def messages(self, *did):
        return [m for m in self.said("message") if not did or m["did"] in did]

    def ids(self, *did):
        return [m["id"] for m in self.messages(*did)]

    def url(self, address="events", scheme="amqp", host="127.0.0.1"):
        return f"{scheme}://{host}:{self.port}/{address}"


def number(id):
    return int(id.removesuffix("-gap").rsplit("-", 1)[1])


def firsts(ids):
    """Without what came again."""
    return list(dict.fromkeys(ids))


def lasts(ids):
    """Without what came again later."""
    return firsts(ids[::-1])[::-1]


@unittest.skipUnless((MODULES / "rhea").is_dir(), f"npm ci in {EXAMPLE} first")
class Amqp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """RabbitMQ takes its time to start: meanwhile the other tests run, and its own is the last."""
        if rabbitmq.installed():
            directory = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="geres-rabbitmq-"))
            cls.rabbit = cls.enterClassContext(rabbitmq.RabbitMq(directory))

    def cancelled(self, fleet, n, **spec):
        """Jobs that end at once, two events each: no host is needed for news."""
        ids = [fleet.submit(type="Gone", delay="1h", **spec) for _ in range(n)]
        for id in ids:
            fleet.api("POST", f"/v1/jobs/{id}/cancel", {})
        return ids

    def under_way(self, fleet, broker):
        """The broker gets messages, and does not say what it makes of them."""
        wait_until(lambda: self.info(fleet)["behind"] == 0, "all that was is accepted")
        broker.tell("hold")
        self.cancelled(fleet, 10)
        last = self.log(fleet)[-1]["id"]
        wait_until(lambda: last in broker.ids("hold"), "all are under way")

    def stored(self, fleet):
        """The cursor on disk."""
        with contextlib.closing(sqlite3.connect(f"file:{fleet.data / 'geres.db'}?mode=ro", uri=True)) as store:
            return store.execute("SELECT log || '-' || at FROM cursor WHERE name = 'amqp'").fetchone()[0]

    def log(self, fleet):
        """All events that the hub keeps, as it tells them itself. What it does not keep is told without an id."""
        _, _, text = fleet.call("GET", "/v1/events?follow=false&lastEventId=start")
        told = [json.loads(line[5:]) for line in text.decode().split("\n") if line.startswith("data:")]
        return [event for event in told if "id" in event]

    def info(self, fleet):
        return fleet.api("GET", "/v1/info")["amqp"]

    def metric(self, fleet, name):
        _, _, text = fleet.call("GET", "/metrics")
        return float(re.search(rf"^geres_amqp_{name} (\S+)$", text.decode(), re.M)[1])

    def all_arrived(self, fleet, *brokers):
        """Waits until every event of the log was accepted; the ids as they came."""
        log = [e["id"] for e in self.log(fleet)]
        came = lambda: [id for broker in brokers for id in broker.ids("accept")]
        wait_until(lambda: set(came()) >= set(log), "every event arrives")
        return log, came()

    def test_every_event_arrives_in_order_as_the_log_has_it(self):
        with Fleet() as fleet, Broker() as broker:
            fleet.hub("--amqp", broker.url("events/of?all"))
            fleet.push_shell()
            host = fleet.host("w1")
            batch = fleet.api("POST", "/v1/batches", {"name": "night", "tenant": "demo"})["id"]
            job = fleet.shell("echo 42", batch=batch)
            fleet.ended(job)
            fleet.api("POST", f"/v1/batches/{batch}/close")
            self.cancelled(fleet, 100)
            host.terminate()
            log, came = self.all_arrived(fleet, broker)
            self.assertEqual(came, log, "each once, in order: nothing went wrong")
            self.assertEqual(broker.said("link")[0]["address"], "events/of?all")
            for message, event in zip(broker.messages(), self.log(fleet)):
                self.assertEqual(message["section"], "data")
                self.assertEqual(message["data"], event["data"])
                self.assertEqual((message["id"], message["subject"]), (event["id"], event["type"]))
                self.assertEqual((message["contentType"], message["durable"]), ("application/json", True))
                self.assertEqual(message["groupId"], event["subject"])
                attributes = {n.removeprefix("cloudEvents_"): v for n, v in message["properties"].items()
                              if n.startswith("cloudEvents_")}
                self.assertEqual(attributes, {n: v for n, v in event.items() if n not in ("data", "datacontenttype")})
                own = {n: v for n, v in message["properties"].items() if not n.startswith("cloudEvents_")}
                expected = {"type": event["type"], "tenant": event.get("tenant")}
                kind = event["type"].split(".")[1]
                expected[kind + "Id"] = event["subject"]
                if kind == "job":
                    expected["batchId"] = event["data"]["batch"]
                self.assertEqual(own, {n: v for n, v in expected.items() if v is not None})
            types = {m["subject"] for m in broker.messages()}
            self.assertLessEqual({"geres.job.submitted", "geres.job.leased", "geres.job.started", "geres.job.finished",
                                  "geres.job.cancelled", "geres.batch.created", "geres.batch.completed",
                                  "geres.host.joined", "geres.host.left"}, types)
            wait_until(lambda: self.info(fleet)["behind"] == 0, "the hub knows")
            info = self.info(fleet)
            self.assertEqual((info["target"], info["connected"], info["cursor"]),
                             (broker.url("events/of?all"), True, log[-1]))
            self.assertNotIn("error", info)
            self.assertEqual(self.metric(fleet, "accepted_total"), len(log))
            self.assertEqual(self.metric(fleet, "connected"), 1)
            self.assertEqual(self.metric(fleet, "events_behind"), 0)
            viewer = fleet.api("POST", "/v1/tokens", {"name": "viewer", "roles": ["viewer"], "tenants": ["demo"]})["token"]
            self.assertNotIn("amqp", fleet.call("GET", "/v1/info", token=viewer)[2])

    def test_a_killed_hub_and_a_broker_that_is_away_lose_nothing(self):
        with Fleet() as fleet, Broker() as broker:
            hub = fleet.hub("--amqp", broker.url())
            self.cancelled(fleet, 30)
            wait_until(lambda: len(broker.ids()) > 10, "some arrive")
            self.under_way(fleet, broker)
            hub.kill()
            broker.tell("accept")
            hub = fleet.hub("--amqp", broker.url())
            self.cancelled(fleet, 30)
            self.under_way(fleet, broker)
            broker.kill()  # and is away for a while
            self.cancelled(fleet, 30)
            hub.kill()
            hub = fleet.hub("--amqp", broker.url())
            self.cancelled(fleet, 30)
            wait_until(lambda: self.info(fleet).get("error"), "the hub misses it")
            self.assertGreater(self.info(fleet)["behind"], 0)
            broker.start()
            self.cancelled(fleet, 5)
            self.all_arrived(fleet, broker)
            for end in ("cut", "close", "detach"):
                connections = len(broker.said("link"))
                self.under_way(fleet, broker)
                broker.tell("accept")
                broker.tell(end)
                self.cancelled(fleet, 10)
                wait_until(lambda: len(broker.said("link")) > connections, f"it comes back after: {end}")
            log, came = self.all_arrived(fleet, broker)
            self.assertEqual(firsts(came), log, "in order, but for what came again")
            wait_until(lambda: self.info(fleet)["behind"] == 0, "the hub knows")
            wait_until(lambda: lasts(broker.ids("accept")) == log, "what came again did so in order")
            self.assertEqual(hub.terminate(), 0)
            self.assertEqual(self.stored(fleet), log[-1], "a stop stores the last cursor")
            before = len(broker.ids())
            fleet.hub("--amqp", broker.url())
            more = self.cancelled(fleet, 1)
            wait_until(lambda: any(m["properties"].get("jobId") in more for m in broker.messages()[before:]), "it goes on")
            self.assertGreater(number(broker.ids()[before]), number(log[-1]), "nothing again after a stop in good order")

    def test_the_cursor_passes_nothing_that_was_not_accepted(self):
        with Fleet() as fleet, Broker() as broker:
            hub = fleet.hub("--amqp", broker.url())
            first, = self.cancelled(fleet, 1)
            held = fleet.submit(type="Gone", delay="1h", batch=fleet.api("POST", "/v1/batches", {"name": "b"})["id"])
            self.all_arrived(fleet, broker)
            broker.tell("rule", {"property": "jobId", "value": held, "do": "hold"})
            fleet.api("POST", f"/v1/jobs/{held}/cancel", {})
            self.cancelled(fleet, 20)
            last = self.log(fleet)[-1]["id"]
            wait_until(lambda: last in broker.ids("accept"), "all others are accepted")
            waits, = broker.ids("hold")
            place = f"{waits.rsplit('-', 1)[0]}-{number(waits) - 1}"
            wait_until(lambda: self.stored(fleet) == place, "the cursor on disk stands before the one that is held")
            self.assertEqual(self.info(fleet)["cursor"], place)
            before = len(broker.ids())
            hub.kill()
            broker.kill()
            broker.start()
            fleet.hub("--amqp", broker.url())
            wait_until(lambda: waits in broker.ids("accept"), "the next hub sends it")
            self.all_arrived(fleet, broker)
            self.assertEqual(broker.ids()[before], waits, "and begins with it")
            wait_until(lambda: self.info(fleet)["cursor"] == last, "and passes it then")

    def test_what_the_broker_refuses_is_sent_until_it_is_accepted(self):
        with Fleet() as fleet, Broker() as broker:
            fleet.hub("--amqp", broker.url())
            broker.tell("hold")
            ids = self.cancelled(fleet, 8)
            for id, do in zip(ids, ("reject", "release", "modify")):
                broker.tell("rule", {"property": "jobId", "value": id, "do": do, "times": 2})
            broker.tell("accept")
            broker.tell("cut")
            self.cancelled(fleet, 20)
            log, came = self.all_arrived(fleet, broker)
            self.assertEqual(len(broker.messages("reject")), 2)
            self.assertEqual(len(broker.messages("release")), 2)
            self.assertEqual(len(broker.messages("modify")), 2)
            wait_until(lambda: self.info(fleet)["behind"] == 0, "the hub knows")
            self.assertGreater(self.metric(fleet, "refused_total"), 0)
            self.assertEqual(self.metric(fleet, "left_out_total"), 0)
            wait_until(lambda: lasts(broker.ids("accept")) == log, "all behind a refused one came after it, too")

    def test_one_that_is_rejected_for_ever_holds_up_the_rest_unless_it_may_be_left_out(self):
        with Fleet() as fleet, Broker() as broker:
            hub = fleet.hub("--amqp", broker.url())
            bad = fleet.submit(type="Gone", delay="1h")
            self.all_arrived(fleet, broker)
            broker.tell("rule", {"property": "jobId", "value": bad, "do": "reject"})
            fleet.api("POST", f"/v1/jobs/{bad}/cancel", {})
            wait_until(lambda: len(broker.messages("reject")) >= 2, "it is sent again")
            self.cancelled(fleet, 5)
            wait_until(lambda: len(broker.messages("reject")) >= 4, "and again")
            rejected = broker.ids("reject")[0]
            self.assertEqual(set(broker.ids("reject")), {rejected})
            self.assertEqual(number(self.info(fleet)["cursor"]), number(rejected) - 1)
            self.assertIn("not of my taste", self.info(fleet)["error"])
            self.assertFalse([m for m in broker.messages() if number(m["id"]) > number(rejected)], "one at a time")
            hub.terminate()
            rejections = len(broker.messages("reject"))
            hub = fleet.hub("--amqp", broker.url(), "--amqp-tries", "2")
            wait_until(lambda: self.metric(fleet, "left_out_total") == 1, "it is left out")
            wanted = [e["id"] for e in self.log(fleet) if e["id"] != rejected]
            wait_until(lambda: set(broker.ids("accept")) >= set(wanted), "all others arrive")
            self.assertEqual(len(broker.messages("reject")) - rejections, 2)
            wait_until(lambda: self.info(fleet)["behind"] == 0, "and it is passed")
            self.assertEqual(self.metric(fleet, "left_out_total"), 1)
            self.assertIn("LEFT OUT", hub.text())
            self.assertIn(rejected, hub.text())

    def test_what_the_log_does_not_hold_any_more_is_told_as_a_gap(self):
        with Fleet() as fleet, Broker() as broker:
            hub = fleet.hub("--amqp", broker.url())
            self.cancelled(fleet, 1)
            log, _ = self.all_arrived(fleet, broker)
            cursor = log[-1]
            wait_until(lambda: self.info(fleet)["cursor"] == cursor, "the hub knows")
            broker.kill()
            self.cancelled(fleet, 3)
            hub.terminate()
            gone = number(self.log_in_store(fleet)[-1]) - 2
            name = cursor.rsplit("-", 1)[0]
            with contextlib.closing(sqlite3.connect(fleet.data / "geres.db")) as store, store:
                store.execute("DELETE FROM event WHERE no <= ?", (gone,))  # as retention does
            broker.start()
            broker.tell("rule", {"property": "type", "value": "geres.gap", "do": "release", "times": 1})
            hub = fleet.hub("--amqp", broker.url())
            self.cancelled(fleet, 1)
            self.all_arrived(fleet, broker)
            wait_until(lambda: self.info(fleet)["behind"] == 0, "the hub knows")
            gaps = [m for m in broker.messages() if m["subject"] == "geres.gap"]
            self.assertEqual([m["did"] for m in gaps], ["release", "accept"])
            self.assertEqual({m["id"] for m in gaps}, {f"{name}-{gone}-gap"}, "the same each time")
            self.assertEqual(gaps[0]["data"], {"after": cursor, "until": f"{name}-{gone}"})
            after = lasts(broker.ids("accept"))
            self.assertEqual(after[after.index(cursor) + 1:][:2], [f"{name}-{gone}-gap", f"{name}-{gone + 1}"])
            # A restored store has another log: what was in the old one since is told as a gap, too.
            self.assertEqual(hub.terminate(), 0)
            backup = fleet.directory / "backup.db"
            fleet.cli("hub", "backup", backup, "--data", fleet.data)
            fleet.cli("hub", "restore", backup, "--data", fleet.data, "--replace")
            before = len(broker.ids())
            fleet.hub("--amqp", broker.url())
            self.cancelled(fleet, 1)
            wait_until(lambda: len(broker.ids()) >= before + 3, "the gap and what followed")
            gap, *rest = broker.messages()[before:]
            self.assertEqual(gap["subject"], "geres.gap")
            self.assertEqual(gap["data"]["after"], after[-1])
            self.assertEqual(number(gap["data"]["until"]), number(after[-1]))
            self.assertNotEqual(gap["data"]["until"], after[-1])
            self.assertEqual(number(rest[0]["id"]), number(after[-1]) + 1)

    def log_in_store(self, fleet):
        with contextlib.closing(sqlite3.connect(fleet.data / "geres.db")) as store:
            return [id for id, in store.execute("SELECT (SELECT log FROM meta) || '-' || no FROM event ORDER BY no")]

    def test_where_it_begins(self):
        with Fleet() as fleet, Broker() as now, Broker() as start:
            hub = fleet.hub()
            old = self.cancelled(fleet, 3)
            hub.terminate()
            now.kill()  # the place is kept although the broker is not there
            hub = fleet.hub("--amqp", now.url(), "--amqp-from", "now")
            hub.kill()
            hub = fleet.hub()
            between = self.cancelled(fleet, 1)
            hub.kill()
            now.start()
            hub = fleet.hub("--amqp", now.url(), "--amqp-from", "start")
            wait_until(lambda: len(now.ids("accept")) >= 2, "what came after the first use")
            self.assertEqual({m["properties"]["jobId"] for m in now.messages()}, set(between))
            hub.terminate()
            with contextlib.closing(sqlite3.connect(fleet.data / "geres.db")) as store, store:
                store.execute("DELETE FROM cursor")
            fleet.hub("--amqp", start.url(), "--amqp-from", "start")
            log, came = self.all_arrived(fleet, start)
            self.assertEqual(came, log)
            self.assertLessEqual(set(old), {m["properties"]["jobId"] for m in start.messages()})

    def certificate(self, directory, name, subject_name="localhost"):
        key, certificate = directory / f"{name}.key", directory / f"{name}.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", key, "-out", certificate, "-subj", f"/CN={subject_name}",
                        "-addext", f"subjectAltName=DNS:{subject_name}", "-days", "2"],
                       check=True, capture_output=True)
        return key, certificate

    def test_over_tls_with_a_login(self):
        with Fleet() as fleet:
            key, certificate = self.certificate(fleet.directory, "broker")
            _, stranger = self.certificate(fleet.directory, "stranger")
            secret, wrong = fleet.directory / "secret", fleet.directory / "wrong"
            secret.write_text("geheim-1\n")
            wrong.write_text("falsch-1\n")
            with Broker("--tls", key, certificate, "--login", "sender", "geheim-1") as broker:
                url = broker.url(scheme="amqps", host="localhost")
                given = ["--amqp", url, "--amqp-user", "sender"]
                hub = fleet.hub(*given, "--amqp-password-file", secret, "--amqp-ca", stranger)
                self.cancelled(fleet, 1)
                trouble = wait_until(lambda: self.info(fleet).get("error"), "a stranger's certificate is refused")
                self.assertRegex(trouble, "certificate")
                self.assertEqual(broker.said("login"), [])
                logs = hub.text()
                hub.terminate()
                hub = fleet.hub(*given, "--amqp-password-file", wrong, "--amqp-ca", certificate)
                trouble = wait_until(lambda: self.info(fleet).get("error"), "a wrong password is refused")
                self.assertRegex(trouble.lower(), "auth")
                self.assertEqual(broker.messages(), [])
                shown = json.dumps(fleet.api("GET", "/v1/info"))
                logs += hub.text()
                hub.terminate()
                hub = fleet.hub(*given, "--amqp-password-file", secret, "--amqp-ca", certificate)
                self.all_arrived(fleet, broker)
                self.assertTrue(broker.said("login")[-1]["right"])
                line = pathlib.Path(f"/proc/{hub.pid}/cmdline").read_text()
                for password in ("geheim-1", "falsch-1"):
                    self.assertNotIn(password, logs + hub.text() + line + shown)

    def test_an_address_that_the_broker_refuses(self):
        with Fleet() as fleet, Broker("--refuse") as broker:
            fleet.hub("--amqp", broker.url())
            trouble = wait_until(lambda: self.info(fleet).get("error"), "it is refused")
            self.assertIn("there is no such address", trouble)
            self.assertFalse(self.info(fleet)["connected"])
            self.assertEqual(self.metric(fleet, "connections_total"), 0)

    def test_what_cannot_be_is_refused_at_the_start(self):
        with Fleet() as fleet:
            empty, none = fleet.directory / "empty", fleet.directory / "none"
            empty.write_text("\n")
            for words, field, hint in (
                    (["--amqp", "http://h/a"], "--amqp", "amqps://"),
                    (["--amqp", "amqps://me:geheim-2@h/a"], "--amqp", "--amqp-password-file"),
                    (["--amqp", "amqps://h"], "--amqp", "ADDRESS"),
                    (["--amqp", "amqp://h/a", "--amqp-user", "me"], "--amqp", "amqps://"),
                    (["--amqp", "amqps://h/a", "--amqp-password-file", none], "--amqp-password-file", "FILE"),
                    (["--amqp", "amqps://h/a", "--amqp-password-file", empty], "--amqp-password-file", "FILE"),
                    (["--amqp", "amqp://h/a", "--amqp-tries", "2000000"], "--amqp-tries", "10"),
                    (["--amqp", "amqp://h/a", "--amqp-from", "yesterday"], "--amqp-from", "start"),
                    (["--amqp-tries", "3"], "--amqp-tries", "--amqp amqps://")):
                env = {"GERES_AMQP_PASSWORD": "geheim-2"} if "--amqp-user" in words else {}
                for command in ("hub", "up"):
                    done = fleet.cli(command, "--data", fleet.data, "--listen", "127.0.0.1:0", *words, check=False, env=env)
                    self.assertEqual(done.returncode, 1 if none in words or empty in words else 2, (words, done.stderr))
                    self.assertIn(field, done.stderr)
                    self.assertIn(hint, done.stderr)
                    self.assertNotIn("geheim-2", done.stderr)
            done = fleet.cli("hub", "--data", fleet.data, "--amqp", "amqps://localhost:1/a", "--amqp-ca", empty, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("--amqp-ca", done.stderr)

    def receiver(self, *words):
        """An example's receiver, once it listens; and the lines it prints, as they come."""
        env = {**os.environ, "USER_NAME": "guest", "PASSWORD": "guest"}
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        lines = []
        threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True).start()
        self.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close(), process.stderr.close()))
        said = process.stderr.readline()
        self.assertEqual(said, "receiving\n", said + (process.stderr.read() if said != "receiving\n" else ""))
        return lines

    @unittest.skipUnless(rabbitmq.installed() and python_with_proton(), "without rabbitmq-server or python3-qpid-proton")
    def test_with_rabbitmq_and_the_examples(self):
        rabbit = self.rabbit
        with Fleet() as fleet:
            password = fleet.directory / "password"
            password.write_text("guest")
            server = f"amqp://localhost:{rabbit.port}"
            login = ["--amqp-user", "guest", "--amqp-password-file", password]
            rabbit.wait()
            ends = self.receiver("node", EXAMPLE / "receive.mjs", f"{server}//topic/geres.job.cancelled")
            hub = fleet.hub("--amqp", f"{server}//exchange/amq.topic", *login)
            ids = self.cancelled(fleet, 20)
            wait_until(lambda: len(ends) >= 20, "the ends arrive")
            self.assertEqual([line.split() for line in ends], [["geres.job.cancelled", id] for id in ids],
                             "these alone, each once, in order")
            # Another address: it goes on where it was. A queue keeps what nobody has taken yet.
            hub.terminate()
            fleet.hub("--amqp", f"{server}//queue/events", *login)
            ids = self.cancelled(fleet, 300)
            wait_until(lambda: self.info(fleet)["behind"] == 0, "all are in the queue")
            all = self.receiver(python_with_proton(), EXAMPLE / "receive.py", server, "/queue/events")
            wait_until(lambda: len(all) >= 600, "all arrive")
            told = [line.split() for line in all]
            for type in ("geres.job.submitted", "geres.job.cancelled"):
                self.assertEqual([id for kind, id in told if kind == type], ids, type)
            self.assertEqual(self.metric(fleet, "refused_total"), 0)


if __name__ == "__main__":
    unittest.main()
