# SPDX-License-Identifier: Apache-2.0
"""`geres run CMD` behaves as CMD would: output, streams, standard input, exit code."""
import os
import pty
import select
import signal
import subprocess
import unittest

from fleet import BIN, Fleet, wait_until


class Terminal:
    """A shell with job control on a terminal of its own; `until` gives all that was seen since it began."""

    def __init__(self, environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], dict(environment, TERM="xterm", PS1="ready> "))
        self.seen, self.at = b"", 0
        self.until(b"ready>")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)

    def type(self, text):
        os.write(self.fd, text.encode())

    def until(self, wanted):
        while wanted not in self.seen[self.at:]:
            if not select.select([self.fd], [], [], 30)[0]:
                raise AssertionError(f"{wanted} did not come: {self.seen!r}")
            self.seen += os.read(self.fd, 4096)
        self.at = self.seen.index(wanted, self.at) + len(wanted)
        return self.seen


class Run(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = Fleet()
        cls.addClassCleanup(cls.fleet.__exit__, None, None, None)
        cls.fleet.up("--slots", "4")

    def bare(self, **more):
        environment = {**self.fleet.environment(), **more}
        environment.pop("GERES_TENANT", None)
        return environment

    def run_it(self, *words, input=None, env=None):
        """Bytes, and no tenant anywhere: the hub of `geres up` has one."""
        stdin = {"input": input} if input is not None else {"stdin": subprocess.DEVNULL}
        return subprocess.run([str(BIN / "geres"), *words], capture_output=True, timeout=120, cwd=self.fleet.directory,
                              env=self.bare(**(env or {})), **stdin)

    def test_output_is_whole_and_each_stream_is_itself(self):
        done = self.run_it("run", "--", "sh", "-c", "seq 1 200000; echo wrong >&2; printf end")
        self.assertEqual(done.stdout, "".join(f"{i}\n" for i in range(1, 200001)).encode() + b"end")
        self.assertEqual((done.stderr, done.returncode), (b"wrong\n", 0))

    def test_bytes_that_are_no_text(self):
        done = self.run_it("run", "--", "head", "-c", "300000", "/dev/zero")
        self.assertEqual(done.stdout, bytes(300000))
        done = self.run_it("run", "--", "printf", r"\377\376\n")
        self.assertEqual(done.stdout, b"\xff\xfe\n")

    def test_it_ends_as_the_command_does_and_is_not_tried_again(self):
        done = self.run_it("run", "sh", "-c", "echo bad >&2; exit 37")
        self.assertEqual(done.returncode, 37)
        self.assertEqual(done.stderr.count(b"bad\n"), 2, done.stderr)  # its own, and the sentence on its end
        self.assertIn(b"failed (error)", done.stderr)
        quiet = self.run_it("run", "--quiet", "sh", "-c", "echo bad >&2; exit 37")
        self.assertEqual((quiet.returncode, quiet.stderr), (37, b"bad\n"))

    def test_each_attempt_is_told_when_more_are_asked_for(self):
        done = self.run_it("run", "--max-attempts", "2", "sh", "-c", "echo try $GERES_ATTEMPT; [ $GERES_ATTEMPT = 2 ]")
        self.assertEqual((done.returncode, done.stdout), (0, b"try 1\ntry 2\n"))
        self.assertIn(b"attempt 1: ", done.stderr)
        self.assertIn(b"again in", done.stderr)

    def test_a_result_of_its_own_is_shown(self):
        done = self.run_it("run", "--", "sh", "-c", "echo talk; echo made > $GERES_RESULT")
        self.assertEqual(done.stdout, b"talk\nmade\n")

    def test_standard_input(self):
        self.assertEqual(self.run_it("run", "--stdin", "wc", "-c", input=b"a\0c").stdout, b"3\n")
        script = "#!/bin/sh\nread line; echo \"got $line $1 $X\"\n"
        (self.fleet.directory / "own.sh").write_text(script)
        (self.fleet.directory / "own.sh").chmod(0o755)
        done = self.run_it("run", "--stdin", "--env", "X=a {b}", "./own.sh", "word", input=b"a line\n")
        self.assertEqual(done.stdout, b"got a line word a {b}\n", done.stderr)
        unread = self.run_it("run", "--", "true", input=b"nobody reads this")
        self.assertIn(b"--stdin", unread.stderr)
        self.assertEqual(self.run_it("run", "--", "true").stderr, b"")

    def test_variables_come_along_only_when_named(self):
        here = {"FOO": "bar", "SECRET": "geheim"}
        done = self.run_it("run", "--env", "FOO", "--", "sh", "-c", "echo $FOO $SECRET.", env=here)
        self.assertEqual(done.stdout, b"bar .\n")
        refused = self.run_it("run", "--env", "NOT_SET_HERE", "true")
        self.assertEqual(refused.returncode, 1)
        self.assertIn(b"NOT_SET_HERE", refused.stderr)

    def test_output_comes_while_it_runs(self):
        gate = self.fleet.directory / "gate"
        os.mkfifo(gate)
        running = subprocess.Popen([str(BIN / "geres"), "run", "sh", "-c", f"echo first; read x < '{gate}'; echo second"],
                                   stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=self.bare())
        self.assertEqual(running.stdout.readline(), b"first\n")
        gate.write_text("go\n")
        self.assertEqual(running.stdout.read(), b"second\n")
        running.stdout.close()
        self.assertEqual(running.wait(60), 0)

    def test_a_reader_that_has_enough(self):
        done = subprocess.run(f"'{BIN}/geres' run seq 1 100000 | head -n 1", shell=True, capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL, env=self.bare())
        self.assertEqual((done.stdout, done.stderr), (b"1\n", b""))

    def test_ctrl_c_leaves_the_job_and_says_how_to_come_back(self):
        running = subprocess.Popen([str(BIN / "geres"), "run", "sleep", "600"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=self.bare())
        jobs = lambda: self.fleet.api("GET", "/v1/jobs?state=running&type=sleep")["items"]
        wait_until(jobs, "the job runs")
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=30)
        self.assertEqual(running.returncode, 130)
        self.assertIn(b"geres watch", told)
        left = jobs()
        self.assertEqual(len(left), 1)
        self.fleet.call("POST", f"/v1/jobs/{left[0]['id']}/cancel", {})

    def test_on_a_terminal_nothing_but_colours_gets_through(self):
        ours, theirs = pty.openpty()
        done = subprocess.run([str(BIN / "geres"), "run", "printf", r"\033]0;title\007\033[31mred\033[0m\n"], stdout=theirs,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=self.bare(), timeout=60)
        os.close(theirs)
        seen = os.read(ours, 4096)
        os.close(ours)
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"\x1b[31mred", seen)
        self.assertNotIn(b"title", seen)

    def test_keys_that_stop_or_end_it_leave_a_sane_terminal(self):
        gate = self.fleet.directory / "stop-gate"
        os.mkfifo(gate)
        script = self.fleet.directory / "red.sh"
        script.write_text(f"#!/bin/sh\nprintf '\\033[31mred'\nread x < {gate}\n")
        script.chmod(0o755)
        geres = BIN / "geres"
        for command, drawn in ((f"{geres} run {script}", b"\x1b[31mred"), (f"{geres} job log -f last", b"\x1b[31mred"),
                               (f"{geres} watch last", b"\x1b[?25l")):
            with self.subTest(command=command), Terminal(self.bare()) as terminal:
                terminal.type(command + "\n")
                terminal.until(drawn)
                terminal.type("\x1a")
                self.assert_sane(terminal.until(b"Stopped"))
                terminal.until(b"ready>")
                terminal.type("fg\n")
                wait_until(lambda: os.tcgetpgrp(terminal.fd) != terminal.pid, "it has the terminal again")
                if command.endswith("watch last"):
                    terminal.until(drawn)
                terminal.type("\x1c")
                self.assert_sane(terminal.until(b"ready>"))
                terminal.type("echo code=$?\n")
                terminal.until(b"code=131")
        gate.write_text("go\n")

    def assert_sane(self, seen):
        self.assertGreaterEqual(seen.rfind(b"\x1b[?25h"), seen.rfind(b"\x1b[?25l"), seen)
        colours = [at for at in range(len(seen)) if seen[at:at + 2] == b"\x1b[" and seen[at:].split(b"m")[0][2:].isdigit()]
        if colours:
            self.assertTrue(seen[colours[-1]:].startswith(b"\x1b[0m"), seen)

    def test_a_token_of_one_tenant_names_it(self):
        token = self.fleet.api("POST", "/v1/tokens", {"name": "acme", "roles": ["submitter"], "tenants": ["acme"]})["token"]
        done = self.run_it("submit", "--output", "json", "true", env={"GERES_TOKEN": token})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b'"tenant":"acme"', done.stdout)
        job = self.fleet.api("POST", "/v1/jobs", {"type": "Anything"})
        self.assertEqual(self.fleet.api("GET", f"/v1/jobs/{job['id']}")["tenant"], "default")


if __name__ == "__main__":
    unittest.main()
