# SPDX-License-Identifier: Apache-2.0
"""What operators see of a hub from outside: its figures as Prometheus reads them, the rules that go with them, and the
lines of its log."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import unittest
import urllib.request

from fleet import Fleet, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
MONITORING = ROOT / "examples" / "monitoring"
PROMTOOL = shutil.which("promtool")
NOT_OURS = {"up", "job", "instance"}


def page_of(fleet, token=None):
    status, _, text = fleet.call("GET", "/metrics", token=token)
    assert status == 200, (status, text)
    return text.decode()


def series_of(page):
    return [line for line in page.splitlines() if line and not line.startswith("#")]


def value_of(page, series):
    found = [line for line in series_of(page) if line.rsplit(" ", 1)[0] == series]
    assert len(found) == 1, f"{series}: {found}"
    return float(found[0].rsplit(" ", 1)[1])


def names_of(page):
    return {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE ")}


def documented(part=0):
    """The hub's (0), or what a host has besides build and process (1)."""
    text = (ROOT / "docs" / "metrics.md").read_text().split("## A host's own")[part]
    return {name for name, _ in re.findall(r"^\| `((?:geres|process)_[a-z_]+)(\{[a-z, ]*\})?`", text, re.M)}


def lines_of(process, message):
    lines = [json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["message"] == message]


def ended_badly(fleet, count):
    """That many jobs that fail for good at once, on a host that is there."""
    spec = {"tenant": "demo", "type": "Shell", "package": "shell", "name": "hunter2", "maxAttempts": 1,
            "parameters": {"script": "echo hunter2 >&2; exit 7"}}
    ids = fleet.api("POST", "/v1/jobs", [spec] * count)["ids"]
    for id in ids:
        wait_until(lambda: fleet.job(id)["state"] == "failed", "the job fails")
    return ids


@unittest.skipUnless(PROMTOOL, "no promtool here")
class Rules(unittest.TestCase):
    def promtool(self, *words, text=None):
        ran = subprocess.run([PROMTOOL, *words], input=text, capture_output=True, text=True, cwd=MONITORING, timeout=60)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        return ran.stdout + ran.stderr

    def test_what_the_examples_say_is_valid(self):
        self.promtool("check", "rules", "geres.rules.yml")
        self.promtool("test", "rules", "geres.rules.test.yml")
        self.promtool("check", "config", "--syntax-only", "prometheus.yml")

    def test_a_live_hub_tells_what_is_documented_and_what_the_rules_need(self):
        with Fleet() as fleet:
            fleet.hub("--listen", "https://127.0.0.1:0", "--tls-self-signed")
            fleet.host("h", "--slots", "2")
            fleet.push_shell()
            fleet.ended(fleet.shell("true"))
            fleet.api("GET", f"/v1/jobs/{fleet.shell('true')}?wait=30s")
            self.assertNotIn("geres_backup", page_of(fleet))
            fleet.cli("hub", "backup", fleet.directory / "copy", "--data", fleet.data)
            page = page_of(fleet)
            self.assertEqual(self.promtool("check", "metrics", text=page), "")
            self.assertLess(abs(time.time() - value_of(page, "geres_backup_last_success_timestamp_seconds")), 60)
            self.assertEqual(value_of(page, 'geres_event_lag{reader="webhooks"}'), 0)
            told = names_of(page)
            absent = {name for name in documented() if name.startswith(("geres_amqp_", "geres_identity_", "geres_scaler_"))}
            self.assertEqual(told, documented() - absent, "docs/metrics.md and the hub must agree")
            rules = (MONITORING / "geres.rules.yml").read_text()
            used = set(re.findall(r"\b((?:geres|process)_[a-z_]+)", "\n".join(re.findall(r"expr: (.*)", rules))))
            self.assertGreater(len(used), 10)
            for name in used - {"geres_amqp_events_behind"}:
                self.assertIn(re.sub(r"_(bucket|sum|count)$", "", name), told, "a rule names what the hub does not have")
            self.assertEqual(value_of(page, 'geres_slots{state="free"}') + value_of(page, 'geres_slots{state="busy"}'), 2)
            self.assertEqual(value_of(page, 'geres_hosts{state="well"}'), 1)
            self.assertGreaterEqual(value_of(page, 'geres_jobs_ended_total{state="finished",reason=""}'), 1)
            self.assertGreaterEqual(value_of(page, 'geres_job_wait_seconds_count{type="Shell"}'), 1)
            self.assertGreater(value_of(page, "process_resident_memory_bytes"), 1e6)
            self.assertGreater(value_of(page, 'geres_disk_free_bytes{of="store"}'), 0)
            self.assertNotIn('route="/v1/hosts/{id}/fetch"',
                             "\n".join(line for line in series_of(page) if "duration_seconds" in line),
                             "a long poll's time is not the hub's")


