#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what tenants get of each other, on a real hub: shares with more tenants than slots, what ten thousand tenants
with weights and limits cost beside one without, how long a small tenant waits beside a big one's backlog, and what
readers of a backlog, and connections that take nothing, cost others.

    fairness.py BUILD [shares] [cost] [small] [readers] [takers] [--jobs N]
"""
import argparse
import collections
import heapq
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import socket
import tempfile
import threading
import time


class Hub:
    def __init__(self, build):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="geres-bench-"))
        self.log = open(self.directory / "log", "w")
        command = [str(build / "bin" / "geres"), "hub", "--data", str(self.directory / "data"), "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        address = self.directory / "data" / "admin.hub"
        while not address.exists() or not address.read_text().strip():
            time.sleep(0.05)
        self.port = int(address.read_text().strip().rstrip("/").rsplit(":", 1)[1])
        self.token = (self.directory / "data" / "admin.token").read_text().strip()

    def connect(self, token=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        headers = {"Authorization": "Bearer " + (token or self.token), "Content-Type": "application/json"}

        def call(method, path, body=None, secret=None):
            own = dict(headers, Authorization="Bearer " + secret) if secret else headers
            connection.request(method, path, None if body is None else json.dumps(body), own)
            answer = connection.getresponse()
            data = answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {data[:200]}")
            return json.loads(data) if data else None

        return call

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """(MiB resident, MiB at most so far)"""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return [int(re.search(name + r":\s+(\d+) kB", status)[1]) / 1024 for name in ("VmRSS", "VmHWM")]

    def stop(self):
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        took = time.monotonic() - started
        shutil.rmtree(self.directory, ignore_errors=True)
        return took


class FakeHost:
    """Takes leases and reports their ends; jobs take as long as `length(tenant)` says, 0: ended by the next report."""

    def __init__(self, hub, slots, length=lambda tenant: 0):
        self.call, self.slots, self.length = hub.connect(), slots, length
        host = self.call("POST", "/v1/hosts", {"name": "bench", "slots": slots, "types": ["Bench"], "packages": False})
        self.id, self.secret = host["id"], host["secret"]
        self.fetches = self.reports = 0
        self.running = []  # (end, lease)
        self.grants = collections.Counter()
        self.slot_time = collections.Counter()

    def step(self):
        self.fetches += 1
        fetch = {"fetchId": f"f{self.fetches}", "slots": self.slots, "wait": "200ms"}
        for lease in self.call("POST", f"/v1/hosts/{self.id}/fetch", fetch, self.secret)["leases"]:
            tenant = lease["job"]["tenant"]
            length = self.length(tenant)
            self.grants[tenant] += 1
            self.slot_time[tenant] += length
            heapq.heappush(self.running, (time.monotonic() + length, lease["lease"]))
        if self.running:
            time.sleep(max(0, self.running[0][0] - time.monotonic()))
        ended = []
        while self.running and self.running[0][0] <= time.monotonic():
            ended.append({"lease": heapq.heappop(self.running)[1], "outcome": "finished"})
        self.reports += 1
        report = {"seq": self.reports, "fetched": f"f{self.fetches}", "running": [name for _, name in self.running],
                  "started": [], "finished": ended}
        self.call("POST", f"/v1/hosts/{self.id}/report", report, self.secret)
        return len(ended)


def submit(call, tenants, jobs, types=1):
    for begin in range(0, jobs, 5000):
        call("POST", "/v1/jobs", [{"tenant": tenants[i % len(tenants)], "type": "Bench" if types == 1 else f"T{i % types}"}
                                  for i in range(begin, min(jobs, begin + 5000))])


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(len(values) * q))]


def shares(build, _):
    """Equal and unequal weights, more tenants than slots."""
    for name, tenants, slots, weight in (("40 tenants alike, 4 slots", 40, 4, lambda i: 1),
                                         ("100 tenants of weight 1 to 10, 20 slots", 100, 20, lambda i: 1 + i % 10)):
        hub = Hub(build)
        call = hub.connect()
        names = [f"t{i:03}" for i in range(tenants)]
        weights = {names[i]: weight(i) for i in range(tenants)}
        for tenant, own in weights.items():
            call("PUT", f"/v1/tenants/{tenant}", {"weight": own})
        submit(call, names, tenants * 300)
        dice = random.Random(1)
        host = FakeHost(hub, slots, lambda tenant: dice.uniform(0.01, 0.03))
        grants = 2_500 if slots == 4 else 10_000
        while sum(host.grants.values()) < grants:
            host.step()
        total, share = sum(host.slot_time.values()), sum(weights.values())
        classes = collections.defaultdict(lambda: [0.0, 0.0])
        for tenant, own in weights.items():
            classes[own][0] += host.slot_time[tenant]
            classes[own][1] += total * own / share
        worst = max(abs(got / due - 1) for got, due in classes.values())
        single = max(abs(host.slot_time[t] / (total * w / share) - 1) for t, w in weights.items())
        print(f"| {name}, {grants:,} grants | slot time by weight off by {worst:.1%} at most, one tenant by {single:.0%};"
              f" {sum(1 for t in names if host.grants[t] == 0)} tenants with nothing |", flush=True)
        hub.stop()


def cost(build, _):
    """Processor time of the hub for a job: one tenant, and ten thousand without and with weights and limits."""
    jobs, used = 20_000, {}
    for tenants, weighted in ((1, False), (10_000, False), (10_000, True)):
        hub = Hub(build)
        call = hub.connect()
        names = [f"t{i:05}" for i in range(tenants)]
        if weighted:
            for i, tenant in enumerate(names):
                call("PUT", f"/v1/tenants/{tenant}", {"weight": 1 + i % 10, "maxRunning": 50})
        submit(call, names, jobs)
        host, ended, before = FakeHost(hub, 200), 0, hub.cpu()
        while ended < jobs:
            ended += host.step()
        used[tenants, weighted] = (hub.cpu() - before) / jobs
        hub.stop()
    one, many, fair = used.values()
    print(f"| hub's processor time for a job from grant to end, 1 tenant | {one * 1e6:.0f} µs |")
    print(f"| the same, 10,000 tenants | {many * 1e6:.0f} µs: {one / many:.0%} of the throughput for the same time |")
    print(f"| the same, with weights and limits | {fair * 1e6:.0f} µs: {many / fair:.0%} of that without them |", flush=True)


def small(build, options):
    """A small tenant's wait, alone and beside a backlog."""
    for backlog in (0, 100_000, options.jobs):
        hub = Hub(build)
        call = hub.connect()
        submit(call, ["big"], backlog)
        host = FakeHost(hub, 8, lambda tenant: 0.05)
        stop = threading.Event()

        def run():
            while not stop.is_set():
                host.step()

        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(1)
        waits = []
        for _ in range(60):
            job = call("POST", "/v1/jobs", {"tenant": "small", "type": "Bench"})
            done = call("GET", f"/v1/jobs/{job['id']}?wait=30s")
            begun = call("GET", f"/v1/jobs/{job['id']}/attempts")["items"][0]
            read = lambda text: time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) + float("0" + text[19:].rstrip("Z"))
            waits.append(read(begun["leasedAt"] if "leasedAt" in begun else begun["startedAt"]) - read(done["submittedAt"]))
            time.sleep(0.02)
        stop.set()
        thread.join()
        print(f"| small tenant's wait for a host beside {backlog:,} jobs of another (8 slots, jobs of 50 ms) |"
              f" p50 {quantile(waits, 0.5) * 1000:.0f} ms, p95 {quantile(waits, 0.95) * 1000:.0f} ms |", flush=True)
        hub.stop()


