# SPDX-License-Identifier: Apache-2.0
"""A fleet that sizes itself: a real hub, a real scaler, its hosts as processes of this machine."""
import contextlib
import datetime
import json
import os
import pathlib
import random
import signal
import time
import unittest

from fleet import Fleet, Process, processes_with, wait_until

# How long processes are killed at random. Two minutes are a test of their own: ./dev test scaling_kills
KILLS = float(os.environ.get("GERES_KILLS_SECONDS", "12"))
# How long jobs are handed in that are rehearsed afterwards; three minutes are ./dev test scaling_rehearsal
WALK = os.environ.get("GERES_WALK", "60 x 1")  # jobs, and seconds of each
REHEARSED = float(os.environ.get("GERES_REHEARSED_SECONDS", "20"))

POOL = {
    "template": {"slots": 1},
    "provider": {"name": "local"},
    "policy": {"name": "messageCount"},
    "limits": {"minimum": 0, "maximum": 2, "maximumIdle": 0, "idleTime": "0", "interval": "1s", "scaleInWindow": "1s",
               "cooldownIn": "0s", "stepIn": "100%"},
}


class Scaling(unittest.TestCase):
    def scaler(self, fleet, number=1):
        return Process(fleet, f"scaler{number}", ["scaler", "run", "--hub", fleet.url, "--data",
                                                  fleet.directory / "machines"])

    def machines(self, fleet):
        return [m for m in fleet.api("GET", "/v1/scaler/machines?pool=here")["items"] if m["state"] != "gone"]

    def children(self, fleet):
        """Hosts that really run for this scaler."""
        found = []
        for line in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = line.read_bytes().split(b"\0")
            except OSError:
                continue
            if str(fleet.directory / "machines").encode() in b" ".join(words) and b"host" in words:
                found.append(line)
        return found

    def test_it_grows_with_the_work_and_shrinks_to_nothing(self):
        with Fleet() as fleet:
            fleet.hub()
            fleet.push_shell()
            fleet.api("PUT", "/v1/scaler/pools/here", POOL)
            self.scaler(fleet)
            ids = [fleet.shell("sleep 0.3") for _ in range(20)]
            most = 0
            for id in ids:
                self.assertEqual(fleet.ended(id)["state"], "finished")
                most = max(most, len(self.machines(fleet)))
            self.assertEqual(most, 2, "as many as the pool may have")
            for id in ids:
                self.assertEqual([a["outcome"] for a in fleet.api("GET", f"/v1/jobs/{id}/attempts")["items"]], ["finished"])
            wait_until(lambda: not self.machines(fleet), "all machines are gone")
            wait_until(lambda: not self.children(fleet), "and so are their processes")
            reasons = [d["reason"] for d in fleet.api("GET", "/v1/scaler/decisions?pool=here&changed=true")["items"]]
            self.assertTrue(reasons and all(reasons), "each change says why")

    def test_a_killed_scaler_is_followed_by_another_that_finds_its_machines(self):
        with Fleet() as fleet:
            fleet.hub()
            fleet.push_shell()
            fleet.api("PUT", "/v1/scaler/pools/here", POOL)
            first = self.scaler(fleet)
            id = fleet.shell("sleep 8")
            wait_until(lambda: fleet.job(id)["state"] == "running", "it runs")
            self.assertEqual(len(self.machines(fleet)), 1)
            first.kill()
            self.scaler(fleet, 2)
            self.assertEqual(fleet.ended(id)["state"], "finished")
            attempts = fleet.api("GET", f"/v1/jobs/{id}/attempts")["items"]
            self.assertEqual([a["outcome"] for a in attempts], ["finished"], "no job is ended by it")
            wait_until(lambda: not self.machines(fleet), "all machines are gone", deadline=90)
            wait_until(lambda: not self.children(fleet), "and so are their processes")



QUICK = {"interval": "1s", "maximumIdle": 0, "idleTime": "0", "scaleInWindow": "1s", "cooldownIn": "0s", "stepIn": "100%"}


def end_left_overs(fleet):
    """Hosts of pools outlive what made them, also a test that fails."""
    for pid in processes_with(str(fleet.directory)):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


