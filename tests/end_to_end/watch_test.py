# SPDX-License-Identifier: Apache-2.0
"""Seeing a job through from the command line, over lives of the hub: what watch shows and how it ends, and a log that
is followed without a byte lost or doubled."""
import os
import pty
import re
import signal
import subprocess
import threading
import unittest

from fleet import BIN, Fleet, Process, wait_until


SPENT, LEFT = r"(\d+m )?[\d.]+ ?s", r"(\d+m )?\d+ ?s left"


def gate(path):
    """Shell: waits for a file."""
    return f"while [ ! -e {path} ]; do sleep 0.02; done"


class OnTerminal:
    """A command of geres on a terminal of its own, 100 columns wide."""

    def __init__(self, fleet, *words):
        self.bytes, self.lock = b"", threading.Lock()
        controller, terminal = pty.openpty()
        subprocess.run(["stty", "cols", "100", "rows", "24"], stdin=terminal, check=True)
        self.popen = subprocess.Popen([str(BIN / "geres"), *map(str, words)], stdin=subprocess.DEVNULL, stdout=terminal,
                                      stderr=terminal, env={**fleet.environment(), "TERM": "xterm"},
                                      start_new_session=True)
        os.close(terminal)
        self.thread = threading.Thread(target=self.read, args=(controller,), daemon=True)
        self.thread.start()

    def read(self, controller):
        while True:
            try:
                piece = os.read(controller, 65536)
            except OSError:  # the last one with the terminal is gone
                break
            with self.lock:
                self.bytes += piece
        os.close(controller)

    def text(self):
        with self.lock:
            return self.bytes.decode(errors="replace")

    def end(self):
        code = self.popen.wait(60)
        self.thread.join(60)
        return code


class Watch(unittest.TestCase):
    def steps(self, fleet, more=""):
        """A job that reports 20 and 50 percent, each when its gate opens, and ends at the last."""
        a, b, c = (fleet.directory / name for name in "abc")
        script = (f'{gate(a)}; echo "20 loading plates" > $GERES_PROGRESS; {gate(b)}; '
                  f'echo "50 cutting" > $GERES_PROGRESS; {gate(c)}; {more}')
        return fleet.shell(script, maxAttempts=1), a, b, c

    def test_a_job_is_watched_over_a_restart_of_the_hub(self):
        with Fleet() as fleet:
            hub = fleet.hub()
            fleet.host("h")
            fleet.push_shell()
            id, a, b, c = self.steps(fleet)
            plain = Process(fleet, "watch", ["watch", id])
            bars = OnTerminal(fleet, "watch", id)
            # Progress that comes at once would be expected to end at once: there would be no time left to show.
            wait_until(lambda: re.search(r"running +(0\.[5-9]|[1-9])", bars.text()), "it has run for a while")
            a.touch()
            wait_until(lambda: "20 % loading plates" in plain.text(), "the first progress in a pipe")
            wait_until(lambda: re.search(f"20 %  loading plates  {SPENT}, {LEFT}", bars.text()), "and on a terminal")
            hub.kill()
            wait_until(lambda: "the hub is away" in plain.text(), "the hub is missed")
            wait_until(lambda: "the hub is away" in bars.text(), "on the terminal too")
            b.touch()
            fleet.hub()
            wait_until(lambda: "50 % cutting" in plain.text(), "what came after the restart")
            wait_until(lambda: re.search(f"50 %  cutting  {SPENT}, {LEFT}", bars.text()), "on the terminal too")
            c.touch()
            self.assertEqual((plain.popen.wait(60), bars.end()), (0, 0))
            lines = plain.out.read_text().splitlines()
            self.assertRegex(lines[-1], f"^job {id} finished in ")
            for line in lines[:-1]:
                self.assertRegex(line, rf"^20\S+Z job {id} \w+")
            said = [re.sub(rf" \({SPENT}(, {LEFT})?\)$", "", line.partition(" ")[2]) for line in lines]
            self.assertTrue(all(a != b for a, b in zip(said, said[1:])), f"a line for each change, no more: {said}")
            self.assertRegex(plain.out.read_text(), rf"running 20 % loading plates \({SPENT}, {LEFT}\)")
            self.assertNotIn("\x1b", plain.out.read_text())
            seen = bars.text()
            self.assertGreater(seen.rfind("\x1b[?25h"), seen.rfind("\x1b[?25l"), "the cursor is given back")
            self.assertIn("finished in", seen[seen.rfind("\x1b[?25h"):])

    def test_the_exit_code_tells_how_it_ended_when_asked(self):
        with Fleet() as fleet:
            fleet.hub()
            fleet.host("h", "--slots", "4")
            fleet.push_shell()
            fleet.api("POST", "/v1/batches", {"name": "good", "tenant": "demo"})
            fleet.api("POST", "/v1/batches", {"name": "bad", "tenant": "demo"})
            code = lambda *words: fleet.cli("watch", *words, check=False).returncode
            good = fleet.shell("true", batch="good")
            self.assertEqual((code(good), code(good, "--exit-status")), (0, 0))
            self.assertEqual((code("--batch", "good"), code("--batch", "good", "--exit-status")), (0, 0))
            fleet.shell("true", batch="bad")
            seven = fleet.shell("exit 7", batch="bad", maxAttempts=1)
            nine = fleet.shell("kill -9 $$", batch="bad", maxAttempts=1)
            cancelled = fleet.submit(type="Gone", delay="1h", batch="bad")
            fleet.api("POST", f"/v1/jobs/{cancelled}/cancel", {})
            for id, status in ((seven, 7), (nine, 137), (cancelled, 1)):
                self.assertEqual((code(id), code("--job", id, "--exit-status")), (1, status))
            self.assertEqual((code("--batch", "bad"), code("--batch", "bad", "--exit-status")), (1, 7))
            fleet.api("POST", "/v1/batches", {"name": "later", "tenant": "demo"})
            early = Process(fleet, "early", ["watch", "--batch", "later"])
            wait_until(lambda: "no jobs in it yet" in early.text(), "an open batch without jobs is watched")
            fleet.shell("true", batch="later")
            self.assertEqual(early.popen.wait(60), 0)
            fleet.api("POST", "/v1/batches", {"name": "never", "tenant": "demo"})
            fleet.api("POST", "/v1/batches/never/close", {})
            self.assertEqual(code("--batch", "never"), 0)
            self.assertEqual(code(seven, "--job", seven), 2)
            self.assertEqual(code(seven, "--batch", "bad"), 2)
            self.assertEqual(code(), 2)


