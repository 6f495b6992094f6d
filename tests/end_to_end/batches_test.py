# SPDX-License-Identifier: Apache-2.0
"""What operators do by the command line: batches, hosts that drain, jobs that are changed, repeated and looked at."""
import json
import unittest

from fleet import Fleet, wait_until


class Batches(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = Fleet()
        cls.addClassCleanup(cls.fleet.__exit__, None, None, None)
        cls.fleet.up("--slots", "2")
        cls.fleet.push_shell()

    def batch(self, name):
        return json.loads(self.fleet.cli("batch", "show", name, "--output", "json").stdout)

    def test_a_paused_batch_starts_nothing_until_it_is_resumed(self):
        fleet = self.fleet
        fleet.cli("batch", "create", "pausing", "--tenant", "demo")
        fleet.cli("batch", "pause", "pausing")
        self.assertTrue(self.batch("pausing")["paused"])
        held = fleet.shell("echo ran", batch="pausing")
        self.assertEqual(fleet.ended(fleet.shell("true"))["state"], "finished", "another batch goes on")
        self.assertEqual(fleet.job(held)["state"], "ready")
        self.assertIn("paused", fleet.cli("job", "why", held).stdout)
        fleet.cli("batch", "resume", "pausing")
        self.assertEqual(fleet.ended(held)["state"], "finished")

    def test_a_closed_batch_takes_no_more_but_runs_what_it_has(self):
        fleet = self.fleet
        fleet.cli("batch", "create", "closing", "--tenant", "demo")
        gate = fleet.directory / "closing-gate"
        first = fleet.shell(f"while [ ! -e {gate} ]; do sleep 0.05; done", batch="closing")
        queued = fleet.shell("true", batch="closing")
        fleet.cli("batch", "close", "closing")
        refused = fleet.cli("submit", "--tenant", "demo", "--batch", "closing", "--", "true", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("closed", refused.stderr)
        gate.touch()
        self.assertEqual([fleet.ended(id)["state"] for id in (first, queued)], ["finished", "finished"])
        self.assertEqual(self.batch("closing")["counts"]["finished"], 2)

    def test_a_cancelled_batch_takes_its_jobs_along(self):
        fleet = self.fleet
        fleet.cli("batch", "create", "ending", "--tenant", "demo", "--max-running", "1")
        ids = [fleet.shell("sleep 600", batch="ending") for _ in range(4)]
        wait_until(lambda: self.batch("ending")["counts"]["running"] == 1, "one of them runs")
        self.assertEqual(self.batch("ending")["counts"]["ready"], 3, "and one only: --max-running 1")
        fleet.cli("batch", "cancel", "ending")
        self.assertEqual({fleet.ended(id)["state"] for id in ids}, {"cancelled"})
        self.assertEqual(fleet.cli("batch", "cancel", "batch0", check=False).returncode, 1, "batch0 refuses it")

    def test_dead_letters_are_dismissed_and_a_batch_goes_with_all_it_has(self):
        fleet = self.fleet
        fleet.cli("batch", "create", "going", "--tenant", "demo")
        dead = [fleet.shell("exit 3", batch="going", maxAttempts=1) for _ in range(2)]
        kept = fleet.shell("echo kept", batch="going")
        self.assertEqual([fleet.ended(id)["state"] for id in dead], ["failed", "failed"])
        fleet.ended(kept)
        listed = lambda *words: [line.split("\t")[0] for line in
                                 fleet.cli("job", "list", "--batch", "going", *words).stdout.splitlines()]
        fleet.cli("job", "dismiss", dead[0])
        self.assertEqual(sorted(listed("--open")), sorted([dead[1], kept]))
        self.assertIn("would dismiss 1 job", fleet.cli("job", "dismiss", "--batch", "going", "--dry-run").stdout)
        fleet.cli("job", "dismiss", "--batch", "going")
        self.assertEqual(listed("--open"), [kept])
        self.assertEqual(len(listed()), 3, "they stay")
        again = fleet.cli("job", "dismiss", kept, check=False)
        self.assertEqual((again.returncode, "only a dead letter" in again.stderr), (1, True))

        refused = fleet.cli("batch", "delete", "going", check=False)
        self.assertEqual((refused.returncode, "is open" in refused.stderr), (1, True))
        fleet.cli("batch", "close", "going")
        self.assertIn("with 3 jobs", fleet.cli("batch", "delete", "going").stderr)
        self.assertEqual(fleet.cli("batch", "show", "going", check=False).returncode, 1)
        self.assertEqual(fleet.cli("job", "show", kept, check=False).returncode, 1)

    def test_a_drained_host_finishes_what_it_runs_and_starts_nothing_new(self):
        with Fleet() as fleet:
            fleet.hub()
            fleet.host("worker", "--slots", "2")
            fleet.push_shell()
            gate = fleet.directory / "gate"
            running = fleet.shell(f"while [ ! -e {gate} ]; do sleep 0.05; done; echo done")
            fleet.in_state(running, "running")
            fleet.cli("hosts", "drain", "worker")
            wait_until(lambda: fleet.hosts()[0]["mode"] == "drain", "it drains")
            waiting = fleet.shell("echo later")
            gate.touch()
            self.assertEqual(fleet.ended(running)["state"], "finished")
            self.assertEqual(fleet.job(waiting)["state"], "ready")
            self.assertIn("drain", fleet.cli("job", "why", waiting).stdout)
            fleet.cli("hosts", "resume", "worker")
            self.assertEqual(fleet.ended(waiting)["host"], "worker")

    def test_a_job_that_waits_is_changed(self):
        fleet = self.fleet
        id = fleet.shell("true", delay="1h", tags={"a": "1"})
        fleet.cli("job", "set", id, "--priority", "-5", "--tag", "b=2")
        job = fleet.job(id)
        self.assertEqual((job["state"], job["priority"], job["tags"]), ("scheduled", -5, {"a": "1", "b": "2"}))
        fleet.cli("job", "set", id, "--not-before", "now")
        self.assertEqual(fleet.ended(id)["state"], "finished")
        refused = fleet.cli("job", "set", id, "--priority", "1", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("finished", refused.stderr)

    def test_a_jobs_history_is_told_in_order(self):
        fleet = self.fleet
        id = fleet.shell("[ $GERES_ATTEMPT -gt 1 ]", backoff={"initial": "10ms", "max": "10ms"})
        fleet.ended(id)
        events = [line.split("\t")[1] for line in fleet.cli("job", "events", id).stdout.splitlines()]
        self.assertEqual([e for e in events if e != "progressed"],
                         ["submitted", "leased", "started", "retrying", "ready", "leased", "started", "finished"])
        self.assertEqual(len(json.loads(fleet.cli("job", "events", id, "--output", "json").stdout)["items"]), len(events))

    def test_dead_letters_are_redriven_by_filter_once_and_seen_through(self):
        fleet = self.fleet
        flag = fleet.directory / "mended"
        for _ in range(3):
            fleet.ended(fleet.shell(f"[ -e {flag} ]", maxAttempts=1, tags={"redrive": "me"}))
        words = ["job", "redrive", "--tag", "redrive=me"]
        self.assertIn("3 jobs (3 error)", fleet.cli(*words, "--dry-run").stdout)
        flag.touch()
        self.assertIn("3 finished", fleet.cli(*words, "--wait").stderr)
        self.assertIn("0 jobs", fleet.cli(*words, "--dry-run").stdout, "none is meant twice")
        self.assertGreaterEqual(json.loads(fleet.cli("status", "--output", "json").stdout)["lastHour"]["finished"], 3)

    def test_a_graceful_stop_is_silent(self):
        with Fleet() as fleet:
            up = fleet.up()
            fleet.push_shell()
            fleet.ended(fleet.shell("true"))
            self.assertEqual(up.terminate(), 0)
            log = up.log.read_text()
            self.assertNotIn("forgotten by the hub", log)
            self.assertEqual([line["message"] for line in map(json.loads, log.splitlines())
                              if line["level"] in ("warning", "error", "critical")], [])
            self.assertEqual(log.count('"message":"registered"'), 1, log)
            self.assertNotRegex(log, r'"detail":" *"')


if __name__ == "__main__":
    unittest.main()
