# SPDX-License-Identifier: Apache-2.0
"""People sign in to the page by an identity provider's form: a real hub, oidc-provider and a real Chromium. What is tried
in it lies in web/test/sign_in.test.mjs."""
import json
import os
import pathlib
import subprocess
import unittest

from browser import CHROMIUM
from fleet import Fleet, quiet_port

ROOT = pathlib.Path(__file__).parent.parent.parent
SERVERS, WEB = ROOT / "tests/servers", ROOT / "web"


@unittest.skipUnless(CHROMIUM and (WEB / "node_modules/playwright-core").exists() and (SERVERS / "node_modules/oidc-provider").exists(),
                     "no Chromium, or no ./dev setup")
class SignInTest(unittest.TestCase):
    def test_in_a_browser(self):
        with Fleet() as fleet:
            fleet.url = f"http://127.0.0.1:{quiet_port('127.0.0.1')}"
            provider = subprocess.Popen([SERVERS / "oidc.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "GERES_OIDC_REDIRECT": fleet.url + "/auth/callback"})
            try:
                self.try_with(fleet, json.loads(provider.stdout.readline())["issuer"])
            finally:
                provider.stdin.close()
                provider.wait()
                provider.stdout.close()

    def try_with(self, fleet, issuer):
        secret, config = fleet.directory / "secret", fleet.directory / "auth.json"
        secret.write_text("the secret: of the+hub\n")
        secret.chmod(0o600)
        text = json.dumps({"providers": [{
            "name": "corp", "issuer": issuer, "audiences": ["api://geres"],
            "login": {"clientId": "hub", "scopes": ["openid", "jobs"], "clientSecretFile": "secret"},
            "roles": {"claim": "roles", "map": {"Jobs.Submit": "submitter"}}, "tenants": {"claim": "tenant", "map": {"*": "same"}}}]})
        config.write_text(text)
        fleet.hub("--auth-config", config)
        given = {"url": fleet.url + "/", "chromium": CHROMIUM, "file": str(config), "authConfig": text}
        done = subprocess.run(["node", "--test", "--test-reporter=spec", WEB / "test/sign_in.test.mjs"], cwd=WEB, capture_output=True, text=True, timeout=150,
                              env={**os.environ, "GERES_SIGN_IN": json.dumps(given), "NO_COLOR": "1"})
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])


if __name__ == "__main__":
    unittest.main()
