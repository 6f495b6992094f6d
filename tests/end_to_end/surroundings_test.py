# SPDX-License-Identifier: Apache-2.0
"""Odd ways to be started: without a home directory, with closed descriptors."""
import json
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

    def geres(self, fleet, *words, env=None, **streams):
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        return subprocess.run([str(BIN / "geres"), *words], env=fleet.environment() if env is None else env,
                              cwd=fleet.directory, timeout=60, **streams)

    def test_output_that_cannot_be_written_is_said_or_nothing_is(self):
        with Fleet() as fleet, open("/dev/full", "wb") as full:
            fleet.up()
            for words in (["run", "echo", "hi"], ["watch", "last"], ["job", "log", "last"], ["events"]):
                with self.subTest(words=words):
                    done = self.geres(fleet, *words, stdout=full)
                    self.assertEqual((done.returncode, done.stderr[:7]), (1, b"error: "), done.stderr)
                    self.assertIn(b"No space left", done.stderr)
                    self.assertEqual(self.geres(fleet, *words, stdout=full, stderr=full).returncode, 1, "no abort")

    def test_an_empty_environment_is_enough_to_be_told_what_is_missing(self):
        with Fleet() as fleet:
            fleet.up()
            hub = {name: value for name, value in fleet.environment().items() if name == "GERES_HUB"}
            refused = self.geres(fleet, "job", "list", env=hub)
            self.assertEqual(refused.returncode, 4)
            self.assertIn(b"--token TOKEN or GERES_TOKEN", refused.stderr)
            with_token = {**hub, "GERES_TOKEN": fleet.environment()["GERES_TOKEN"]}
            self.assertEqual(self.geres(fleet, "run", "echo", "hi", env=with_token).stdout, b"hi\n")
            told = self.geres(fleet, "doctor", env=with_token)
            self.assertIn(b"FAILED\thome\tthere is no home directory", told.stdout)
            self.assertIn(b"PASSED\thub", told.stdout)
            for words in (["job", "show", "last"], ["up", "--listen", "127.0.0.1:0"]):
                done = self.geres(fleet, *words, env=hub)
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"nor HOME is set", done.stderr)
            done = self.geres(fleet, "run", "true", env={**with_token, "TMPDIR": "/nowhere"})
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"TMPDIR is '/nowhere'", done.stderr)

    def test_text_of_another_encoding_is_refused_by_its_name(self):
        with Fleet() as fleet:
            fleet.up()
            word = "caf\xe9".encode("latin-1")
            with open(os.fsencode(fleet.directory) + b"/" + word, "wb") as file:
                file.write(b"x")
            for words in (["submit", "--name", word, "true"], ["batch", "create", word],
                          ["job", "list", "--tag", b"k=" + word], ["submit", "--type", "T", "--param", word + b"=1"],
                          ["job", "list", "--token", word], ["run", "--env", b"X=" + word, "true"]):
                with self.subTest(words=words):
                    done = self.geres(fleet, *words)
                    self.assertEqual(done.returncode, 2)
                    self.assertIn(b"is not UTF-8", done.stderr)
                    self.assertEqual(done.stderr.decode().count("caf\ufffd"), 1)
            done = self.geres(fleet, "submit", "--type", "T", "--input", word)
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"--input NAME=FILE", done.stderr)
            self.assertEqual(self.geres(fleet, "submit", "--input", b"x=" + word, "--", "cat", "x").returncode, 0)
            problem = self.geres(fleet, "job", "list", "--name", word, "--output", "json").stdout
            self.assertEqual(json.loads(problem)["code"], "usage")

    def test_bytes_of_any_encoding_reach_a_command(self):
        with Fleet() as fleet:
            fleet.up()
            all_bytes = bytes(range(1, 256)) + b"\n\n"
            words = [b"caf\xe9", b"\xc3", b"plain", "é".encode() + b"\xff\\n\\0101\\c {x} %s '\"", b"", all_bytes, b"\xfe\n"]
            words += [b"%d" % n for n in range(5)] + [b"\xff"]
            program = "import os, sys; sys.stdout.buffer.write(b'|'.join(map(os.fsencode, sys.argv[1:])))"
            done = self.geres(fleet, "run", "python3", "-c", program, *words)
            self.assertEqual((done.returncode, done.stdout), (0, b"|".join(words)), done.stderr)
            for variables in ({}, {"LC_ALL": "C"}, {"LC_ALL": "C.UTF-8"}):
                done = self.geres(fleet, "run", "printf", "%s", b"\xe9 \xc3", env={**fleet.environment(), **variables})
                self.assertEqual((done.returncode, done.stdout), (0, b"\xe9 \xc3"), done.stderr)
            with open(os.fsencode(fleet.directory) + b"/f\xe9", "wb") as file:
                file.write(b"of a file")
            with open(file.name, "rb") as file:
                done = self.geres(fleet, "run", "--env", "A=b", "--stdin", "sh", "-c", b"echo $A \xe9; cat; exit 7", stdin=file)
            self.assertEqual((done.returncode, done.stdout), (7, b"b \xe9\nof a file"), done.stderr)
            done = self.geres(fleet, "run", "cat", b"f\xe9")
            self.assertEqual((done.returncode, done.stdout), (0, b"of a file"), done.stderr)
            shown = self.geres(fleet, "job", "list", "--output", "json").stdout.decode()
            self.assertIn("cat 'f\\\\xE9'", shown)

    def test_a_locale_without_utf8_changes_nothing(self):
        with Fleet() as fleet:
            fleet.up()
            env = {**fleet.environment(), "LC_ALL": "C", "LANG": "C"}
            self.assertEqual(self.geres(fleet, "run", "echo", "caf\xe9".encode(), env=env).stdout.decode(), "caf\xe9\n")
            self.assertIn("caf\xe9", self.geres(fleet, "job", "list", env=env).stdout.decode())


if __name__ == "__main__":
    unittest.main(verbosity=2)
