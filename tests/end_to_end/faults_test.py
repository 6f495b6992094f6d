# SPDX-License-Identifier: Apache-2.0
"""What a fault costs: hubs and hosts that are killed, stopped and frozen while real jobs run."""
import os
import signal
import subprocess
import unittest

from fleet import Fleet, processes_with, wait_until
from processes import children_of


class Faults(unittest.TestCase):
    def marker(self):
        return f"geres-{self._testMethodName}-{os.getpid()}"

    def test_a_killed_hub_disturbs_no_running_job_and_forgets_nothing(self):
        with Fleet() as fleet:
            hub = fleet.hub()
            fleet.host("h", "--slots", "2")
            fleet.push_shell()
            gate = fleet.directory / "gate"
            running = fleet.shell(f'while [ ! -e {gate} ]; do sleep 0.05; done; echo done')
            fleet.in_state(running, "running")
            queued = [fleet.shell("true", delay="200ms") for _ in range(20)]
            hub.kill()
            fleet.hub()
            gate.touch()
            job = fleet.ended(running)
            self.assertEqual((job["state"], job["attempt"], job["hostLosses"]), ("finished", 1, 0))
            for id in queued:
                self.assertEqual(fleet.ended(id)["state"], "finished")

    def test_a_killed_host_leaves_nothing_and_gives_back_at_once_when_it_returns(self):
        with Fleet() as fleet:
            fleet.hub()
            host = fleet.host("h")
            fleet.push_shell()
            marker = self.marker()
            id = fleet.shell(f'[ $GERES_ATTEMPT -gt 1 ] && exit 0; setsid sh -c "while :; do sleep 1; done # {marker}" & while :; do sleep 1; done # {marker}')
            fleet.in_state(id, "running")
            wait_until(lambda: len(processes_with(marker)) >= 2, "its processes run")
            host.kill()
            wait_until(lambda: not processes_with(marker), "no process of a killed host is left", 10)
            fleet.host("h", wait=False)
            job = fleet.ended(id, 20)  # the lease would have taken 30 s
            self.assertEqual((job["state"], job["attempt"], job["hostLosses"]), ("finished", 2, 1))

    def test_a_host_that_stays_away_loses_its_lease(self):
        with Fleet() as fleet:
            fleet.hub()
            first = fleet.host("first")
            fleet.push_shell()
            id = fleet.shell("[ $GERES_ATTEMPT -gt 1 ] || sleep 600", lease="2s")
            fleet.in_state(id, "running")
            first.kill()
            fleet.host("second")
            job = fleet.ended(id, 30)
            self.assertEqual((job["state"], job["attempt"], job["host"]), ("finished", 2, "second"))

    def test_a_frozen_agent_never_makes_two_attempts_at_once(self):
        with Fleet() as fleet:
            fleet.hub()
            frozen = fleet.host("frozen")
            fleet.push_shell()
            traces = fleet.directory / "trace"
            traces.mkdir(mode=0o777)
            traces.chmod(0o777)
            (traces / "lock").touch()
            (traces / "lock").chmod(0o666)  # on each host the job is somebody else
            id = fleet.shell(f'exec 9>{traces}/lock; flock -n 9 || touch {traces}/overlap; '
                             f'[ $GERES_ATTEMPT -gt 1 ] || sleep 600', lease="2s")
            fleet.in_state(id, "running")
            os.kill(frozen.pid, signal.SIGSTOP)
            fleet.host("other")
            job = fleet.ended(id, 30)
            self.assertEqual((job["state"], job["host"]), ("finished", "other"))
            self.assertFalse((traces / "overlap").exists(), "the first attempt was dead before the second began")
            os.kill(frozen.pid, signal.SIGCONT)
            wait_until(lambda: all(h["busy"] == 0 for h in fleet.hosts() if h["name"] == "frozen"), "it has nothing left")
            self.assertEqual(fleet.job(id)["attempt"], 2)

    def test_a_graceful_stop_gives_jobs_back_without_counting(self):
        with Fleet() as fleet:
            fleet.hub()
            host = fleet.host("h", "--drain", "100ms")
            fleet.push_shell()
            id = fleet.shell("[ $GERES_ATTEMPT -gt 1 ] || sleep 600")
            fleet.in_state(id, "running")
            self.assertEqual(host.terminate(20), 0)
            wait_until(lambda: fleet.job(id)["state"] == "ready", "it is ready again", 5)
            fleet.host("again")
            job = fleet.ended(id)
            self.assertEqual((job["state"], job["failures"], job["hostLosses"]), ("finished", 0, 0))

    def test_up_stops_and_starts_again_with_everything(self):
        with Fleet() as fleet:
            up = fleet.up()
            fleet.push_shell()
            id = fleet.ended(fleet.shell("echo kept"))["id"]
            self.assertEqual(up.terminate(), 0)
            fleet.up()
            self.assertEqual(fleet.job(id)["result"].strip(), "kept")
            self.assertEqual(fleet.api("GET", f"/v1/jobs/{id}/log"), b"kept\n")

    def test_a_second_hub_on_the_same_data_is_refused(self):
        with Fleet() as fleet:
            fleet.hub()
            again = fleet.cli("hub", "--data", fleet.data, "--listen", "127.0.0.1:0", check=False)
            self.assertEqual(again.returncode, 1)
            self.assertRegex(again.stderr, r"(?i)in use|another hub|already")

    def test_a_poison_job_costs_three_hosts_at_most(self):
        with Fleet() as fleet:
            fleet.hub()
            host = fleet.host("h")
            fleet.push_shell()
            id = fleet.shell("sleep 600")
            for life in range(3):
                wait_until(lambda: fleet.job(id)["state"] == "running" and fleet.job(id)["attempt"] == life + 1, "it runs")
                host.kill()
                if life < 2:
                    host = fleet.host("h", wait=False)
            fleet.host("h", wait=False)
            job = fleet.ended(id, 20)
            self.assertEqual((job["state"], job["reason"]), ("failed", "poison"))

    def test_a_runner_that_hangs_keeps_its_host_away_for_seconds_only(self):
        with Fleet() as fleet:
            fleet.hub()
            host = fleet.host("h")
            fleet.push_shell()
            marker = self.marker()
            id = fleet.shell(f"[ $GERES_ATTEMPT -gt 1 ] && exit 0; while :; do sleep 1; done # {marker}")
            fleet.in_state(id, "running")
            for runner in children_of(host.pid):
                os.kill(runner, signal.SIGSTOP)
            host.kill()
            self.assertTrue(processes_with(marker), "a stopped runner ends nothing")
            again = fleet.host("h", wait=False)
            job = fleet.ended(id, 25)  # the lease would have taken 30 s
            self.assertEqual((job["state"], job["attempt"], job["hostLosses"]), ("finished", 2, 1))
            self.assertFalse(processes_with(marker))
            self.assertTrue(again.alive())

    def test_leases_are_set_by_hub_and_job_within_bounds(self):
        with Fleet() as fleet:
            for flag, *words in (("--lease", "--lease", "1s"), ("--lease", "--lease", "25h"),
                                 ("--report-every", "--report-every", "100ms"),
                                 ("--report-every", "--lease", "2s", "--report-every", "1s")):
                refused = fleet.cli("hub", "--data", fleet.data, "--listen", "127.0.0.1:0", *words, check=False)
                self.assertEqual((refused.returncode, flag in refused.stderr), (2, True), refused.stderr)
            fleet.hub("--lease", "2s")
            fleet.push_shell()
            for asked, ttl in ((None, 2_000), ("3h", 10_800_000), ("2500ms", 2_500)):
                fleet.shell("true", priority=ttl, **({"lease": asked} if asked else {}))
            status, _, problem = fleet.call("POST", "/v1/jobs", {"tenant": "demo", "type": "Shell", "package": "shell",
                                                                 "lease": "1s"})
            self.assertEqual((status, problem["field"]), (400, "/lease"))
            joined = fleet.api("POST", "/v1/hosts", {"name": "probe", "slots": 3})
            self.assertEqual(joined["reportSeconds"], 0.5)
            _, _, fetched = fleet.call("POST", f"/v1/hosts/{joined['id']}/fetch", {"fetchId": "f", "slots": 3, "wait": "5s"},
                                       token=joined["secret"])
            self.assertEqual(sorted(grant["ttlMs"] for grant in fetched["leases"]), [2_000, 2_500, 10_800_000])

    def test_a_full_disk_refuses_what_is_new_and_loses_nothing(self):
        with Fleet() as fleet:
            fleet.data.mkdir()
            mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", fleet.data], capture_output=True)
            if mounted.returncode != 0:
                self.skipTest("no tmpfs can be mounted here")
            try:
                self.fill_and_empty(fleet)
                for process in fleet.processes:
                    process.terminate()
                fleet.audit()  # before its disk is gone
            finally:
                for process in fleet.processes:
                    process.terminate()
                subprocess.run(["umount", "-l", fleet.data], check=True)

    def fill_and_empty(self, fleet):
        fleet.hub()
        fleet.host("h", "--slots", "2")
        status, _, problem = fleet.call("PUT", "/v1/packages/demo/p", b"PK")
        self.assertEqual((status, problem["code"]), (507, "storageFull"), "less is free than uploads must leave")
        old = fleet.submit(type="Gone", delay="1h")
        filling = fleet.data / "filling"
        with open(filling, "wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 20)):
                    pass
            except OSError:
                pass
        refused = wait_until(lambda: self.refused(fleet), "the store is full")
        self.assertEqual(refused["code"], "storageFull", refused)
        self.assertTrue(refused["hint"])
        fleet.api("POST", f"/v1/jobs/{old}/cancel", {})
        self.assertEqual(fleet.job(old)["state"], "cancelled", "what ends jobs still goes through")
        filling.unlink()
        wait_until(lambda: fleet.call("POST", "/v1/jobs", {"tenant": "demo", "type": "Gone"})[0] == 201, "it takes jobs again")

    def refused(self, fleet):
        status, _, answer = fleet.call("POST", "/v1/jobs", {"tenant": "demo", "type": "Gone", "parameters": "x" * 60000})
        self.assertIn(status, (201, 507), answer)
        return answer if status == 507 else None


if __name__ == "__main__":
    unittest.main()