def readers(build, options):
    """What 60 askers cost another tenant's submits."""
    hub = Hub(build)
    call = hub.connect()
    submit(call, ["big"], options.jobs, 2500)
    last = call("POST", "/v1/jobs", {"tenant": "big", "type": "T0", "priority": 1000})["id"]
    what = f"{options.jobs:,} jobs in 2,500 lanes"
    times = []
    for _ in range(50):
        started = time.monotonic()
        call("GET", "/v1/status")
        times.append(time.monotonic() - started)
    print(f"| GET /v1/status, {what} | p50 {quantile(times, 0.5) * 1000:.1f} ms, p95 {quantile(times, 0.95) * 1000:.1f} ms |")
    p99 = {}
    for path in ("/v1/info", f"/v1/jobs/{last}/why", "/v1/info", f"/v1/jobs/{last}/why"):
        end, asked = time.monotonic() + 10, [0]

        def ask():
            own = hub.connect()
            while time.monotonic() < end:
                own("GET", path)
                asked[0] += 1

        threads = [threading.Thread(target=ask) for _ in range(60)]
        for thread in threads:
            thread.start()
        took = []
        while time.monotonic() < end:
            started = time.monotonic()
            call("POST", "/v1/jobs", {"tenant": "small", "type": "Bench"})
            took.append(time.monotonic() - started)
        for thread in threads:
            thread.join()
        kind = path.rsplit("/", 1)[1]
        p99.setdefault(kind, []).append(quantile(took, 0.99))
        print(f"| submit beside 60 connections asking {kind} ({asked[0] / 10:.0f} answers a second), {what} |"
              f" p50 {quantile(took, 0.5) * 1000:.1f} ms, p99 {quantile(took, 0.99) * 1000:.1f} ms |", flush=True)
    print(f"| ratio of the p99s, why to info | {sum(p99['why']) / sum(p99['info']):.2f} |")
    print(f"| stop by SIGTERM, {what} | {hub.stop():.2f} s |", flush=True)


def takers(build, _):
    """Memory with 100 connections that ask for a large page and take nothing of it."""
    hub = Hub(build)
    call = hub.connect()
    for _ in range(60):
        call("POST", "/v1/jobs", [{"tenant": "t", "type": "Bench", "parameters": "x" * 60_000} for _ in range(50)])
    before, _ = hub.memory()
    question = (f"GET /v1/jobs?limit=1000 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {hub.token}\r\n\r\n").encode()
    connections = []
    for _ in range(100):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", hub.port))
        connection.sendall(question)
        connections.append(connection)
    time.sleep(5)
    started = time.monotonic()
    call("GET", "/v1/status")
    beside = time.monotonic() - started
    _, most = hub.memory()
    for connection in connections:
        connection.close()
    time.sleep(5)
    after, _ = hub.memory()
    print(f"| hub's memory with 3,000 jobs of 60 KB; at most with 100 connections that ask for a page of 1,000 and take nothing;"
          f" after they have gone | {before:.0f}; {most:.0f}; {after:.0f} MiB |")
    print(f"| GET /v1/status beside them | {beside * 1000:.0f} ms |", flush=True)
    hub.stop()


def main():
    parts = {"shares": shares, "cost": cost, "small": small, "readers": readers, "takers": takers}
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("build", type=pathlib.Path)
    arguments.add_argument("parts", nargs="*", choices=[*parts, []])
    arguments.add_argument("--jobs", type=int, default=1_000_000, help="of the large backlog")
    options = arguments.parse_args()
    print("| what | measured |\n|---|---|")
    for name in options.parts or parts:
        parts[name](options.build.resolve(), options)


if __name__ == "__main__":
    main()
