# SPDX-License-Identifier: Apache-2.0
"""Follows the hub's events with Python's standard library, over broken connections and restarts of the hub.

follow.py [FILTER]      such as 'type=geres.job.*' or 'job=ID'; GERES_HUB and GERES_TOKEN say where and who"""
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request


# [reader]
def records(lines):
    """Server-sent events as (id, name, data); data is None where only the position moved."""
    id = name = None
    data = []
    for line in lines:
        field, _, value = line.decode().rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            id = value
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif not field and not value:  # an empty line ends a record; a comment has a value
            yield id, name, "\n".join(data) if data else None
            name, data = None, []


def follow(query="", last=None):
    """Yields (name, event) for ever. `last`: the id to read on after; "start": all that is kept; None: from now on."""
    while True:
        request = urllib.request.Request(f"{os.environ['GERES_HUB']}/v1/events?{query}")
        request.add_header("Authorization", "Bearer " + os.environ["GERES_TOKEN"])
        if last:
            request.add_header("Last-Event-ID", last)
        try:
            with urllib.request.urlopen(request, timeout=60) as stream:  # the hub says something every 15 s
                for id, name, data in records(stream):
                    last = id or last
                    if data is not None:
                        yield name, json.loads(data)
        except urllib.error.HTTPError as refused:
            if refused.code < 500:
                sys.exit(f"{refused.code}: {refused.read().decode()}")
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(1)
# [reader]


# [use]
for name, event in follow(*sys.argv[1:2]):
    if name == "gap":
        print("some events are no longer kept: look at the jobs themselves", flush=True)
    else:
        print(event["time"], event["type"], event["subject"], event["data"].get("state", ""), flush=True)
# [use]