@contextlib.contextmanager
def scaled_fleet():
    """A fleet that leaves no host of a pool behind, and tells what the scaler thought where a test fails."""
    fleet = Fleet()
    try:
        with fleet:
            try:
                yield fleet
            except BaseException:
                for words in (("scaler",), ("scaler", "machines"), ("scaler", "decisions")):
                    print(fleet.cli(*words, check=False).stdout[-3000:])
                raise
    finally:
        end_left_overs(fleet)


def machines(fleet):
    return [m for m in fleet.api("GET", "/v1/scaler/machines")["items"] if m["state"] != "gone"]


def scaler_pid(parent):
    """Of the scaler that a hub has brought along. 0: there is none."""
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"scaler" in words and int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == parent:
                return int(entry.name)
        except OSError:
            continue
    return 0


class Up(unittest.TestCase):
    """geres up --pool: everything on one machine, and hosts that come and go."""

    def quick(self, fleet):
        pool = json.loads(fleet.cli("scaler", "pool", "show", "here").stdout)
        pool["limits"].update(QUICK)
        (fleet.directory / "pool.json").write_text(json.dumps(pool))
        fleet.cli("scaler", "pool", "set", "here", "-f", "pool.json")

    def test_it_grows_and_shrinks_before_ones_eyes(self):
        with scaled_fleet() as fleet:
            up = fleet.up("--slots", "1", "--pool", "0..4")
            self.assertIn("0 to 4 hosts", up.out.read_text())
            self.quick(fleet)
            fleet.push_shell()
            jobs, seconds = WALK.split(" x ")
            ids = [fleet.shell(f"sleep {seconds}") for _ in range(int(jobs))]
            most = 0
            while not all(fleet.job(id)["state"] == "finished" for id in ids[-5:]):
                self.assertTrue(up.alive(), up.text())
                most = max(most, sum(m["state"] == "ready" for m in machines(fleet)))
                time.sleep(0.2)
            self.assertEqual(most, 4, "as many as it may have")
            self.assertRegex(fleet.cli("scaler").stdout, r"^here\tact\tmessageWaitingTime 10s\t")
            wait_until(lambda: not machines(fleet), "all of them are gone again")
            for id in ids:
                self.assertEqual(fleet.ended(id)["state"], "finished")
                outcomes = [a["outcome"] for a in fleet.api("GET", f"/v1/jobs/{id}/attempts")["items"]]
                self.assertEqual(outcomes, ["finished"], "no job is ended by it")
            page = fleet.call("GET", "/metrics")[2].decode()
            for figure in ('wanted{pool="here"} 0', 'actual{pool="here"}', 'decisions_total{',
                           'boot_seconds_count{pool="here"}'):
                self.assertIn("geres_scaler_" + figure, page)
            log = fleet.cli("scaler", "decisions", "--changed", "--tail", "1000").stdout
            for word in ("order ", "drain ", "retire ", "remove "):
                self.assertIn(word, log)

    def test_its_scaler_is_started_again_and_ends_with_it(self):
        with scaled_fleet() as fleet:
            up = fleet.up("--slots", "1", "--pool", "2..3")
            self.quick(fleet)
            ready = lambda: [m["instance"] for m in machines(fleet) if m["state"] == "ready"]
            wait_until(lambda: len(ready()) == 2, "as many as there are to be at least")
            before = sorted(ready())
            first = wait_until(lambda: scaler_pid(up.pid), "it has a scaler")
            os.kill(first, signal.SIGKILL)
            second = wait_until(lambda: scaler_pid(up.pid) not in (0, first) and scaler_pid(up.pid), "another one follows")
            fleet.cli("scaler", "pool", "set", "here", "--min", "3")
            wait_until(lambda: len(ready()) == 3, "it works, without waiting for the lease of the one before", 20)
            self.assertLessEqual(set(before), set(ready()), "and has found the machines")
            # Ended in peace, nothing is left of it.
            self.assertEqual(up.terminate(), 0)
            wait_until(lambda: not processes_with(str(fleet.directory)), "hosts and scaler have ended with it")
            # What there was is known to be gone, and replaced.
            up = fleet.up("--slots", "1", "--pool", "2..2")
            wait_until(lambda: len(ready()) == 2 and not set(ready()) & set(before) and len(machines(fleet)) == 2,
                       "others are in their place")
            # Killed, it takes the scaler along; the hosts go on and are found.
            third = wait_until(lambda: scaler_pid(up.pid), "it has a scaler")
            kept = sorted(ready())
            up.kill()
            wait_until(lambda: not pathlib.Path(f"/proc/{third}").exists(), "its scaler ends with it")
            port = fleet.url.rsplit(":", 1)[1]
            up = Process(fleet, "up", ["up", "--data", fleet.data, "--listen", f"127.0.0.1:{port}", "--slots", "1"])
            fleet._announced(up)
            wait_until(lambda: sorted(ready()) == kept, "the same machines serve")
            self.assertEqual(up.terminate(), 0)
            self.assertNotEqual(second, third)

    def test_without_a_pool_there_is_no_scaler_and_with_one_there_is(self):
        with scaled_fleet() as fleet:
            hub = fleet.hub()
            self.assertEqual(scaler_pid(hub.pid), 0)
            fleet.cli("scaler", "pool", "set", "here", "--max", "1", "--mode", "observe")
            wait_until(lambda: scaler_pid(hub.pid), "a pool is made")
            wait_until(lambda: "lastDecision" in fleet.api("GET", "/v1/scaler")["pools"][0], "it decides")
            fleet.cli("scaler", "pool", "delete", "here", "--drain")
            wait_until(lambda: not fleet.api("GET", "/v1/scaler")["pools"], "the pool is gone")
            hub.terminate()
            hub = fleet.hub("--no-scaler")
            fleet.cli("scaler", "pool", "set", "here", "--max", "1")
            time.sleep(1.5)  # nothing is to happen: longer than it is looked for
            self.assertEqual(scaler_pid(hub.pid), 0)


