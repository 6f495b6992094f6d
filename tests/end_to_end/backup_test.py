# SPDX-License-Identifier: Apache-2.0
"""The store's own commands: a check beside a hub that works, a backup under load, and what a restore makes of it."""
import json
import os
import shutil
import stat
import threading
import unittest

from fleet import Fleet, wait_until


class Load:
    """Clients that submit until they are told to stop; `acknowledged` is what was answered so far."""

    def __init__(self, fleet, clients=3):
        self.fleet = fleet
        self.acknowledged = []
        self.stopping = False
        self.errors = []
        self.threads = [threading.Thread(target=self.submit, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def submit(self):
        try:
            while not self.stopping:
                self.acknowledged.append(self.fleet.shell("true"))
        except Exception as error:  # told by stop()
            self.errors.append(error)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(60)
        assert not self.errors, self.errors


class Backup(unittest.TestCase):
    def check(self, fleet, *words):
        return json.loads(fleet.cli("hub", "check", *words, "--output", "json").stdout)

    def test_a_check_tells_figures_or_the_row(self):
        with Fleet() as fleet:
            hub = fleet.hub()
            fleet.host("h")
            fleet.push_shell()
            fleet.ended(fleet.shell("true"))
            fleet.shell("true", delay="1h")
            found = self.check(fleet, "--data", fleet.data)
            self.assertTrue(found["ok"])
            self.assertEqual((found["jobs"]["finished"], found["jobs"]["scheduled"]), (1, 1))
            self.assertGreater(found["events"]["last"], 0)
            hub.kill()
            before = {f: (fleet.data / f).read_bytes() for f in ("geres.db", "geres.db-wal")}
            self.assertTrue(self.check(fleet, "--data", fleet.data)["ok"], "a log that nobody has closed is read too")
            for file, content in before.items():
                self.assertEqual((fleet.data / file).read_bytes(), content, f"{file} was changed by a check")

    def test_a_backup_under_load_restores_to_a_hub_that_goes_on(self):
        with Fleet() as fleet:
            hub = fleet.hub()
            host = fleet.host("h", "--slots", "2")
            fleet.push_shell()
            load = Load(fleet)
            wait_until(lambda: len(load.acknowledged) >= 30, "some jobs are submitted")
            before = list(load.acknowledged)
            backup = fleet.directory / "backup.db"
            told = json.loads(fleet.cli("hub", "backup", backup, "--data", fleet.data, "--output", "json").stdout)
            self.assertTrue(told["ok"], told)
            wait_until(lambda: len(load.acknowledged) >= len(before) + 5, "the hub goes on meanwhile")
            load.stop()
            self.assertEqual(stat.S_IMODE(os.stat(backup).st_mode), 0o600)
            again = fleet.cli("hub", "backup", backup, "--data", fleet.data, check=False)
            self.assertEqual(again.returncode, 1)
            self.assertIn("exists", again.stderr)
            log = self.check(fleet, "--data", fleet.data)["log"]
            refused = fleet.cli("hub", "restore", backup, "--data", fleet.data, check=False)
            self.assertEqual(refused.returncode, 1, "a hub runs there")
            hub.kill()
            host.kill()

            first, fleet.data = fleet.data, fleet.directory / "second"
            restored = json.loads(fleet.cli("hub", "restore", backup, "--data", fleet.data, "--output", "json").stdout)
            self.assertTrue(restored["ok"], restored)
            self.assertNotEqual(restored["log"], log, "a restored log must not pass for the old one")
            shutil.copytree(first / "blobs", fleet.data / "blobs")
            self.assertEqual(self.check(fleet, "--data", fleet.data)["log"], restored["log"])
            fleet.hub()
            for id in before:
                self.assertEqual(fleet.job(id)["id"], id)
            fleet.host("new", "--slots", "4")
            for id in before:
                self.assertEqual(fleet.ended(id)["state"], "finished")

    def test_a_restore_keeps_the_store_that_is_there(self):
        with Fleet() as fleet:
            hub = fleet.hub()
            kept = fleet.submit(type="Kept", delay="1h")
            backup = fleet.directory / "backup.db"
            fleet.cli("hub", "backup", backup, "--data", fleet.data)
            lost = fleet.submit(type="Lost", delay="1h")
            hub.terminate()
            refused = fleet.cli("hub", "restore", backup, "--data", fleet.data, check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("already", refused.stderr)
            told = json.loads(fleet.cli("hub", "restore", backup, "--data", fleet.data, "--replace",
                                        "--output", "json").stdout)
            fleet.hub()
            self.assertEqual(fleet.job(kept)["id"], kept)
            self.assertEqual(fleet.call("GET", f"/v1/jobs/{lost}")[0], 404)
            self.assertEqual(self.check(fleet, "--store", f"sqlite:{told['kept']}")["jobs"]["scheduled"], 2)

    def test_what_is_no_backup_is_refused(self):
        with Fleet() as fleet:
            empty, text = fleet.directory / "empty", fleet.directory / "text"
            empty.touch()
            text.write_text("no store " * 1000)
            for file in (empty, text, fleet.directory / "absent"):
                done = fleet.cli("hub", "restore", file, "--data", fleet.directory / "new", check=False)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertFalse((fleet.directory / "new" / "geres.db").exists())
            self.assertEqual(fleet.cli("hub", "check", "--data", fleet.directory / "new", check=False).returncode, 1)


if __name__ == "__main__":
    unittest.main()
