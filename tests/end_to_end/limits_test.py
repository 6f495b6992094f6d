# SPDX-License-Identifier: Apache-2.0
"""Each limit that a shell or a unit can set (`ulimit -a`), low, before `geres up` and `geres host`: they work, or say in
one sentence why not. No job ends by a limit that could have been raised."""
import concurrent.futures
import os
import re
import resource
import subprocess
import unittest

from fleet import BIN, Fleet, nobody, wait_until

MIB = 1 << 20
SLOTS = 2
FILES = 256 + 16 * SLOTS

# name in prlimit(1): (its number, a low value that the program itself can begin with, the least hard limit; 0: any,
# None: no limit alone will do)
LIMITS = {
    "as": (resource.RLIMIT_AS, 256 * MIB, 1024 * MIB),
    "core": (resource.RLIMIT_CORE, 0, 0),
    "cpu": (resource.RLIMIT_CPU, 3, None),
    "data": (resource.RLIMIT_DATA, 32 * MIB, 256 * MIB),
    "fsize": (resource.RLIMIT_FSIZE, 64 << 10, 128 * MIB),
    "locks": (10, 0, 0),
    "memlock": (resource.RLIMIT_MEMLOCK, 0, 0),
    "msgqueue": (resource.RLIMIT_MSGQUEUE, 0, 0),
    "nice": (resource.RLIMIT_NICE, 0, 0),
    "nofile": (resource.RLIMIT_NOFILE, 16, FILES),
    "nproc": (resource.RLIMIT_NPROC, 5, 200),
    "rss": (resource.RLIMIT_RSS, MIB, 0),
    "rtprio": (resource.RLIMIT_RTPRIO, 0, 0),
    "rttime": (15, 1000, 0),
    "sigpending": (resource.RLIMIT_SIGPENDING, 0, 0),
    "stack": (resource.RLIMIT_STACK, 64 << 10, 256 << 10),
}

# Processes, files, a little memory and processor time.
JOB = ("for i in 1 2 3 4; do (:) & done; wait; head -c 1000000 /dev/zero > f; exec 3<f 4<f 5<f 6<f 7<f 8<f 9<f; "
       "cat f f f | wc -c | tr -d ' '; : | : | : | :; echo done")
SAID = "3000000\ndone\n"


class Limited:
    """A geres that is started with one limit changed, by a user."""

    def __init__(self, fleet, words, name, soft, hard, user):
        self.log = fleet.directory / "limited.log"
        with open(self.log, "wb") as to:
            self.popen = subprocess.Popen(
                ["prlimit", f"--{name}={soft}:{hard}", str(BIN / "geres"), *map(str, words), "--slots", str(SLOTS)],
                stdin=subprocess.DEVNULL, stdout=to, stderr=to, start_new_session=True,
                env={"GERES_TOKEN": "none", **fleet.environment()},
                **({"user": user, "group": user, "extra_groups": []} if user else {}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.popen.poll() is None:
            self.popen.terminate()
        self.popen.wait(60)

    def text(self):
        return self.log.read_text()


def hard_now(number):
    hard = resource.getrlimit(number)[1]
    return "unlimited" if hard == resource.RLIM_INFINITY else hard


class Limits(unittest.TestCase):
    def works(self, name, soft, hard, user, host):
        with Fleet() as fleet:
            if host:
                fleet.hub()
                data = fleet.host_data("limited")
                words = ["host", "--hub", fleet.url, "--data", data, "--name", "limited"]
            else:
                data = fleet.data
                words = ["up", "--data", data, "--listen", "127.0.0.1:0"]
            data.mkdir(mode=0o755)
            os.chown(data, user, user)
            with Limited(fleet, words, name, soft, hard, user) as limited:
                def ready():
                    assert limited.popen.poll() is None, f"{name} {soft}:{hard}, user {user}: {limited.text()}"
                    if host:
                        return fleet.hosts()
                    found = re.search(r"API\s+(http://\S+)", limited.text())
                    fleet.url = found and found.group(1)
                    return found and "geres run" in limited.text()
                wait_until(ready, "it is ready")
                done = fleet.cli("run", "--tenant", "default", "--", "sh", "-c", JOB, check=False)
                self.assertEqual((done.returncode, done.stdout), (0, SAID),
                                 f"{name} {soft}:{hard}, user {user}: {done.stderr} {limited.text()}")
                limited.popen.terminate()
                self.assertEqual(limited.popen.wait(60), 0, limited.text())

    def is_refused(self, name, hard, user, host):
        with Fleet() as fleet:
            data = fleet.directory / "data"
            words = ["host", "--hub", "http://127.0.0.1:9"] if host else ["up", "--listen", "127.0.0.1:0"]
            data.mkdir(mode=0o755)
            os.chown(data, user, user)
            with Limited(fleet, [*words, "--data", data], name, hard, hard, user) as limited:
                self.assertEqual(limited.popen.wait(60), 1, f"{name} {hard}, user {user}: {limited.text()}")
                lines = [line for line in limited.text().splitlines() if not line.startswith("{")]
                said = f"{name} {hard}, user {user}: {limited.text()}"
                self.assertEqual([line[:7] for line in lines], ["error: ", "  try: "], said)
                self.assertIn("ulimit -H", lines[0], said)
                self.assertLess(len(lines[0]), 200, said)
                self.assertIn("ulimit -", lines[1], said)

    def each(self, user, host):
        cases = []
        for name, (number, low, least) in LIMITS.items():
            cases.append((self.works, name, low, hard_now(number), user, host))
            if least is None or least > low:
                cases.append((self.is_refused, name, low, user, host))
            if least is not None:
                cases.append((self.works, name, max(low, least), max(low, least), user, host))
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            for done in [pool.submit(*case) for case in cases]:
                done.result()

    def test_up_as_this_user(self):
        self.each(os.geteuid(), host=False)

    def test_host_as_this_user(self):
        self.each(os.geteuid(), host=True)

    @unittest.skipUnless(nobody(), "only root can become another user")
    def test_up_as_an_ordinary_user(self):
        self.each(nobody(), host=False)

    @unittest.skipUnless(nobody(), "only root can become another user")
    def test_host_as_an_ordinary_user(self):
        self.each(nobody(), host=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
