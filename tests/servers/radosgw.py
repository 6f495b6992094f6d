#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real S3 server for tests: Ceph's radosgw over a monitor, a manager and one OSD that keeps its objects in memory, in a
directory of their own, on free ports of the loopback interface. Ready after about a quarter of a minute.

    radosgw.py                     prints {"endpoint", "region", "bucket", "access_key", "secret_key"} as a line when it is
                                   ready ("sts_endpoint" gives and takes temporary keys too), and ends when its input is closed, or on SIGTERM or SIGINT
    radosgw.py PROGRAM ARG...      runs the program with these in GERES_S3_ENDPOINT and so on, and ends with its status

Nothing of it is left. Needs the packages radosgw, ceph-mon, ceph-mgr and ceph-osd."""
import datetime
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid

START = 180  # seconds; alone on the machine it takes about twelve
BUCKET = "geres-test"
NEEDED = ["ceph-mon", "ceph-mgr", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "ceph-authtool", "monmaptool"]

CONFIGURATION = """[global]
fsid = {fsid}
mon_initial_members = a
mon_host = [v2:127.0.0.1:{monitor}]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_cluster_log_to_file = false
# How full this machine's disk is does not matter.
mon_data_avail_crit = 1
mon_data_avail_warn = 1
osd_objectstore = memstore
memstore_device_bytes = 4294967296
run_dir = {directory}/run
admin_socket = {directory}/run/$name.$pid.asok
pid_file =
log_file = {directory}/$name.log
keyring = {directory}/keyring
mon_data = {directory}/mon
osd_data = {directory}/osd
mgr_data = {directory}/mgr
rgw_data = {directory}/rgw
crash_dir = {directory}/crash
ms_bind_ipv6 = false
ms_bind_msgr1 = false
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1
rgw_enable_usage_log = false
rgw_sts_key = {sts_key}
"""


def free_ports(count):
    """Free when asked; who takes them meanwhile makes the start fail, and it is tried with others."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Failed(Exception):
    pass


