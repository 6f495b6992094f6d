# SPDX-License-Identifier: Apache-2.0
"""How every command that reads looks: in a pipe, on terminals of 40, 80 and 200 columns, without colours, on a dumb
terminal. Jobs, batches, tokens and webhooks with long names are there to be shown."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import unicodedata
import unittest

from fleet import BIN, Fleet

READS = """
status | hosts | doctor | job list | job list --state failed | job list --tag customer=a-customer-with-a-long-name
job show {failed} | job show {finished} | job show {waiting} | job why {waiting} | job events {failed} | job events {finished}
job log {finished} | job files {finished} | batch list | batch show {batch} | package list | tenant list | tenant show demo
token list | webhook list | events | events --tail 3 | watch {finished} | watch --batch {batch} | help | help exit-codes
job list --fields id,state,name,tags | hosts --fields name,id,labels | job redrive --batch {batch} --dry-run
job cancel --tenant demo --dry-run | job list --help | version
""".replace("\n", " | ")
# What is given as it is, whatever the width: what a job printed, help, and sentences that a terminal may break.
WHOLE = ("job log", "help", "job list --help", "watch", "job redrive", "job cancel")
ESCAPE = "\x1b"


def columns(line):
    line = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


class Look(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = fleet = Fleet()
        cls.addClassCleanup(fleet.__exit__, None, None, None)
        fleet.hub()
        fleet.host("a-host-with-a-name-that-is-rather-long", "--slots", "2", "--label", "gpu=a100", "--label", "rack=seventeen")
        fleet.push_shell()
        batch = "a-batch-whose-name-says-what-it-is-for-in-many-words"
        fleet.cli("batch", "create", batch, "--tenant", "demo")
        tags = {"customer": "a-customer-with-a-long-name", "order": "17"}
        wide = {"name": "日本語の名前 and then some more words that say what it is about", "tags": tags, "batch": batch}
        error = "echo 'something went wrong in a way that takes a whole line, and more than that, to tell' >&2; exit 3"
        cls.names = {
            "failed": fleet.shell(error, maxAttempts=2, backoff={"initial": "10ms"}, **wide),
            "finished": fleet.shell("echo 50 half > $GERES_PROGRESS; seq 100; echo x > $GERES_OUTPUT_DIR/a-file.txt", **wide),
            "waiting": fleet.shell("true", requires={"labels": {"gpu": "none-of-this-kind", "rack": "eighteen"}},
                                   tags=tags, name=wide["name"]),
            "batch": batch}
        fleet.cli("token", "create", "a-token-for-a-program-with-a-long-name", "--role", "submitter", "--tenant", "demo")
        fleet.cli("webhook", "create", "https://example.com/a/path/that/is/long/enough/to/be/cut", "--tenant", "demo",
                  "--name", "a-webhook-with-a-long-name")
        for name in ("failed", "finished"):
            fleet.ended(cls.names[name])

    def reads(self):
        for words in READS.split(" | "):
            if words.strip():
                yield words.strip(), [word.format(**self.names) for word in words.split()]

    def piped(self, words, **more):
        return subprocess.run([str(BIN / "geres"), *words], env={**self.fleet.environment(), **more}, cwd=self.fleet.directory,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)

    def on_terminal(self, words, width, **more):
        """What comes out of a terminal that wide: both streams."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        seen = []

        def read():
            try:
                while piece := os.read(ours, 65536):
                    seen.append(piece)
            except OSError:
                pass  # the last one with the terminal is gone

        reader = threading.Thread(target=read)
        reader.start()
        done = subprocess.run([str(BIN / "geres"), *words], env={**self.fleet.environment(), "NO_COLOR": "", "TERM": "xterm", **more},
                              cwd=self.fleet.directory, stdin=theirs, stdout=theirs, stderr=theirs, timeout=60, check=False)
        os.close(theirs)
        reader.join()
        os.close(ours)
        self.assertLess(done.returncode, 2, seen)
        return b"".join(seen).decode()

    def test_in_a_pipe_there_are_no_titles_and_no_escapes_at_any_width(self):
        for name, words in self.reads():
            with self.subTest(name):
                said = [self.piped(words, COLUMNS=columns) for columns in ("40", "200")]
                for done in said:
                    self.assertLess(done.returncode, 2, done.stderr)
                    self.assertNotIn(ESCAPE, done.stdout + done.stderr)
                    self.assertNotIn("…", done.stdout, "nothing is cut")
                if name.startswith(("job list", "batch list", "token list", "webhook list", "package list")) and "--help" not in name:
                    self.assertEqual(said[0].stdout, said[1].stdout)
                    for line in said[0].stdout.splitlines():
                        self.assertIn("\t", line)

    def test_no_line_is_wider_than_the_terminal(self):
        for name, words in self.reads():
            for width in 40, 80, 200:
                if name.startswith(WHOLE):
                    continue
                with self.subTest(name, width=width):
                    for line in re.split(r"[\r\n]+", self.on_terminal(words, width)):
                        # What can be pasted stays whole, and so does a word that has no room of its own.
                        bare = re.sub(r"\x1b\[[0-9;]*m", "", line)
                        if re.search(r"^ *(geres |fix: )", bare) or columns(bare.split(" ")[-1]) > width - 24:
                            continue
                        self.assertLessEqual(columns(line), width, line)

    def test_colours_are_for_who_wants_them(self):
        coloured = 0
        for name, words in self.reads():
            with self.subTest(name):
                coloured += ESCAPE in self.on_terminal(words, 80)
                self.assertNotIn(ESCAPE, self.on_terminal(words, 80, TERM="dumb"))
                plain = self.on_terminal(words, 80, NO_COLOR="1")
                self.assertIsNone(re.search(r"\x1b\[[0-9;]*m", plain), plain)
        self.assertGreater(coloured, 10)

    def test_ids_that_are_shown_are_taken(self):
        for width in 40, 80:
            shown = re.findall(r"…[0-9a-f]{8}", self.on_terminal(["job", "list"], width))
            self.assertEqual(len(shown), 3)
            for id in shown:
                self.assertEqual(self.piped(["job", "show", id]).returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
