# SPDX-License-Identifier: Apache-2.0
"""`geres top` in a real terminal: what needs somebody, what runs and what failed, through an absence of the hub."""
import os
import shutil
import unittest

from fleet import BIN, Fleet, wait_until
from tmux import Screen


@unittest.skipUnless(shutil.which("tmux"), "no tmux: ./dev setup")
class Top(unittest.TestCase):
    def test_it_follows_the_hub(self):
        with Fleet() as fleet:
            hub = fleet.hub()
            fleet.host("h", "--slots", "2")
            fleet.push_shell()
            failed = fleet.shell("echo the price list is missing >&2; exit 3", name="prices", maxAttempts=1)
            fleet.ended(failed)
            fleet.shell("echo 40 cutting > $GERES_PROGRESS; sleep 600",
                        name="cutter")
            fleet.shell("true", name="renderer", requires={"labels": {"gpu": "a100"}})
            token = (fleet.data / "admin.token").read_text().strip()
            environment = {**os.environ, **fleet.environment(), "GERES_HUB": fleet.url, "GERES_TOKEN": token,
                           "PATH": f"{BIN}:{os.environ['PATH']}"}
            with Screen(environment, fleet.directory, width=100) as screen:
                def shown(*words):
                    wait_until(lambda: all(w in "\n".join(screen.lines()) for w in words), f"{words} on the screen", 30)

                screen.type("geres top --every 300ms")
                shown("NEEDS YOU", "1 dead letter: 1 error", "lacks label gpu=a100", "cutter", "40 %", "cutting",
                      "FAILED LAST", "prices", "the price list is missing")
                hub.kill()
                shown("away", "the hub does not answer", "cutter")
                fleet.hub()
                shown("ok", "cutter")
                self.assertNotIn("does not answer", "\n".join(screen.lines()))
                screen.press("q")
                wait_until(lambda: "ready 2 0 >" in screen.text(), "the shell is back")
                screen.type("geres top | cat")
                shown("draws on a terminal", "geres status")


if __name__ == "__main__":
    unittest.main(verbosity=2)
