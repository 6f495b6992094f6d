# SPDX-License-Identifier: Apache-2.0
"""The example of the worker SDK, run as its user would: jobs by the command line, an end by signal, trouble named.

The program is $GERES_WORD_WORKER, so that one built in another project is tried the same way."""
import json
import os
import signal
import subprocess
import unittest

from fleet import Fleet

PROGRAM = os.environ["GERES_WORD_WORKER"]


class WorkerExampleTest(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet()
        self.addCleanup(self.fleet.__exit__, None, None, None)
        self.fleet.up()

    def start(self, **environment):
        return subprocess.Popen(
            [PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "GERES_HUB": self.fleet.url, "GERES_TOKEN": self.fleet.environment()["GERES_TOKEN"],
                 **environment})

    def test_runs_jobs_until_a_signal(self):
        worker = self.start()
        self.addCleanup(worker.kill)
        done = self.fleet.cli("submit", "--tenant", "demo", "--type", "CountWords", "--param", "text=the open sea",
                                "--wait", "--output", "json")
        job = json.loads(done.stdout)
        self.assertEqual((job["state"], job["result"]), ("finished", "3"), job)
        self.assertIn(job["host"], self.fleet.cli("hosts").stdout)
        failed = self.fleet.cli("submit", "--tenant", "demo", "--type", "CountWords", "--wait", "--output", "json",
                                  check=False)
        self.assertEqual(failed.returncode, 1, failed.stderr)
        self.assertIn("the parameter 'text' is missing", failed.stdout + failed.stderr)
        worker.send_signal(signal.SIGTERM)
        out, err = worker.communicate(timeout=60)
        self.assertEqual((worker.returncode, out, err), (0, "1 jobs done\n", ""))
        self.assertNotIn(job["host"], self.fleet.cli("hosts").stdout)

    def test_says_what_is_wrong(self):
        out, err = self.start(GERES_TOKEN="wrong").communicate(timeout=60)
        self.assertEqual(out, "")
        self.assertIn("try: a token with the role host", err)
        _, err = self.start(GERES_HUB="there").communicate(timeout=60)
        self.assertIn("Options::hub", err)


if __name__ == "__main__":
    unittest.main()
