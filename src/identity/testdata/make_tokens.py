#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tokens.tsv (name, expected outcome, token), keys.json and config.json beside this file: what jwt_corpus_test
holds the verifier against. Everything follows from seeds; the time is NOW."""
import hashlib
import hmac
import json
import pathlib

from token_maker import N, Ec, Rsa, b64, compact, number, token

HERE = pathlib.Path(__file__).parent
NOW = 1_800_000_000
TID, OTHER = "11111111-2222-3333-4444-555555555555", "99999999-8888-7777-6666-555555555555"
ENTRA, STRICT, V1 = "https://login.test/v2.0", "https://strict.test/", f"https://sts.test/{TID}/"
MANY = "https://many.test/{tenantid}/v2.0"
API = "api://geres"

R, R2, EXP3 = Rsa("first"), Rsa("second"), Rsa("exponent 3", e=3)
WEAK, ODD = Rsa("weak", bits=1024), Rsa("almost", bits=2040)
E, E2 = Ec("first"), Ec("second")

KEYS = [R.jwk("r", use="sig"), R2.jwk("ps", use="sig", alg="PS256"), R2.jwk("rs", use="sig", alg="RS256"),
        E.jwk("e", use="sig", alg="ES256"), E2.jwk("bare"), EXP3.jwk("three", use="sig"),
        R2.jwk("ops", key_ops=["verify"]), R.jwk("both"), E.jwk("both"),
        # what must not be used
        WEAK.jwk("weak"), ODD.jwk("almost"), R2.jwk("enc", use="enc"), R2.jwk("signs", key_ops=["sign"]),
        R2.jwk("rs512", alg="RS512"), R2.jwk("es", alg="ES256"), dict(kty="oct", kid="oct", k=b64("secret")),
        dict(kty="RSA", kid="junk", n="!!", e="AQAB"), dict(R2.jwk("private"), d=number(R2.d)),
        dict(R2.jwk("even"), e=number(65536)), dict(R2.jwk("one"), e=number(1)), dict(R2.jwk("large"), e=number(2**33 + 1)),
        dict(E2.jwk("off"), y=number(E2.point[1] ^ 1, 32)), dict(E2.jwk("curve"), crv="P-384"),
        dict(E2.jwk("short"), x=b64(b"\1" * 31)), dict(kty="OKP", crv="Ed25519", kid="ed", x=b64(b"\1" * 32)),
        {k: v for k, v in R2.jwk("").items() if k != "kid"}, R2.jwk("r")]

CONFIG = {
    "providers": [
        {"name": "entra", "issuer": ENTRA, "audiences": [API, "geres-client"],
         "roles": {"claim": "roles", "map": {"Jobs.Submit": "submitter", "Jobs.Admin": "admin"}},
         "scopes": {"claim": "scp", "map": {"jobs": "submitter", "jobs.read": "viewer"}},
         "tenants": {"claim": "geres_tenants", "map": {"*": "same"}, "else": "acme"}},
        {"name": "strict", "issuer": STRICT, "audiences": [API], "types": "at+jwt",
         "roles": {"claim": "realm.roles", "map": {"submit": "submitter"}}, "tenants": {"claim": "tenant", "map": {"*": "same"}}},
        {"name": "v1", "issuer": V1, "audiences": [API]},
        {"name": "many", "issuer": MANY, "multiTenant": True, "tenantIds": [TID, OTHER.replace("9", "8")],
         "audiences": [API], "roles": {"claim": "roles", "map": {"Jobs.Submit": "submitter"}},
         "tenants": {"claim": "none", "else": "acme"}}],
    "rules": [{"provider": "v1", "when": {"appid": ["nightly", "weekly"]}, "roles": ["operator"], "tenants": ["*"]}]}

CLAIMS = dict(iss=ENTRA, aud=API, sub="s", oid="o", tid=TID, azp="app", roles=["Jobs.Submit"], iat=NOW, nbf=NOW,
              exp=NOW + 3600, ver="2.0")
LINES = []


def tok(head=None, claims=None, drop=(), sign=R.pkcs1, raw_head=None, raw_claims=None):
    h = {"alg": "RS256", "typ": "JWT", "kid": "r", **(head or {})}
    c = {**CLAIMS, **(claims or {})}
    for name in drop:
        h.pop(name, None), c.pop(name, None)
    return token(raw_head if raw_head is not None else h, raw_claims if raw_claims is not None else c, sign)


def case(name, outcome, text):
    LINES.append(f"{name}\t{outcome}\t{text}")


def cases(outcome, *lines):
    for name, text in lines:
        case(name, outcome, text)


PUBLIC_PEM = compact(R.jwk("r")).encode()


def hs256(key):
    return lambda m: hmac.digest(key, m, hashlib.sha256)


def der(r, s):
    def integer(n):
        body = n.to_bytes(n.bit_length() // 8 + 1, "big")
        return b"\2" + bytes([len(body)]) + body
    body = integer(r) + integer(s)
    return b"0" + bytes([len(body)]) + body


def wide(r, s):
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def cube_root(message):
    """A number whose cube begins as a padded digest would: good enough for those who do not look at its end."""
    start = b"\0\1\xff\0" + b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20" + hashlib.sha256(message).digest()
    want = int.from_bytes(start + b"\xff" * (256 - len(start)), "big")
    low, high = 0, 1 << 700
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle ** 3 <= want else (low, middle - 1)
    return low.to_bytes(256, "big")


es = dict(head={"kid": "e", "alg": "ES256"})
ps = dict(head={"kid": "ps", "alg": "PS256"})
strict = dict(iss=STRICT, realm={"roles": ["submit"]}, tenant="acme")
v1 = dict(iss=V1, appid="nightly", ver="1.0")
many = dict(iss=MANY.replace("{tenantid}", TID))
g = tok()

cases("good",
      ("as Entra ID v2 has it", g), ("aud is a list", tok(claims={"aud": ["x", API]})),
      ("the other audience", tok(claims={"aud": "geres-client"})), ("no nbf", tok(drop=["nbf"])),
      ("no iat", tok(drop=["iat"])), ("begins within the skew", tok(claims={"nbf": NOW + 59, "iat": NOW + 59})),
      ("expired within the skew", tok(claims={"exp": NOW - 59})), ("times with fractions", tok(claims={"exp": NOW + 10.5})),
      ("lives 25 hours", tok(claims={"exp": NOW + 25 * 3600})), ("ES256", tok(**es, sign=E.sign)),
      ("ES256 with the other s", tok(**es, sign=lambda m: (lambda r, s: wide(r, N - s))(*E.halves(m)))),
      ("ES256 by a key without alg", tok(head={"kid": "bare", "alg": "ES256"}, sign=E2.sign)),
      ("PS256", tok(**ps, sign=R2.pss)), ("PS256 by a key without alg", tok(head={"alg": "PS256"}, sign=R.pss)),
      ("RS256 by a key for it", tok(head={"kid": "rs"}, sign=R2.pkcs1)), ("exponent 3", tok(head={"kid": "three"}, sign=EXP3.pkcs1)),
      ("a key with key_ops", tok(head={"kid": "ops"}, sign=R2.pkcs1)), ("two kinds of key of one name, RSA", tok(head={"kid": "both"})),
      ("two kinds of key of one name, EC", tok(head={"kid": "both", "alg": "ES256"}, sign=E.sign)),
      ("typ at+jwt", tok(head={"typ": "at+jwt"})), ("typ AT+JWT", tok(head={"typ": "AT+JWT"})),
      ("typ application/at+jwt", tok(head={"typ": "application/at+jwt"})), ("no typ", tok(drop=["typ"])),
      ("foreign keys in the header are not looked at", tok(head={"jku": "http://evil.test/", "x5u": "http://evil.test/", "x5c": ["x"], "jwk": R2.jwk("r")})),
      ("other members in the header", tok(head={"x5t": "abc", "cty": "x"})), ("v1: appid", tok(claims={"appid": "x"}, drop=["azp"])),
      ("client_id", tok(claims={"client_id": "x"}, drop=["azp"])), ("only sub", tok(drop=["oid", "tid"])), ("only oid", tok(drop=["sub"])),
      ("scp that allows it", tok(claims={"scp": "openid jobs"})), ("scp that allows less", tok(claims={"scp": "jobs.read"})),
      ("tenants of the token", tok(claims={"geres_tenants": ["acme", "umbrella"]})),
      ("roles as one text", tok(claims={"roles": "Other Jobs.Submit"})), ("unknown roles beside a known one", tok(claims={"roles": ["X", "Jobs.Submit", 1, None]})),
      ("not only ASCII", tok(claims={"name": "Zoë 株式"})), ("white space in the JSON", tok(raw_claims=json.dumps(CLAIMS, indent=2))),
      ("strict: at+jwt", tok(head={"typ": "at+jwt"}, claims=strict)), ("v1 issuer, by a rule", tok(claims=v1, drop=["azp"])),
      ("v1 issuer, the rule's other value", tok(claims={**v1, "appid": "weekly"}, drop=["azp"])),
      ("many directories", tok(claims=many)))

cases("algorithm",
      ("alg none", tok(head={"alg": "none"})), ("alg none without a signature", tok(head={"alg": "none"}, sign=lambda m: b"")),
      ("alg None", tok(head={"alg": "None"})), ("alg nOnE", tok(head={"alg": "nOnE"})), ("alg empty", tok(head={"alg": ""})),
      ("HS256 with the public key", tok(head={"alg": "HS256"}, sign=hs256(PUBLIC_PEM))),
      ("HS256 with the modulus", tok(head={"alg": "HS256"}, sign=hs256(R.n.to_bytes(256, "big")))),
      ("HS256 with the key of kind oct", tok(head={"alg": "HS256", "kid": "oct"}, sign=hs256(b"secret"))),
      ("HS256 with an empty key", tok(head={"alg": "HS256"}, sign=hs256(b""))),
      ("RS512", tok(head={"alg": "RS512"}, sign=lambda m: R.pkcs1(m, "sha512"))), ("RS384", tok(head={"alg": "RS384"})),
      ("RS1", tok(head={"alg": "RS1"}, sign=lambda m: R.pkcs1(m, "sha1"))), ("ES256K", tok(head={"alg": "ES256K", "kid": "e"}, sign=E.sign)),
      ("ES384", tok(head={"alg": "ES384", "kid": "e"}, sign=E.sign)), ("EdDSA", tok(head={"alg": "EdDSA", "kid": "ed"})),
      ("no alg", tok(drop=["alg"])), ("alg is a list", tok(head={"alg": ["RS256"]})), ("alg is a number", tok(head={"alg": 256})),
      ("alg in lower case", tok(head={"alg": "rs256"})), ("alg with a space", tok(head={"alg": "RS256 "})), ("alg of encryption", tok(head={"alg": "RSA-OAEP"})))

cases("signature",
      ("another key", tok(sign=R2.pkcs1)), ("the key of the header", tok(head={"jwk": R2.jwk("r")}, sign=R2.pkcs1)),
      ("SHA-1 called RS256", tok(sign=lambda m: R.pkcs1(m, "sha1"))), ("SHA-512 called RS256", tok(sign=lambda m: R.pkcs1(m, "sha512"))),
      ("PSS called RS256", tok(sign=R.pss)), ("PKCS #1 called PS256", tok(**ps, sign=R2.pkcs1)),
      ("PSS without salt", tok(**ps, sign=lambda m: R2.pss(m, 0))), ("PSS with a short salt", tok(**ps, sign=lambda m: R2.pss(m, 20))),
      ("PSS with a long salt", tok(**ps, sign=lambda m: R2.pss(m, 48))),
      ("RSA of zeros", tok(sign=lambda m: b"\0" * 256)), ("RSA one", tok(sign=lambda m: b"\0" * 255 + b"\1")),
      ("RSA the modulus", tok(sign=lambda m: R.n.to_bytes(256, "big"))), ("RSA with a byte before it", tok(sign=lambda m: b"\0" + R.pkcs1(m))),
      ("RSA with a byte less", tok(sign=lambda m: R.pkcs1(m)[:-1])), ("RSA with a byte more", tok(sign=lambda m: R.pkcs1(m) + b"\0")),
      ("exponent 3, forged by a cube root", tok(head={"kid": "three"}, sign=lambda m: cube_root(m))),
      ("ES256 of zeros", tok(**es, sign=lambda m: b"\0" * 64)), ("ES256 r = s = n", tok(**es, sign=lambda m: wide(N, N))),
      ("ES256 r = 0", tok(**es, sign=lambda m: wide(0, E.halves(m)[1]))), ("ES256 s = 0", tok(**es, sign=lambda m: wide(E.halves(m)[0], 0))),
      ("ES256 r = s = 1", tok(**es, sign=lambda m: wide(1, 1))), ("ES256 s + n", tok(**es, sign=lambda m: wide(E.halves(m)[0], min(E.halves(m)[1] + N, 2**256 - 1)))),
      ("ES256 as DER", tok(**es, sign=lambda m: der(*E.halves(m)))), ("ES256 cut", tok(**es, sign=lambda m: E.sign(m)[:-1])),
      ("ES256 with a byte more", tok(**es, sign=lambda m: E.sign(m) + b"\0")), ("ES256 halves swapped", tok(**es, sign=lambda m: E.sign(m)[32:] + E.sign(m)[:32])),
      ("ES256 by another key", tok(**es, sign=E2.sign)), ("ES256 of 128 bytes", tok(**es, sign=lambda m: b"\0" * 64 + E.sign(m))),
      ("of another token", g.rsplit(".", 1)[0] + "." + tok(claims={"sub": "t"}).rsplit(".", 1)[1]),
      ("claims of another token", g.split(".")[0] + "." + tok(claims={"roles": ["Jobs.Admin"]}).split(".")[1] + "." + g.split(".")[2]),
      ("a header of another token", tok(head={"x": 1}).split(".")[0] + "." + g.split(".", 1)[1]),
      ("signature cut", g.rsplit(".", 1)[0] + "." + b64(b"short")))

cases("key",
      ("unknown kid", tok(head={"kid": "zz"})), ("no kid", tok(drop=["kid"])), ("kid is a number", tok(head={"kid": 1})), ("kid empty", tok(head={"kid": ""})),
      ("kid is a path", tok(head={"kid": "../../dev/null"})), ("kid is SQL", tok(head={"kid": "x' or 1=1 --"})), ("kid is an address", tok(head={"kid": "http://evil.test/k"})),
      ("kid of 300 bytes", tok(head={"kid": "k" * 300})), ("kid in upper case", tok(head={"kid": "R"})), ("kid with a space", tok(head={"kid": "r "})),
      ("1,024 bits", tok(head={"kid": "weak"}, sign=WEAK.pkcs1)), ("2,040 bits", tok(head={"kid": "almost"}, sign=ODD.pkcs1)),
      ("a key for encryption", tok(head={"kid": "enc"}, sign=R2.pkcs1)), ("a key to sign with", tok(head={"kid": "signs"}, sign=R2.pkcs1)),
      ("a key for RS512", tok(head={"kid": "rs512"}, sign=R2.pkcs1)), ("a published private key", tok(head={"kid": "private"}, sign=R2.pkcs1)),
      ("an RSA key that says ES256", tok(head={"kid": "es"}, sign=R2.pkcs1)), ("a key of exponent 1", tok(head={"kid": "one"})), ("a key of an even exponent", tok(head={"kid": "even"})),
      ("a key of a large exponent", tok(head={"kid": "large"})), ("a point off the curve", tok(head={"kid": "off", "alg": "ES256"}, sign=E2.sign)),
      ("a key of another curve", tok(head={"kid": "curve", "alg": "ES256"}, sign=E2.sign)), ("a key with a short half", tok(head={"kid": "short", "alg": "ES256"}, sign=E2.sign)),
      ("a key for PS256 used with RS256", tok(head={"kid": "ps"}, sign=R2.pkcs1)), ("a key for RS256 used with PS256", tok(head={"kid": "rs", "alg": "PS256"}, sign=R2.pss)),
      ("ES256 with an RSA key", tok(head={"alg": "ES256"}, sign=E.sign)), ("RS256 with an EC key", tok(head={"kid": "e"})), ("PS256 with an EC key", tok(head={"kid": "e", "alg": "PS256"}, sign=R.pss)))

cases("issuer",
      ("iss with a slash more", tok(claims={"iss": ENTRA + "/"})), ("iss in upper case", tok(claims={"iss": ENTRA.upper()})), ("no iss", tok(drop=["iss"])),
      ("iss is a list", tok(claims={"iss": [ENTRA]})), ("iss empty", tok(claims={"iss": ""})), ("iss of somebody else", tok(claims={"iss": "https://evil.test/"})),
      ("iss http", tok(claims={"iss": ENTRA.replace("https", "http")})), ("iss with a user", tok(claims={"iss": "https://login.test@evil.test/v2.0"})),
      ("the template itself", tok(claims={"iss": MANY})), ("a directory that is not taken", tok(claims={"iss": MANY.replace("{tenantid}", OTHER), "tid": OTHER})),
      ("tid of another directory", tok(claims={**many, "tid": OTHER})), ("no tid", tok(claims=many, drop=["tid"])), ("tid is a list", tok(claims={**many, "tid": [TID]})))

cases("audience",
      ("aud of somebody else", tok(claims={"aud": "api://other"})), ("no aud", tok(drop=["aud"])), ("aud begins as ours", tok(claims={"aud": API + ".evil"})),
      ("aud in upper case", tok(claims={"aud": API.upper()})), ("aud is a number", tok(claims={"aud": 1})), ("aud is an empty list", tok(claims={"aud": []})),
      ("aud is an object", tok(claims={"aud": {API: True}})), ("aud is a list in a list of others", tok(claims={"aud": [[API], "x"]})), ("aud of both in one text", tok(claims={"aud": f"{API} geres-client"})),
      ("aud is Microsoft Graph", tok(claims={"aud": "00000003-0000-0000-c000-000000000000"})), ("aud is Microsoft Graph's address", tok(claims={"aud": "https://graph.microsoft.com"})),
      ("aud of another provider's", tok(claims={**v1, "aud": "geres-client"}, drop=["azp"])))

cases("expired",
      ("expired", tok(claims={"exp": NOW - 61})), ("expired at the edge", tok(claims={"exp": NOW - 60})), ("expired long ago", tok(claims={"exp": 1, "iat": 0, "nbf": 0})),
      ("exp zero", tok(claims={"exp": 0}, drop=["iat", "nbf"])))

cases("times",
      ("no exp", tok(drop=["exp"])), ("exp is a text", tok(claims={"exp": str(NOW + 60)})), ("exp is huge", tok(claims={"exp": 1e300})), ("exp is negative", tok(claims={"exp": -1})),
      ("exp is null", tok(claims={"exp": None})), ("exp is true", tok(claims={"exp": True})), ("exp in milliseconds", tok(claims={"exp": (NOW + 60) * 1000})), ("exp is a list", tok(claims={"exp": [NOW + 60]})),
      ("nbf to come", tok(claims={"nbf": NOW + 600})), ("nbf beyond the skew", tok(claims={"nbf": NOW + 61})), ("iat to come", tok(claims={"iat": NOW + 600})), ("nbf is a text", tok(claims={"nbf": "0"})),
      ("iat is a text", tok(claims={"iat": "0"})), ("lives ten years", tok(claims={"exp": NOW + 10**8})), ("lives a second too long", tok(claims={"exp": NOW + 25 * 3600 + 1})))

cases("kind",
      ("typ dpop+jwt", tok(head={"typ": "dpop+jwt"})), ("typ logout+jwt", tok(head={"typ": "logout+jwt"})), ("typ id_token+jwt", tok(head={"typ": "id_token+jwt"})),
      ("an ID token of the same application", tok(claims={"nonce": "n"}, drop=["azp"])), ("an ID token with nonce and azp", tok(claims={"nonce": "n"})), ("an ID token without nonce", tok(drop=["azp"])),
      ("an ID token with at_hash", tok(claims={"at_hash": "x"})), ("an ID token with c_hash", tok(claims={"c_hash": "x"})), ("azp empty", tok(claims={"azp": ""})), ("azp is a list", tok(claims={"azp": ["app"]})),
      ("for Microsoft Graph, as its header says", tok(head={"nonce": "x"})), ("strict: JWT", tok(claims=strict)), ("strict: no typ", tok(claims=strict, drop=["typ"])), ("strict: an ID token that says at+jwt", tok(head={"typ": "at+jwt"}, claims={**strict, "nonce": "n"})))

cases("subject",
      ("no subject", tok(drop=["sub", "oid"])), ("sub empty", tok(claims={"sub": ""}, drop=["oid"])), ("sub is a number", tok(claims={"sub": 7}, drop=["oid"])))

cases("noRole",
      ("no roles", tok(drop=["roles"])), ("only scp", tok(claims={"scp": "jobs"}, drop=["roles"])), ("unknown roles", tok(claims={"roles": ["Jobs.Other"]})), ("roles in lower case", tok(claims={"roles": ["jobs.submit"]})),
      ("roles is an object", tok(claims={"roles": {"Jobs.Submit": True}})), ("scp that allows nothing", tok(claims={"scp": "openid profile"})), ("scp empty", tok(claims={"scp": ""})),
      ("strict: roles elsewhere", tok(head={"typ": "at+jwt"}, claims={**strict, "realm": {}, "roles": ["submit"]})), ("strict: no tenant", tok(head={"typ": "at+jwt"}, claims=strict, drop=["tenant"])),
      ("strict: tenant *", tok(head={"typ": "at+jwt"}, claims={**strict, "tenant": "*"})), ("strict: tenant that is no name", tok(head={"typ": "at+jwt"}, claims={**strict, "tenant": "../x"})),
      ("v1: no rule for it", tok(claims={**v1, "appid": "yearly"}, drop=["azp"])), ("v1: the rule's claim by another name", tok(claims={**v1, "azp": "nightly"}, drop=["appid"])))

plain = compact(CLAIMS)
cases("malformed",
      ("crit", tok(head={"crit": ["exp"]})), ("crit empty", tok(head={"crit": []})), ("b64", tok(head={"b64": False})), ("b64 true", tok(head={"b64": True})), ("zip", tok(head={"zip": "DEF"})),
      ("typ is a number", tok(head={"typ": 1})), ("two alg", tok(raw_head='{"alg":"none","alg":"RS256","kid":"r"}')), ("two kid", tok(raw_head='{"alg":"RS256","kid":"x","kid":"r"}')),
      ("two iss", tok(raw_claims='{"iss":"x",' + plain[1:])), ("two iss, one of them escaped", tok(raw_claims='{"\\u0069ss":"x",' + plain[1:])), ("two names deep inside", tok(raw_claims='{"a":{"b":[{"c":1,"c":2}]},' + plain[1:])),
      ("claims are a list", tok(raw_claims="[]")), ("claims are a text", tok(raw_claims='"x"')), ("claims are null", tok(raw_claims="null")), ("claims are no JSON", tok(raw_claims="{")), ("claims with something after them", tok(raw_claims=plain + "{}")),
      ("claims with a comma too many", tok(raw_claims=plain[:-1] + ",}")), ("claims with a comment", tok(raw_claims="/**/" + plain)), ("claims empty", tok(raw_claims="")), ("header is a list", tok(raw_head='["RS256"]')), ("header empty", tok(raw_head="")), ("header is no JSON", tok(raw_head="{alg:RS256}")),
      ("deep", tok(raw_claims='{"a":' * 50 + "1" + "}" * 50)), ("a NUL in iss", tok(claims={"iss": ENTRA + "\0x"})), ("no UTF-8", tok(raw_claims=b'{"iss":"\xff"}')), ("half a surrogate", tok(raw_claims='{"iss":"\\ud800"}')),
      ("UTF-16", tok(raw_claims=plain.encode("utf-16"))), ("a byte order mark", tok(raw_claims=b"\xef\xbb\xbf" + plain.encode())), ("1e999", tok(raw_claims=plain[:-1] + ',"x":1e999}')), ("NaN", tok(raw_claims=plain[:-1] + ',"x":NaN}')),
      ("no signature", tok(sign=lambda m: b"")), ("signature and =", g + "="), ("signature and a newline", g + "\\n"), ("plain base64", g.replace("-", "+").replace("_", "/") + "+"), ("a space at the end", g + " "), ("a space inside", g.replace(".", ". ")),
      ("two parts", g.rsplit(".", 1)[0]), ("two parts and a dot", g.rsplit(".", 1)[0] + "."), ("four parts", g + ".x"), ("only dots", ".."), ("a dot", "."), ("no dots", "x"), ("five parts", "a.b.c.d.e"), ("a dot before it", "." + g),
      ("20 KiB", tok(claims={"x": "y" * 20_000})), ("bits to spare in the last letter", g[:-1] + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(g[-1]) + 1]),
      ("a length that base64 cannot have", g.split(".")[0] + ".A." + g.split(".")[2]), ("a letter of another alphabet", g.replace("e", "е", 1)))


if __name__ == "__main__":
    (HERE / "tokens.tsv").write_text("\n".join(LINES) + "\n")
    (HERE / "keys.json").write_text(json.dumps({"keys": KEYS}, indent=1) + "\n")
    (HERE / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n")
    print(len(LINES), "tokens")
