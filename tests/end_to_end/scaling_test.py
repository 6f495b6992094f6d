# SPDX-License-Identifier: Apache-2.0
"""A fleet that sizes itself: a real hub, a real scaler, its hosts as processes of this machine."""
import pathlib
import unittest

from fleet import Fleet, Process, wait_until

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


if __name__ == "__main__":
    unittest.main(verbosity=2)
