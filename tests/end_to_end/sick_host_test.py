# SPDX-License-Identifier: Apache-2.0
"""A host that cannot start jobs, beside one that can: it has free slots all the time, and must not draw them all."""
import json
import os
import shutil
import subprocess
import unittest

from fleet import Fleet, nobody

JOBS = 1000


class SickHost(unittest.TestCase):
    def check(self, fleet, jobs):
        """All have finished on the well host, none has lost a life; how often the sick one gave a job back."""
        ended = [fleet.ended(job) for job in jobs]
        self.assertEqual({(j["state"], j.get("reason"), j["hostLosses"], j["failures"]) for j in ended},
                         {("finished", None, 0, 0)})
        self.assertEqual({j["host"] for j in ended}, {"well"})
        attempts = [a for job in jobs for a in fleet.api("GET", f"/v1/jobs/{job}/attempts")["items"]]
        given_back = [a for a in attempts if a["host"] == "sick"]
        self.assertEqual({a["outcome"] for a in given_back}, {"released"})
        return len(given_back)

    def test_a_removed_data_directory_costs_no_job(self):
        user = nobody() if os.geteuid() == 0 else None
        with Fleet() as fleet:
            hub = fleet.hub()
            fleet.host("well", "--slots", "2", user=user)
            fleet.push_shell()
            fleet.ended(fleet.shell("true"))
            fleet.host("sick", "--slots", "8", user=user)
            for entry in fleet.host_data("sick").iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            spec = {"tenant": "demo", "type": "Shell", "package": "shell", "parameters": {"script": "true"}}
            jobs = fleet.api("POST", "/v1/jobs", [spec] * JOBS)["ids"]
            given_back = self.check(fleet, jobs)
            self.assertLess(given_back, 50, "it rests, longer each time")
            health = next(h for h in fleet.hosts() if h["name"] == "sick").get("health", {})
            self.assertIn(health.get("state"), ("resting", "unfit"), health)
            lines = [json.loads(line) for line in hub.log.read_text().splitlines()]
            rests = [line for line in lines if line["message"] == "host rests"]
            self.assertTrue(rests, "the hub's log says so")
            self.assertEqual({line["host"] for line in rests}, {"sick"})
            self.assertTrue(all(line["reason"] for line in rests), rests)
            print(f"  {JOBS} jobs beside a sick host: none poison, {given_back} given back", flush=True)

    def test_a_package_too_large_for_one_hosts_disk_runs_on_another(self):
        with Fleet() as fleet:
            small = fleet.host_data("sick")
            small.mkdir()
            if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=110m,mode=755", "tmpfs", small], capture_output=True).returncode != 0:
                self.skipTest("no tmpfs can be mounted here")
            try:
                fleet.hub()
                fleet.host("sick", "--slots", "8")
                fleet.push("large", {"Run": ["./run.sh"]}, {"run.sh": "#!/bin/sh\ntrue\n", "load": os.urandom(40 << 20).hex()})
                fleet.host("well", "--slots", "1")
                jobs = [fleet.submit(type="Run", package="large") for _ in range(20)]
                self.assertGreater(self.check(fleet, jobs), 0, "it was tried")
            finally:
                for process in fleet.processes:
                    process.kill()
                subprocess.run(["umount", "-l", small], check=True)


if __name__ == "__main__":
    unittest.main()