class OfAHost(unittest.TestCase):
    def test_a_host_tells_its_figures_where_it_is_told_to(self):
        with Fleet() as fleet:
            fleet.hub()
            host = fleet.host("h", "--slots", "2", "--metrics", "127.0.0.1:0")
            fleet.push_shell()
            address = re.search(r"http://(127\.0\.0\.1:\d+)/metrics", wait_until(
                lambda: "/metrics" in host.text() and host.text(), "it says where"))[1]

            def page():
                with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
                    return answer.read().decode()

            fleet.ended(fleet.shell("true"))
            fleet.ended(fleet.shell("true"))
            id = fleet.shell("sleep 1000")
            wait_until(lambda: value_of(page(), "geres_host_attempts_started_total") == 3, "the third has started")
            self.assertEqual(value_of(page(), "geres_host_slots_busy"), 1)
            fleet.api("POST", f"/v1/jobs/{id}/cancel", {"grace": "0s"})
            fleet.ended(id)
            text = page()
            self.assertEqual(value_of(text, 'geres_host_attempts_ended_total{outcome="finished"}'), 2)
            self.assertEqual(value_of(text, 'geres_host_attempts_ended_total{outcome="cancelled"}'), 1)
            self.assertEqual(value_of(text, "geres_host_start_duration_seconds_count"), 3)
            self.assertEqual(value_of(text, "geres_host_kill_duration_seconds_count"), 1)
            self.assertEqual(value_of(text, 'geres_host_cache_asked_total{cache="packages"}'), 3)
            self.assertEqual(value_of(text, 'geres_host_cache_downloads_total{cache="packages"}'), 1)
            self.assertGreater(value_of(text, 'geres_host_cache_bytes{cache="packages"}'), 0)
            self.assertEqual(value_of(text, "geres_host_takes_jobs"), 1)
            shared = {"geres_build_info"} | {name for name in documented() if name.startswith("process_")}
            self.assertEqual(names_of(text), documented(1) | shared, "docs/metrics.md and the host must agree")
            shown = fleet.hosts()[0]["limits"]
            for limit in ("memory", "processes"):
                self.assertEqual(value_of(text, f'geres_host_limit_held{{limit="{limit}",by="{shown[limit]}"}}'), 1)
            if PROMTOOL:
                self.assertEqual(subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True,
                                                timeout=60).stderr, "")
            taken = fleet.host("g", "--metrics", address, wait=False)
            self.assertEqual(taken.popen.wait(60), 1)
            self.assertIn("--metrics", taken.text())

    def test_a_host_writes_its_log_as_the_hub_does(self):
        with Fleet() as fleet:
            hub = fleet.hub()
            host = fleet.host("h", "--slots", "2")
            joined = wait_until(lambda: lines_of(host, "registered"), "it says that it is registered")[0]
            self.assertEqual((joined["hub"], joined["host"], joined["slots"], joined["part"]), (fleet.url, "h", 2, "host"))
            self.assertEqual(joined["hostId"], lines_of(hub, "host joined")[0]["hostId"])
            fleet.push_shell()
            id = fleet.shell('ln -s /nowhere "$GERES_OUTPUT_DIR/link"')
            fleet.ended(id)
            left = wait_until(lambda: lines_of(host, "files left out"), "it says what is left out")[0]
            self.assertEqual((left["job"], left["attempt"], left["tenant"], left["type"], left["files"], left["path"]),
                             (id, 1, "demo", "Shell", 1, "link"))
            hub.kill()
            self.assertEqual(wait_until(lambda: lines_of(host, "hub out of reach"), "it misses the hub")[0]["hub"], fleet.url)
            fleet.hub()
            wait_until(lambda: lines_of(host, "hub answers again"), "it is back")
            self.assertTrue(lines_of(host, "call failed"))
            host.terminate()
            self.assertEqual(lines_of(host, "host stops")[0]["attempts"], 0)
            for line in host.log.read_text().splitlines():
                self.assertIn("message", json.loads(line), "every line is an object")


