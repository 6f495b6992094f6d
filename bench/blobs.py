#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what files cost a hub and its hosts, in a directory and in a store elsewhere, in one run: jobs with a large
package, many small artifacts, logs that move out, and the hub's memory under one large upload.

    blobs.py BUILD [packages] [artifacts] [upload] [--s3] [--jobs N] [--gib N]

The store elsewhere is Azurite, or, with --s3, Ceph's radosgw (which keeps at most 2 GiB)."""
import argparse
import http.client
import os
import pathlib
import sys
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "end_to_end"))
HOSTS = 10


def settings():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("parts", nargs="*", choices=["packages", "artifacts", "upload", []])
    parser.add_argument("--s3", action="store_true", help="radosgw instead of Azurite")
    parser.add_argument("--jobs", type=int, default=1_000)
    parser.add_argument("--gib", type=float, default=10, help="of the large upload")
    return parser.parse_args()


OPTIONS = settings()
build = OPTIONS.build.resolve()
os.environ.setdefault("GERES_BIN", str(build / "bin"))
os.environ.setdefault("GERES_EXAMPLES", str(build / "examples"))
from fleet import Fleet, wait_until  # noqa: E402
from gate import Gate  # noqa: E402
from server import Server  # noqa: E402


class Place:
    """Where blobs are kept; `gate` counts what passes between a store elsewhere and everybody."""

    def __init__(self, server=None):
        self.name = "directory" if not server else "radosgw" if OPTIONS.s3 else "azurite"
        self.gate = Gate(urllib.parse.urlparse(server.told["endpoint"]).port) if server else None
        self.env, self.options = {}, ()
        if not server:
            return
        told, port = server.told, self.gate.port
        if OPTIONS.s3:
            self.env = {"AWS_ACCESS_KEY_ID": told["access_key"], "AWS_SECRET_ACCESS_KEY": told["secret_key"]}
            place = f"s3:{told['bucket']}/bench{port}?endpoint=http://127.0.0.1:{port}&region={told['region']}"
        else:
            self.env = {"AZURE_STORAGE_KEY": told["key"]}
            place = f"azure:{told['account']}/builds/bench{port}?endpoint=http://127.0.0.1:{port}/{told['account']}"
        self.options = ("--blobs", place)

    def fleet(self, fleet):
        """A hub with ten hosts; the gate between them."""
        self.hub = fleet.hub(*self.options, env={**fleet.environment(), **self.env})
        gate = Gate(int(fleet.url.rsplit(":", 1)[1]))
        for n in range(HOSTS):
            fleet.host(f"h{n}", "--slots", "2", url=f"http://127.0.0.1:{gate.port}", wait=False)
        fleet.wait_for_hosts(HOSTS)
        return gate


def run(fleet, jobs, package, script):
    start = time.monotonic()
    specs = [{"tenant": "demo", "type": "Shell", "package": package, "parameters": {"script": script.replace("@", str(n))}}
             for n in range(jobs)]
    fleet.api("POST", "/v1/jobs", specs)
    wait_until(lambda: fleet.api("GET", "/v1/status")["jobs"]["finished"] >= jobs, "all end", 3_600)
    return time.monotonic() - start


def mib(size):
    return f"{size / 2**20:,.1f} MiB"


def packages(place):
    with Fleet() as fleet:
        gate = place.fleet(fleet)
        content = {"weights.bin": os.urandom(10 << 20)}
        fleet.push("large", {"Shell": ["/bin/sh", "-c", "{script}"]}, content)
        before = (gate.sent + gate.passed, place.gate.passed if place.gate else 0)
        seconds = run(fleet, OPTIONS.jobs, "large", "true")
        through = gate.sent + gate.passed - before[0]
        line = f"  {place.name:10} {OPTIONS.jobs} jobs in {seconds:6.1f} s; between hub and hosts {mib(through)}"
        print(line + (f", from the store {mib(place.gate.passed - before[1])}" if place.gate else ""), flush=True)


def artifacts(place):
    with Fleet() as fleet:
        gate = place.fleet(fleet)
        fleet.push_shell()
        seconds = run(fleet, OPTIONS.jobs, "shell", "cd $GERES_OUTPUT_DIR; for i in 0 1 2 3 4 5 6 7 8 9; do echo @ $i > $i; done")
        many = OPTIONS.jobs * 10
        print(f"  {place.name:10} {many} artifacts in {seconds:6.1f} s: {many / seconds * 60:,.0f} a minute; "
              f"between hub and hosts {mib(gate.sent + gate.passed)}", flush=True)


def memory(pid, what):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024


def upload(place):
    with Fleet() as fleet:
        fleet.hub(*place.options, env={**fleet.environment(), **place.env})
        pid = fleet.processes[0].popen.pid
        size = int((min(OPTIONS.gib, 1) if place.name == "radosgw" else OPTIONS.gib) * 1024) << 20
        fleet.call("PUT", "/v1/files/demo", b"warm")
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
        idle = memory(pid, "VmRSS")
        connection = http.client.HTTPConnection(fleet.url.removeprefix("http://"), timeout=600)
        token = (fleet.data / "admin.token").read_text().strip()
        connection.putrequest("PUT", "/v1/files/demo")
        connection.putheader("Authorization", f"Bearer {token}")
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        start, piece = time.monotonic(), os.urandom(1 << 20)
        for _ in range(size >> 20):
            connection.send(piece)
        answer = connection.getresponse()
        assert answer.status == 201, answer.read()
        seconds = time.monotonic() - start
        print(f"  {place.name:10} {size / 2**30:.0f} GiB in {seconds:6.1f} s; memory {mib(memory(pid, 'VmHWM') - idle)} above "
              f"{mib(idle)}", flush=True)


def main():
    words = ("radosgw.py",) if OPTIONS.s3 else ("azurite.py", "--container", "builds")
    with Server(*words) as server:
        for part in OPTIONS.parts or ["packages", "artifacts", "upload"]:
            print(f"{part}:", flush=True)
            for place in (Place(), Place(server)):
                globals()[part](place)


if __name__ == "__main__":
    main()
