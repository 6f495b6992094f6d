# SPDX-License-Identifier: Apache-2.0
"""The store's own commands: a check beside a hub that works, a backup under load, and what a restore makes of it; the
same of all that a hub keeps."""
import json
import os
import shutil
import stat
import subprocess
import threading
import unittest

from fleet import BIN, Fleet, nobody, wait_until


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


def blobs_of(data):
    return sorted(str(f.relative_to(data)) for f in (data / "blobs" / "tenants").rglob("*") if f.is_file())


class Everything(unittest.TestCase):
    """`hub backup DIR`: store, blobs, logs and token as one thing."""

    def backup(self, fleet, to, **options):
        return fleet.cli("hub", "backup", to, "--data", fleet.data, "--output", "json", **options)

    def restore(self, fleet, backup, data, **options):
        return fleet.cli("hub", "restore", backup, "--data", data, "--output", "json", **options)

    def test_taken_under_load_it_is_a_hub_that_goes_on(self):
        with Fleet() as fleet:
            hub, host = fleet.hub("--lease", "2s"), fleet.host("h", "--slots", "2")
            fleet.push_shell()
            kept = fleet.shell('echo spoken; echo kept > "$GERES_OUTPUT_DIR/file.txt"')
            fleet.ended(kept)
            load = Load(fleet)
            wait_until(lambda: len(load.acknowledged) >= 30, "some jobs are submitted")
            before = list(load.acknowledged)
            backup = fleet.directory / "everything"
            told = json.loads(self.backup(fleet, backup).stdout)
            wait_until(lambda: len(load.acknowledged) >= len(before) + 5, "the hub goes on meanwhile")
            load.stop()
            self.assertEqual(told["source"], str(fleet.data / "geres.db"))
            self.assertEqual((told["ok"], told["adminToken"], told["lostCount"]), (True, True, 0))
            self.assertEqual(told["blobs"]["files"], len(blobs_of(backup)))
            self.assertGreaterEqual(told["blobs"]["files"], 2)
            checked = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=backup, capture_output=True)
            self.assertEqual(checked.returncode, 0, checked.stdout)
            for file in [backup, *backup.rglob("*")]:
                self.assertEqual(stat.S_IMODE(file.stat().st_mode) & 0o077, 0, f"{file} is open to others")
            token = (fleet.data / "admin.token").read_text()
            hub.kill()
            host.kill()

            fleet.data = fleet.directory / "second"
            restored = json.loads(self.restore(fleet, backup, fleet.data).stdout)
            self.assertEqual(restored["blobs"], told["blobs"])
            self.assertEqual(restored["logs"], told["logs"])
            self.assertEqual((fleet.data / "admin.token").read_text(), token)
            self.assertEqual([f.name for f in fleet.data.iterdir() if f.name.startswith(".")], [])
            fleet.hub()
            self.assertEqual(fleet.cli("job", "log", kept).stdout, "spoken\n")
            out = fleet.directory / "out"
            fleet.cli("job", "files", kept, "--out", out)
            self.assertEqual((out / "file.txt").read_text(), "kept\n")
            fleet.host("new", "--slots", "4")
            for id in before:
                self.assertEqual(fleet.ended(id)["state"], "finished")

    def test_one_that_was_cut_short_is_never_restored(self):
        with Fleet() as fleet:
            fleet.hub()
            slow = fleet.data / "blobs" / "tenants" / "demo" / "aa" / ("aa" * 32)
            slow.parent.mkdir(parents=True)
            with open(slow, "wb") as file:
                file.truncate(64 << 30)
            backup = fleet.directory / "half"
            process = subprocess.Popen([BIN / "geres", "hub", "backup", backup, "--data", fleet.data],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_until(lambda: (backup / slow.relative_to(fleet.data)).exists(), "the copy is under way")
            process.kill()
            process.wait()
            (backup / slow.relative_to(fleet.data)).unlink()
            data = fleet.directory / "new"
            refused = self.restore(fleet, backup, data, check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("no whole backup", refused.stdout)
            self.assertEqual(list(data.iterdir()) if data.exists() else [], [])
            again = self.backup(fleet, backup, check=False)
            self.assertEqual(again.returncode, 1)
            self.assertIn("not empty", again.stdout)

    def test_what_has_changed_since_is_refused_and_nothing_is_left(self):
        with Fleet() as fleet:
            hub = fleet.hub()
            fleet.push_shell()
            backup, data = fleet.directory / "backup", fleet.directory / "new"
            self.backup(fleet, backup)
            hub.terminate()
            blob, store = backup / blobs_of(backup)[0], backup / "geres.db"

            def flip(file, at=100):
                content = bytearray(file.read_bytes())
                content[at] ^= 1
                file.write_bytes(content)

            def is_refused(word):
                done = self.restore(fleet, backup, data, check=False)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(word, done.stdout)
                self.assertEqual(list(data.iterdir()), [])

            for file in (blob, store, backup / "admin.token", backup / "SHA256SUMS"):
                flip(file, at=10)
                is_refused("damaged")
                flip(file, at=10)
            away = fleet.directory / "away"
            shutil.move(blob, away)
            is_refused("missing")
            shutil.move(away, blob)
            self.assertTrue(json.loads(self.restore(fleet, backup, data).stdout)["ok"])

    def test_a_restore_wants_an_empty_directory(self):
        with Fleet() as fleet:
            hub = fleet.hub()
            backup = fleet.directory / "backup"
            self.backup(fleet, backup)
            data = fleet.directory / "used"
            data.mkdir()
            (data / "note").write_text("mine")
            for words in ([], ["--replace"]):
                refused = fleet.cli("hub", "restore", backup, "--data", data, *words, check=False)
                self.assertNotEqual(refused.returncode, 0)
                self.assertEqual([f.name for f in data.iterdir()], ["note"])
            self.assertNotEqual(self.restore(fleet, backup, fleet.data, check=False).returncode, 0, "a hub runs there")
            (data / "note").unlink()
            (data / ".restore-left").mkdir()  # by one that was killed
            self.restore(fleet, backup, data)
            self.assertFalse((data / ".restore-left").exists())
            hub.terminate()

    @unittest.skipUnless(nobody(), "only root can restore for others")
    def test_root_restores_for_the_owner_of_the_directory(self):
        with Fleet() as fleet:
            hub = fleet.hub()
            fleet.push_shell()
            backup, data = fleet.directory / "backup", fleet.directory / "theirs"
            self.backup(fleet, backup)
            hub.terminate()
            data.mkdir()
            os.chown(data, nobody(), nobody())
            self.restore(fleet, backup, data)
            for file in data.rglob("*"):
                self.assertEqual(file.lstat().st_uid, nobody(), file)

    @unittest.skipUnless(os.geteuid() == 0, "only root can mount")
    def test_one_for_which_there_is_no_room_leaves_nothing(self):
        with Fleet() as fleet:
            fleet.hub()
            fleet.push_shell()
            small = fleet.directory / "small"
            small.mkdir()
            if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True).returncode:
                self.skipTest("cannot mount here")
            try:
                for place in (small, small / "below"):
                    refused = self.backup(fleet, place, check=False)
                    self.assertEqual(refused.returncode, 1, refused.stdout)
                    self.assertRegex(refused.stdout, "No space left|disk is full")
                    self.assertEqual(list(small.iterdir()), [])
            finally:
                subprocess.run(["umount", small], check=True)

    def test_a_blob_that_is_gone_or_damaged_is_told(self):
        with Fleet() as fleet:
            fleet.hub()
            fleet.push_shell()
            blob = fleet.data / blobs_of(fleet.data)[0]
            content = blob.read_bytes()
            for change in (lambda: blob.write_bytes(content + b"x"), blob.unlink):
                change()
                told = self.backup(fleet, fleet.directory / "backup", check=False)
                self.assertEqual(told.returncode, 1)
                self.assertIn(blob.name, told.stdout)
                shutil.rmtree(fleet.directory / "backup")

    def test_logs_of_attempts_that_the_store_does_not_know_stay_behind(self):
        with Fleet() as fleet:
            fleet.hub()
            fleet.host("h")
            fleet.push_shell()
            job = fleet.shell("echo one")
            fleet.ended(job)
            wait_until(lambda: list((fleet.data / "logs").rglob("1.*")), "the log is there")
            known = next((fleet.data / "logs").rglob("1.*"))
            (known.parent / "2.stdout").write_text("of an attempt after the backup's moment")
            backup = fleet.directory / "backup"
            self.backup(fleet, backup)
            self.assertEqual([f.name for f in (backup / "logs").rglob("*.*")], [known.name])

    def test_it_reads_the_hub_that_is_meant(self):
        with Fleet() as fleet:
            fleet.hub()
            other = {"GERES_HUB": "http://192.0.2.1:1", "GERES_DATA": str(fleet.data)}
            for words in (["backup", fleet.directory / "b"], ["backup", fleet.directory / "b.db"], ["check"],
                          ["restore", fleet.directory]):
                refused = fleet.cli("hub", *words, check=False, env=other)
                self.assertEqual(refused.returncode, 2, words)
                self.assertIn("192.0.2.1:1", refused.stderr)
            own = {**other, "GERES_HUB": fleet.url}
            fleet.cli("hub", "backup", fleet.directory / "own", env=own)
            fleet.cli("hub", "check", env={**other, "GERES_HUB": fleet.url.removeprefix("http://")})
            told = fleet.cli("hub", "backup", fleet.directory / "named", "--data", fleet.data, env=other)
            self.assertIn(str(fleet.data / "geres.db"), told.stdout)


if __name__ == "__main__":
    unittest.main()
