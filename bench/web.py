#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How soon the hub's page is there, and how fast it answers, with many jobs behind it: a real hub, a real Chromium. And
what fifty open pages cost those who hand in and run jobs.

    web.py BUILD [--jobs N] [--only page|pages] [--turns N] [--seconds N]
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

parser = argparse.ArgumentParser()
parser.add_argument("build", type=pathlib.Path)
parser.add_argument("--jobs", type=int, default=100_000)
parser.add_argument("--only", choices=("page", "pages"))
parser.add_argument("--turns", type=int, default=5)
parser.add_argument("--seconds", type=int, default=10, help="of a turn without pages, and of one beside them")
options = parser.parse_args()

ROOT = pathlib.Path(__file__).parent.parent
os.environ["GERES_BIN"] = str(options.build.resolve() / "bin")
os.environ["GERES_EXAMPLES"] = str(options.build.resolve() / "examples")
sys.path.insert(0, str(ROOT / "tests/end_to_end"))
from browser import CHROMIUM  # noqa: E402
from fleet import Fleet  # noqa: E402

TYPES = ("Thumbnail", "Invoice", "Train", "Import", "Export")

with Fleet() as fleet:
    hub = fleet.hub()
    for first in range(0, options.jobs, 2000):
        fleet.api("POST", "/v1/jobs", [{"tenant": f"tenant{i % 7}", "type": TYPES[i % 5], "name": f"job-{i}", "tags": {"customer": f"c{i % 1000}"}}
                                       for i in range(first, min(first + 2000, options.jobs))])
    page = {"url": fleet.url + "/", "token": (fleet.data / "admin.token").read_text().strip(), "chromium": CHROMIUM, "jobs": options.jobs,
            "pid": hub.pid, "turns": options.turns, "seconds": options.seconds}
    for name, script in (("page", "web.mjs"), ("pages", "pages.mjs")):
        if options.only in (None, name):
            subprocess.run(["node", ROOT / "bench" / script], check=True, env={**os.environ, "GERES_PAGE": json.dumps(page)}, cwd=ROOT / "web")