class Radosgw:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="geres-radosgw-"))
        self.processes = {}

    def start(self):
        deadline = time.monotonic() + START
        monitor, self.port, self.sts_port = free_ports(3)
        fsid, osd = uuid.uuid4(), uuid.uuid4()
        for name in ("run", "mon", "mgr", "osd", "rgw", "crash"):
            (self.directory / name).mkdir()
        self.configuration = self.directory / "ceph.conf"
        self.configuration.write_text(CONFIGURATION.format(fsid=fsid, directory=self.directory, monitor=monitor,
                                                           gateway=self.port, sts_key=secrets.token_hex(8)))
        key = self.run("ceph-authtool", "--gen-print-key").strip()
        self.write_keys(key)
        map_file = self.directory / "monmap"
        self.run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{monitor}]", map_file)
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", map_file, "--keyring", self.directory / "first_keys")
        self.run("ceph-osd", "--mkfs", "-i", "0", "--no-mon-config", "--osd-uuid", osd)
        self.spawn("ceph-mon", "-i", "a")
        secret = self.directory / "osd.json"
        secret.write_text(json.dumps({"cephx_secret": key}))
        self.run("ceph", "osd", "new", osd, "0", "-i", secret)
        self.spawn("ceph-osd", "-i", "0")
        self.spawn("ceph-mgr", "-i", "x")
        self.spawn("radosgw", "-n", "client.rgw")
        # With STS it says of all wrong keys and clocks the same, so that is a gateway of its own.
        self.spawn("radosgw", "-n", "client.rgw", "--rgw-s3-auth-use-sts=true",
                   f"--rgw-frontends=beast endpoint=127.0.0.1:{self.sts_port} tcp_nodelay=1", name="radosgw-sts")
        self.access_key, self.secret_key = "GERES" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30)
        self.run("radosgw-admin", "-n", "client.rgw", "user", "create", "--uid=geres", "--display-name=GeRes", "--caps=user-policy=*",
                 f"--access-key={self.access_key}", f"--secret-key={self.secret_key}", seconds=START)
        while not self.made_bucket() or not self.answers(self.sts_port):
            self.check_alive()
            if time.monotonic() > deadline:
                raise Failed("radosgw does not answer: " + self.tail("client.rgw.log"))
            time.sleep(0.2)
        self.allow_temporary_keys()
        return {"endpoint": f"http://127.0.0.1:{self.port}", "sts_endpoint": f"http://127.0.0.1:{self.sts_port}",
                "region": "us-east-1", "bucket": BUCKET,
                "access_key": self.access_key, "secret_key": self.secret_key}

    def write_keys(self, key):
        """One secret for all of them; the OSD's comes to the monitor by `ceph osd new`."""
        every = {"mon.": ["mon"], "client.admin": ["mon", "osd", "mgr", "mds"], "client.rgw": ["mon", "osd", "mgr"],
                 "mgr.x": ["mon", "osd", "mds"]}
        text = "".join(f"[{name}]\n\tkey = {key}\n" + "".join(f'\tcaps {on} = "allow *"\n' for on in may)
                       for name, may in every.items())
        (self.directory / "first_keys").write_text(text)
        (self.directory / "keyring").write_text(text + f"[osd.0]\n\tkey = {key}\n")

    def run(self, program, *words, seconds=60):
        line = [program, *map(str, words)]
        if program not in ("ceph-authtool", "monmaptool"):
            line += ["-c", str(self.configuration)]
        try:
            done = subprocess.run(line, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL,
                                  cwd=self.directory)
        except subprocess.TimeoutExpired:
            raise Failed(f"{program} does not end within {seconds} s") from None
        if done.returncode != 0:
            raise Failed(f"{program} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def spawn(self, program, *words, name=None):
        name = name or program
        with open(self.directory / f"{name}.out", "wb") as out:
            self.processes[name] = subprocess.Popen(
                [program, "-f", *words, "-c", str(self.configuration)], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                cwd=self.directory, start_new_session=True)

    def check_alive(self):
        for program, process in self.processes.items():
            if process.poll() is not None:
                raise Failed(f"{program} ended: " + self.tail(f"{program}.out"))

    def tail(self, name):
        file = self.directory / name
        return file.read_text(errors="replace")[-2000:] if file.exists() else "(it says nothing)"

    def asked(self, method, path, body=b"", service="s3"):
        """Status and body; signed by an implementation that is not the one under test. None while nobody answers."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        host, digest = f"127.0.0.1:{self.port}", hashlib.sha256(body).hexdigest()
        names = "host;x-amz-content-sha256;x-amz-date"
        request = (f"{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{now}\n\n{names}\n"
                   f"{digest}")
        scope = f"{now[:8]}/us-east-1/{service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = ("AWS4" + self.secret_key).encode()
        for word in scope.split("/"):
            key = hmac.new(key, word.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        headers = {"x-amz-date": now, "x-amz-content-sha256": digest, "Content-Type": "application/x-www-form-urlencoded",
                   "Authorization": f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, "
                                    f"Signature={signature}"}
        try:
            connection = http.client.HTTPConnection(host, timeout=60)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return None

    def made_bucket(self):
        answer = self.asked("PUT", f"/{BUCKET}")
        if answer and answer[0] not in (200, 503):
            raise Failed(f"radosgw makes no bucket: HTTP {answer}")
        return answer is not None and answer[0] == 200

    @staticmethod
    def answers(port):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    def allow_temporary_keys(self):
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*",
                                                          "Action": ["sts:GetSessionToken", "s3:*"]}]}
        answer = self.asked("POST", "/", urllib.parse.urlencode(
            {"Action": "PutUserPolicy", "UserName": "geres", "PolicyName": "all",
             "PolicyDocument": json.dumps(policy)}).encode(), "iam")
        if answer is None or answer[0] != 200:
            raise Failed(f"radosgw takes no policy: HTTP {answer}")

    def stop(self):
        for process in self.processes.values():  # what they keep goes with their directory
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        for process in self.processes.values():
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def ended(*_):
    raise SystemExit(143)


def main():
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        sys.exit(f"error: not installed: {', '.join(missing)}; apt-get install radosgw ceph-mon ceph-mgr ceph-osd")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ended)
    for tries_left in (1, 0):
        server = Radosgw()
        try:
            facts = server.start()
            if len(sys.argv) > 1:
                env = {**os.environ, **{f"GERES_S3_{name.upper()}": value for name, value in facts.items()}}
                sys.exit(subprocess.run(sys.argv[1:], env=env).returncode)
            print(json.dumps(facts), flush=True)
            sys.stdin.read()
            return
        except Failed as failure:
            if tries_left == 0:
                sys.exit(f"error: {failure}")
            print(f"radosgw.py: once more, as {failure}", file=sys.stderr)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
