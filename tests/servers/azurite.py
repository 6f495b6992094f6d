#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Azurite, Microsoft's own server for tests that speaks like Azure Blob Storage, for as long as its standard input is
open: azurite.py [--https] [--container NAME], which is made at once. When it answers, one line of JSON says where and with which account's key. With --https it
has a certificate of its own (the line says which) and also takes tokens of identities, of which it checks the form, the
audience and the times, but no signature. Nothing is kept."""
import base64
import hmac
import http.client
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
from email.utils import formatdate

HERE = pathlib.Path(__file__).parent
PROGRAM = HERE / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
ACCOUNT = "geresblobs"
START_SECONDS = 60


def certificate(directory):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", directory / "key.pem", "-out", directory / "cert.pem", "-days", "2", "-subj", "/CN=azurite",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return ["--cert", directory / "cert.pem", "--key", directory / "key.pem", "--oauth", "basic"]


def listening(server):
    """Its address, once it says that it listens."""
    said = b""
    end = time.monotonic() + START_SECONDS
    while select.select([server.stdout], [], [], max(0, end - time.monotonic()))[0]:
        some = os.read(server.stdout.fileno(), 65536)
        said += some
        if found := re.search(rb"listens on (https?://\S+)\n", said):
            return found[1].decode()
        if not some:
            break
    raise SystemExit(f"azurite does not start: {said.decode(errors='replace')}")


def make_container(endpoint, key, name):
    date = formatdate(usegmt=True)
    said = f"PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:2021-12-02\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    signature = base64.b64encode(hmac.digest(base64.b64decode(key), said.encode(), "sha256")).decode()
    where = urllib.parse.urlparse(endpoint)
    connection = http.client.HTTPConnection(where.netloc)
    connection.request("PUT", f"{where.path}/{name}?restype=container", headers={
        "x-ms-date": date, "x-ms-version": "2021-12-02", "Content-Length": "0",
        "Authorization": f"SharedKey {ACCOUNT}:{signature}"})
    answer = connection.getresponse()
    if answer.status != 201:
        raise SystemExit(f"no container {name}: {answer.status} {answer.read()}")


def main():
    if not PROGRAM.exists():
        raise SystemExit("azurite is not installed: ./dev setup")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="geres-azurite-") as place:
        directory = pathlib.Path(place)
        key = base64.b64encode(os.urandom(64)).decode()
        https = "--https" in sys.argv
        flags = certificate(directory) if https else []
        server = subprocess.Popen(["node", PROGRAM, "--disableTelemetry", "--inMemoryPersistence", "--silent",
                                   "--blobHost", "127.0.0.1", "--blobPort", "0", *flags], cwd=directory,
                                  env=dict(os.environ, AZURITE_ACCOUNTS=f"{ACCOUNT}:{key}"), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            told = {"endpoint": f"{listening(server)}/{ACCOUNT}", "account": ACCOUNT, "key": key}
            if https:
                told["ca_file"] = str(directory / "cert.pem")
            if "--container" in sys.argv:
                make_container(told["endpoint"], key, sys.argv[sys.argv.index("--container") + 1])
            print(json.dumps(told), flush=True)
            # Its own log is read all along, so that it never waits for a reader.
            while True:
                ready = select.select([sys.stdin, server.stdout], [], [])[0]
                if sys.stdin in ready and not os.read(0, 4096):
                    return
                if server.stdout in ready and not os.read(server.stdout.fileno(), 65536):
                    raise SystemExit("azurite has ended by itself")
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
