# SPDX-License-Identifier: Apache-2.0
"""A newcomer's walk: what README.md and docs/first_job.md show is typed into a shell on a real terminal of 80 columns,
line by line, and does what they say."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from fleet import BIN, quiet_port, wait_until
from tmux import Screen

ROOT = pathlib.Path(__file__).parent.parent.parent


def shown(document, heading):
    """(command, lines that are said to come out of it) of the blocks below a heading that begin with a prompt."""
    text = (ROOT / document).read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    steps = []
    for block in re.findall(r"^```\n(.*?)^```$", text, re.M | re.S):
        lines = block.split("\n")[:-1]
        if not lines[0].startswith("$ "):
            continue
        while lines:
            line = lines.pop(0)
            if not line.startswith("$ "):
                steps[-1][1].append(line)
                continue
            command = line[2:]
            while command.endswith("\\") or ("<<'END'" in command and not command.endswith("\nEND")):
                command += "\n" + lines.pop(0)
            steps.append((command, []))
    return steps


@unittest.skipUnless(shutil.which("tmux"), "no tmux: ./dev setup")
class Walk(unittest.TestCase):
    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="geres-walk-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        (self.home / "examples").symlink_to(ROOT / "examples")
        self.port = quiet_port("127.0.0.1")
        self.environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(self.home),
                            "GERES_LISTEN": f"127.0.0.1:{self.port}", "GERES_HUB": f"127.0.0.1:{self.port}"}

    def pictures(self):
        (self.home / "photos").mkdir()
        for name in "a", "b", "c":
            subprocess.run(["vips", "black", self.home / f"photos/{name}.jpg", "640", "480"], check=True)
        (self.home / "photos/broken.jpg").write_text("no picture")

    def walk(self, steps, look=lambda command, out: None):
        """All steps; `geres up` in a terminal of its own. `look` at what each of them printed."""
        self.assertGreater(len(steps), 2)
        with Screen(self.environment, self.home) as up, Screen(self.environment, self.home) as screen:
            for command, wanted in steps:
                command = command.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
                if command.startswith("./dev") or command.startswith("export PATH"):
                    continue
                if command.startswith("geres up"):
                    up.type(command)
                    wait_until(lambda: "\nCtrl-C drains and stops" in up.text(), "it is up")
                    self.assertIn("geres run echo hello", up.text())
                    continue
                exit, out = screen.run(command)
                with self.subTest(command=command):
                    # Of the pictures one is broken.
                    self.assertEqual(exit, 1 if command.startswith("geres watch --batch") else 0, out)
                    for line in wanted:
                        self.assertIn(line, [said.rstrip() for said in out.split("\n")])
                    look(command, out)
            up.press("C-c")
            up.commands += 1
            wait_until(lambda: "ready 2 0 >" in up.text(), "it drains and stops")

    @unittest.skipUnless(shutil.which("vips"), "no vips: ./dev setup")
    def test_the_readme(self):
        self.pictures()
        seen = []

        def look(command, out):
            seen.append(" ".join(command.split()[:3]))
            if command.startswith("geres watch"):
                self.assertIn("3 finished", out)
                self.assertIn("1 failed", out)
            if command.startswith("geres job list"):
                rows = [line for line in out.split("\n") if line.startswith("…")]
                self.assertEqual(len(rows), 1, out)
                self.assertIn("broken.jpg", rows[0])
                self.assertIn("exit 60: broken.jp", rows[0], "its last line")
            if command.startswith("geres job files"):
                self.assertEqual((self.home / "greeting.txt").read_text(), "Hello, Ada\n")
            if command.startswith("curl"):
                self.assertIn('"state":"', out.replace(" ", ""))
        self.walk(shown("README.md", "Your first job in a minute"), look)
        for step in ("geres run echo", "geres package push", "geres submit --tenant", "geres job files", "geres batch create",
                     "geres watch --batch", "geres job list", "geres job redrive"):
            self.assertIn(step, seen)

    def test_the_first_job(self):
        steps = shown("docs/first_job.md", "A hub") + shown("docs/first_job.md", "The job")
        steps.append(("geres run echo $GERES_HUB", [f"http://127.0.0.1:{self.port}"]))
        self.walk(steps)


if __name__ == "__main__":
    unittest.main(verbosity=2)
