# SPDX-License-Identifier: Apache-2.0
"""Servers of others that tests need: see tests/servers."""
import json
import pathlib
import subprocess
import sys

SERVERS = pathlib.Path(__file__).parent.parent / "servers"


class Server:
    """One of tests/servers, for as long as this is entered."""

    def __init__(self, *words):
        self.words = words

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, SERVERS / self.words[0], *self.words[1:]], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        assert line, f"{self.words[0]} does not start: ./dev setup installs what it needs"
        self.told = json.loads(line)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
