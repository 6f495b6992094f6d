# SPDX-License-Identifier: Apache-2.0
"""Trials: real hubs and hosts under load, one kind of fault each, at moments drawn from a seed. Afterwards everything is
healed, must settle, and is judged by history.py; nothing may be left behind.

    trials.py [--minutes M] [--seed S] [--side-by-side N] [SCENARIO...]     until told to stop

prints each failure with its seed, and in the end how many trials failed and the bound that the others give: no failure
in N trials means a rate below 3/N (with 95 % confidence).
"""
import argparse
import collections
import concurrent.futures
import fcntl
import os
import random
import sys
import threading
import time
import traceback

import history
from fleet import Fleet, processes_with, wait_until
from load import Load
from processes import cgroups_held_by, children_of
import scenarios


class Trial:
    """One fleet, its load, and what a scenario does to them."""

    def __init__(self, scenario, seed):
        self.scenario, self.seed = scenario, seed
        self.rng = random.Random(f"{scenario.__name__} {seed}")
        self.met = collections.Counter()  # what was really hit, so that a trial that hit nothing is seen
        self.hosts, self.cgroups, self.on_heal = {}, set(), []

    def run(self):
        with Fleet() as fleet:
            self.fleet = fleet
            with self.scenario.surroundings(self) as self.around:
                self.start_hub()
                self.load = Load(fleet, random.Random(f"load {self.seed}"), **self.scenario.load)
                self.load.push()
                for name in self.scenario.hosts:
                    self.start_host(name)
                self.load.start()
                try:
                    self.scenario(self)
                finally:
                    self.heal()
                    self.load.stop()
                self.settle()
                self.judge()
                self.stop()
                self.nothing_left()

    # ---- starting

    def start_hub(self):
        self.hub = self.fleet.hub("--lease", "2s", address=getattr(self.around, "hub_address", "127.0.0.1"))

    def start_host(self, name, wait=True):
        self.hosts[name] = self.fleet.host(name, "--slots", "3", "--drain", "100ms", wait=wait,
                                           **self.scenario.way(self, name))
        if wait:
            self.note_cgroup(name)
        return self.hosts[name]

    def note_cgroup(self, name):
        for pid in children_of(self.hosts[name].pid):
            self.cgroups |= cgroups_held_by(pid)

    def nap(self, least, most):
        time.sleep(self.rng.uniform(least, most))

    # ---- the end

    def heal(self):
        for heal in self.on_heal:
            heal()
        if not self.hub.alive():
            self.start_hub()
        for name, process in self.hosts.items():
            if not process.alive():
                self.start_host(name, wait=False)

    def settle(self):
        fleet = self.fleet
        for name, process in self.hosts.items():
            self.await_back(name, process)
        for name in self.hosts:
            self.note_cgroup(name)
        going = lambda: [j for j in fleet.api("GET", "/v1/jobs?tenant=demo&limit=1000")["items"]
                         if j["state"] not in history.ENDED]
        end = time.monotonic() + 90
        while left := going():
            if time.monotonic() > end:
                raise AssertionError(f"after 90 s these have not ended: {left}")
            time.sleep(0.1)
        wait_until(lambda: all(h["busy"] == 0 for h in fleet.hosts()), "no host is busy")

    # The hub's list would not do: for a while it shows the earlier life of a host that was killed.
    def await_back(self, name, process):
        def back():
            if not process.alive():
                raise AssertionError(f"host {name} has ended: {process.text()}")
            return '"message":"registered"' in process.text()
        wait_until(back, f"host {name} is back", 60)

    def judge(self):
        facts = history.gather(self.fleet, self.load)
        found = history.check(facts, self.scenario.overlaps_allowed)
        if not facts.jobs:
            found.append("no job was run")
        if found:
            raise AssertionError("\n  ".join([f"{len(found)} violations"] + found[:20]))

    def stop(self):
        for process in self.hosts.values():
            process.popen.terminate()
        for process in self.hosts.values():
            process.terminate()
        self.hub.terminate()

    def nothing_left(self):
        marker = str(self.load.trace)
        wait_until(lambda: not processes_with(marker), "no process of a job is left", 20)
        wait_until(lambda: all(map(self.is_free, self.hosts)), "no runner is left", 20)
        files = [str(f) for name in self.hosts for f in (self.fleet.host_data(name) / "host/work").rglob("*")
                 if not f.is_dir() and f.stat().st_size > 0]
        files += [str(f) for name in self.hosts for f in (self.fleet.host_data(name) / "host").glob("work.old.*")]
        if files:
            raise AssertionError(f"left of attempts: {files[:10]}")
        wait_until(lambda: not any(map(os.path.exists, self.cgroups)), f"no cgroup is left of {self.cgroups}", 20)

    def is_free(self, name):
        with open(self.fleet.host_data(name) / "host/host.lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                return False


# ---- many of them ---------------------------------------------------------------------------------------------------

class Score:
    def __init__(self):
        self.trials, self.failures, self.met = collections.Counter(), [], collections.defaultdict(collections.Counter)
        self.lock = threading.Lock()

    def text(self):
        rows = []
        for name, n in sorted(self.trials.items()):
            failed = sum(f[0] == name for f in self.failures)
            bound = f"below {3 / n:.2g}" if not failed else f"{failed / n:.2g}"
            met = "  ".join(f"{what} {count}" for what, count in sorted(self.met[name].items()))
            rows.append(f"  {name:<24} {n:>5} trials {failed:>3} failed  rate {bound:<12} {met}")
        total = sum(self.trials.values())
        return "\n".join(rows + [f"  {'all':<24} {total:>5} trials {len(self.failures):>3} failed"])


def run_one(scenario, seed, score):
    trial = Trial(scenario, seed)
    failure = None
    try:
        trial.run()
    except Exception:
        failure = traceback.format_exc()
    with score.lock:
        score.trials[scenario.__name__] += 1
        score.met[scenario.__name__] += trial.met
        if failure:
            score.failures.append((scenario.__name__, seed))
            print(f"FAILED {scenario.__name__} --seed {seed}\n{failure}", flush=True)


def run_many(chosen, count, seed, side_by_side):
    """`count` trials of each."""
    score = Score()
    with concurrent.futures.ThreadPoolExecutor(side_by_side) as pool:
        for i in range(count):
            for scenario in chosen:
                pool.submit(run_one, scenario, seed + i, score)
    return score


def soak(chosen, minutes, seed, side_by_side):
    score, end = Score(), time.monotonic() + 60 * minutes
    stop = threading.Event()
    numbers = iter(range(seed, 1 << 62))
    turn = threading.Lock()
    def pairs():
        for number in numbers:
            for scenario in chosen:
                yield scenario, number

    queue = pairs()

    def work():
        while not stop.is_set() and time.monotonic() < end:
            with turn:
                scenario, number = next(queue)
            run_one(scenario, number, score)

    threads = [threading.Thread(target=work) for _ in range(side_by_side)]
    try:
        for thread in threads:
            thread.start()
        told = time.monotonic()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.2)
            if time.monotonic() - told > 60:
                told = time.monotonic()
                print(f"{sum(score.trials.values())} trials, {len(score.failures)} failed", flush=True)
    except KeyboardInterrupt:
        print("ending the trials that are under way", flush=True)
        stop.set()
    for thread in threads:
        thread.join()
    return score


def main():
    names = [s.__name__ for s in scenarios.ALL]
    parser = argparse.ArgumentParser(prog="./dev soak", description="Break real hubs and hosts until told to stop.")
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help="of: " + " ".join(names))
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long (default: Ctrl-C)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--side-by-side", type=int, default=max(2, 2 * (os.cpu_count() or 1)))
    parser.add_argument("--trials", type=int, help="so many of each, then stop")
    options = parser.parse_args()
    if unknown := set(options.scenario) - set(names):
        parser.error(f"there is no scenario {unknown.pop()}; there are {', '.join(names)}")
    chosen = scenarios.possible([s for s in scenarios.ALL if not options.scenario or s.__name__ in options.scenario])
    print(f"seed {options.seed}", flush=True)
    if options.trials:
        score = run_many(chosen, options.trials, options.seed, options.side_by_side)
    else:
        score = soak(chosen, options.minutes, options.seed, options.side_by_side)
    print(score.text())
    return 1 if score.failures else 0


if __name__ == "__main__":
    sys.exit(main())
