#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_wycheproof.py testvectors_v1: writes wycheproof.tsv beside this file from Project Wycheproof's
json_web_signature_test.json, json_web_crypto_test.json (whose keys are for RS256, PS256 or ES256) and
json_web_key_test.json (whose sets have such keys)."""
import base64
import json
import pathlib
import sys

TAKEN = ("RS256", "PS256", "ES256")
lines = []


def algorithm_of(token):
    head = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))).get("alg")


for name in ("json_web_signature_test", "json_web_crypto_test", "json_web_key_test"):
    for group in json.loads((pathlib.Path(sys.argv[1]) / f"{name}.json").read_text())["testGroups"]:
        key = group.get("public") or group.get("private")
        keys = key["keys"] if "keys" in key else [key]
        if not any(one.get("kty") in ("RSA", "EC") for one in keys):
            continue
        for test in group["tests"]:
            token = test.get("jws")
            if not isinstance(token, str) or (test["result"] == "valid" and algorithm_of(token) not in TAKEN):
                continue
            lines.append("\t".join((f"{name}/{test['tcId']}", test["result"], json.dumps(key, separators=(",", ":")),
                                        token)))
(pathlib.Path(__file__).parent / "wycheproof.tsv").write_text("\n".join(lines) + "\n")
print(len(lines), "signatures")