class Rehearsal(unittest.TestCase):
    """What really happened, and what a rehearsal of the same jobs says."""

    def test_it_says_what_has_come_to_pass(self):
        chance = random.Random(1)
        with scaled_fleet() as fleet:
            fleet.hub("--pool", "0..4")
            fleet.push_shell()
            pool = json.loads(fleet.cli("scaler", "pool", "show", "here").stdout)
            pool["policy"] = {"name": "messageCount"}
            pool["limits"].update(QUICK, idleTime="5s", scaleInWindow="5s", maximumIdle=4)
            fleet.api("PUT", "/v1/scaler/pools/here", pool)
            ids, end = [], time.monotonic() + REHEARSED
            while time.monotonic() < end:
                for _ in range(chance.randrange(1, 12)):
                    ids.append(fleet.shell(f"sleep {chance.uniform(0.5, 2):.2f}"))
                time.sleep(chance.uniform(1, 8))
            jobs = [fleet.ended(id, 120) for id in ids]
            self.assertEqual({job["state"] for job in jobs}, {"finished"})
            wait_until(lambda: not machines(fleet), "all machines are gone", 90)
            at = lambda item, member: datetime.datetime.fromisoformat(item[member]).timestamp()
            waits = sorted(at(job, "startedAt") - at(job, "submittedAt") for job in jobs)
            gone = fleet.api("GET", "/v1/scaler/machines?gone=true&limit=1000")["items"]
            hosts = sum(at(m, "goneAt") - at(m, "readyAt") for m in gone if "readyAt" in m)
            picture = fleet.directory / "rehearsed.svg"
            said = json.loads(fleet.cli("scaler", "rehearse", "--pool", "here", "--from", "1h", "--svg", picture,
                                        "--output", "json").stdout)
            self.assertEqual(said["jobs"], len(jobs))
            self.assertEqual(said["ended"], len(jobs))
            self.assertTrue(picture.read_text().startswith("<svg"))
            live = {"p50": waits[len(waits) // 2], "p95": waits[int(len(waits) * 0.95)], "host seconds": hosts}
            rehearsed = {"p50": said["waits"][0]["p50"], "p95": said["waits"][0]["p95"],
                         "host seconds": said["hostHours"]["ready"] * 3600}
            print("live", {k: round(v, 2) for k, v in live.items()},
                  "rehearsed", {k: round(v, 2) for k, v in rehearsed.items()}, flush=True)
            # Hosts of this machine are up in a second or so, and evaluated each second. In a short run a few of them
            # make a wait.
            share, wait = (0.1, 0.5) if REHEARSED >= 120 else (0.15, 2)
            self.assertLessEqual(abs(live["host seconds"] - rehearsed["host seconds"]), share * live["host seconds"])
            for what in ("p50", "p95"):
                self.assertLessEqual(abs(live[what] - rehearsed[what]), wait, what)


class Kills(unittest.TestCase):
    def test_whoever_is_killed_no_job_is_lost(self):
        seed = int(os.environ.get("GERES_KILLS_SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"GERES_KILLS_SEED={seed} GERES_KILLS_SECONDS={KILLS:g}", flush=True)
        chance = random.Random(seed)
        with scaled_fleet() as fleet:
            options = ("--lease", "3s", "--report-every", "500ms", "--pool", "0..4")
            hub = fleet.hub(*options)
            fleet.push_shell()
            pool = json.loads(fleet.cli("scaler", "pool", "show", "here").stdout)
            pool["limits"].update(QUICK, bootTimeout="20s")
            fleet.api("PUT", "/v1/scaler/pools/here", pool)
            killed_hosts, kills, ids = set(), {"hub": 0, "scaler": 0, "host": 0}, []

            def submit(n):
                ids.extend(fleet.shell(f"sleep {chance.uniform(0.05, 0.6):.2f}", maxAttempts=20) for _ in range(n))

            def kill_a_host():
                files = sorted((fleet.data / "machines").glob("*/machine.json"))
                if not files:
                    return
                file = chance.choice(files)
                try:
                    pid = json.loads(file.read_text())["pid"]
                    os.kill(pid, signal.SIGKILL) if pid else None
                except (OSError, ValueError):
                    return  # it has just gone
                killed_hosts.add(file.parent.name)
                kills["host"] += 1

            def kill_the_scaler():
                if pid := scaler_pid(hub.pid):
                    os.kill(pid, signal.SIGKILL)
                    kills["scaler"] += 1

            submit(40)
            end = time.monotonic() + KILLS
            while time.monotonic() < end:
                time.sleep(chance.uniform(0.3, 1.5))
                what = chance.choices(["host", "scaler", "hub"], [4, 3, 2])[0]
                if what == "host":
                    kill_a_host()
                elif what == "scaler":
                    kill_the_scaler()
                else:
                    hub.kill()
                    kills["hub"] += 1
                    time.sleep(chance.uniform(0, 1))
                    hub = fleet.hub(*options[:4])
                submit(chance.randrange(10))
            print(f"killed {kills}, {len(ids)} jobs", flush=True)
            self.assertTrue(kills["hub"] + kills["scaler"] + kills["host"] >= 5, kills)
            for id in ids:
                self.assertEqual(fleet.ended(id, 120)["state"], "finished", f"job {id} is lost: {fleet.job(id)}")
            for id in ids:
                for attempt in fleet.api("GET", f"/v1/jobs/{id}/attempts")["items"]:
                    # What was granted by a hub that died before its host heard of it comes back, and never began.
                    # What began is given back only where the hub was away for as long as the lease.
                    if attempt["outcome"] == "released":
                        if "startedAt" in attempt:
                            self.assertIn("the hub could not be reached before the lease ended", attempt["error"])
                            self.assertGreater(kills["hub"], 0, f"no hub was away: {attempt}")
                    elif attempt["outcome"] != "finished":
                        self.assertIn(attempt["host"], killed_hosts, f"ended by nobody's kill: {attempt}")
            wait_until(lambda: not machines(fleet), "as many machines as are wanted: none", 120)
            wait_until(lambda: not [p for p in processes_with(str(fleet.data / "machines"))
                                    if b"host" in pathlib.Path(f"/proc/{p}/cmdline").read_bytes().split(b"\0")],
                       "and none of their processes")
            self.assertEqual(list((fleet.data / "machines").iterdir()), [])
            fleet.cli("scaler", "pool", "set", "here", "--min", "2")
            wait_until(lambda: sorted(m["state"] for m in machines(fleet)) == ["ready"] * 2, "and two when two are")
            hub.terminate()


if __name__ == "__main__":
    unittest.main(verbosity=2)
