# SPDX-License-Identifier: Apache-2.0
"""A shell in a real terminal, driven by tmux: what is typed, what then stands on the screen, how each command ended."""
import os
import re
import subprocess
import tempfile

from fleet import wait_until


class Screen:
    """Environment and directory are the shell's. Needs tmux and bash."""

    def __init__(self, environment, directory, width=80, height=24):
        self.socket = os.path.join(tempfile.mkdtemp(prefix="tmux-"), "socket")
        configuration = self.socket + ".conf"
        with open(configuration, "w", encoding="utf-8") as file:
            file.write("set -g history-limit 100000\nset -g default-terminal screen-256color\nset -g status off\n")
        # \# counts the commands, so that a prompt says which one has ended.
        environment = {**environment, "PS1": r"ready \# $? > ", "PS2": "", "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
        self.tmux("-f", configuration, "new-session", "-d", "-x", str(width), "-y", str(height),
                  "bash", "--norc", "--noprofile", "-i", environment=environment, directory=directory)
        self.commands = 1
        try:
            wait_until(lambda: "ready 1 0 >" in self.text(), "the shell is there", 20)
        except AssertionError:
            self.tmux("kill-server")
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.tmux("kill-server")

    def tmux(self, *words, environment=None, directory=None):
        done = subprocess.run(["tmux", "-u", "-S", self.socket, *words], env=environment, cwd=directory, timeout=30,
                              stdout=subprocess.PIPE, check=True)
        return done.stdout.decode()

    def text(self):
        """All that was shown, lines that the terminal has wrapped in one piece."""
        return self.tmux("capture-pane", "-p", "-J", "-S", "-")

    def lines(self):
        """What stands on the screen now."""
        return self.tmux("capture-pane", "-p").rstrip("\n").split("\n")

    def press(self, key):
        self.tmux("send-keys", key)

    def type(self, text):
        for line in text.split("\n"):
            self.tmux("send-keys", "-l", "--", line)
            self.press("Enter")

    def run(self, command, deadline=60):
        """Exit code, and what it has printed."""
        before = len(self.text())
        self.type(command)
        self.commands += 1
        prompt = re.compile(rf"ready {self.commands} (\d+) >")
        ended = wait_until(lambda: prompt.search(self.text()), f"`{command}` ends: {self.lines()}", deadline)
        shown = self.text()
        return int(ended[1]), shown[min(before, ended.start()):prompt.search(shown).start()]
