# SPDX-License-Identifier: Apache-2.0
"""A real hub that is killed between a commit's write and its sync, started again, asked, and then loses its power: what
it said between the two must be so afterwards. Its disk is a copy of what was synced (platter.cpp)."""
import http.client
import os
import shutil
import unittest

from fleet import Fleet, wait_until

PLATTER = os.environ["GERES_PLATTER"]


class Machine:
    """A hub's machine, of which we know what its disk holds."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.platter = fleet.directory / "platter"
        self.platter.mkdir()

    def start(self):
        return self.fleet.hub(env={"LD_PRELOAD": PLATTER, "GERES_TEST_PLATTER": str(self.platter)})

    def die_at_the_next_commit(self, hub):
        (self.platter / "die").touch()
        try:
            self.fleet.shell("true")
            raise AssertionError("a job was acknowledged by a hub that could not sync")
        except (OSError, http.client.HTTPException):
            pass
        wait_until(lambda: not hub.alive(), "the hub dies before its sync")
        (self.platter / "die").unlink()

    def lose_power(self, hub):
        hub.kill()
        for name in ("geres.db", "geres.db-wal", "geres.db-shm"):
            (self.fleet.data / name).unlink(missing_ok=True)
            if (self.platter / name).exists():
                shutil.copy(self.platter / name, self.fleet.data / name)


def events(fleet):
    return fleet.call("GET", "/v1/events?follow=false&lastEventId=start")[2]


class Power(unittest.TestCase):
    def test_what_a_hub_read_after_a_kill_is_still_so_after_a_loss_of_power(self):
        with Fleet() as fleet:
            machine = Machine(fleet)
            hub = machine.start()
            fleet.push_shell()
            kept = fleet.shell("true")
            machine.die_at_the_next_commit(hub)

            hub = machine.start()
            told = {job["id"]: job["version"] for job in fleet.api("GET", "/v1/jobs")["items"]}
            log = events(fleet)
            self.assertIn(kept, told)
            self.assertEqual(len(told), 2, "the system's cache had the unanswered job too: the test reaches what it is for")
            machine.lose_power(hub)

            machine.start()
            after = {job["id"]: job["version"] for job in fleet.api("GET", "/v1/jobs")["items"]}
            self.assertEqual(after, told)
            self.assertEqual(events(fleet), log, "an event that was told has gone, or has become another one")

    def test_what_was_answered_outlives_the_power(self):
        with Fleet() as fleet:
            machine = Machine(fleet)
            hub = machine.start()
            fleet.push_shell()
            jobs = [fleet.shell("true") for _ in range(20)]
            machine.lose_power(hub)
            machine.start()
            self.assertEqual({job["id"] for job in fleet.api("GET", "/v1/jobs")["items"]}, set(jobs))


if __name__ == "__main__":
    unittest.main(verbosity=2)
