#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A host whose jobs all run as its own user, without root: they are kept to their own files."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from fleet import BIN, Fleet, nobody


def has_landlock():
    done = subprocess.run([str(BIN / "geres"), "doctor"], capture_output=True, text=True,
                          user=nobody(), env={"HOME": "/nonexistent", "GERES_DATA": "/tmp"})
    return "Landlock (ABI" in done.stdout


class Fence(unittest.TestCase):
    def setUp(self):
        if nobody() is None or not has_landlock():
            self.skipTest("needs a user without rights and a kernel with Landlock")

    def test_jobs_are_kept_to_their_own_files(self):
        with Fleet() as fleet:
            fleet.hub()
            fleet.push_shell()
            more = fleet.directory / "more"
            more.mkdir()
            os.chown(more, nobody(), nobody())
            host = fleet.host("h", "--slots", "2", "--containment", "bestEffort", "--writable", more, user=nobody())
            data = fleet.host_data("h") / "host"

            def run(script):
                return fleet.ended(fleet.shell(script, maxAttempts=1))

            job = run(f"set -e; echo 42 half > $GERES_PROGRESS; echo out > $GERES_OUTPUT_DIR/f; cat $GERES_JOB_FILE > x; "
                      f"ls $GERES_PACKAGE_DIR; mv x $TMPDIR; echo fine > {more}/fine; echo '{{}}' > $GERES_RESULT")
            self.assertEqual((job["state"], job["result"]), ("finished", "{}\n"), job)
            self.assertEqual((more / "fine").read_text(), "fine\n")
            secret = data / "host.json"
            self.assertTrue(json.loads(secret.read_text()))
            neighbour = fleet.shell("echo secret > own; echo up; sleep 600")
            fleet.in_state(neighbour, "running")
            for script in (f"cat {secret}", f"ls {data}", f"echo x > {data}/new", "echo x > $GERES_PACKAGE_DIR/new",
                           "chmod +w $GERES_PACKAGE_DIR; rm -r $GERES_PACKAGE_DIR/geres.json",
                           f"cat {data}/work/*/job/work/own", f"cat {data}/work/1/job/work/own {data}/work/2/job/work/own",
                           f"echo x > {fleet.host_data('h')}/new", "kill -9 $PPID; sleep 1; exit 3",
                           "set -- $(cat /proc/$PPID/stat); kill -9 $4; exit 3"):
                job = run(script)
                self.assertEqual((job["state"], job["reason"], job["attempt"]), ("failed", "error", 1), (script, job))
            self.assertEqual(fleet.job(neighbour)["state"], "running")
            self.assertTrue(host.alive())

    def test_a_job_has_no_capabilities_and_cannot_get_any(self):
        with Fleet() as fleet:
            fleet.hub()
            fleet.push_shell()
            fleet.host("h", "--slots", "1", user=nobody())
            shown = fleet.hosts()[0]
            self.assertEqual(shown["limits"], {"memory": "watched", "processes": "watched"})
            job = fleet.ended(fleet.shell("grep ^Cap /proc/self/status", maxAttempts=1))
            sets = dict(line.split(":\t") for line in job["result"].splitlines())
            if shown["containment"] == "bestEffort":
                del sets["CapBnd"]  # no user namespace: only root could empty it
            self.assertEqual(set(sets.values()), {"0" * 16}, job)

    def test_a_directory_that_would_open_the_hosts_data_is_refused(self):
        with Fleet() as fleet:
            fleet.hub()
            host = fleet.host("h", "--fence", "on", "--writable", fleet.directory, wait=False, user=nobody())
            self.assertNotEqual(host.popen.wait(20), 0)


if __name__ == "__main__":
    unittest.main()
