# SPDX-License-Identifier: Apache-2.0
"""What is done to a fleet under load: each scenario breaks one thing, at moments drawn from the trial's seed, and leaves
the healing to trials.py. `trial.met` counts what was really hit.
"""
import contextlib
import fcntl
import io
import json
import os
import signal
import time
import zipfile

from fleet import processes_with, wait_until
from flaky_proxy import FlakyProxy
from load import COMMAND, SCRIPT
from network import Network, why_not
from processes import children_of, tree_of

ALL = []


def scenario(hosts=("a", "b"), load=None, surroundings=None, overlaps_allowed=False, needs=None):
    """surroundings: makes what lies between hub and hosts; needs: says why the scenario is not possible here."""
    def declare(function):
        function.hosts, function.load, function.overlaps_allowed = hosts, load or {}, overlaps_allowed
        function.surroundings = surroundings or (lambda trial: contextlib.nullcontext())
        function.way = lambda trial, name: {}
        function.needs = needs or (lambda: None)
        ALL.append(function)
        return function
    return declare


def possible(chosen):
    """Those that can run on this machine; says why the others cannot."""
    reasons = {needs: needs() for needs in {s.needs for s in chosen}}
    for s in chosen:
        if reasons[s.needs]:
            print(f"left out: {s.__name__}: {reasons[s.needs]}", flush=True)
    return [s for s in chosen if not reasons[s.needs]]


def soon(fact, seconds=5):
    """Waits for a moment that is over quickly. Whether it came."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if fact():
            return True
        time.sleep(0.001)
    return False


# ---- hubs -----------------------------------------------------------------------------------------------------------

@scenario()
def hub_killed(trial):
    for _ in range(3):
        trial.nap(0.1, 0.8)
        trial.hub.kill()
        trial.nap(0, 0.3)
        if trial.rng.random() < 0.2:
            trial.nap(2, 3)  # beyond the leases
            trial.met["beyond the lease"] += 1
        trial.start_hub()
        trial.met["kills"] += 1


# Fifty jobs run, all of them waiting for a lock. None may notice.
@scenario(hosts=(), load={"jobs_max": 0})
def hub_restarted_under_50(trial):
    fleet = trial.fleet
    trial.hub.kill()
    trial.hub = fleet.hub()  # with leases of 30 s
    trial.hosts["big"] = fleet.host("big", "--slots", "50", "--drain", "100ms")
    trial.note_cgroup("big")
    gate = fleet.directory / "gate"
    gate.touch(mode=0o666)
    gate.chmod(0o666)
    with open(gate) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fleet.push("gate", {"Gate": ["sh", "-c", 'exec flock -s "$0" printf %s "$GERES_ATTEMPT"', str(gate)]})
        ids = fleet.api("POST", "/v1/jobs", [{"tenant": "demo", "type": "Gate", "package": "gate"}] * 50)["ids"]
        counts = lambda: fleet.api("GET", "/v1/batches/batch0")["counts"]
        wait_until(lambda: counts()["running"] == 50, "fifty jobs run")
        wait_until(lambda: len(processes_with(str(gate))) == 50, "fifty processes wait")
        before = sorted(processes_with(str(gate)))
        for _ in range(2):
            if trial.rng.random() < 0.5:
                trial.hub.kill()
            else:
                trial.hub.terminate()
            trial.nap(0, 1)
            trial.hub = fleet.hub()
            trial.nap(0, 1)
        wait_until(lambda: all(h["state"] == "live" and h["busy"] == 50 for h in fleet.hosts()), "the host is back")
        assert sorted(processes_with(str(gate))) == before, "the same processes run"
    for id in ids:
        job = fleet.ended(id)
        found = (job["state"], job["attempt"], job["hostLosses"], job["failures"], job["result"])
        assert found == ("finished", 1, 0, 0, "1"), job
    trial.met["jobs"] += 50
    trial.load.jobs_max = 1
    trial.load.submit(mode="ok", seconds=0)


# ---- hosts that are killed ------------------------------------------------------------------------------------------

def kill_host(trial, name, point):
    trial.met[point] += 1
    trial.hosts[name].kill()
    later = trial.rng.choice([0, 0, trial.rng.uniform(0, 1), 2.5])  # at once, soon, or when the leases have run out
    time.sleep(later)
    if later == 0:
        trial.met["back at once"] += 1
    trial.start_host(name, wait=False)


def work_of(trial, name):
    return trial.fleet.host_data(name) / "host/work"


def big_package(trial, name):
    """A package that takes a while to unpack."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("geres.json", json.dumps({"jobs": {"Trace": {"command": COMMAND}}}))
        script = zipfile.ZipInfo("trace.sh")
        script.external_attr = 0o100755 << 16
        archive.writestr(script, SCRIPT)
        for i in range(3000):
            archive.writestr(f"files/{i}", f"{name} {i}")
    status, _, answer = trial.fleet.call("PUT", f"/v1/packages/demo/{name}", content.getvalue(),
                                         headers={"Content-Type": "application/zip"})
    assert status == 201, answer


@scenario(hosts=("a",), load={"jobs_max": 15})
def host_killed_unpacking(trial):
    for i in range(2):
        name = f"big-{i}"
        big_package(trial, name)
        packages = trial.fleet.host_data("a") / "host/packages"
        entries = lambda: set(packages.glob("*/*"))
        before = entries()
        trial.load.submit(package=name, mode="ok", seconds=0)
        if soon(lambda: entries() - before):
            trial.nap(0, 0.05)
            kill_host(trial, "a", "unpacking")


