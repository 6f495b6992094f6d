# SPDX-License-Identifier: Apache-2.0
"""Servers for the client's tests, on a port of the kernel's choice, which is the first line said; they end with stdin.

  test_server.py token STATE [CERT KEY]    an OAuth 2.0 token endpoint for client credentials. STATE is a file of JSON:
                                           {"id", "secret", "scope", "tokens": [...], "expires_in"}; the n-th grant gets
                                           the n-th token, later ones the last. Each request adds a line to STATE.log
  test_server.py tls PORT CERT KEY         TLS in front of 127.0.0.1:PORT
"""
import base64
import http.server
import json
import os
import select
import socket
import ssl
import sys
import threading
import urllib.parse


def tls_context(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


class TokenEndpoint(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    grants = 0
    state_file = ""

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        with TokenEndpoint.lock:
            with open(TokenEndpoint.state_file, encoding="utf-8") as file:
                state = json.load(file)
            with open(TokenEndpoint.state_file + ".log", "a", encoding="utf-8") as log:
                log.write(self.path + "\n")
            kind, _, word = self.headers.get("Authorization", "").partition(" ")
            who = [urllib.parse.unquote_plus(part) for part in base64.b64decode(word).decode().split(":", 1)]
            if kind != "Basic" or who != [state["id"], state["secret"]]:
                return self.answer(401, {"error": "invalid_client", "error_description": "who are you?"})
            if form.get("grant_type") != ["client_credentials"]:
                return self.answer(400, {"error": "unsupported_grant_type"})
            if form.get("scope", [""]) != [state["scope"]]:
                return self.answer(400, {"error": "invalid_scope"})
            token = state["tokens"][min(TokenEndpoint.grants, len(state["tokens"]) - 1)]
            TokenEndpoint.grants += 1
        return self.answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": state["expires_in"]})


def serve_tokens(state, cert=None, key=None):
    TokenEndpoint.state_file = state
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenEndpoint)
    if cert:
        server.socket = tls_context(cert, key).wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def forward(outside, inside):
    """One thread for both directions: a TLS connection must not be used by two."""
    while True:
        ready = [outside] if outside.pending() else select.select([outside, inside], [], [])[0]
        for source, sink in ((outside, inside), (inside, outside)):
            if source not in ready:
                continue
            source.setblocking(False)
            try:
                data = source.recv(65536)
            except ssl.SSLWantReadError:
                continue
            finally:
                source.setblocking(True)
            if not data:
                return
            sink.sendall(data)


def serve_one(plain, context, port):
    try:
        with socket.create_connection(("127.0.0.1", int(port))) as inside:
            with context.wrap_socket(plain, server_side=True) as outside:
                forward(outside, inside)
    except OSError:  # whoever went
        plain.close()


def serve_tls(port, cert, key):
    context = tls_context(cert, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            plain, _ = listener.accept()
            threading.Thread(target=serve_one, args=(plain, context, port), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


print({"token": serve_tokens, "tls": serve_tls}[sys.argv[1]](*sys.argv[2:]), flush=True)
sys.stdin.read()
os._exit(0)
