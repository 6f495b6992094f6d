#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A receiver of webhooks: checks who called and when, and prints what happened. Needs nothing but Python.

    geres webhook create --tenant demo http://127.0.0.1:9000/     (the hub allows it: --webhook-allow 127.0.0.1)
    SECRET=whsec_… ./receiver.py 9000
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import sys
import time


# [verify]
def verify(secret, headers, body, now=None):
    """True: the hub that knows the secret sent these bytes, in the last five minutes."""
    id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs((now or time.time()) - int(timestamp)) > 300:
        return False  # an old call, sent again by somebody else
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    return any(hmac.compare_digest(expected, given) for given in headers["webhook-signature"].split())
# [verify]


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = set()  # a real one keeps them where it keeps what it makes of them

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        good = verify(os.environ["SECRET"], self.headers, body)
        if good and self.headers["webhook-id"] not in self.seen:
            self.seen.add(self.headers["webhook-id"])
            event = json.loads(body)
            print(event["type"], event.get("subject", ""), flush=True)
        self.send_response(204 if good else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