@scenario()
def host_killed_starting(trial):
    for _ in range(2):
        seen = {job for job, _, what, _ in trial.load.lines() if what == "begin"}
        trial.load.submit(mode="ok", seconds=0.3)
        fresh = lambda: next((n for n in trial.hosts for f in work_of(trial, n).glob("*/job.json")
                              if job_of(f) not in seen), None)
        if soon(fresh):
            name = fresh() or "a"
            trial.nap(0, 0.02)
            kill_host(trial, name, "starting")


def job_of(file):
    try:
        return json.loads(file.read_text())["id"]
    except (OSError, ValueError):
        return None


@scenario()
def host_killed_running(trial):
    for _ in range(2):
        id = trial.load.submit(mode="ok", seconds=1)
        begun = lambda: any(job == id and what == "begin" for job, _, what, _ in trial.load.lines())
        if soon(begun):
            trial.nap(0, 0.8)
            kill_host(trial, trial.fleet.job(id).get("host") or "a", "running")


@scenario(load={"bytes": (0, 1000, 5_000_000)})
def host_killed_reporting(trial):
    for _ in range(3):
        id = trial.load.submit(mode="ok", seconds=0.05)
        ended = lambda: any(job == id and what == "end" for job, _, what, _ in trial.load.lines())
        if soon(ended):
            trial.nap(0, 0.03)
            kill_host(trial, trial.fleet.job(id).get("host") or "a", "reporting")


@scenario()
def runner_killed(trial):
    for _ in range(3):
        trial.nap(0.2, 0.8)
        name = trial.rng.choice(list(trial.hosts))
        for runner in children_of(trial.hosts[name].pid):
            os.kill(runner, signal.SIGKILL)
            trial.met["kills"] += 1


@scenario()
def host_killed_with_its_runner(trial):
    for _ in range(2):
        trial.nap(0.2, 0.8)
        name = trial.rng.choice(list(trial.hosts))
        runners = children_of(trial.hosts[name].pid)
        victims = [trial.hosts[name].pid, *runners]
        trial.rng.shuffle(victims)
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        kill_host(trial, name, "kills")


# ---- hosts that are frozen ------------------------------------------------------------------------------------------

@scenario()
def agent_frozen(trial):
    for _ in range(2):
        trial.nap(0.1, 0.6)
        name = trial.rng.choice(list(trial.hosts))
        pid = trial.hosts[name].pid
        os.kill(pid, signal.SIGSTOP)
        trial.nap(0.1, 4)
        os.kill(pid, signal.SIGCONT)
        trial.met["freezes"] += 1


# With its runner, and with its jobs or without them: these may then run beside their next attempt (that is not promised),
# but nothing of what they say may be believed.
@scenario(overlaps_allowed=True, load={"seconds": (0, 0.3, 1, 3)})
def tree_frozen(trial):
    trial.nap(0.3, 1)
    name = trial.rng.choice(list(trial.hosts))
    pid = trial.hosts[name].pid
    if trial.rng.random() < 0.5:
        victims = [pid, *children_of(pid)]
        trial.met["without its jobs"] += 1
    else:
        victims = tree_of(pid)
        trial.met["with its jobs"] += 1
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGSTOP)
    trial.nap(2.5, 5)
    trial.rng.shuffle(victims)
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGCONT)


# ---- networks -------------------------------------------------------------------------------------------------------

@scenario(surroundings=lambda trial: Network(trial.rng), needs=why_not)
def partition(trial):
    trial.on_heal.append(trial.around.heal)
    for _ in range(2):
        trial.nap(0.2, 0.8)
        how = trial.rng.choice(["both", "to_hub", "to_host"])
        trial.around.cut(how)
        trial.met[how] += 1
        trial.nap(0.2, 4)
        trial.around.heal()


partition.way = lambda trial, name: {"enter": trial.around.enter} if name == "b" else {}


class BetweenHostsAndHub:
    """A proxy whose other end is known once the hub has started."""

    def __init__(self, trial):
        self.trial, self.proxy = trial, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.proxy:
            self.proxy.__exit__()

    def url(self):
        if not self.proxy:
            self.proxy = FlakyProxy(self.trial.fleet.url, self.trial.seed).__enter__()
        return self.proxy.url


def be_flaky(trial, seconds):
    proxy = trial.around.proxy
    trial.on_heal.append(lambda: setattr(proxy, "trouble", 0))
    proxy.trouble = trial.rng.choice([0.1, 0.3, 0.5])
    end = time.monotonic() + seconds
    return proxy, end


@scenario(surroundings=BetweenHostsAndHub)
def flaky_network(trial):
    proxy, end = be_flaky(trial, trial.rng.uniform(3, 5))
    time.sleep(max(0, end - time.monotonic()))
    trial.met.update(proxy.met)


flaky_network.way = lambda trial, name: {"url": trial.around.url()}


# All at once: whatever breaks while something else is broken.
@scenario(surroundings=BetweenHostsAndHub)
def storm(trial):
    proxy, end = be_flaky(trial, trial.rng.uniform(4, 7))
    while time.monotonic() < end:
        trial.nap(0.1, 0.8)
        name = trial.rng.choice(list(trial.hosts))
        fault = trial.rng.choice(["hub", "host", "runner", "freeze"])
        trial.met[fault] += 1
        if fault == "hub":
            trial.hub.kill()
            trial.nap(0, 0.5)
            trial.start_hub()
        elif fault == "host":
            trial.hosts[name].kill()
            trial.nap(0, 1)
            trial.start_host(name, wait=False)
        elif fault == "runner":
            for runner in children_of(trial.hosts[name].pid):
                os.kill(runner, signal.SIGKILL)
        else:
            pid = trial.hosts[name].pid
            os.kill(pid, signal.SIGSTOP)
            trial.nap(0.1, 3)
            os.kill(pid, signal.SIGCONT)


storm.way = flaky_network.way
