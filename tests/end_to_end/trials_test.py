# SPDX-License-Identifier: Apache-2.0
"""A few trials of each scenario (GERES_TRIALS, 3 of each by default), side by side: most of their time is waiting for
leases to run out. The draws are the same each time but for GERES_SEED; `./dev soak` draws others without end, and
`./dev soak --seed S --trials 1 SCENARIO` runs one again.
"""
import os
import unittest

import scenarios
import trials


class Trials(unittest.TestCase):
    def test_whatever_breaks_every_promise_holds(self):
        chosen = scenarios.possible(scenarios.ALL)
        seed = int(os.environ.get("GERES_SEED") or 1)
        print(f"seed {seed}", flush=True)
        score = trials.run_many(chosen, int(os.environ.get("GERES_TRIALS") or 3), seed, side_by_side=4)
        print(score.text(), flush=True)
        self.assertEqual(score.failures, [])


if __name__ == "__main__":
    unittest.main()