class Bounds(unittest.TestCase):
    def test_ten_thousand_tenants_are_fewer_than_two_thousand_series(self):
        with Fleet() as fleet:
            fleet.hub("--metrics-tenants", "5")
            fleet.host("h", "--slots", "2")
            for first in range(0, 10_000, 2_000):
                fleet.api("POST", "/v1/jobs", [{"tenant": f"t{n}", "type": f"T{n}"} for n in range(first, first + 2_000)])
            fleet.api("POST", "/v1/jobs", [{"tenant": "big", "type": "Big"}] * 3)
            page = page_of(fleet)
            self.assertLess(len(series_of(page)), 2_000)
            states = ("ready", "scheduled", "leased", "running", "finished", "failed")
            self.assertEqual(sum(value_of(page, f'geres_jobs{{state="{state}"}}') for state in states), 10_003)
            tenants = set(re.findall(r'geres_tenant_jobs\{tenant="([^"]+)"', page))
            self.assertEqual(len(tenants), 6)
            self.assertLessEqual({"big", "other"}, tenants)
            self.assertLess(len(page), 400_000)


class Log(unittest.TestCase):
    def test_it_has_what_operators_look_for(self):
        with Fleet() as fleet:
            hub = fleet.hub("--lease", "2s", "--report-every", "200ms")
            host = fleet.host("h1", "--slots", "2")
            fleet.push_shell()
            started = lines_of(hub, "hub started")[0]
            self.assertEqual((started["level"], started["url"]), ("info", fleet.url))
            self.assertEqual(lines_of(hub, "host joined")[0]["host"], "h1")
            status, headers, token = fleet.call("POST", "/v1/tokens", {"name": "ops", "roles": ["operator"]},
                                                headers={"X-Request-Id": "shift-7"})
            self.assertEqual(status, 201)
            made = lines_of(hub, "token made")[-1]
            self.assertEqual((made["token"], made["roles"], made["by"], made["requestId"]), ("ops", "operator", "admin", "shift-7"))
            self.assertEqual(fleet.call("POST", "/v1/hosts/h1/drain", token=token["token"])[0], 200)
            drained = wait_until(lambda: lines_of(hub, "host drained"), "the drain is told")[0]
            self.assertEqual((drained["host"], drained["by"]), ("h1", "ops"))
            fleet.api("POST", "/v1/hosts/h1/drain")
            fleet.api("POST", "/v1/hosts/h1/resume")
            self.assertEqual(len(lines_of(hub, "host drained")), 1, "the second changed nothing")
            self.assertEqual(lines_of(hub, "host resumed")[0]["by"], "admin")
            self.assertEqual(fleet.call("DELETE", f"/v1/tokens/{token['id']}")[0], 204)
            self.assertEqual(lines_of(hub, "token revoked")[0]["token"], "ops")

            ids = ended_badly(fleet, 1)
            failed = wait_until(lambda: lines_of(hub, "job failed for good"), "the dead letter is told")[0]
            self.assertEqual((failed["job"], failed["tenant"], failed["type"], failed["host"], failed["exitCode"]),
                             (ids[0], "demo", "Shell", "h1", 7))
            ended_badly(fleet, 60)
            self.assertLess(len(lines_of(hub, "job failed for good")), 40, "a storm is not written line by line")

            refused = fleet.call("GET", "/v1/info", token="wrong-" + "x" * 40)
            self.assertEqual(refused[0], 401)
            line = [line for line in lines_of(hub, "request") if line["status"] == 401][-1]
            self.assertEqual((line["path"], line["requestId"]), ("/v1/info", refused[2]["requestId"]))

            host.kill()
            lost = wait_until(lambda: lines_of(hub, "host lost"), "the lost host is told")[0]
            self.assertEqual((lost["host"], lost["level"]), ("h1", "warning"))
            words = fleet.cli("status").stdout
            self.assertIn("1 lost (h1)", words)
            hub.terminate()
            more = lines_of(hub, "more jobs failed for good")[0]
            self.assertEqual(more["jobs"] + len(lines_of(hub, "job failed for good")), 61, "none is forgotten")
            self.assertEqual(len(lines_of(hub, "hub stopped")), 1)
            text = hub.log.read_text()
            for secret in (token["token"], (fleet.data / "admin.token").read_text().strip(), "hunter2"):
                self.assertNotIn(secret, text)


