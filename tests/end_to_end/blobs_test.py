#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packages and files in somebody else's store: a hub with --blobs azure:… on Azurite, or (blobs_test.py S3) s3:… on Ceph's
radosgw, each behind a gate so that it can go away."""
import hashlib
import http.client
import json
import os
import pathlib
import select
import socket
import subprocess
import sys
import threading
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from fleet import Fleet, wait_until

SERVERS = pathlib.Path(__file__).parent.parent / "servers"


class Server:
    """One of tests/servers, for as long as this is entered."""

    def __init__(self, *words):
        self.words = words

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, SERVERS / self.words[0], *self.words[1:]], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        assert line, f"{self.words[0]} does not start: ./dev setup installs what it needs"
        self.told = json.loads(line)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Gate:
    """Passes bytes on to a server, or, when shut, takes no connections and cuts those that there are."""

    def __init__(self, port):
        self.target = port
        self.passed = 0  # bytes towards clients
        self.open = True
        self.sockets = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self):
        self.open = False
        for one in list(self.sockets):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def reopen(self):
        self.open = True

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            if not self.open:
                client.close()
                continue
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            self.sockets |= {client, server}
            try:
                while True:
                    for one in select.select([client, server], [], [])[0]:
                        some = one.recv(65536)
                        if not some:
                            return
                        (server if one is client else client).sendall(some)
                        self.passed += len(some) if one is server else 0
            except OSError:
                return
            finally:
                self.sockets -= {client, server}


class Elsewhere:
    """The tests; `server`, `env` (credentials, and wrong ones), `place(port, container)` and `secrets` are a store's own."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server(*cls.words))

    def setUp(self):
        self.gate = Gate(urllib.parse.urlparse(self.server.told["endpoint"]).port)
        self.options = ("--blobs", self.place(self.gate.port))

    def hub(self, fleet, *more):
        return fleet.hub(*self.options, *more, env={**fleet.environment(), **self.env})

    def test_a_job_with_inputs_and_artifacts(self):
        with Fleet() as fleet:
            self.hub(fleet)
            fleet.host("h")
            fleet.push_shell()
            content = os.urandom(3_000_000)
            (fleet.directory / "in.bin").write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            self.assertEqual(fleet.call("PUT", "/v1/files/demo", content)[2]["sha256"], digest)
            job = fleet.shell("cp in.bin $GERES_OUTPUT_DIR/out.bin; echo said", inputs=[{"path": "in.bin", "sha256": digest}])
            self.assertEqual(fleet.ended(job)["state"], "finished", fleet.job(job))
            # Whoever says that it follows is sent to the store; that link gives these bytes and needs no token.
            status, headers, _ = fleet.call("GET", f"/v1/jobs/{job}/files/out.bin", headers={"Geres-Links": "follow"})
            self.assertEqual(status, 307)
            self.assertEqual(headers["ETag"], f'"{digest}"')
            link = urllib.parse.urlparse(headers["Location"])
            self.assertEqual(link.port, self.gate.port)
            connection = http.client.HTTPConnection(link.netloc)
            connection.request("GET", f"{link.path}?{link.query}")
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.read()), (200, content))
            self.assertIn("out.bin", answer.getheader("Content-Disposition"))
            connection.close()
            # Everybody else gets them from the hub.
            self.assertEqual(fleet.call("GET", f"/v1/jobs/{job}/files/out.bin")[::2], (200, content))
            fleet.cli("job", "files", job, "out.bin", "--out", fleet.directory / "got")
            self.assertEqual((fleet.directory / "got" / "out.bin").read_bytes(), content)
            # The secret and links are in nobody's log, and no argument of a process.
            said = "".join(p.text() for p in fleet.processes)
            for secret in (*self.env.values(), "sig=", "X-Amz-Signature"):
                self.assertNotIn(secret, said)

    def test_a_store_that_is_away(self):
        with Fleet() as fleet:
            hub = self.hub(fleet)
            fleet.host("h", "--slots", "2")
            fleet.push_shell()
            self.assertEqual(fleet.ended(fleet.shell("true"))["state"], "finished")
            running = fleet.shell(f"while [ ! -e {fleet.directory}/go ]; do sleep 0.1; done; head -c 100000 /dev/urandom > "
                                  "$GERES_OUTPUT_DIR/late.bin")
            waiting = [fleet.shell("true", delay="2s") for _ in range(3)]
            fleet.in_state(running, "running")
            self.gate.shut()
            status, _, problem = fleet.call("PUT", "/v1/files/demo", b"never seen before")
            self.assertEqual((status, problem["code"]), (503, "blobStoreAway"), problem)
            ready = wait_until(lambda: (lambda r: not r["takesJobs"] and r)(fleet.api("GET", "/readyz")), "the hub says so")
            self.assertIn("out of reach", ready["why"])
            self.assertEqual(fleet.call("POST", "/v1/jobs", {"tenant": "demo", "type": "Shell"})[0], 503)
            for job in waiting:
                self.assertEqual(fleet.ended(job)["state"], "finished", "its package is at the host")
            (fleet.directory / "go").touch()
            fleet.in_state(running, "running")
            # A hub that starts now starts, as it was its place before.
            hub.kill()
            self.hub(fleet)
            self.assertFalse(wait_until(lambda: fleet.api("GET", "/readyz").get("why") and fleet.api("GET", "/readyz"),
                                        "it says so too")["takesJobs"])
            self.gate.reopen()
            wait_until(lambda: fleet.api("GET", "/readyz")["takesJobs"], "it is back")
            ended = fleet.ended(running)
            self.assertEqual(ended["state"], "finished", ended)
            self.assertEqual(len(fleet.call("GET", f"/v1/jobs/{running}/files/late.bin")[2]), 100_000)
            self.assertEqual(len(fleet.api("GET", f"/v1/jobs/{running}/attempts")["items"]), 1, "it waited at its host")

    def test_a_hub_moves_there_and_back(self):
        with Fleet() as fleet:
            place = self.options[1]
            hub = fleet.hub()
            fleet.host("h")
            fleet.push_shell()
            kept = fleet.shell("echo kept > $GERES_OUTPUT_DIR/kept.txt")
            self.assertEqual(fleet.ended(kept)["state"], "finished")

            def copied(*words):
                done = fleet.cli("hub", "blobs", "copy", "--data", fleet.data, *words, "--output", "json", env=self.env)
                return json.loads(done.stdout)

            found = copied("--to", place)  # while it runs
            self.assertEqual((found["copied"], found["there"], found["lostCount"]), (2, 0, 0), found)
            late = fleet.shell("echo late > $GERES_OUTPUT_DIR/late.txt")
            self.assertEqual(fleet.ended(late)["state"], "finished")
            running = fleet.shell(f"while [ ! -e {fleet.directory}/go ]; do sleep 0.1; done")
            fleet.in_state(running, "running")
            hub.terminate()
            found = copied("--to", place)
            self.assertEqual((found["copied"], found["there"]), (1, 2), found)
            hub = self.hub(fleet)
            (fleet.directory / "go").touch()
            self.assertEqual(fleet.ended(running)["state"], "finished")
            for job, name in ((kept, "kept"), (late, "late")):
                self.assertEqual(fleet.call("GET", f"/v1/jobs/{job}/files/{name}.txt")[2], f"{name}\n".encode())
            self.assertEqual(fleet.ended(fleet.shell("true"))["state"], "finished")
            # And back, into a directory of another name.
            hub.terminate()
            found = copied("--to", f"dir:{fleet.directory}/blobs")
            self.assertEqual((found["copied"], found["lostCount"]), (3, 0), found)
            fleet.hub("--blobs", f"dir:{fleet.directory}/blobs")
            self.assertEqual(fleet.call("GET", f"/v1/jobs/{late}/files/late.txt")[2], b"late\n")

    def test_places_that_are_wrong(self):
        with Fleet() as fleet:
            def refused(*options, env=None):
                done = fleet.cli("hub", "--data", fleet.directory / "wrong", "--listen", "127.0.0.1:0", *options, check=False,
                                 env={**self.env, **(env or {})})
                self.assertNotEqual(done.returncode, 0, done.stdout)
                for secret in self.env.values():
                    self.assertNotIn(secret, done.stderr)
                return done.stderr

            place = self.options[1]
            self.assertIn("s3:BUCKET", refused("--blobs", "gopher:x"))
            self.assertIn("option", refused("--blobs", place + "&colour=red"))
            self.assertIn("--blobs", refused("--blobs", place, env=self.wrong))
            self.assertIn("nosuch", refused("--blobs", self.place(self.gate.port, "nosuch")))
            self.assertIn("--blobs", refused("--blobs", self.place(1)))
            hub = self.hub(fleet)
            hub.terminate()
            self.assertIn("another GeRes", refused("--blobs", place))
            done = fleet.cli("hub", "--data", fleet.data, "--listen", "127.0.0.1:0", check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(self.kind, done.stderr, "it remembers where its files are")
            hub = self.hub(fleet)
            found = json.loads(fleet.cli("hub", "backup", fleet.directory / "copy", "--data", fleet.data, "--output", "json").stdout)
            self.assertTrue(found["blobsElsewhere"].startswith(self.kind), found)


class Azure(Elsewhere, unittest.TestCase):
    words = ("azurite.py", "--container", "builds")
    kind = "azure:"
    wrong = {"AZURE_STORAGE_KEY": "d3Jvbmc="}

    @property
    def env(self):
        return {"AZURE_STORAGE_KEY": self.server.told["key"]}

    def place(self, port, container="builds"):
        account = self.server.told["account"]
        return f"azure:{account}/{container}/{self._testMethodName}?endpoint=http://127.0.0.1:{port}/{account}"


# It takes a while to start and has to be installed: only when it is named.
if "S3" in sys.argv:
    class S3(Elsewhere, unittest.TestCase):
        words = ("radosgw.py",)
        kind = "s3:"
        wrong = {"AWS_SECRET_ACCESS_KEY": "wrong"}

        @property
        def env(self):
            return {"AWS_ACCESS_KEY_ID": self.server.told["access_key"], "AWS_SECRET_ACCESS_KEY": self.server.told["secret_key"]}

        def place(self, port, container=None):
            told = self.server.told
            return (f"s3:{container or told['bucket']}/{self._testMethodName}"
                    f"?endpoint=http://127.0.0.1:{port}&region={told['region']}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
