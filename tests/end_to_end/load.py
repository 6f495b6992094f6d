# SPDX-License-Identifier: Apache-2.0
"""A client that keeps a hub busy while things break, and remembers all it asked and was told.

It submits single jobs and lists under keys, cancels, redrives and reads. An outcome that it does not know (no answer, a
5xx) it asks for again under the same key, until it knows. What it remembers is a list of Op; history.py judges it.
"""
import dataclasses
import http.client
import pathlib
import threading
import time

# What a job does: it appends lines to TRACE/trace and holds a lock of its own as long as any process of it lives.
# Lines are short, so that each is appended as a whole. /proc/uptime is one clock for all processes of the machine.
SCRIPT = """#!/bin/sh
umask 0
exec 9>>"$1/lock-$GERES_JOB_ID"
flock -n 9 || echo "$GERES_JOB_ID $GERES_ATTEMPT overlap 0" >> "$1/trace"
read -r up rest < /proc/uptime
echo "$GERES_JOB_ID $GERES_ATTEMPT begin $up" >> "$1/trace"
[ "$3" = 0 ] || sleep "$3"
[ "$4" = 0 ] || head -c "$4" /dev/urandom > "$GERES_OUTPUT_DIR/out"
printf %s "$GERES_ATTEMPT" > "$GERES_RESULT"
read -r up rest < /proc/uptime
echo "$GERES_JOB_ID $GERES_ATTEMPT end $up" >> "$1/trace"
case $2 in
  fail) exit 3 ;;
  flaky) [ "$GERES_ATTEMPT" -gt 1 ] || exit 3 ;;
  abort) exit 60 ;;
esac
"""
COMMAND = ["./trace.sh", "{trace}", "{mode}", "{seconds}", "{bytes}"]
MODES = ["ok"] * 6 + ["flaky", "fail", "abort"]


@dataclasses.dataclass
class Op:
    kind: str  # submit, list, cancel, redrive, read
    target: str = ""  # the key of submit and list, else the job's id
    count: int = 1  # jobs of a list
    seen: int = 0  # the version that had been answered before a read was sent
    sent: float = 0
    answered: float = 0
    status: int = 0  # 0: the outcome is not known
    answer: object = None