class FullDisk(unittest.TestCase):
    """On a disk of its own that is really full."""

    def setUp(self):
        self.fleet = Fleet().__enter__()
        self.addCleanup(self.fleet.__exit__, None, None, None)
        self.fleet.data.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", self.fleet.data], capture_output=True).returncode != 0:
            self.skipTest("no tmpfs can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", self.fleet.data], check=True)
        self.addCleanup(lambda: [process.terminate() for process in self.fleet.processes])

    def ready(self):
        status, _, body = self.fleet.call("GET", "/readyz")
        return status, body

    def test_a_full_disk_is_said_everywhere_and_once(self):
        fleet = self.fleet
        hub = fleet.hub()
        self.assertEqual(self.ready(), (200, {"takesJobs": True}))
        self.assertEqual(len(lines_of(hub, "disk low")), 1, "64 MiB are little")
        filling = fleet.data / "filling"
        with open(filling, "wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 20)):
                    pass
            except OSError:
                pass
        wait_until(lambda: not self.ready()[1]["takesJobs"], "the hub notices by itself")
        status, body = self.ready()
        self.assertEqual(status, 200, "no other hub would do better")
        self.assertIn("disk is full", body["why"])
        told = fleet.api("GET", "/v1/status")
        self.assertEqual((told["takesJobs"], told["why"]), (False, body["why"]))
        self.assertEqual(value_of(page_of(fleet), "geres_takes_jobs"), 0)
        self.assertIn("takes no jobs: the store's disk is full", fleet.cli("status").stdout)
        wait_until(lambda: fleet.call("POST", "/v1/jobs", {"tenant": "demo", "type": "T", "parameters": "x" * 60_000})[0] == 507,
                   "jobs are refused")
        self.assertFalse(self.ready()[1]["takesJobs"], "also when its reserve makes it look as if there were some room")
        wait_until(lambda: value_of(page_of(fleet), "geres_takes_jobs") == 0, "the figures say so")
        self.assertEqual(len(lines_of(hub, "hub takes no jobs")), 1, "once, not each second")
        self.assertEqual(lines_of(hub, "round failed"), [], "nor for each job that is refused")
        filling.unlink()
        wait_until(lambda: self.ready()[1]["takesJobs"], "there is room again")
        self.assertEqual(fleet.call("POST", "/v1/jobs", {"tenant": "demo", "type": "T"})[0], 201)
        self.assertEqual(len(lines_of(hub, "hub takes jobs again")), 1)

    def test_files_that_are_gone_are_said(self):
        fleet = self.fleet
        hub = fleet.hub("--blobs", f"dir:{fleet.data}/files")
        (fleet.data / "files").rename(fleet.data / "away")
        wait_until(lambda: not self.ready()[1]["takesJobs"], "the hub notices")
        self.assertEqual(self.ready()[0], 200)
        self.assertIn("files cannot be reached", self.ready()[1]["why"])
        self.assertEqual(len(lines_of(hub, "hub takes no jobs")), 1)
        status, _, problem = fleet.call("POST", "/v1/jobs", {"tenant": "demo", "type": "T"})
        self.assertEqual((status, problem["code"]), (503, "unavailable"), "as it says")
        self.assertIn("files cannot be reached", problem["detail"])
        (fleet.data / "away").rename(fleet.data / "files")
        wait_until(lambda: self.ready()[1]["takesJobs"], "they are back")
        self.assertEqual(fleet.call("POST", "/v1/jobs", {"tenant": "demo", "type": "T"})[0], 201)


if __name__ == "__main__":
    unittest.main()
