# SPDX-License-Identifier: Apache-2.0
"""Odd ways to be started: without a home directory, with closed descriptors."""
import os
import subprocess
import unittest

from fleet import BIN, Fleet, wait_until


class Surroundings(unittest.TestCase):
    def test_up_needs_no_home_directory(self):
        with Fleet() as fleet:
            out = fleet.directory / "up.txt"
            with open(out, "wb") as to:
                up = subprocess.Popen([str(BIN / "geres"), "up", "--data", str(fleet.data), "--listen", "127.0.0.1:0"],
                                      stdin=subprocess.DEVNULL, stdout=to, stderr=to, env={"PATH": os.environ["PATH"]})
            try:
                wait_until(lambda: up.poll() is not None or "geres run" in out.read_text(), "it says what to do next")
                self.assertIsNone(up.poll(), out.read_text())
                self.assertIn(f"GERES_DATA={fleet.data}", out.read_text())
            finally:
                up.terminate()
                up.wait()

    def test_what_is_printed_goes_into_no_connection(self):
        with Fleet() as fleet:
            fleet.up()
            for closed in ([1], [2], [0, 1, 2]):
                with self.subTest(closed=closed):
                    name = "closed" + "".join(map(str, closed))
                    done = subprocess.run(
                        [str(BIN / "geres"), "submit", "--tenant", "demo", "--wait", "--name", name, "--", "echo", "hi"],
                        env=fleet.environment(), cwd=fleet.directory, timeout=60,
                        preexec_fn=lambda: [os.close(fd) for fd in closed])
                    self.assertEqual(done.returncode, 0)
                    jobs = [job for job in fleet.api("GET", "/v1/jobs")["items"] if job.get("name") == name]
                    self.assertEqual([job["state"] for job in jobs], ["finished"])

    def test_a_full_device_is_an_error_and_no_abort(self):
        with Fleet() as fleet:
            fleet.hub()
            fleet.push_shell()
            fleet.shell("true")
            for words in (["tenant", "list"], ["job", "list"], ["doctor"], ["--version"], ["--help"]):
                for look in ([], ["--output", "json"]):
                    with self.subTest(words=words + look), open("/dev/full", "wb") as full:
                        done = subprocess.run([str(BIN / "geres"), *words, *look], stdout=full, stderr=subprocess.PIPE,
                                              env=fleet.environment(), cwd=fleet.directory, timeout=60)
                        self.assertIn(done.returncode, (1, 2), done.stderr)
                        self.assertTrue(done.stderr.startswith(b"error: "), done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
