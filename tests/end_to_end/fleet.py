# SPDX-License-Identifier: Apache-2.0
"""Real hubs and hosts for tests: the programs that ship, each on a directory and a port of its own.

A Fleet ends everything that it started and removes its directory. Tests wait for facts with a deadline, never for time
to pass, and never name a port.
"""
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BIN = pathlib.Path(os.environ["GERES_BIN"])
EXAMPLES = pathlib.Path(os.environ["GERES_EXAMPLES"])
DEADLINE = 60


def wait_until(fact, what, deadline=DEADLINE):
    """Polls until fact() is true (its value is returned), or fails saying what was waited for."""
    end = time.monotonic() + deadline
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}")
        time.sleep(0.02)


def quiet_port(address):
    """A free port that the kernel gives to no outgoing connection: a hub that comes back finds it free still."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        end = int(file.read().split()[0])
    for _ in range(100 if end > 12_000 else 0):
        port = random.SystemRandom().randrange(10_000, end)
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
                return port
            except OSError:
                pass
    return 0


class Process:
    """A geres program that runs in the background, with its output in files."""

    def __init__(self, fleet, name, words, env=None, preexec=None, enter=(), user=None):
        self.name = name
        self.log = fleet.directory / f"{name}-{len(fleet.processes)}.log"
        self.out = fleet.directory / f"{name}-{len(fleet.processes)}.out"
        with open(self.out, "wb") as out, open(self.log, "wb") as log:
            self.popen = subprocess.Popen(
                [*enter, str(BIN / "geres"), *map(str, words)], stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                env={**fleet.environment(), **(env or {})}, start_new_session=True,
                preexec_fn=preexec,
                **({"user": user, "group": user, "extra_groups": []} if user else {}))
        fleet.processes.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def text(self):
        return self.out.read_text() + self.log.read_text()

    def alive(self):
        return self.popen.poll() is None

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def terminate(self, deadline=DEADLINE):
        if self.alive():
            self.popen.terminate()
        return self.popen.wait(deadline)


def in_memory(free=1 << 30):
    """A directory in memory, if there is one with so much room: for tests that make very many files. Else None."""
    shm = pathlib.Path("/dev/shm")
    try:
        room = os.statvfs(shm)
    except OSError:
        return None
    return shm if room.f_bavail * room.f_frsize > free and os.access(shm, os.W_OK) else None


def nobody():
    """The number of a user without rights, where this process can become it and it can run the programs. Else None."""
    user = 65534
    if os.geteuid() != 0 or not os.stat(tempfile.gettempdir()).st_mode & 1:
        return None
    try:
        done = subprocess.run([str(BIN / "geres"), "--version"], capture_output=True, user=user, group=user, extra_groups=[])
    except OSError:
        return None
    return user if done.returncode == 0 else None


class Fleet:
    def __init__(self, where=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="geres-test-", dir=where))
        os.chmod(self.directory, 0o755)  # tenants' users reach their own directories below it
        self.processes = []
        self.data = self.directory / "hub"
        self.url = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            for process in self.processes:
                print(f"--- {process.name}\n{process.text()[-4000:]}")
        for process in reversed(self.processes):
            if process.alive():
                process.popen.send_signal(signal.SIGCONT)
                process.kill()
        try:
            if error is None:
                self.audit()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def audit(self):
        """Whatever happened to the hub, no row of its store breaks a rule."""
        if not (self.data / "geres.db").exists():
            return
        done = self.cli("hub", "check", "--data", self.data, check=False)
        assert done.returncode == 0, f"the store breaks its rules:\n{done.stdout}{done.stderr}"

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("GERES_")}
        env["XDG_STATE_HOME"] = str(self.directory / "state")
        env["XDG_DATA_HOME"] = str(self.directory / "share")
        env["NO_COLOR"] = "1"
        if self.url:
            env["GERES_HUB"] = self.url
        token = self.data / "admin.token"
        if token.exists():
            env["GERES_TOKEN"] = token.read_text().strip()
        return env

    # ---- servers

    def _announced(self, process):
        def address():
            if not process.alive():
                raise AssertionError(f"{process.name} ended: {process.text()}")
            found = re.search(r"API\s+(https?://\S+)", process.out.read_text())
            return found and found.group(1)
        return wait_until(address, f"{process.name} announces its address")

    def up(self, *options):
        process = Process(self, "up", ["up", "--data", self.data, "--listen", "127.0.0.1:0", *options])
        self.url = self._announced(process)
        self.wait_for_hosts(1)
        return process

    def hub(self, *options, preexec=None, address="127.0.0.1", env=None):
        """A hub alone. Started again it keeps its port, so that hosts find it."""
        listen = self.url.removeprefix("http://") if self.url else f"{address}:{quiet_port(address)}"
        if not address.startswith("127.") and "--plain-http" not in options:
            options = (*options, "--plain-http")
        process = Process(self, "hub", ["hub", "--data", self.data, "--listen", listen, *options],
                          preexec=preexec, env=env)
        self.url = self._announced(process)
        return process

    def host(self, name, *options, wait=True, url=None, enter=(), user=None):
        """`url`: how it reaches the hub; `enter`: words before the command, such as those of Network.enter; `user`: a
        number, for a host that is not root."""
        data = self.host_data(name)
        if user and not data.exists():
            data.mkdir()
            os.chown(data, user, user)
        process = Process(self, name, ["host", "--hub", url or self.url, "--data", data, "--name", name, *options],
                          enter=enter, user=user)
        if wait:
            wait_until(lambda: any(h["name"] == name and h["state"] == "live" for h in self.hosts()), f"host {name} joins")
        return process

    def host_data(self, name):
        return self.directory / f"host-{name}"

    def hosts(self):
        return self.api("GET", "/v1/hosts")["items"]

    def wait_for_hosts(self, n):
        wait_until(lambda: len(self.hosts()) >= n, f"{n} hosts join")

    # ---- clients

    def call(self, method, path, body=None, token=None, headers=None):
        """One HTTP call: (status, headers, body as JSON or bytes)."""
        address = self.url.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=90)
        if token is None:
            token = (self.data / "admin.token").read_text().strip()
        sent = {"Authorization": f"Bearer {token}", **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        if "json" in (answer.getheader("Content-Type") or ""):
            raw = json.loads(raw)
        return answer.status, dict(answer.getheaders()), raw

    def api(self, method, path, body=None):
        status, _, answer = self.call(method, path, body)
        assert 200 <= status < 300, (status, answer)
        return answer

    def job(self, id):
        return self.api("GET", f"/v1/jobs/{id}")

    def submit(self, **spec):
        return self.api("POST", "/v1/jobs", {"tenant": "demo", **spec})["id"]

    def ended(self, id, deadline=DEADLINE):
        """The job, once it has ended."""
        end = time.monotonic() + deadline
        while True:
            job = self.api("GET", f"/v1/jobs/{id}?wait=5s")
            if job["state"] in ("finished", "failed", "cancelled"):
                return job
            assert time.monotonic() < end, f"not ended within {deadline} s: {job}"

    def in_state(self, id, *states):
        return wait_until(lambda: (lambda j: j["state"] in states and j)(self.job(id)), f"job is {states}")

    def cli(self, *words, check=True, input=None, env=None):
        done = subprocess.run([str(BIN / "geres"), *map(str, words)], capture_output=True, text=True, timeout=120,
                              input=input, stdin=None if input is not None else subprocess.DEVNULL,
                              env={**self.environment(), **(env or {})}, cwd=self.directory)
        if check:
            assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
        return done

    # ---- packages

    def push(self, name, jobs, files=None, tenant="demo"):
        """A package of commands: {"Type": ["./run.sh", …]} or full manifest entries."""
        directory = pathlib.Path(tempfile.mkdtemp(dir=self.directory))
        manifest = {"jobs": {t: j if isinstance(j, dict) else {"command": j} for t, j in jobs.items()}}
        (directory / "geres.json").write_text(json.dumps(manifest))
        for path, content in (files or {}).items():
            (directory / path).write_bytes(content if isinstance(content, bytes) else content.encode())
            (directory / path).chmod(0o755)
        self.cli("package", "push", tenant, directory, "--name", name)

    def push_shell(self, tenant="demo"):
        """Type Shell of package shell: runs the parameter `script`."""
        self.push("shell", {"Shell": ["/bin/sh", "-c", "{script}"]}, tenant=tenant)

    def shell(self, script, tenant="demo", **spec):
        return self.submit(tenant=tenant, type="Shell", package="shell", parameters={"script": script}, **spec)


def processes_with(marker):
    """Pids of processes whose command line or environment holds this text."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            text = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if marker.encode() in text:
            found.append(int(entry.name))
    return found
