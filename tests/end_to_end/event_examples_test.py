# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/events.md: the reader in Python across a killed hub, and the SignalR client in TypeScript. The
page for a browser is tried by cors_test.py."""
import pathlib
import subprocess
import sys
import threading
import unittest
from queue import Queue

import typescript
from fleet import DEADLINE, Fleet

EXAMPLES = pathlib.Path(__file__).parent.parent.parent / "examples/events"


class Lines:
    """A program's lines as they come."""

    def __init__(self, test, fleet, *words):
        self.popen = subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                      env=fleet.environment())
        self.lines = Queue()
        self.thread = threading.Thread(target=lambda: [self.lines.put(line.rstrip("\n")) for line in self.popen.stdout])
        self.thread.start()
        test.addCleanup(self.end)

    def end(self):
        self.popen.kill()
        self.popen.wait()
        self.thread.join()
        self.popen.stdout.close()

    def next(self):
        return self.lines.get(timeout=DEADLINE)


class EventExamplesTest(unittest.TestCase):
    def test_python_reads_on_after_the_hub_was_killed(self):
        with Fleet() as fleet:
            hub = fleet.hub()
            # From the start of the log, so that it does not matter when the reader is in place.
            reader = Lines(self, fleet, sys.executable, EXAMPLES / "python/follow.py",
                           "type=geres.job.*&lastEventId=start")
            told, expected = [], []
            for life in range(2):
                for _ in range(3):
                    job = fleet.submit(type="Gone", delay="1h")
                    fleet.api("POST", f"/v1/jobs/{job}/cancel", {})
                    expected += [["geres.job.submitted", job, "scheduled"], ["geres.job.cancelled", job, "cancelled"]]
                    told += [reader.next().split()[1:] for _ in range(2)]
                hub.kill()
                hub = fleet.hub()
            self.assertEqual(told, expected, "in order, none twice")

    def test_python_says_why_it_is_refused(self):
        with Fleet() as fleet:
            fleet.hub()
            done = subprocess.run([sys.executable, EXAMPLES / "python/follow.py"], capture_output=True, text=True,
                                  timeout=DEADLINE, env={**fleet.environment(), "GERES_TOKEN": "wrong"})
            self.assertEqual(done.returncode, 1)
            self.assertIn("unauthenticated", done.stderr)

    @unittest.skipUnless(typescript.BUILT, "the TypeScript client is not built: ./dev setup")
    def test_signalr(self):
        with Fleet() as fleet:
            fleet.up()
            fleet.push_shell()
            gate = fleet.directory / "gate"
            job = fleet.shell(f'echo "50 half" > $GERES_PROGRESS; while [ ! -e {gate} ]; do sleep 0.05; done; echo done')
            built = typescript.build(EXAMPLES / "signalr", fleet.directory)
            client = Lines(self, fleet, "node", built / "dist/follow.js", job)
            self.assertIn("started on", client.next())
            told = client.next()
            while told.startswith("started on"):  # what is so already may be told twice
                told = client.next()
            self.assertEqual(told, "50 % half")
            gate.touch()
            while told == "50 % half":
                told = client.next()
            self.assertEqual(told, "finished: done")


if __name__ == "__main__":
    unittest.main()
