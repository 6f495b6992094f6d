# SPDX-License-Identifier: Apache-2.0
"""News of jobs as their readers get it: server-sent events across a killed hub, the official SignalR client on each of
its transports, and the TypeScript client."""
import http.client
import json
import os
import pathlib
import signal
import subprocess
import threading
import unittest
from queue import Empty, Queue

from fleet import BIN, DEADLINE, Fleet

CLIENT = pathlib.Path(os.environ["GERES_TYPESCRIPT_CLIENT"])


class EventReader:
    """Reads /v1/events on a thread, coming back with the last id until it is stopped."""

    def __init__(self, fleet, query=""):
        self.fleet, self.query = fleet, query
        self.events, self.last, self.opened, self.stopped = Queue(), None, threading.Event(), False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopped:
            try:
                self.read_once()
            except (OSError, http.client.HTTPException, ValueError):
                pass

    def read_once(self):
        connection = http.client.HTTPConnection(self.fleet.url.removeprefix("http://"), timeout=DEADLINE)
        headers = {"Authorization": "Bearer " + (self.fleet.data / "admin.token").read_text().strip()}
        if self.last:
            headers["Last-Event-ID"] = self.last
        try:
            connection.request("GET", "/v1/events" + self.query, headers=headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            self.take(answer)
        finally:
            connection.close()

    def take(self, answer):
        event = {}
        while line := answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                self.last = value
                self.opened.set()
            elif name in ("event", "data"):
                event[name] = value
            elif not name and event:
                self.events.put((event["event"], json.loads(event["data"])))
                event = {}

    def next(self):
        return self.events.get(timeout=DEADLINE)


class SignalRClient:
    def __init__(self, fleet, transport):
        self.popen = subprocess.Popen(
            ["node", pathlib.Path(__file__).parent / "signalr_client.mjs", CLIENT / "node_modules", transport],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **fleet.environment()})
        self.lines, self.aside = Queue(), []
        threading.Thread(target=self.read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.popen.kill()
        self.popen.wait()
        self.popen.stdin.close()
        self.popen.stdout.close()

    def read(self):
        for line in self.popen.stdout:
            self.lines.put(json.loads(line))

    def say(self, line):
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()

    def hear(self, what):
        """The next line of that kind; others are kept for later, as answers and news have no order among them."""
        for line in self.aside:
            if line["what"] == what:
                self.aside.remove(line)
                return line
        try:
            while (line := self.lines.get(timeout=DEADLINE))["what"] != what:
                self.aside.append(line)
            return line
        except Empty:
            raise AssertionError(f"never heard: {what}; but {self.aside}") from None


@unittest.skipUnless((CLIENT / "dist").is_dir(), "the TypeScript client is not built: ./dev setup")
class Events(unittest.TestCase):
    def test_a_reader_misses_nothing_and_hears_nothing_twice_across_a_killed_hub(self):
        with Fleet() as fleet:
            hub = fleet.hub()
            fleet.host("h", "--slots", "2")
            fleet.push_shell()
            reader = EventReader(fleet, "?type=geres.job.*")
            reader.opened.wait(DEADLINE)
            ids = [fleet.shell("true") for _ in range(10)]
            seen = [reader.next() for _ in range(5)]
            hub.kill()
            fleet.hub()
            ids += [fleet.shell("true") for _ in range(10)]
            for id in ids:
                fleet.ended(id)
            finished = {e["subject"] for t, e in seen if t == "geres.job.finished"}
            while len(finished) < len(ids):
                kind, event = reader.next()
                seen.append((kind, event))
                if kind == "geres.job.finished":
                    finished.add(event["subject"])
            reader.stopped = True
            numbers = [event["id"] for _, event in seen]
            self.assertEqual(len(numbers), len(set(numbers)), "none twice")
            for id in ids:
                told = [event["id"] for _, event in seen if event["subject"] == id]
                kept = [event["id"] for event in fleet.api("GET", f"/v1/jobs/{id}/events")["items"]]
                self.assertEqual(told, kept[:len(told)], "in order, without a hole")
                self.assertEqual(len(told), len(kept))

    def follow(self, fleet, transport):
        gate = fleet.directory / f"gate-{transport}"
        with SignalRClient(fleet, transport) as client:
            client.hear("connected")
            job = fleet.shell(f'while [ ! -e {gate} ]; do sleep 0.05; done; echo "50 half" > $GERES_PROGRESS; echo done')
            client.say(f"subscribe {job}")
            client.hear("done")
            # It may have started before or after the subscription.
            self.assertEqual(client.hear("started")["id"], job)
            gate.touch()
            self.assertEqual(client.hear("progressed")["progress"], {"percent": 50, "message": "half"})
            completed = client.hear("completed")
            self.assertEqual((completed["id"], completed["state"], completed["result"]), (job, "finished", "done\n"))
            client.say(f"subscribe {job}")
            client.hear("done")
            self.assertEqual(client.hear("completed")["id"], job, "what has ended is told at once")
            client.say("call SubscribeToJob 0192f0c4-7d3a-7001-8f2e-0123456789ab")
            self.assertIn("no job", client.hear("refused")["error"])
            client.say("call SendToAll nonsense")
            self.assertIn("no method", client.hear("refused")["error"])
            client.say("stop")
            self.assertIsNone(client.hear("closed").get("error"))

    def test_the_official_signalr_client_hears_a_jobs_life_on_each_transport(self):
        with Fleet() as fleet:
            fleet.up()
            fleet.push_shell()
            for transport in ("WebSockets", "ServerSentEvents", "LongPolling"):
                with self.subTest(transport):
                    self.follow(fleet, transport)

    def test_signalr_clients_come_back_after_the_hub(self):
        with Fleet() as fleet:
            hub = fleet.hub()
            with SignalRClient(fleet, "WebSockets") as client:
                client.hear("connected")
                batch = fleet.api("POST", "/v1/batches", {"name": "night", "tenant": "demo"})["id"]
                hub.kill()
                client.hear("reconnecting")
                fleet.hub()
                client.hear("reconnected")
                client.say(f"batch {batch}")
                client.hear("done")
                job = fleet.submit(type="Gone", batch=batch, delay="1h")
                fleet.api("POST", f"/v1/jobs/{job}/cancel", {})
                completed = client.hear("completed")
                self.assertEqual((completed["id"], completed["state"]), (job, "cancelled"))

    def test_signalr_refuses_strangers(self):
        with Fleet() as fleet:
            fleet.hub()
            self.assertEqual(fleet.call("POST", "/hubs/jobs/negotiate?negotiateVersion=1", b"", token="wrong")[0], 401)
            status, _, problem = fleet.call("GET", "/hubs/jobs?id=0123", headers={"Accept": "text/event-stream"})
            self.assertEqual((status, problem["field"]), (404, "id"))
            made = fleet.api("POST", "/hubs/jobs/negotiate?negotiateVersion=1")
            token = fleet.api("POST", "/v1/tokens", {"name": "other", "roles": ["viewer"]})["token"]
            taken = fleet.call("POST", f"/hubs/jobs?id={made['connectionToken']}", b"{}", token=token)
            self.assertEqual(taken[0], 404, "a connection is its maker's alone")

    def test_the_command_line_prints_and_follows(self):
        with Fleet() as fleet:
            fleet.hub()
            first = fleet.submit(type="Gone", delay="1h")
            printed = fleet.cli("events", "--since", "start", "--type", "geres.job.*").stdout.splitlines()
            self.assertEqual([line.split("\t")[1:4] for line in printed], [["job.submitted", first, "demo"]])
            self.assertEqual(fleet.cli("events", "--since", "0s").stdout, "")
            self.assertEqual(fleet.cli("events", "--since", "soon", check=False).returncode, 2)
            self.assertEqual(fleet.cli("events", "--type", "geres.job.ended", check=False).returncode, 2)
            newest = json.loads(fleet.cli("events", "--job", first, "--output", "json").stdout)["id"]
            self.assertEqual(len(fleet.cli("events", "--since", "yesterday").stdout.splitlines()), 1)
            following = subprocess.Popen(
                [str(BIN / "geres"), "events", "-f", "--since", newest, "--output", "json"], stdout=subprocess.PIPE,
                text=True, env=fleet.environment())
            try:
                told = []
                for life in range(3):
                    job = fleet.submit(type="Gone", delay="1h")
                    event = json.loads(following.stdout.readline())
                    told.append((event["type"], event["subject"]))
                    self.assertEqual(told[-1], ("geres.job.submitted", job), f"in life {life}: {told}")
                    hub = fleet.processes[-1]
                    hub.kill()
                    fleet.hub()
                following.send_signal(signal.SIGINT)
                self.assertEqual(following.wait(DEADLINE), 0)
                self.assertEqual(following.stdout.read(), "")
            finally:
                following.kill()
                following.wait()
                following.stdout.close()

    def test_the_typescript_client(self):
        with Fleet() as fleet:
            fleet.up()
            fleet.push_shell()
            done = subprocess.run(["node", "--test", "--test-reporter=spec", "--test-timeout=100000", "test/"], cwd=CLIENT, capture_output=True,
                                  text=True, env={**os.environ, **fleet.environment()}, timeout=240)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Tails(unittest.TestCase):
    def test_the_last_ones_come_first_and_what_happens_goes_on(self):
        with Fleet() as fleet:
            fleet.hub()
            first = fleet.submit(type="First", delay="1h")
            ids = [fleet.submit(type="Later", delay="1h") for _ in range(30)]
            last = lambda *words: [line.split("\t")[2] for line in fleet.cli("events", *words).stdout.splitlines()]
            self.assertEqual(last(), ids[-20:])
            self.assertEqual(last("--tail", "3"), ids[-3:])
            self.assertEqual(last("--tail", "0"), [])
            self.assertEqual(last("--tail", "100"), [first] + ids)
            self.assertEqual(last("--job", first, "--tail", "1"), [first], "further back than the last one of all")
            self.assertEqual(last("--type", "geres.job.failed"), [])
            self.assertEqual(fleet.cli("events", "--tail", "1", "--since", "1h", check=False).returncode, 2)
            following = subprocess.Popen([str(BIN / "geres"), "events", "-f", "--tail", "2"], env=fleet.environment(),
                                         stdout=subprocess.PIPE, text=True)
            try:
                line = lambda: following.stdout.readline().split("\t")[2]
                self.assertEqual([line(), line()], ids[-2:])
                new = fleet.submit(type="New", delay="1h")
                self.assertEqual(line(), new)
            finally:
                following.kill()
                following.wait()
                following.stdout.close()

    def test_a_jobs_history_says_what_happened(self):
        with Fleet() as fleet:
            fleet.hub()
            fleet.host("rack7")
            fleet.push_shell()
            id = fleet.shell("echo oops >&2; exit 3", maxAttempts=2, backoff={"initial": "300ms", "max": "300ms"})
            fleet.ended(id)
            told = [line.split("\t")[1:] for line in fleet.cli("job", "events", id).stdout.splitlines()]
            words = {kind: (attempt, text) for kind, attempt, text in told}
            self.assertIn("Shell", words["submitted"][1])
            self.assertEqual(words["leased"], ("2", "rack7 has it"))
            self.assertEqual(words["started"], ("2", "on rack7"))
            self.assertRegex(words["retrying"][1], r"^exit 3: oops; again in 0\.\d+ s$")
            self.assertRegex(words["failed"][1], r"^maxAttempts: exit 3: oops, on rack7$")


if __name__ == "__main__":
    unittest.main()
