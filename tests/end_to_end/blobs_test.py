#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packages and files in somebody else's store: a hub with --blobs azure:… on Azurite, or (blobs_test.py S3) s3:… on Ceph's
radosgw, each behind a gate so that it can go away."""
import hashlib
import http.client
import json
import os
import pathlib
import sys
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from fleet import Fleet, wait_until
from gate import Gate
from server import Server


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

    def test_artifacts_go_to_the_store_by_themselves(self):
        with Fleet() as fleet:
            self.hub(fleet)
            towards_hub = Gate(int(fleet.url.rsplit(":", 1)[1]))
            fleet.host("h", url=f"http://127.0.0.1:{towards_hub.port}")
            fleet.push_shell()

            def kept(job):
                self.assertEqual(fleet.ended(job)["state"], "finished", fleet.job(job))
                self.assertEqual(len(fleet.api("GET", f"/v1/jobs/{job}/attempts")["items"]), 1)
                return {f["path"]: f for f in fleet.api("GET", f"/v1/jobs/{job}/files")["items"]}

            make = "cd $GERES_OUTPUT_DIR; head -c {} /dev/urandom > {}; sha256sum {} >&2"
            job = fleet.shell(make.format(5_000_000, "five.bin", "five.bin") + "; echo tiny > tiny.txt")
            files = kept(job)
            said = fleet.call("GET", f"/v1/jobs/{job}/log?stream=stderr")[2].decode().split()[0]
            self.assertEqual((files["five.bin"]["sha256"], files["five.bin"]["size"]), (said, 5_000_000))
            self.assertEqual(hashlib.sha256(fleet.call("GET", f"/v1/jobs/{job}/files/five.bin")[2]).hexdigest(), said)
            self.assertEqual(fleet.call("GET", f"/v1/jobs/{job}/files/tiny.txt")[2], b"tiny\n")
            self.assertLess(towards_hub.sent, 500_000, "the hub got links to sign, not the bytes")
            # In parts; the store goes away in the middle of the second and comes back.
            before = self.gate.sent
            self.gate.shut_when_sent(before + 100_000_000)
            job = fleet.shell(make.format(150_000_000, "large.bin", "large.bin"))
            wait_until(lambda: not self.gate.open, "the store goes away")
            self.gate.reopen()
            files = kept(job)
            said = fleet.call("GET", f"/v1/jobs/{job}/log?stream=stderr")[2].decode().split()[0]
            self.assertEqual((files["large.bin"]["sha256"], files["large.bin"]["size"]), (said, 150_000_000))
            self.assertLess(self.gate.sent - before, 230_000_000, "one part was sent again, not all")
            self.assertLess(towards_hub.sent, 1_000_000)
            digest, got = hashlib.sha256(), fleet.call("GET", f"/v1/jobs/{job}/files/large.bin")[2]
            digest.update(got)
            self.assertEqual(digest.hexdigest(), said)
            # What is there is not sent again, and a host that cannot reach the store sends to the hub.
            before = self.gate.sent
            again = fleet.shell("cp large.bin $GERES_OUTPUT_DIR/copy.bin", inputs=[{"path": "large.bin", "sha256": said}])
            self.assertEqual(kept(again)["copy.bin"]["sha256"], said)
            self.assertLess(self.gate.sent - before, 100_000)
            secrets = ("sig=", "X-Amz-Signature", *self.env.values())
            self.assertFalse([s for s in secrets if s in "".join(p.text() for p in fleet.processes)])

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
            hub = self.hub(fleet, "--logs-rest", "100ms")
            (fleet.directory / "go").touch()
            self.assertEqual(fleet.ended(running)["state"], "finished")
            said = fleet.shell("echo said")
            self.assertEqual(fleet.ended(said)["state"], "finished")
            wait_until(lambda: not list((fleet.data / "logs").glob("*/*")), "all logs are there as well")
            for job, name in ((kept, "kept"), (late, "late")):
                self.assertEqual(fleet.call("GET", f"/v1/jobs/{job}/files/{name}.txt")[2], f"{name}\n".encode())
            self.assertEqual(fleet.ended(fleet.shell("true"))["state"], "finished")
            # And back, into a directory of another name.
            hub.terminate()
            found = copied("--to", f"dir:{fleet.directory}/blobs")
            self.assertEqual((found["copied"], found["lostCount"]), (3, 0), found)
            self.assertGreater(found["logs"], 0, found)
            fleet.hub("--blobs", f"dir:{fleet.directory}/blobs")
            self.assertEqual(fleet.call("GET", f"/v1/jobs/{late}/files/late.txt")[2], b"late\n")
            self.assertEqual(fleet.call("GET", f"/v1/jobs/{said}/log")[2], b"said\n")

    def test_logs_move_when_their_jobs_have_ended(self):
        with Fleet() as fleet:
            hub = self.hub(fleet, "--logs-rest", "100ms")
            fleet.host("h")
            fleet.push_shell()

            def left():
                return [d for d in (fleet.data / "logs").glob("*/*") if any(d.iterdir())]

            job = fleet.shell("echo attempt $GERES_ATTEMPT; seq 200000; echo last >&2; [ $GERES_ATTEMPT = 2 ]",
                              maxAttempts=2, backoff={"initial": "100ms"})
            running = fleet.shell(f"echo early; while [ ! -e {fleet.directory}/go ]; do sleep 0.1; done")
            self.assertEqual(fleet.ended(job)["state"], "finished", fleet.job(job))
            fleet.in_state(running, "running")
            wait_until(lambda: [d.name for d in left()] == [running], "the log of the job that ended has moved, no other")
            lines = "".join(f"{n}\n" for n in range(1, 200001)).encode()

            def read(query, status=200):
                got = fleet.call("GET", f"/v1/jobs/{job}/log?{query}")
                self.assertEqual(got[0], status, got)
                return got[2]

            self.assertEqual(read("attempt=1"), b"attempt 1\n" + lines)
            self.assertEqual(read(""), b"attempt 2\n" + lines)
            self.assertEqual(read("stream=stderr"), b"last\n")
            before = self.gate.passed
            self.assertEqual(read("attempt=1&tail=2"), b"199999\n200000\n")
            self.assertLess(self.gate.passed - before, 450_000, "a part of the log, not all")
            self.assertEqual(read("follow=true"), b"attempt 2\n" + lines, "a follower sees that it has ended")
            self.assertEqual(read("offset=1000000"), (b"attempt 2\n" + lines)[1000000:])
            shown = fleet.cli("job", "log", job, "--tail", "1").stdout
            self.assertTrue(shown.endswith("200000\n"), shown)
            # Without the store what has moved is away, and what has not is there.
            hub.kill()
            self.gate.shut()
            self.hub(fleet, "--logs-rest", "100ms")
            self.assertEqual(read("tail=1", status=503)["code"], "blobStoreAway")
            self.assertEqual(fleet.call("GET", f"/v1/jobs/{running}/log")[2], b"early\n")
            (fleet.directory / "go").touch()
            self.assertEqual(fleet.ended(running)["state"], "finished")
            self.assertEqual(fleet.call("GET", f"/v1/jobs/{running}/log")[2], b"early\n")
            self.gate.reopen()
            wait_until(lambda: not left(), "what waited has moved")
            self.assertEqual(read("tail=1"), b"200000\n")
            self.assertEqual(fleet.call("GET", f"/v1/jobs/{running}/log")[2], b"early\n")

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