def uptime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Load:
    """One thread that asks one thing after the other. `jobs_max` bounds what it submits."""

    def __init__(self, fleet, rng, jobs_max=40, pause=0.03, seconds=(0, 0, 0.05, 0.3, 1), bytes=(0, 0, 0, 1000)):
        self.fleet, self.rng, self.jobs_max, self.pause = fleet, rng, jobs_max, pause
        self.seconds, self.bytes = seconds, bytes
        self.trace = fleet.directory / "trace"
        self.trace.mkdir(mode=0o777)
        self.trace.chmod(0o777)
        self.ops, self.ids, self.submitted = [], [], 0
        self.known = {}  # job → the highest version that was ever answered
        self.error = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def push(self):
        self.fleet.push("trace", {"Trace": COMMAND}, {"trace.sh": SCRIPT})

    def start(self):
        self._thread.start()

    def stop(self):
        """Ends it once it knows the outcome of what it has asked."""
        self._stop.set()
        self._thread.join(90)
        if self._thread.is_alive():
            raise AssertionError("the client is still waiting for an answer")
        if self.error:
            raise self.error

    def spec(self, key=None, mode=None, seconds=None, **more):
        parameters = {"trace": str(self.trace), "mode": mode or self.rng.choice(MODES),
                      "seconds": str(self.rng.choice(self.seconds) if seconds is None else seconds),
                      "bytes": str(self.rng.choice(self.bytes))}
        spec = {"tenant": "demo", "type": "Trace", "package": "trace", "parameters": parameters, "maxAttempts": 3,
                "backoff": {"initial": "50ms", "max": "200ms"}, **more}
        if self.rng.random() < 0.3:
            spec["lease"] = "3s"  # the others get the hub's
        if key:
            spec |= {"key": key, "tags": {"op": key}}
        return spec

    def lines(self):
        """(job, attempt, what, uptime) in the order in which they happened; a line that is being written comes later."""
        file = self.trace / "trace"
        if not file.exists():
            return []
        return [(job, int(attempt), what, float(up)) for job, attempt, what, up in
                (line.split() for line in file.read_text().splitlines(keepends=True) if line.endswith("\n"))]

    # ---- the thread

    def _run(self):
        try:
            while not self._stop.is_set():
                kinds = ["read"] * 3 + (["cancel"] * 2 + ["redrive"] if self.ids else [])
                if self.submitted < self.jobs_max:
                    kinds += ["submit"] * 6 + ["list"] * 2
                getattr(self, "_" + self.rng.choice(kinds))()
                self._stop.wait(self.pause)
        except Exception as error:  # told to who stops the load
            self.error = error

    def ask(self, op, method, path, body=None, headers=None):
        """Asks once and remembers it. The outcome is unknown after a broken connection and a 5xx."""
        op.sent = uptime()
        try:
            status, _, answer = self.fleet.call(method, path, body, headers=headers)
            if status < 500:
                op.status, op.answer = status, answer
        except (OSError, http.client.HTTPException):
            pass
        op.answered = uptime()
        self.ops.append(op)
        return op

    def certainly(self, make, *call, **more):
        """Asks the same again until the outcome is known."""
        end = time.monotonic() + 60
        while True:
            op = self.ask(make(), *call, **more)
            if op.status:
                return op
            if time.monotonic() > end:
                raise AssertionError(f"no answer within 60 s: {call}")
            time.sleep(0.05)

    def _know(self, job):
        if isinstance(job, dict) and "version" in job:
            self.known[job["id"]] = max(self.known.get(job["id"], 0), job["version"])

    def submit(self, key=None, **spec):
        key = key or f"k{self.submitted}-{self.rng.getrandbits(32):x}"
        body = self.spec(key, **spec)
        self.submitted += 1
        op = self.certainly(lambda: Op("submit", key), "POST", "/v1/jobs", body)
        if self.rng.random() < 0.1:  # as a client that did not see the answer would
            self.certainly(lambda: Op("submit", key), "POST", "/v1/jobs", body)
        if op.status in (200, 201):
            self._know(op.answer)
            self.ids.append(op.answer["id"])
            self.read(op.answer["id"])
            return op.answer["id"]
        return None

    def _submit(self):
        self.submit()

    def _list(self):
        n = self.rng.randint(2, 5)
        name = f"l{self.submitted}-{self.rng.getrandbits(32):x}"
        body = [self.spec(tags={"op": name}) for _ in range(n)]
        self.submitted += n
        for _ in range(2 if self.rng.random() < 0.2 else 1):
            op = self.certainly(lambda: Op("list", name, n), "POST", "/v1/jobs", body, headers={"Idempotency-Key": name})
        if op.status in (200, 201):
            self.ids += op.answer["ids"]
            self.read(op.answer["ids"][-1])

    def _cancel(self):
        self.cancel(self.rng.choice(self.ids[-20:]))

    def cancel(self, id):
        op = self.certainly(lambda: Op("cancel", id), "POST", f"/v1/jobs/{id}/cancel", {"grace": "200ms"})
        self._know(op.answer)

    def _redrive(self):
        # Has no key: whoever does not know the outcome looks, instead of asking again.
        id = self.rng.choice(self.ids)
        op = self.ask(Op("redrive", id), "POST", f"/v1/jobs/{id}/redrive", {})
        if op.status in (200, 201):
            self.ids.append(op.answer["id"])

    def _read(self):
        if self.ids:
            self.read(self.rng.choice(self.ids))

    def read(self, id):
        seen = self.known.get(id, 0)
        op = self.ask(Op("read", id, seen=seen), "GET", f"/v1/jobs/{id}")
        self._know(op.answer)
