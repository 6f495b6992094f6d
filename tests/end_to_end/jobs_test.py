# SPDX-License-Identifier: Apache-2.0
"""Jobs through the real programs: what goes in, what comes out, and every way to end."""
import json
import os
import unittest

from fleet import EXAMPLES, Fleet, processes_with, wait_until


class Jobs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = Fleet()
        cls.addClassCleanup(cls.fleet.__exit__, None, None, None)
        cls.up = cls.fleet.up("--slots", "4")
        cls.fleet.push_shell()

    def test_a_command_gets_what_is_promised(self):
        fleet = self.fleet
        status, _, stored = fleet.call("PUT", "/v1/files/demo", b"the input\n")
        self.assertIn(status, (200, 201))
        script = ('cat in/data.txt; echo to-stderr >&2; echo "50 half" > "$GERES_PROGRESS"; echo made > "$GERES_OUTPUT_DIR/out.txt"; '
                  'mkdir "$GERES_OUTPUT_DIR/sub"; echo deep > "$GERES_OUTPUT_DIR/sub/file"; pwd; ls -A; env > "$GERES_OUTPUT_DIR/env"; '
                  'cat "$GERES_JOB_FILE" > "$GERES_OUTPUT_DIR/job"; printf "the result" > "$GERES_RESULT"')
        id = fleet.shell(script, name="all", inputs=[{"path": "in/data.txt", "sha256": stored["sha256"]}],
                         tags={"colour": "blue"}, priority=3)
        job = fleet.ended(id)
        self.assertEqual(job["state"], "finished", job)
        self.assertEqual(job["result"], "the result")
        self.assertEqual(job["exit"], {"code": 0})
        self.assertEqual(job["attempt"], 1)
        self.assertGreater(job["usage"]["maxRssBytes"], 0)
        self.assertEqual(job["progress"], {"percent": 50, "message": "half"})
        files = {f["path"]: f for f in fleet.api("GET", f"/v1/jobs/{id}/files")["items"]}
        self.assertEqual(set(files), {"out.txt", "sub/file", "env", "job"})
        self.assertEqual(fleet.api("GET", f"/v1/jobs/{id}/files/sub/file"), b"deep\n")
        env = dict(line.split("=", 1) for line in fleet.api("GET", f"/v1/jobs/{id}/files/env").decode().splitlines() if "=" in line)
        self.assertEqual(env["GERES_JOB_ID"], id)
        self.assertEqual(env["GERES_ATTEMPT"], "1")
        self.assertEqual(env["GERES_TENANT"], "demo")
        self.assertEqual(json.loads(env["GERES_PARAMETERS"]), {"script": script})
        self.assertNotIn("GERES_TOKEN", env)
        self.assertNotIn("GERES_BIN", env, "nothing of the host's own environment")
        self.assertEqual(fleet.api("GET", f"/v1/jobs/{id}/files/job") and json.loads(fleet.api("GET", f"/v1/jobs/{id}/files/job"))["id"], id)
        log = fleet.api("GET", f"/v1/jobs/{id}/log").decode().splitlines()
        self.assertEqual(log[0], "the input")
        self.assertIn("in", log[2:], "the working directory holds its inputs")
        self.assertEqual(fleet.api("GET", f"/v1/jobs/{id}/log?stream=stderr"), b"to-stderr\n")
        events = [e["type"].removeprefix("geres.job.") for e in fleet.api("GET", f"/v1/jobs/{id}/events")["items"]]
        self.assertEqual(events[:3], ["submitted", "leased", "started"])
        self.assertEqual(events[-1], "finished")

    def test_failures_are_retried_and_end_as_dead_letter(self):
        fleet = self.fleet
        id = fleet.shell('echo attempt $GERES_ATTEMPT >&2; exit 3', maxAttempts=3, backoff={"initial": "10ms", "max": "20ms"})
        job = fleet.ended(id)
        self.assertEqual((job["state"], job["reason"], job["attempt"], job["failures"]), ("failed", "maxAttempts", 3, 3))
        self.assertIn("exit 3", job["error"])
        self.assertIn("attempt 3", job["error"])
        attempts = fleet.api("GET", f"/v1/jobs/{id}/attempts")["items"]
        self.assertEqual([a["exit"]["code"] for a in attempts], [3, 3, 3])
        self.assertEqual(fleet.api("GET", f"/v1/jobs/{id}/log?stream=stderr&attempt=2"), b"attempt 2\n")
        made = fleet.api("POST", f"/v1/jobs/{id}/redrive", {})
        self.assertEqual(made["redriveOf"], id)
        self.assertEqual(fleet.job(id)["redrivenAs"], made["id"])
        self.assertEqual(fleet.ended(made["id"])["state"], "failed")

    def test_every_way_to_end(self):
        fleet = self.fleet
        once = {"maxAttempts": 1}
        cases = {
            "exit 60": fleet.shell("echo give up >&2; exit 60"),
            "signal": fleet.shell("kill -9 $$", **once),
            "timeout": fleet.shell("sleep 600", timeout="300ms", **once),
            "no such program": None,
        }
        fleet.push("broken", {"Gone": ["./gone.sh"]}, {"gone.sh": "#!/no/such/interpreter\n"})
        cases["no such program"] = fleet.submit(type="Gone", package="broken", **once)
        ended = {name: fleet.ended(id) for name, id in cases.items()}
        self.assertEqual(ended["exit 60"]["reason"], "aborted")
        self.assertEqual(ended["signal"]["reason"], "error")
        self.assertEqual(ended["signal"]["exit"].get("signal"), 9)
        self.assertEqual(ended["timeout"]["reason"], "timeout")
        self.assertEqual(ended["no such program"]["state"], "failed")
        self.assertIn("interpreter", ended["no such program"]["error"])

    def test_cancel_takes_the_whole_tree(self):
        fleet = self.fleet
        marker = f"geres-tree-{os.getpid()}"
        # Children that left the session and ignore TERM, and a grandchild of a double fork.
        script = (f'trap "" TERM; setsid sh -c \'trap "" TERM; while :; do sleep 1; done # {marker}\' & '
                  f'(setsid sh -c \'trap "" TERM; while :; do sleep 1; done # {marker}\' &) ; '
                  f'echo up > "$GERES_PROGRESS"; while :; do sleep 1; done # {marker}')
        id = fleet.shell(script)
        wait_until(lambda: fleet.job(id).get("progress"), "the job is up")
        self.assertGreaterEqual(len(processes_with(marker)), 3)
        fleet.api("POST", f"/v1/jobs/{id}/cancel", {"grace": "200ms", "reason": "enough"})
        job = fleet.ended(id, 15)
        self.assertEqual(job["state"], "cancelled")
        wait_until(lambda: not processes_with(marker), "the whole tree is gone", 5)

    def test_a_library_job_and_the_samples(self):
        fleet = self.fleet
        for directory, type, parameters in (("FinancialYearEnd", "FinancialYearEnd", {"year": 2026}),
                                            ("UpdateWaitingPostings", "UpdateWaitingPostings", {"postings": 5})):
            fleet.cli("package", "push", "demo", EXAMPLES / directory, "--name", directory)
            job = fleet.ended(fleet.submit(type=type, package=directory, parameters=parameters))
            self.assertEqual(job["state"], "finished", job)
            self.assertTrue(job["result"])

    def test_a_huge_noisy_job_is_cut_not_lost(self):
        fleet = self.fleet
        id = fleet.shell('head -c 160000000 /dev/zero | tr "\\0" "x"; printf "\\377\\376 end" > "$GERES_RESULT"')
        job = fleet.ended(id)
        self.assertEqual(job["state"], "finished", job)
        self.assertEqual(job["result"], "\ufffd\ufffd end")
        tail = fleet.api("GET", f"/v1/jobs/{id}/log?tail=1")
        self.assertLess(len(fleet.api("GET", f"/v1/jobs/{id}/log")), 140_000_000)
        self.assertTrue(tail)

    def test_submit_from_the_command_line(self):
        fleet = self.fleet
        done = fleet.cli("submit", "--tenant", "demo", "--wait", "--", "echo", "hello")
        self.assertIn("hello", done.stdout)
        failed = fleet.cli("submit", "--tenant", "demo", "--wait", "--exit-status", "--max-attempts", "1", "--", "sh", "-c", "exit 7", check=False)
        self.assertEqual(failed.returncode, 7)


if __name__ == "__main__":
    unittest.main()
