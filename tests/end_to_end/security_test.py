# SPDX-License-Identifier: Apache-2.0
"""docs/security.md, typed from top to bottom: each prompt is a machine, with a home and terminals of its own, and what
stands below a command on the page is what it prints."""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from fleet import BIN, quiet_port, wait_until
from tmux import Screen

ROOT = pathlib.Path(__file__).parent.parent.parent
MACHINES = "hub", "desk", "rack7"
# Copies between the homes; what follows the colon is empty on the page.
SCP = '#!/bin/sh\nfor last; do :; done\nwhile [ $# -gt 1 ]; do cp "$1" "$HOME/../${last%:}/"; shift; done\n'


def steps():
    """(machine, command, lines that are said to come out of it), in the order of the page."""
    found = []
    for block in re.findall(r"^```\n(.*?)^```$", (ROOT / "docs/security.md").read_text(encoding="utf-8"), re.M | re.S):
        lines = block.split("\n")[:-1] if re.match(r"\w+\$ ", block) else []
        while lines:
            line = lines.pop(0)
            prompt = re.match(r"(\w+)\$ (.*)", line)
            if not prompt:
                found[-1][2].append(line)
                continue
            command = prompt[2]
            while command.endswith("\\") or ("<<'END'" in command and not command.endswith("\nEND")):
                command += "\n" + lines.pop(0)
            found.append((prompt[1], command, []))
    return found


@unittest.skipUnless(shutil.which("tmux"), "no tmux: ./dev setup")
@unittest.skipUnless((ROOT / "tests/servers/node_modules/oidc-provider").exists(), "no oidc-provider: ./dev setup")
class Security(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="geres-security-"))
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.root.chmod(0o755)  # jobs' users reach their directories
        (self.root / "bin").mkdir()
        (self.root / "bin/scp").write_text(SCP)
        (self.root / "bin/scp").chmod(0o755)
        self.terminals = {}
        self.running = {}
        for name in MACHINES:
            (self.root / name).mkdir()
        for name in ("hub", "desk", "hub runs", "rack7 runs"):
            home = self.root / name.split()[0]
            environment = {"PATH": f"{self.root}/bin:{BIN}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(home)}
            self.terminals[name] = Screen(environment, home, width=200)
            self.addCleanup(self.terminals[name].tmux, "kill-server")
        provider = subprocess.Popen([sys.executable, ROOT / "tests/servers/oidc.py"], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, text=True)
        self.addCleanup(provider.stdout.close)
        self.addCleanup(provider.wait, 20)
        self.addCleanup(provider.stdin.close)
        self.provider = json.loads(provider.stdout.readline())
        port = str(quiet_port("127.0.0.1"))
        self.here = {"hub.example": "localhost", ":8443": f":{port}",
                     "https://login.microsoftonline.com/TENANT-ID": f"{self.provider['issuer']}/{self.provider['tid']}",
                     "api://CLIENT-ID": "api://geres", "CLIENT-ID": "geres-client", "SERVICE-ID": "nightly",
                     "SERVICE-SECRET": "the-secret-of-nightly"}

    def local(self, text):
        for shown, real in self.here.items():
            text = text.replace(shown, real)
        return text

    def end(self, name):
        """Ctrl-C, as the page says, where something runs in that terminal."""
        if self.running.pop(name, False):
            screen = self.terminals[name]
            screen.press("C-c")
            screen.commands += 1
            wait_until(lambda: re.search(rf"ready {screen.commands} \d+ >", screen.text()), f"{name} ends")

    def serve(self, name, command, ready):
        self.end(name)
        screen = self.terminals[name]
        screen.type(command)
        self.running[name] = True

        def shown():
            return re.split(rf"ready {screen.commands} \d+ > ", screen.text())[1]
        wait_until(lambda: ready in shown() or "ready " in shown(), f"`{command}` is up", 30)
        self.assertIn(ready, shown())
        if pin := re.search(r"CA\s+(sha256:\w+)", shown()):
            self.here["sha256:5f2c…"] = pin[1]

    def step(self, machine, command, wanted):
        fails = any(line.startswith("error:") for line in wanted)
        runs = command.split()[:2]
        if runs in (["geres", "hub"], ["geres", "host"]) and not fails:
            self.serve(f"{machine} runs", command, "Ctrl-C stops it" if runs[1] == "hub" else "Ctrl-C drains")
            return
        name = machine if machine in self.terminals else f"{machine} runs"
        if name.endswith("runs"):
            self.end(name)
        screen = self.terminals[name]
        exit, _ = screen.run(command)
        out = re.split(rf"ready {screen.commands - 1} \d+ > ", screen.text())[1].split(f"ready {screen.commands} ")[0]
        self.assertEqual(exit != 0, fails, out)
        for line in wanted:  # "…" stands for what differs from place to place
            self.assertRegex(out, "(?m)^" + ".*".join(map(re.escape, line.split("…"))) + " *$")

    def test_the_page_from_top_to_bottom(self):
        walked = steps()
        for machine, command, wanted in walked:
            try:
                self.step(machine, self.local(command), [self.local(line) for line in wanted])
            except AssertionError as failed:
                servers = "\n".join(self.terminals[name].text().rstrip()[-3000:] for name in self.running)
                raise AssertionError(f"{machine}$ {command}\n{failed}\n{servers}") from failed
        for name in "rack7 runs", "hub runs":
            self.end(name)
        self.assertGreater(len(walked), 30)


if __name__ == "__main__":
    unittest.main(verbosity=2)
