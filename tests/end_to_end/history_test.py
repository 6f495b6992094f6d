# SPDX-License-Identifier: Apache-2.0
"""The judge of histories bites: a history in which all is well has no violation, and each lie planted into it is found."""
import copy
import unittest

import history
from load import Op


def event(number, name, version, attempt=0):
    return {"id": f"log-{number}", "type": f"geres.job.{name}", "data": {"version": version, "attempt": attempt}}


def job(id, **more):
    return {"id": id, "type": "Trace", "state": "finished", "version": 7, "attempt": 2, "failures": 0, "hostLosses": 1, "maxAttempts": 3,
            "result": "2", "tags": {"op": f"key-{id}"}, **more}


def fine():
    """Job a lost a host and finished; b was cancelled while it waited; c and d are a list that was asked for twice."""
    jobs = {"a": job("a"),
            "b": job("b", state="cancelled", version=2, attempt=0, hostLosses=0, result=None),
            "c": job("c", version=4, attempt=1, hostLosses=0, result="1", tags={"op": "list"}),
            "d": job("d", version=4, attempt=1, hostLosses=0, result="1", tags={"op": "list"})}
    once = lambda n: [event(n, "submitted", 1), event(n + 1, "leased", 2, 1), event(n + 2, "started", 3, 1),
                      event(n + 3, "finished", 4, 1)]
    events = {"a": [event(1, "submitted", 1), event(2, "leased", 2, 1), event(3, "started", 3, 1),
                    event(7, "ready", 4, 1), event(8, "leased", 5, 2), event(9, "started", 6, 2),
                    event(10, "finished", 7, 2)],
              "b": [event(4, "submitted", 1), event(5, "cancelled", 2)], "c": once(11), "d": once(15)}
    attempts = {"a": [{"attempt": 1, "outcome": "expired"}, {"attempt": 2, "outcome": "finished"}], "b": [],
                "c": [{"attempt": 1, "outcome": "finished"}], "d": [{"attempt": 1, "outcome": "finished"}]}
    trace = [("a", 1, "begin", 1.0), ("a", 2, "begin", 4.0), ("a", 2, "end", 5.0)]
    trace += [(id, 1, what, 6.0) for id in "cd" for what in ("begin", "end")]
    ops = [Op("submit", "key-a", sent=0.1, answered=0.2, status=0),
           Op("submit", "key-a", sent=0.2, answered=0.3, status=201, answer={"id": "a", "version": 1, "state": "ready"}),
           Op("submit", "key-b", sent=0.3, answered=0.4, status=201, answer={"id": "b", "version": 1, "state": "ready"}),
           Op("cancel", "b", sent=0.5, answered=0.6, status=200,
              answer={"id": "b", "version": 2, "state": "cancelled", "attempt": 0, "reason": None}),
           Op("list", "list", 2, sent=0.5, answered=0.6, status=201, answer={"ids": ["c", "d"]}),
           Op("list", "list", 2, sent=0.6, answered=0.7, status=200, answer={"ids": ["c", "d"]}),
           Op("read", "a", seen=1, sent=4.1, answered=4.2, status=200,
              answer={"id": "a", "version": 6, "state": "running", "attempt": 2})]
    return history.Facts(ops, jobs, attempts, events, trace)


def one_more(facts, job):
    facts.jobs[job["id"]] = job
    facts.attempts[job["id"]], facts.events[job["id"]] = facts.attempts["a"], facts.events["a"]


LIES = {
    "nothing_is_lost": [lambda f: f.jobs.pop("a"), lambda f: f.jobs["a"].update(state="running"),
                        lambda f: f.ops.append(Op("read", "a", sent=9, answered=9.1, status=404, answer={}))],
    "ends_are_final": [lambda f: f.jobs["b"].update(state="finished"), lambda f: f.jobs["b"].update(version=3)],
    "one_outcome": [lambda f: f.attempts["a"][0].update(outcome="finished"),
                    lambda f: f.jobs["a"].update(result="1"),
                    lambda f: f.trace.remove(("a", 2, "end", 5.0)),
                    lambda f: f.attempts["c"][0].update(outcome="failed")],
    "attempts_grow": [lambda f: f.jobs["a"].update(attempt=1), lambda f: f.attempts["a"].pop(0),
                      lambda f: f.trace.append(("a", 3, "begin", 7.0))],
    "never_two_at_once": [lambda f: f.trace.append(("a", 2, "overlap", 0.0)),
                          lambda f: f.trace.append(("a", 1, "begin", 4.5))],
    "keys_name_one_job": [lambda f: f.ops[1].answer.update(id="c"), lambda f: f.jobs.pop("d"),
                          lambda f: one_more(f, job("e", tags={"op": "key-a"})),
                          lambda f: f.ops[5].answer.update(ids=["c", "e"]),
                          lambda f: f.ops.append(Op("submit", "key-z", status=422, answer={}))],
    "cancels_hold": [lambda f: f.trace.append(("b", 1, "begin", 7.0)), lambda f: f.jobs["b"].update(attempt=1)],
    "losses_are_few": [lambda f: f.jobs["a"].update(hostLosses=0), lambda f: f.jobs["a"].update(failures=1),
                       lambda f: f.jobs["a"].update(state="failed", reason="poison")],
    "events_tell_all": [lambda f: f.events["a"].pop(3), lambda f: f.events["a"].pop(), lambda f: f.events["a"].reverse(),
                        lambda f: f.events["a"].append(event(20, "finished", 8, 2)),
                        lambda f: f.events["a"][4]["data"].update(attempt=1)],
    "reads_never_go_back": [lambda f: setattr(f.ops[6], "seen", 7)],
    "redrives_are_linked": [lambda f: f.ops.append(Op("redrive", "a", status=201, answer={"id": "c"}))],
}


class History(unittest.TestCase):
    def test_a_history_in_which_all_is_well(self):
        self.assertEqual(history.check(fine()), [])

    def test_every_lie_is_found(self):
        for rule, lies in LIES.items():
            for number, lie in enumerate(lies):
                with self.subTest(rule=rule, lie=number):
                    facts = copy.deepcopy(fine())
                    lie(facts)
                    found = history.check(facts)
                    self.assertTrue(any(what.startswith(rule + ":") for what in found), found)


if __name__ == "__main__":
    unittest.main()
