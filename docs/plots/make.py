#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of docs/scaling.md: the same three hours of jobs, rehearsed by each policy.

GERES_BIN=build/bin python3 docs/plots/make.py
"""
import json
import os
import pathlib
import random
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent
GERES = pathlib.Path(os.environ.get("GERES_BIN", HERE.parent.parent / "build/bin")) / "geres"
POLICIES = {
    "messageCount": {"name": "messageCount"},
    "messageWaitingTime": {"name": "messageWaitingTime", "wait": "2m"},
    "deadline": {"name": "deadline", "finishWithin": "20m"},
    "fixed": {"name": "fixed", "timeZone": "UTC", "otherwise": 1,
              "windows": [{"cron": "0 9 * * *", "for": "1h", "hosts": 12}]},
}


def jobs():
    """A trickle all the time, 1,500 jobs at nine o'clock and 600 at ten, of half a minute on average."""
    chance = random.Random(4)
    times = [chance.uniform(0, 3 * 3600) for _ in range(700)]
    times += [3600 + chance.uniform(0, 300) for _ in range(1500)] + [7200 + chance.uniform(0, 600) for _ in range(600)]
    for at in sorted(times):
        second = int(at)
        yield {"readyAt": f"2026-11-24T{8 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z",
               "seconds": round(min(240, chance.expovariate(1 / 30)), 1), "tenant": "demo", "type": "Render"}


with tempfile.TemporaryDirectory() as directory:
    directory = pathlib.Path(directory)
    (directory / "jobs.jsonl").write_text("".join(json.dumps(job) + "\n" for job in jobs()))
    for name, policy in POLICIES.items():
        pool = {"name": "cpu", "template": {"slots": 4}, "policy": policy, "limits": {"maximum": 20}}
        (directory / "pool.json").write_text(json.dumps(pool))
        print(f"--- {name}")
        subprocess.run([GERES, "scaler", "rehearse", "--policy", directory / "pool.json", "--jobs",
                        directory / "jobs.jsonl", "--boot", "45s±10s", "--price", "0.2/h", "--title", name,
                        "--svg", HERE / f"{name}.svg"], check=True)
