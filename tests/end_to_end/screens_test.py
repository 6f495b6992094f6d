# SPDX-License-Identifier: Apache-2.0
"""docs/screens.md shows what stands on a terminal of 80 columns. Its commands are typed again in order, and what comes
has the shape of what is shown: the same words, other times, numbers and ids. With --fix the blocks are made so. A block
marked "live" is a frame of what goes on until Ctrl-C: it comes to look so, or, with --fix, is what it stays like."""
import pathlib
import re
import shutil
import sys
import tempfile
import time
import unittest

from fleet import BIN, quiet_port, wait_until
from tmux import Screen

ROOT = pathlib.Path(__file__).parent.parent.parent
DOCUMENT = ROOT / "docs/screens.md"
BLOCK = re.compile(r"^```(live)?\n\$ (.*?)\n(.*?)^```$", re.M | re.S)
FIX = "--fix" in sys.argv
# What another machine has otherwise.
PAGE = re.compile(r"^  Page .*\n( {5,}.*\n)*", re.M)  # of a hub that was built with one
MACHINE = re.compile(r"^  (Host|Isolation) .*(\n {5,}.*)*$", re.M)


def shape(screen):
    text = MACHINE.sub(r"  \1", PAGE.sub("", screen))
    text = re.sub(r"^.* progressed .*\n", "", text, flags=re.M)  # as often as there is time to tell
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "UUID", text)
    text = re.sub(r"(…|@|cmd-|job (?:log|files|show|redrive) )[0-9a-f]{8}…?", r"\1ID", text)
    text = re.sub(r"\b[0-9a-f]{8}…", "ID…", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z?", "TIME", text)
    text = re.sub(r"\S*…(?!ID)", "…", text)
    text = re.sub(r"\b(user|none|fenced)\b", "ISOLATION", text)
    text = re.sub(r"\d[\d.,]*(m \d+s|h \d+m| ms| s| B| KiB| MiB| GiB|[smhd])?\b", "N", text)
    text = re.sub(r"[█▓░]+", "BAR", text)
    # What a short job used is not always measured.
    text = re.sub(r"CPU +PEAK", "", text)
    return [re.sub(r"\bN( N)+\b", "N", " ".join(line.split())) for line in text.split("\n")]


@unittest.skipUnless(shutil.which("tmux"), "no tmux: ./dev setup")
class Screens(unittest.TestCase):
    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="geres-screens-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        shutil.copytree(ROOT / "examples/first_job/greet", self.home / "greet")
        (self.home / "texts").mkdir()
        for name, text in ("hill", "up the hill"), ("sea", "the open sea"), ("wood", "a dark wood"):
            (self.home / f"texts/{name}.txt").write_text(text)
        self.port = quiet_port("127.0.0.1")
        self.environment = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(self.home), "GERES_LISTEN": f"127.0.0.1:{self.port}",
                            "GERES_HUB": f"127.0.0.1:{self.port}", "NO_COLOR": "1"}

    def as_documented(self, lines):
        text = "\n".join(line.rstrip() for line in lines) + "\n"
        text = text.replace(f"GERES_HUB=http://127.0.0.1:{self.port} ", "")
        return text.replace(f"127.0.0.1:{self.port}", "127.0.0.1:8080")

    def below(self, screen, command):
        """What stands under the command on a screen that was empty before."""
        lines = screen.lines()
        begin = next(n for n, line in enumerate(lines) if line.startswith("ready")) + 1
        return lines[begin + (len(f"ready {screen.commands} 0 > {command}") - 1) // 80:]

    def typed(self, screen, command):
        screen.run("clear")
        screen.run(command)
        return self.as_documented(self.below(screen, command)[:-1])

    def frame(self, screen, command, shown):
        screen.run("clear")
        screen.type(command)
        now, since = "", time.monotonic()

        def comes_so():
            nonlocal now, since
            before, now = now, self.as_documented(self.below(screen, command))
            if not FIX:
                return shape(now) == shape(shown)
            if not before.strip() or shape(now) != shape(before):
                since = time.monotonic()
            return time.monotonic() - since > 2

        try:
            wait_until(comes_so, "the frame")
        except AssertionError:
            self.assertEqual(shape(now), shape(shown), now)
        screen.press("C-c")
        screen.commands += 1
        wait_until(lambda: f"ready {screen.commands} 130 >" in screen.text(), "it ends")
        return now

    def test_screens_are_as_shown(self):
        text = DOCUMENT.read_text(encoding="utf-8")
        seen = []
        with Screen(self.environment, self.home) as up, Screen(self.environment, self.home) as screen:
            for live, command, shown in BLOCK.findall(text):
                if live:
                    seen.append(self.frame(screen, command, shown))
                elif command.startswith("geres up"):
                    up.type(command + " --name laptop --slots 2")
                    wait_until(lambda: "\nCtrl-C drains" in up.text(), "it is up")
                    seen.append(self.as_documented([line for line in up.lines() if line][1:]))
                else:
                    seen.append(self.typed(screen, command))
            up.press("C-c")
            up.commands += 1
            wait_until(lambda: "ready 2 0 >" in up.text(), "it stops")
        if FIX:
            made = iter(seen)
            DOCUMENT.write_text(BLOCK.sub(lambda block: f"```{block[1] or ''}\n$ {block[2]}\n{next(made)}```", text),
                                encoding="utf-8")
            return
        self.assertGreater(len(seen), 10)
        for (_, command, shown), now in zip(BLOCK.findall(text), seen):
            with self.subTest(command):
                self.assertEqual(shape(now), shape(shown), now)
                for line in shown.split("\n"):
                    self.assertLessEqual(len(line), 80, line)


if __name__ == "__main__":
    unittest.main(argv=[word for word in sys.argv if word != "--fix"])
