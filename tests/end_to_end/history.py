# SPDX-License-Identifier: Apache-2.0
"""Judges what happened: what a client asked and was told, what the API says afterwards, and the trace that the jobs
themselves left, against what docs/guarantees.md promises. Every function gives the violations that it found, as text.
"""
import collections
import dataclasses
import itertools

ENDED = ("finished", "failed", "cancelled")
LOSSES = ("expired", "lost")
FAILURES = ("failed", "timeout")


@dataclasses.dataclass
class Facts:
    ops: list  # of load.Op
    jobs: dict  # id → the job as the API shows it in the end
    attempts: dict  # id → its attempts, oldest first
    events: dict  # id → its events, oldest first
    trace: list  # (job, attempt, what, uptime) as it happened


def gather(fleet, load):
    """Asks the API for all there is."""
    jobs, cursor = {}, ""
    while True:
        page = fleet.api("GET", f"/v1/jobs?tenant=demo&limit=1000{cursor}")
        jobs |= {job["id"]: job for job in page["items"]}
        if not page.get("next"):
            break
        cursor = f"&cursor={page['next']}"
    for id in jobs:
        jobs[id] = fleet.job(id)
    items = lambda id, what: fleet.api("GET", f"/v1/jobs/{id}/{what}")["items"]
    attempts = {id: sorted(items(id, "attempts"), key=lambda a: a["attempt"]) for id in jobs}
    events = {id: items(id, "events?limit=1000") for id in jobs}
    return Facts(list(load.ops), jobs, attempts, events, load.lines())


def check(facts, overlaps_allowed=False):
    rules = [nothing_is_lost, ends_are_final, one_outcome, attempts_grow, keys_name_one_job, cancels_hold, losses_are_few,
             events_tell_all, reads_never_go_back, redrives_are_linked]
    if not overlaps_allowed:
        rules.append(never_two_at_once)
    return [f"{rule.__name__}: {what}" for rule in rules for what in rule(facts)]


def known(facts, *kinds):
    return [op for op in facts.ops if op.kind in kinds and op.status in (200, 201)]


def acknowledged(facts):
    """(op, id) of every job whose submit was answered."""
    for op in known(facts, "submit", "list", "redrive"):
        for id in op.answer["ids"] if op.kind == "list" else [op.answer["id"]]:
            yield op, id


# I1
def nothing_is_lost(facts):
    for op, id in acknowledged(facts):
        if id not in facts.jobs:
            yield f"{id} was acknowledged ({op.kind} {op.target}) and is not there"
    made = {id: op.answered for op, id in reversed(list(acknowledged(facts)))}
    for op in facts.ops:
        if op.kind == "read" and op.status == 404 and op.sent > made.get(op.target, float("inf")):
            yield f"{op.target} was acknowledged, and absent when it was read afterwards"
    for id, job in facts.jobs.items():
        if job["state"] not in ENDED:
            yield f"{id} has not ended: {job['state']}"


def count_redrives(facts):
    return collections.Counter(job.get("redriveOf") for job in facts.jobs.values())


# I2
def ends_are_final(facts):
    outcome = lambda job: (job["state"], job.get("reason"), job["attempt"])
    redrives = count_redrives(facts)
    told = [op.answer for op in known(facts, "submit", "cancel", "read") if "state" in op.answer]
    for answer in told:
        last = facts.jobs.get(answer["id"])
        if not last or answer["state"] not in ENDED:
            continue
        if outcome(answer) != outcome(last):
            yield f"{answer['id']} had ended as {outcome(answer)} and is {outcome(last)}"
        if last["version"] - answer["version"] > redrives[last["id"]]:  # each is noted at the old job
            yield f"{answer['id']} had ended at version {answer['version']} and is at {last['version']}"


# I3: what is recorded comes from the last attempt, and from a run of it that was seen.
def one_outcome(facts):
    ends = {(job, attempt) for job, attempt, what, _ in facts.trace if what == "end"}
    for id, job in facts.jobs.items():
        attempts = facts.attempts[id]
        finished = [a for a in attempts if a.get("outcome") == "finished"]
        if len(finished) > 1 or (finished and finished[0] is not attempts[-1]):
            yield f"{id} finished in attempts {[a['attempt'] for a in finished]} of {len(attempts)}"
        if (job["state"] == "finished") != bool(finished):
            yield f"{id} is {job['state']} and has {len(finished)} finished attempts"
        if job["state"] == "finished":
            if job.get("result") != str(job["attempt"]):
                yield f"{id} has the result of attempt {job.get('result')!r}, and is in its attempt {job['attempt']}"
            if job["type"] == "Trace" and (id, job["attempt"]) not in ends:
                yield f"{id} is finished by attempt {job['attempt']}, which never came to its end"


# I4
def attempts_grow(facts):
    for id, job in facts.jobs.items():
        numbers = [a["attempt"] for a in facts.attempts[id]]
        if numbers != list(range(1, len(numbers) + 1)) or job["attempt"] != len(numbers):
            yield f"{id} is in attempt {job['attempt']} and has had {numbers}"
    for id, attempt, what, _ in facts.trace:
        if id in facts.jobs and attempt > facts.jobs[id]["attempt"]:
            yield f"{id} began attempt {attempt}, and the hub knows of {facts.jobs[id]['attempt']}"


