# SPDX-License-Identifier: Apache-2.0
"""Submits a job, tells how it goes, prints its result: Python's standard library alone.

first_job.py NAME      (GERES_HUB and GERES_TOKEN say where and who)"""
import json
import os
import sys
import urllib.request


# [submit]
def call(path, body=None):
    headers = {"Authorization": "Bearer " + os.environ["GERES_TOKEN"], "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    return urllib.request.urlopen(urllib.request.Request(os.environ["GERES_HUB"] + path, data, headers))


def submit(name):
    with call("/v1/jobs", {"tenant": "demo", "type": "Greet", "package": "greet", "parameters": {"name": name}}) as answer:
        return json.load(answer)["id"]
# [submit]


# [follow]
def follow(id):
    """Tells the job's progress; gives the job once it has ended. From its first event on, so nothing is missed."""
    with call(f"/v1/events?job={id}&lastEventId=start") as events:
        for line in events:
            if not line.startswith(b"data: "):
                continue
            event = json.loads(line[6:])
            if event["type"] == "geres.job.progressed":
                progress = event["data"]["progress"]
                print(progress["percent"], "%", progress["message"], flush=True)
            elif event["type"] in ("geres.job.finished", "geres.job.failed", "geres.job.cancelled"):
                return event["data"]
    raise ConnectionError("the hub has stopped; the job goes on")
# [follow]


# [result]
job = follow(submit(sys.argv[1]))
if job["state"] != "finished":
    sys.exit(job.get("error", job["state"]))
print(job["result"])
# [result]
