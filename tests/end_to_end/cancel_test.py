# SPDX-License-Identifier: Apache-2.0
"""A cancel reaches: real trees of processes under each containment that the machine allows, and every step of an
attempt's life, also while host and hub cannot talk. Times are printed; what is tested leaves room for a busy machine."""
import hashlib
import io
import os
import random
import socket
import threading
import time
import unittest
import zipfile

from fleet import Fleet, nobody, processes_with, wait_until

GRACE = 0.3
ROOM = 20  # promised: 2 s and the grace

# Everything ignores TERM: a session of its own, double forks, a stopped child, one that keeps the output open.
TREE = """trap "" TERM
stay="while :; do sleep 1; done # {marker}"
setsid sh -c "trap '' TERM; (setsid sh -c 'trap \\"\\" TERM; $stay' &) ; (sh -c '$stay' &) ; $stay" &
sh -c "kill -STOP \\$\\$; $stay" &
setsid sh -c "exec 2>/dev/null; $stay" </dev/null &
(sh -c "$stay" >/dev/null 2>&1 &)
sh -c "$stay" &
wait
while :; do sleep 1; done
"""


class Proxy:
    """Between a host and its hub: passes on, until it is cut."""

    def __init__(self, url):
        name, port = url.removeprefix("http://").split(":")
        self.target = (name, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.open = True
        self.sockets = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if not self.open:
                client.close()
                continue
            try:
                hub = socket.create_connection(self.target)
            except OSError:
                client.close()
                continue
            self.sockets += [client, hub]
            for a, b in ((client, hub), (hub, client)):
                threading.Thread(target=self.copy, args=(a, b), daemon=True).start()

    @staticmethod
    def copy(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for end in (a, b):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        a.close()

    def cut(self):
        self.open = False
        for end in self.sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.sockets = []

    def mend(self):
        self.open = True

    def close(self):
        self.cut()
        self.listener.close()


def random_package(size):
    """A package of its own with a program that writes its marker, and ballast that does not compress."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zip:
        zip.writestr("geres.json", '{"jobs": {"Run": {"command": ["/bin/sh", "-c", "{script}"]}}}')
        zip.writestr("ballast", random.randbytes(size))
    return out.getvalue()


class Cancel(unittest.TestCase):
    def marker(self, more=""):
        return f"geres-{self._testMethodName}-{os.getpid()}{more}"

    def cancel(self, fleet, id, grace="300ms"):
        fleet.api("POST", f"/v1/jobs/{id}/cancel", {"grace": grace})
        return time.monotonic()

    def hosts_of_each_kind(self, fleet):
        """Starts a host for each containment, as root and as nobody; those that the machine refuses are left out."""
        started = []
        users = {None, nobody()}
        for user in users:
            for kind in ("cgroup2", "freezer", "pidns", "bestEffort"):
                name = f"{kind}-{'nobody' if user else 'own'}"
                process = fleet.host(name, "--slots", "1", "--containment", kind, "--label", f"on={name}", wait=False,
                                     user=user)
                started.append((name, kind, process))
        live = lambda name: any(h["name"] == name and h["state"] == "live" for h in fleet.hosts())
        kept = []
        for name, kind, process in started:
            wait_until(lambda: not process.alive() or live(name), f"{name} joins or is refused")
            if process.alive():
                kept.append((name, kind))
        return kept

    def test_a_tree_that_hides_is_gone_in_time_under_each_containment(self):
        with Fleet() as fleet:
            fleet.hub()
            fleet.push_shell()
            kinds = self.hosts_of_each_kind(fleet)
            self.assertTrue(any(kind == "bestEffort" for _, kind in kinds), "it needs nothing of the machine")
            shown = {h["name"]: h["containment"] for h in fleet.hosts()}
            jobs = {}
            for name, kind in kinds:
                self.assertEqual(shown[name], kind)
                marker = self.marker(f"-{name}")
                jobs[name] = (fleet.shell(TREE.format(marker=marker), requires={"labels": {"on": name}}), marker)
            for name, (id, marker) in jobs.items():
                wait_until(lambda: len(processes_with(marker)) >= 7, f"the tree on {name} has grown")
            for name, (id, marker) in jobs.items():
                acknowledged = self.cancel(fleet, id)
                wait_until(lambda: not processes_with(marker), f"nothing is left on {name}", ROOM)
                took = time.monotonic() - acknowledged - GRACE
                job = fleet.ended(id, ROOM)
                self.assertEqual((job["state"], job["attempt"]), ("cancelled", 1), name)
                print(f"  {name}: gone {took * 1000:.0f} ms after the grace")

    def test_a_fork_bomb_is_gone_in_time(self):
        with Fleet() as fleet:
            fleet.hub()
            fleet.push_shell()
            fleet.host("h", "--slots", "2", "--process-limit", "400")
            marker = self.marker()
            # Grows to a few hundred and then goes on forking in place of those that end.
            id = fleet.shell(f': {marker}; trap "" TERM; i=0; while [ $i -lt 100 ]; do '
                             f'sh -c ": {marker}; while :; do sleep 0.05; done" & i=$((i+1)); done; while :; do sleep 1; done',
                             maxAttempts=1)
            wait_until(lambda: len(processes_with(marker)) > 90, "it has grown")
            acknowledged = self.cancel(fleet, id)
            wait_until(lambda: not processes_with(marker), "nothing of it is left", ROOM)
            print(f"  fork bomb: gone {(time.monotonic() - acknowledged - GRACE) * 1000:.0f} ms after the grace")
            self.assertEqual(fleet.ended(id)["state"], "cancelled")
            self.assertEqual(fleet.ended(fleet.shell("true"))["state"], "finished", "the host goes on")

    def test_at_every_step_of_an_attempts_life(self):
        """Package and input downloads, unpacking, copying, the start, the run, the upload of artifacts."""
        with Fleet() as fleet:
            fleet.hub()
            fleet.host("h", "--slots", "4")
            marker = self.marker()
            script = (f': {marker}; head -c 3000000 input > "$GERES_OUTPUT_DIR/a"; '
                      f'cp "$GERES_OUTPUT_DIR/a" "$GERES_OUTPUT_DIR/b"; sleep 0.1')

            def submit(n):
                status, _, _ = fleet.call("PUT", f"/v1/packages/demo/p{n}", random_package(2_000_000))
                self.assertEqual(status, 201)
                blob = random.randbytes(4_000_000)
                status, _, file = fleet.call("PUT", "/v1/files/demo", blob)
                self.assertIn(status, (200, 201))
                self.assertEqual(file["sha256"], hashlib.sha256(blob).hexdigest())
                return fleet.submit(type="Run", package=f"p{n}", parameters={"script": script},
                                    inputs=[{"path": "input", "sha256": file["sha256"]}])

            begun = time.monotonic()
            job = fleet.ended(submit(0))
            self.assertEqual(job["state"], "finished", job)
            whole = time.monotonic() - begun
            trials, ends = 16, {}
            for n in range(1, trials + 1):
                id = submit(n)
                time.sleep(whole * 0.8 * n / trials)  # any moment will do
                acknowledged = self.cancel(fleet, id)
                job = fleet.ended(id, ROOM)
                self.assertLess(time.monotonic() - acknowledged, ROOM)
                self.assertIn(job["state"], ("cancelled", "finished"), job)
                self.assertLessEqual(job["attempt"], 1)
                ends[job["state"]] = ends.get(job["state"], 0) + 1
            print(f"  {trials} cancels: {ends}")
            wait_until(lambda: not processes_with(marker), "no process is left", ROOM)
            wait_until(lambda: all(h["busy"] == 0 for h in fleet.hosts()), "no slot is held")

    def test_while_the_host_cannot_reach_the_hub(self):
        with Fleet() as fleet:
            fleet.hub()
            proxy = Proxy(fleet.url)
            self.addCleanup(proxy.close)
            fleet.push_shell()
            fleet.host("h", "--slots", "2", url=proxy.url)
            marker = self.marker()
            long_lease = fleet.shell(f": {marker}-long; sleep 600; exit 3", lease="5m")
            short_lease = fleet.shell(f": {marker}-short; sleep 600; exit 3", lease="2s")
            fleet.in_state(long_lease, "running")
            fleet.in_state(short_lease, "running")
            proxy.cut()
            self.cancel(fleet, long_lease)
            self.cancel(fleet, short_lease)
            job = fleet.ended(short_lease, ROOM)
            self.assertEqual((job["state"], job["attempt"]), ("cancelled", 1))
            wait_until(lambda: not processes_with(f"{marker}-short"), "the runner ends it with its lease", ROOM)
            self.assertEqual(fleet.job(long_lease)["state"], "running", "its host may still be running it")
            self.assertTrue(processes_with(f"{marker}-long"))
            proxy.mend()
            job = fleet.ended(long_lease, ROOM)
            self.assertEqual((job["state"], job["attempt"]), ("cancelled", 1))
            self.assertFalse(processes_with(f"{marker}-long"), "gone when the hub is told")
            wait_until(lambda: all(h["busy"] == 0 for h in fleet.hosts()), "no slot is held")


if __name__ == "__main__":
    unittest.main()
