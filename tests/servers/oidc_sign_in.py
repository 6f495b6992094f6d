#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""oidc_sign_in.py ISSUER NAME [SCOPE]: signs a person in at oidc_provider.mjs as a browser would, by code and PKCE, and
prints the answer with the tokens."""
import base64
import hashlib
import http.cookiejar
import json
import re
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request

CALLBACK = "http://127.0.0.1:9/auth/callback"  # nobody is there: where it leads to is all that is wanted
STEPS_MAX = 15


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


BROWSER = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), Stay,
                                      urllib.request.ProxyHandler({}))


def go(url, fields=None):
    """(where it leads to or None, the page)"""
    try:
        answer = BROWSER.open(url, urllib.parse.urlencode(fields).encode() if fields else None, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.headers.get("Location"), answer.read().decode()


def form_of(page, name):
    action = re.search(r'action="([^"]+)"', page)
    prompt = re.search(r'name="prompt" value="(\w+)"', page)
    if not action or not prompt:
        raise SystemExit("a page without a form: " + re.sub(r"<[^>]+>|\s+", " ", page)[-300:])
    return action[1], {"prompt": prompt[1], "login": name, "password": "any"}


def main():
    issuer, name = sys.argv[1:3]
    scope = sys.argv[3] if len(sys.argv) > 3 else "openid jobs"
    verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    where = f"{issuer}/auth?" + urllib.parse.urlencode({
        "client_id": "page", "response_type": "code", "redirect_uri": CALLBACK, "scope": scope, "resource": "api://geres",
        "state": state, "nonce": secrets.token_urlsafe(16), "code_challenge": challenge, "code_challenge_method": "S256"})
    for _ in range(STEPS_MAX):
        if where.startswith(CALLBACK):
            break
        leads, page = go(where)
        if not leads:
            action, fields = form_of(page, name)
            leads, page = go(urllib.parse.urljoin(issuer, action), fields)
        if not leads:
            raise SystemExit("it leads nowhere: " + re.sub(r"<[^>]+>|\s+", " ", page)[-300:])
        where = urllib.parse.urljoin(issuer, leads)
    answer = dict(urllib.parse.parse_qsl(urllib.parse.urlparse(where).query))
    if answer.get("state") != state or answer.get("iss") != issuer:
        raise SystemExit(f"not the answer to what was asked: {answer}")
    _, tokens = go(f"{issuer}/token", {"grant_type": "authorization_code", "client_id": "page", "code": answer["code"],
                                       "redirect_uri": CALLBACK, "code_verifier": verifier})
    print(json.dumps(json.loads(tokens)))


if __name__ == "__main__":
    main()
