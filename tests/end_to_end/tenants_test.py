# SPDX-License-Identifier: Apache-2.0
"""Two tenants with a token each: neither sees, changes or uses what is the other's."""
import json
import threading
import unittest
import urllib.error
import urllib.request

from fleet import Fleet, wait_until


class Tenants(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = Fleet()
        cls.addClassCleanup(cls.fleet.__exit__, None, None, None)
        cls.fleet.up("--slots", "2")
        cls.tokens = {}
        for tenant in ("red", "blue"):
            cls.fleet.push_shell(tenant)
            cls.tokens[tenant] = cls.fleet.cli("token", "create", f"of-{tenant}", "--role", "submitter", "--tenant",
                                               tenant).stdout.strip()

    def as_tenant(self, tenant, *words, check=True):
        return self.fleet.cli(*words, check=check, env={"GERES_TOKEN": self.tokens[tenant]})

    def listed(self, tenant, *words):
        return [i for i in json.loads(self.as_tenant(tenant, *words, "--output", "json").stdout)["items"]]

    def test_each_sees_its_own_only(self):
        red = self.as_tenant("red", "submit", "--tenant", "red", "--", "echo", "red secret").stdout.split()[0]
        self.fleet.ended(red)
        self.assertIn("red secret", self.as_tenant("red", "job", "log", red).stdout)
        self.assertIn(red, [j["id"] for j in self.listed("red", "job", "list")])
        self.assertEqual(self.listed("blue", "job", "list"), [j for j in self.listed("blue", "job", "list") if j["tenant"] == "blue"])
        for words in (["show"], ["why"], ["log"], ["events"], ["files"], ["cancel"], ["redrive"], ["set", "--priority", "1"]):
            with self.subTest(words[0]):
                refused = self.as_tenant("blue", "job", words[0], red, *words[1:], check=False)
                self.assertEqual(refused.returncode, 1, refused.stdout)
                self.assertNotIn("secret", refused.stdout + refused.stderr)
                self.assertIn("no job", refused.stderr)
        self.assertEqual({p["tenant"] for p in self.listed("blue", "package", "list")}, {"blue"})
        self.assertEqual({t["name"] for t in self.listed("blue", "tenant", "list")}, {"blue"})

    def test_none_acts_for_the_other(self):
        refused = self.as_tenant("blue", "submit", "--tenant", "red", "--type", "Shell", "--package", "shell", check=False)
        self.assertEqual(refused.returncode, 4, refused.stderr)
        self.assertIn("red", refused.stderr)
        refused = self.as_tenant("blue", "package", "delete", "red", "shell", check=False)
        self.assertEqual(refused.returncode, 1, refused.stdout)
        self.assertEqual([p["name"] for p in self.listed("red", "package", "list") if p["name"] == "shell"], ["shell"])
        self.assertEqual(self.as_tenant("blue", "token", "list", check=False).returncode, 4)
        self.assertEqual(self.as_tenant("blue", "hosts", "drain", self.fleet.hosts()[0]["name"], check=False).returncode, 4)
        self.assertEqual(self.as_tenant("blue", "job", "cancel", "--tenant", "red", "--dry-run", check=False).stdout.strip() or "0", "would cancel 0 jobs")

    def test_batches_of_a_name_are_each_tenants_own(self):
        for tenant in ("red", "blue"):
            self.as_tenant(tenant, "batch", "create", "nightly", "--tenant", tenant)
            self.as_tenant(tenant, "submit", "--tenant", tenant, "--batch", "nightly", "--wait", "--", "echo", tenant)
        self.as_tenant("red", "batch", "cancel", "nightly")
        own = json.loads(self.as_tenant("blue", "batch", "show", "nightly", "--output", "json").stdout)
        self.assertEqual((own["tenant"], own["state"], own["counts"]["finished"]), ("blue", "open", 1))

    def test_shared_batches_show_each_its_own_counts(self):
        counts = {}
        for tenant, n in (("red", 1), ("blue", 2)):
            before = json.loads(self.as_tenant(tenant, "batch", "show", "batch0", "--output", "json").stdout)["counts"]
            for _ in range(n):
                self.as_tenant(tenant, "submit", "--tenant", tenant, "--wait", "--", "true")
            after = json.loads(self.as_tenant(tenant, "batch", "show", "batch0", "--output", "json").stdout)["counts"]
            counts[tenant] = after["finished"] - before["finished"]
        self.assertEqual(counts, {"red": 1, "blue": 2})

    def test_a_withdrawn_token_is_refused(self):
        made = json.loads(self.fleet.cli("token", "create", "brief", "--role", "viewer", "--tenant", "red", "--output",
                                         "json").stdout)
        self.assertEqual(self.fleet.cli("job", "list", env={"GERES_TOKEN": made["token"]}).returncode, 0)
        self.fleet.cli("token", "delete", made["id"])
        refused = self.fleet.cli("job", "list", check=False, env={"GERES_TOKEN": made["token"]})
        self.assertEqual(refused.returncode, 4)
        self.assertNotIn(made["token"], refused.stderr)

    def test_a_deleted_token_gets_nothing_more(self):
        """Of a followed log, an open wait and the events, however long before it had asked."""
        made = json.loads(self.fleet.cli("token", "create", "short-lived", "--role", "viewer", "--tenant", "red",
                                         "--output", "json").stdout)
        told = self.fleet.directory / "told"
        job = self.fleet.cli("submit", "--tenant", "red", "--", "sh", "-c",
                             f"echo before; while [ ! -e {told} ]; do sleep 0.05; done; echo secret").stdout.split()[0]
        wait_until(lambda: self.fleet.in_state(job, "running"), "it runs")

        def ask(path, into):
            request = urllib.request.Request(self.fleet.url + path,
                                             headers={"Authorization": "Bearer " + made["token"]})
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    while piece := answer.read1(4096):
                        into.append(piece.decode())
            except urllib.error.HTTPError as refused:
                into.append(f"refused {refused.code}")

        logs, waits, events = [], [], []
        threads = [threading.Thread(target=ask, args=(path, into), daemon=True) for path, into in
                   ((f"/v1/jobs/{job}/log?follow=true", logs), (f"/v1/jobs/{job}?wait=50s", waits),
                    (f"/v1/events?job={job}", events))]
        for thread in threads:
            thread.start()
        wait_until(lambda: "before" in "".join(logs) and events, "both streams have begun")
        self.fleet.cli("token", "delete", made["id"])
        seen = len(events)
        told.write_text("")
        self.fleet.ended(job)
        for thread in threads:
            thread.join(40)
            self.assertFalse(thread.is_alive(), "an answer goes on")
        self.assertNotIn("secret", "".join(logs))
        self.assertEqual(waits, ["refused 401"])
        self.assertEqual("".join(events[seen:]), "")


if __name__ == "__main__":
    unittest.main()
