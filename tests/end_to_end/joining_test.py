# SPDX-License-Identifier: Apache-2.0
"""Hosts that join with the string of `geres hosts invite`: once, by themselves ever after, and nobody else."""
import base64
import json
import stat
import unittest

from fleet import Fleet, Process, wait_until


class Joining(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet()
        self.addCleanup(lambda: self.fleet.__exit__(None, None, None))
        self.fleet.hub()

    def invite(self, *options):
        done = self.fleet.cli("hosts", "invite", *options)
        string = done.stdout.strip()
        self.assertTrue(string.startswith("geresj1."), done.stdout)
        return string

    def start(self, data, *options, env=None):
        """A host without a token, and without the hub's address."""
        nothing = {"GERES_TOKEN": "", "GERES_HUB": ""}
        return Process(self.fleet, data, ["host", "--data", self.fleet.host_data(data), *options],
                       env={**nothing, **(env or {})})

    def lives(self, name):
        return wait_until(lambda: [h for h in self.fleet.hosts() if h["name"] == name and h["state"] == "live"],
                          f"{name} is live")[0]

    def refused(self, process, *words):
        wait_until(lambda: not process.alive(), "the host gives up")
        for word in words:
            self.assertIn(word, process.text())
        self.assertNotIn("geres_", process.text(), "a secret")

    def secret_file(self, data):
        return self.fleet.host_data(data) / "host" / "secret.json"

    def secret(self, data):
        return json.loads(self.secret_file(data).read_text())["secret"]

    def test_a_host_joins_once_and_comes_back_by_its_own_secret(self):
        string = self.invite("--name", "rack7", "--tenant", "demo")
        host = self.start("one", "--name", "rack7", env={"GERES_JOIN": string})
        self.assertEqual(self.lives("rack7")["tenants"], ["demo"])
        self.assertEqual(stat.S_IMODE(self.secret_file("one").stat().st_mode), 0o600)
        self.fleet.push_shell()
        self.assertEqual(self.fleet.ended(self.fleet.shell("true"))["state"], "finished")
        before = self.lives("rack7")["id"]
        host.kill()
        host = self.start("one")
        wait_until(lambda: self.lives("rack7")["id"] != before, "it comes back")
        self.assertEqual(self.fleet.ended(self.fleet.shell("true"))["state"], "finished")
        self.assertEqual(host.terminate(), 0)
        self.assertEqual(self.fleet.hosts(), [], "it has said goodbye")
        host = self.start("one", env={"GERES_JOIN": string})
        self.lives("rack7")
        self.assertEqual(self.fleet.ended(self.fleet.shell("true"))["state"], "finished")
        self.fleet.cli("hosts", "remove", "rack7")
        self.refused(host, "geres hosts invite --name rack7")

    def test_of_two_at_once_with_one_string_one_joins(self):
        path = self.fleet.directory / "join.txt"
        path.write_text(self.invite() + "\n")
        both = [self.start(name, "--name", name, "--join-file", path) for name in ("one", "two")]
        wait_until(lambda: sum(host.alive() for host in both) == 1 and self.fleet.hosts(), "one joins, one is refused")
        loser = next(host for host in both if not host.alive())
        self.refused(loser, "was for one host")
        self.assertEqual([h["name"] for h in self.fleet.hosts()], [host.name for host in both if host.alive()])

    def test_strings_that_do_not_let_in(self):
        self.refused(self.start("a", "--join", self.invite("--name", "x"), "--name", "y"), "for a host named 'x'", "--name x")
        withdrawn = self.invite()
        self.fleet.cli("hosts", "uninvite", self.fleet.api("GET", "/v1/hosts/invites")["items"][-1]["id"])
        self.refused(self.start("b", "--join", withdrawn), "refuses this host")
        string = self.invite()
        for garbled in (string[:-9], string[8:], "geresj2." + string[8:], "hello"):
            self.refused(self.start("c", "--join", garbled), "not a join string")
        self.refused(self.start("d", "--join", string, "--hub", "http://127.0.0.1:1"), "is for the hub", "leave the hub out")
        self.refused(self.start("e"), "needs a join string", "geres hosts invite")

    def test_who_has_lost_its_secret_is_told_what_to_do(self):
        host = self.start("one", "--join", self.invite(), "--name", "rack7")
        self.lives("rack7")
        host.kill()
        self.secret_file("one").unlink()
        self.refused(self.start("one", "--name", "rack7"), "geres hosts invite")
        self.start("one", "--name", "rack7", "--join", self.invite("--name", "rack7"))
        self.lives("rack7")

    def test_another_hub_or_name_needs_a_string_of_its_own(self):
        host = self.start("one", "--join", self.invite(), "--name", "rack7")
        self.lives("rack7")
        host.terminate()
        self.refused(self.start("one", "--hub", "http://127.0.0.1:1"), "belongs to a host of the hub " + self.fleet.url)
        self.refused(self.start("one", "--name", "rack8"), "has joined as 'rack7'")
        self.start("one", "--name", "rack8", "--join", self.invite())
        self.lives("rack8")

    def test_the_secret_changes_while_jobs_run_and_the_hub_is_killed(self):
        hub = self.fleet.processes[0]
        self.start("one", "--join", self.invite(), "--name", "rack7", "--slots", "4", "--renew-secret", "300ms")
        self.lives("rack7")
        self.fleet.push_shell()
        jobs = [self.fleet.shell("sleep 0.3; echo out > $GERES_OUTPUT_DIR/a") for _ in range(12)]
        first = self.secret("one")
        wait_until(lambda: self.secret("one") != first, "it is changed")
        hub.kill()
        hub = self.fleet.hub()
        for job in jobs:
            self.assertEqual(self.fleet.ended(job)["state"], "finished")
            self.assertEqual(self.fleet.job(job)["attempt"], 1, "no attempt is lost with a secret")
        status, _, _ = self.fleet.call("POST", "/v1/hosts", {"name": "rack7", "slots": 1}, token=first)
        self.assertEqual(status, 401, "the first one is void")

    def test_the_string_is_what_it_says(self):
        string = self.invite("--url", "https://jobs.example.com/ops/", "--uses", "3", "--ttl", "1d")
        body = string.split(".", 1)[1]
        parts = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        self.assertEqual(set(parts), {"hub", "id", "secret"})
        self.assertEqual(parts["hub"], "https://jobs.example.com/ops")
        listed = self.fleet.cli("hosts", "invites", "--output", "json").stdout
        self.assertEqual(json.loads(listed)["items"][0]["id"], parts["id"])
        self.assertNotIn(parts["secret"], listed)

    def test_a_token_of_the_role_host_is_marked_as_reusable(self):
        self.fleet.cli("token", "create", "rack", "--role", "host")
        lines = self.fleet.cli("token", "list").stdout.splitlines()
        self.assertIn("reusable", next(line for line in lines if line.startswith("rack")))


if __name__ == "__main__":
    unittest.main()