# I6
def never_two_at_once(facts):
    started = collections.defaultdict(list)
    for job, attempt, what, _ in facts.trace:
        if what == "overlap":
            yield f"{job} attempt {attempt} began while an earlier one ran"
        if what == "begin":
            started[job].append(attempt)
    for id, order in started.items():
        if any(b <= a for a, b in itertools.pairwise(order)):
            yield f"{id} began its attempts in the order {order}"


# I7
def keys_name_one_job(facts):
    answers = collections.defaultdict(set)
    for op in known(facts, "submit", "list"):
        answers[op.target].add(tuple(op.answer["ids"]) if op.kind == "list" else op.answer["id"])
    for key, ids in answers.items():
        if len(ids) > 1:
            yield f"the key {key} was answered with {sorted(ids)}"
        for id in itertools.chain.from_iterable(ids) if isinstance(min(ids), tuple) else ids:
            if id in facts.jobs and facts.jobs[id].get("tags", {}).get("op") != key:
                yield f"the key {key} was answered with {id}, which is another job"
    wanted = {op.target: op.count if op.kind == "list" else 1 for op in facts.ops if op.kind in ("submit", "list")}
    there = collections.Counter(job.get("tags", {}).get("op") for job in facts.jobs.values() if not job.get("redriveOf"))
    for key, n in there.items():
        if key in wanted and n != wanted[key]:
            yield f"{n} jobs of {key} are there, {wanted[key]} were submitted"
    for op in facts.ops:
        if op.kind in ("submit", "list") and op.status not in (0, 200, 201):
            yield f"{op.kind} {op.target} was refused: {op.status} {op.answer}"


# I9
def cancels_hold(facts):
    last = {}  # job → (attempt, when) of the first acknowledged cancel
    for op in known(facts, "cancel"):
        last.setdefault(op.target, (op.answer["attempt"], op.answered))
    for job, attempt, what, up in facts.trace:
        if what == "begin" and job in last and attempt > last[job][0]:
            yield f"{job} began attempt {attempt} after its cancel was acknowledged in attempt {last[job][0]}"
    for id, (attempt, _) in last.items():
        if id in facts.jobs and facts.jobs[id]["attempt"] > attempt:
            yield f"{id} was leased again after its cancel was acknowledged in attempt {attempt}"


# I10
def losses_are_few(facts):
    for id, job in facts.jobs.items():
        failures = sum(a.get("outcome") in FAILURES for a in facts.attempts[id])
        losses = sum(a.get("outcome") in LOSSES for a in facts.attempts[id])
        if (failures, losses) != (job["failures"], job["hostLosses"]):
            yield f"{id} counts {job['failures']} failures and {job['hostLosses']} losses; had {failures} and {losses}"
        if failures > job["maxAttempts"] or losses > 3:
            yield f"{id} had {failures} failures and {losses} losses"
        if (job.get("reason") == "poison") != (losses == 3 and job["state"] == "failed"):
            yield f"{id} is {job['state']} ({job.get('reason')}) after {losses} losses"


# I11
def events_tell_all(facts):
    redrives = count_redrives(facts)
    for id, job in facts.jobs.items():
        events = facts.events[id]
        names = [e["type"].removeprefix("geres.job.") for e in events]
        numbers = [int(e["id"].rsplit("-", 1)[1]) for e in events]
        if numbers != sorted(set(numbers)):
            yield f"{id} has events in the order {numbers}"
        versions = [e["data"]["version"] for e in events]
        # Each change has its event, but for a cancel that a running job has yet to hear of, and redrives.
        unsaid = job["version"] - len(versions)
        silent = ("cancelRequestedAt" in job) + redrives[id]
        if versions != sorted(set(versions)) or versions[0] != 1 or not 0 <= unsaid <= silent:
            yield f"{id} is at version {job['version']} and has events of {list(zip(names, versions))}"
        if names[0] != "submitted" or [n for n in names if n in ENDED] != [job["state"]] or names[-1] != job["state"]:
            yield f"{id} is {job['state']} and its events are {names}"
        leased = [e["data"]["attempt"] for e, name in zip(events, names) if name == "leased"]
        if leased != list(range(1, job["attempt"] + 1)):
            yield f"{id} had {job['attempt']} attempts and events of leases of {leased}"


# I12
def reads_never_go_back(facts):
    for op in known(facts, "read"):
        if op.answer["version"] < op.seen:
            yield f"{op.target} was read at version {op.answer['version']} after {op.seen} had been answered"


def redrives_are_linked(facts):
    for op in known(facts, "redrive"):
        new, old = facts.jobs.get(op.answer["id"]), facts.jobs.get(op.target)
        if new and old and new.get("redriveOf") != old["id"]:
            yield f"{new['id']} was made from {old['id']} and names {new.get('redriveOf')}"