class Logs(unittest.TestCase):
    def follow(self, fleet, id, *flags):
        return Process(fleet, "log", ["job", "log", "-f", id, *flags])

    def test_a_log_is_followed_over_restarts_and_attempts_without_a_gap(self):
        with Fleet() as fleet:
            hub = fleet.hub()
            fleet.host("h")
            fleet.push_shell()
            gates = [fleet.directory / f"gate{n}" for n in range(5)]
            wait = [gate(path) for path in gates]
            first = f'{wait[0]}; echo one; echo uno >&2; {wait[1]}; echo two; {wait[2]}; echo three; exit 1'
            second = f'echo four; echo cuatro >&2; {wait[3]}; echo five; printf six; {wait[4]}; echo'
            id = fleet.shell(f'if [ $GERES_ATTEMPT = 1 ]; then {first}; fi; {second}', backoff={"initial": "1ms"})
            early = self.follow(fleet, id)  # maybe before there is any attempt
            gates[0].touch()
            wait_until(lambda: early.out.read_text() == "one\n", "the first line")
            tail = self.follow(fleet, id, "--tail", "1", "--stream", "stdout")
            wait_until(lambda: tail.out.read_text() == "one\n", "the last line")
            hub.kill()
            gates[1].touch()
            hub = fleet.hub()
            for log in (early, tail):
                wait_until(lambda: log.out.read_text() == "one\ntwo\n", "on from where it was")
            # The attempt ends and the next begins while nobody can ask.
            hub.terminate()
            gates[2].touch()
            hub = fleet.hub()
            for log in (early, tail):
                wait_until(lambda: log.out.read_text() == "one\ntwo\nthree\nfour\n", "and in the next attempt")
            hub.kill()
            gates[3].touch()
            hub = fleet.hub()
            for log in (early, tail):
                wait_until(lambda: log.out.read_text().endswith("five\nsix"), "and there again")
            late = self.follow(fleet, id, "--tail", "2", "--stream", "stdout")
            wait_until(lambda: late.out.read_text() == "five\nsix", "the last lines of the newest attempt")
            again = self.follow(fleet, id, "--attempt", "1", "--stream", "stdout")
            wait_until(lambda: again.out.read_text().endswith("six"), "all attempts")
            hub.kill()
            fleet.hub()
            gates[4].touch()
            self.assertEqual([log.popen.wait(60) for log in (early, tail, late, again)], [0] * 4)
            whole = "one\ntwo\nthree\nfour\nfive\nsix\n"
            self.assertEqual([log.out.read_text() for log in (early, tail, late, again)],
                             [whole, whole, "five\nsix\n", whole])
            self.assertEqual(early.log.read_text(), "uno\ncuatro\n")
            self.assertEqual(fleet.cli("job", "log", id).stdout, "four\nfive\nsix\n")
            self.assertEqual(fleet.cli("job", "log", id, "--attempt", "1", "--tail", "2").stdout, "two\nthree\n")
            self.assertEqual(fleet.cli("job", "log", id, "--attempt", "3", check=False).returncode, 1)

    def test_what_has_no_reader_any_more_ends(self):
        with Fleet() as fleet:
            fleet.hub()
            fleet.host("h")
            fleet.push_shell()
            end = fleet.directory / "end"
            id = fleet.shell(f"until [ -e {end} ]; do echo more; sleep 0.02; done")
            command = subprocess.Popen([str(BIN / "geres"), "job", "log", "-f", id], stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, env=fleet.environment())
            self.assertEqual(command.stdout.readline(), b"more\n")
            command.stdout.close()
            self.assertEqual(command.wait(60), 0)
            stopped = subprocess.Popen([str(BIN / "geres"), "job", "log", "-f", id], stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, env=fleet.environment())
            stopped.stdout.readline()
            stopped.send_signal(signal.SIGINT)
            stopped.stdout.read()
            stopped.stdout.close()
            self.assertEqual(stopped.wait(60), 130)
            end.touch()
            self.assertEqual(fleet.ended(id)["state"], "finished")


if __name__ == "__main__":
    unittest.main()
