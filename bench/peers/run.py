#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The worker SDK beside BullMQ on Redis and Graphile Worker on PostgreSQL: the same no-op workload, one after the other on
the same machine. Each server is started for it, on a port of its own in a directory that is removed.
   run.py BUILD     (./dev bench peers)"""
import glob
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    def __init__(self, command, port, **more):
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
        end = time.monotonic() + 60
        while not listens(port):
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"error: {command[0]} did not start")
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def measured(script, argument):
    text = subprocess.run(["node", script, argument], cwd=HERE, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(text.strip().splitlines()[-1])


def show(name, found):
    print(f"| {name} | {found['drained']:,.0f}/s | {found['ran']:,.0f}/s | {found['p50']:.2f} ms, {found['p99']:.2f} ms |", flush=True)


def geres(build):
    table = subprocess.run([build / "bin/hub_bench", "worker"], check=True, stdout=subprocess.PIPE, text=True).stdout
    drained, ran = re.findall(r"\| (\d+)/s \|", table)
    p50, p99 = re.search(r"\| p50 ([\d.]+) ms, p99 ([\d.]+) ms \|", table).groups()
    return {"drained": float(drained), "ran": float(ran), "p50": float(p50), "p99": float(p99)}


def redis(directory, synced):
    port = free_port()
    server = Server(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", "",
                     "--appendonly", "yes" if synced else "no", "--appendfsync", "always"], port)
    try:
        return measured("bullmq.mjs", str(port))
    finally:
        server.stop()


def postgresql(directory):
    programs = pathlib.Path(sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1])
    port = free_port()
    # It refuses to run as root.
    who = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    if who:
        shutil.chown(directory, "postgres", "postgres")
    quiet = {"stdout": subprocess.DEVNULL, "cwd": directory, **who}
    subprocess.run([programs / "initdb", "-D", directory / "data", "-U", "bench", "-A", "trust", "-E", "UTF8"], check=True, **quiet)
    server = Server([programs / "postgres", "-D", directory / "data", "-p", str(port), "-k", directory, "-h", "127.0.0.1"],
                    port, cwd=directory, **who)
    try:
        return measured("graphile.mjs", f"postgres://bench@127.0.0.1:{port}/postgres")
    finally:
        server.stop()


def main(build):
    print("| | 100,000 drained | 20,000 one by one from 16 connections, and run | submit call to handler start, p50, p99 |")
    print("|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(dir=build) as home:
        home = pathlib.Path(home)
        os.chmod(home, 0o755)
        for parent in [home, *home.parents]:
            if os.geteuid() == 0 and not os.stat(parent).st_mode & 0o001:
                raise SystemExit(f"error: the user postgres cannot enter {parent}\n  try: a build directory that others may enter")
        for name in ("redis", "redis-synced", "postgresql"):
            (home / name).mkdir()
        show("GeRes worker SDK (SQLite, synced)", geres(build))
        show("BullMQ (Redis, synced)", redis(home / "redis-synced", True))
        show("BullMQ (Redis, not synced)", redis(home / "redis", False))
        show("Graphile Worker (PostgreSQL, synced)", postgresql(home / "postgresql"))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
