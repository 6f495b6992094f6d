# SPDX-License-Identifier: Apache-2.0
"""Events to a broker that takes tokens, as Azure Service Bus does: of a real identity provider, or made with a shared
key. Tokens end, are refused and cannot be had; no event is lost."""
import json
import pathlib
import re
import subprocess
import sys
import unittest
import urllib.request

from amqp_test import MODULES, Broker
from fleet import Fleet, wait_until

SERVERS = pathlib.Path(__file__).parents[1] / "servers"
AUDIENCE = "https://servicebus.azure.net"
SECRET = "the secret: of+publisher"
ENTITY = "sb://127.0.0.1/events"


class Provider:
    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, SERVERS / "oidc.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.issuer = json.loads(self.process.stdout.readline())["issuer"]
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def test(self, what, how):
        open_ = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        open_(urllib.request.Request(f"{self.issuer}/test/{what}/{how}", method="POST"), timeout=30).close()


@unittest.skipUnless((MODULES / "rhea").is_dir(), "npm ci in examples/amqp first")
@unittest.skipUnless((SERVERS / "node_modules" / "oidc-provider").is_dir(), "npm ci in tests/servers first")
class AmqpToken(unittest.TestCase):
    def setUp(self):
        self.provider = self.enterContext(Provider())
        self.fleet = self.enterContext(Fleet())

    def broker(self, audience=AUDIENCE, *key, entity=ENTITY):
        return self.enterContext(Broker("--claims", self.provider.issuer, audience, entity, *key))

    def file(self, name, text):
        path = self.fleet.directory / name
        path.write_text(text + "\n")
        return path

    def hub(self, broker, secret=SECRET):
        return self.fleet.hub("--amqp", broker.url(), "--amqp-token-issuer", self.provider.issuer, "--amqp-client-id",
                              "publisher", "--amqp-client-secret-file", self.file("secret", secret))

    def news(self, n=3):
        for _ in range(n):
            id = self.fleet.submit(type="Gone", delay="1h")
            self.fleet.api("POST", f"/v1/jobs/{id}/cancel", {})

    def info(self):
        return self.fleet.api("GET", "/v1/info")["amqp"]

    def trouble(self, words):
        wait_until(lambda: words in self.info().get("error", ""), f"'{words}' is said")
        self.assertFalse(self.info()["connected"])

    def all_arrive(self, broker):
        _, _, text = self.fleet.call("GET", "/v1/events?follow=false&lastEventId=start")
        log = [event["id"] for event in map(json.loads, re.findall(r"^data:(.*)$", text.decode(), re.M)) if "id" in event]
        self.assertGreater(len(log), 2)
        wait_until(lambda: set(broker.ids("accept")) >= set(log), "every event arrives")
        wait_until(lambda: "error" not in self.info(), "all is well")

    def test_a_token_of_the_identity_provider_lets_in(self):
        broker = self.broker()
        self.hub(broker)
        self.news()
        self.all_arrive(broker)
        token = broker.said("token")[0]
        self.assertEqual((token["status"], token["type"], token["name"]), (202, "jwt", ENTITY))
        self.assertEqual((token["told"]["aud"], token["told"]["client_id"]), (AUDIENCE, "publisher"))
        self.assertTrue(self.info()["connected"])

    def test_a_new_token_is_put_before_the_old_one_ends(self):
        self.provider.test("lifetime", 6)
        broker = self.broker()
        self.hub(broker)
        wait_until(lambda: len(broker.said("token")) >= 3, "it is renewed again and again")
        self.news()
        self.all_arrive(broker)
        self.assertEqual(len(broker.said("link")), 1, "over one link")
        self.assertEqual(broker.said("expired"), [])
        self.assertEqual(len({token["told"]["jti"] for token in broker.said("token")}), len(broker.said("token")))

    def test_a_token_that_ends_while_the_provider_is_away_is_made_up_for(self):
        self.provider.test("lifetime", 3)
        broker = self.broker()
        self.hub(broker)
        self.news()
        self.all_arrive(broker)
        self.provider.test("behave", "away")
        wait_until(lambda: broker.said("expired"), "the broker ends the link")
        self.news()
        self.trouble("there is no token: " + self.provider.issuer)
        self.provider.test("behave", "good")
        self.all_arrive(broker)

    def test_refused_tokens_are_said_and_nothing_is_lost(self):
        broker = self.broker()
        self.hub(broker)
        for how, words in (("deny", f"the broker refuses the token for {ENTITY}: 401, Unauthorized access."),
                           ("absent", "404, The messaging entity could not be found."),
                           ("strange", "has no status-code"), ("away", "its node $cbs, which takes tokens: ")):
            broker.tell("claims", how)
            broker.tell("cut")
            self.news()
            self.trouble(words)
        broker.tell("claims", "good")
        self.all_arrive(broker)

    def test_a_token_for_somebody_else_is_refused(self):
        broker = self.broker("https://eventhubs.azure.net")
        self.hub(broker)
        self.trouble(f"401, InvalidAudience: The authorization header contains a token for '{AUDIENCE}'.")
        self.assertEqual(broker.said("link"), [])

    def test_a_wrong_secret_is_said_and_not_shown(self):
        broker = self.broker()
        hub = self.hub(broker, secret="not-that-one")
        self.trouble("invalid_client")
        self.news()
        hub.terminate()
        self.assertNotIn("not-that-one", hub.text())
        self.hub(broker)
        self.all_arrive(broker)

    def test_a_broker_without_claims_is_left_and_tried_again(self):
        broker = self.enterContext(Broker("--refuse"))
        self.hub(broker)
        self.trouble("its node $cbs, which takes tokens: ")

    def test_a_shared_key_signs_a_token(self):
        text = "Endpoint=sb://127.0.0.1/;SharedAccessKeyName=hub;SharedAccessKey=k+e/y=;EntityPath=events"
        broker = self.broker(AUDIENCE, "hub", "k+e/y=")
        hub = self.fleet.hub("--amqp", broker.url(), "--amqp-shared-key-file", self.file("shared", text))
        self.news()
        self.all_arrive(broker)
        self.assertEqual(broker.said("token")[0]["type"], "servicebus.windows.net:sastoken")
        hub.terminate()
        self.fleet.hub("--amqp", broker.url(), "--amqp-shared-key-file", self.file("shared", text.replace("k+e/y", "other")))
        self.trouble("401, InvalidSignature")

    def test_half_of_it_is_refused_at_the_start(self):
        def refused(*flags):
            done = self.fleet.cli("hub", "--listen", "127.0.0.1:0", "--data", self.fleet.directory / "none", "--amqp",
                                  "amqp://127.0.0.1:1/events", *flags, check=False)
            self.assertNotEqual(done.returncode, 0)
            return done.stderr
        secret = self.file("secret", SECRET)
        self.assertIn("--amqp-client-id", refused("--amqp-token-issuer", self.provider.issuer))
        self.assertIn("--amqp-token-issuer", refused("--amqp-client-id", "hub", "--amqp-client-secret-file", secret))
        self.assertIn("--amqp-client-secret-file", refused("--amqp-client-secret-file", self.fleet.directory / "absent"))
        self.assertIn("SharedAccessKeyName", refused("--amqp-shared-key-file", secret))
        self.assertIn("--amqp-user", refused("--amqp-token-issuer", self.provider.issuer, "--amqp-client-id", "hub",
                                             "--amqp-client-secret-file", secret, "--amqp-user", "me",
                                             "--amqp-password-file", secret))


if __name__ == "__main__":
    unittest.main(verbosity=2)
