# SPDX-License-Identifier: Apache-2.0
"""TLS between everybody and the hub: what each client trusts, what it says when it does not, and certificates that change
under a hub at work."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading
import unittest

from fleet import BIN, Fleet, Process, quiet_port, wait_until

CLIENT = pathlib.Path(os.environ["GERES_TYPESCRIPT_CLIENT"])


def openssl(*words, cwd):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=cwd)


class Certificates:
    """An authority, and certificates of all kinds by it."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(exist_ok=True)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
                "-out", "ca.pem", "-subj", "/CN=Test authority", "-days", "30", cwd=self.directory)
        self.ca = self.directory / "ca.pem"

    def make(self, name, alt="DNS:localhost,IP:127.0.0.1", key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), days=30,
             digest="-sha256", own=False, start=None):
        """Paths of certificate and key. `own`: signed by its own key instead of the authority's."""
        certificate, secret = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        openssl("req", "-new", "-newkey", *key, "-nodes", "-keyout", secret, "-out", "request.csr", "-subj", f"/CN={name}",
                cwd=self.directory)
        (self.directory / "more.cnf").write_text(f"subjectAltName={alt}\n" if alt else "keyUsage=digitalSignature\n")
        by = ("-signkey", secret) if own else ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
        openssl("x509", "-req", "-in", "request.csr", *by, "-out", certificate, "-days", days, digest, "-extfile", "more.cnf",
                cwd=self.directory)
        return certificate, secret


@contextlib.contextmanager
def server(certificate, key, weak=False):
    """A server over TLS that is no hub; yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if weak:
        context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError, ssl.SSLError), context.wrap_socket(plain, server_side=True) as peer:
                    peer.recv(4096)
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


class TlsFleet(Fleet):
    """A hub over TLS, and what a machine elsewhere has: nothing but an address and a token."""

    def tls_hub(self, *options, command="hub"):
        port = quiet_port("127.0.0.1")
        process = Process(self, command, [command, "--data", self.data, "--listen", f"https://127.0.0.1:{port}", *options])
        self.url = self._announced(process)
        return process

    def call_tls(self, path, trust, method="GET", headers=None, body=None):
        context = ssl.create_default_context(cafile=trust)
        connection = http.client.HTTPSConnection(self.url.removeprefix("https://"), timeout=60, context=context)
        token = (self.data / "admin.token").read_text().strip()
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {token}", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def pin(self):
        found = re.search(r"sha256:[0-9a-f]{64}", self.processes[0].out.read_text())
        assert found, self.processes[0].text()
        return found.group(0)


class TlsTest(unittest.TestCase):
    def test_everybody_finds_a_hub_with_a_certificate_of_its_own(self):
        with TlsFleet() as fleet:
            fleet.tls_hub("--tls-self-signed")
            pin, ca = fleet.pin(), fleet.data / "tls" / "ca.pem"
            self.assertEqual((fleet.data / "tls" / "ca.key").stat().st_mode & 0o777, 0o600)
            self.assertEqual((fleet.data / "tls").stat().st_mode & 0o777, 0o700)
            with self.subTest("the command line where the hub is needs nothing"):
                env = {"GERES_DATA": str(fleet.data), "GERES_TOKEN": ""}
                self.assertIn("hosts", fleet.cli("status", env=env).stdout.lower())
            with self.subTest("elsewhere: by pin, by file, by environment"):
                for words, env in ((("--ca-pin", pin), {}), (("--ca", ca), {}), ((), {"GERES_CA_PIN": pin}),
                                   ((), {"GERES_CA": str(ca)}), (("--ca-pin", pin), {"GERES_CA": "/nowhere.pem"})):
                    fleet.cli("status", *words, env=env)
            with self.subTest("and not without"):
                for words, said in (((), "is not trusted"), (("--ca-pin", "sha256:" + "0" * 64), pin)):
                    done = fleet.cli("status", *words, check=False)
                    self.assertNotEqual(done.returncode, 0)
                    self.assertIn(said, done.stderr)
                    self.assertIn("try:", done.stderr.lower())
            with self.subTest("what the hub says of itself"):
                tls = json.loads(fleet.call_tls("/v1/info", ca)[2])["tls"]
                self.assertEqual(tls["caPin"], pin)
                self.assertIn("127.0.0.1", tls["names"])
                metrics = fleet.call_tls("/metrics", ca)[2].decode()
                self.assertRegex(metrics, r"geres_tls_certificate_expires_timestamp_seconds 1\.?\d+")
            with self.subTest("a host by pin, its job, its log and its file"):
                trust = {"GERES_CA_PIN": pin}
                host = Process(fleet, "away", ["host", "--hub", fleet.url, "--data", fleet.directory / "away", "--name",
                                               "away"], env=trust)
                wait_until(lambda: "away" in fleet.cli("hosts", env=trust).stdout, f"it joins\n{host.text()}")
                done = fleet.cli("run", "--tenant", "demo", "--", "/bin/sh", "-c", "echo over tls; head -c 3000000 /dev/zero > \"$GERES_OUTPUT_DIR\"/zeros",
                                 env=trust)
                self.assertIn("over tls", done.stdout)
                fleet.cli("job", "files", "last", "--out", fleet.directory / "got", env=trust)
                self.assertEqual(sum(f.stat().st_size for f in (fleet.directory / "got").rglob("zeros")), 3_000_000)
                self.assertNotIn("not reached", host.text())
            with self.subTest("other people's clients"):
                token = (fleet.data / "admin.token").read_text().strip()
                done = subprocess.run(["curl", "-sS", "--fail", "--cacert", ca, "-H", f"Authorization: Bearer {token}",
                                       fleet.url + "/v1/status"], capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("jobs", json.loads(done.stdout))
                address = fleet.url.removeprefix("https://")
                done = subprocess.run(["openssl", "s_client", "-connect", address, "-CAfile", ca, "-verify_return_error",
                                       "-verify_ip", "127.0.0.1", "-alpn", "http/1.1"], input="", capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("Verify return code: 0 (ok)", done.stdout)
                self.assertIn("ALPN protocol: http/1.1", done.stdout)
                script = ("const r = await fetch(process.argv[1] + '/v1/status', {headers: {authorization: 'Bearer ' + "
                          "process.argv[2]}}); console.log(r.status)")
                done = subprocess.run(["node", "--input-type=module", "-e", script, fleet.url, token], capture_output=True,
                                      text=True, env={**os.environ, "NODE_EXTRA_CA_CERTS": str(ca)})
                self.assertEqual(done.stdout.strip(), "200", done.stderr)

    def test_a_websocket_and_a_stream_of_events_over_tls(self):
        with TlsFleet() as fleet:
            fleet.tls_hub("--tls-self-signed")
            ca = fleet.data / "tls" / "ca.pem"
            token = (fleet.data / "admin.token").read_text().strip()
            script = """
                import {createRequire} from 'node:module';
                const {HubConnectionBuilder, HttpTransportType} = createRequire('SIGNALR')('@microsoft/signalr');
                const [url, token] = process.argv.slice(1);
                const hub = new HubConnectionBuilder().withUrl(url + '/hubs/jobs', {accessTokenFactory: () => token,
                    skipNegotiation: true, transport: HttpTransportType.WebSockets}).configureLogging('none').build();
                hub.on('geresEvent', () => {});
                await hub.start();
                console.log('connected', hub.state);
                await hub.stop();
                console.log('stopped');
            """.replace("SIGNALR", str(CLIENT / "package.json"))
            done = subprocess.run(["node", "--input-type=module", "-e", script, fleet.url, token], capture_output=True,
                                  text=True, timeout=60, env={**os.environ, "NODE_EXTRA_CA_CERTS": str(ca)})
            self.assertEqual(done.stdout.splitlines(), ["connected Connected", "stopped"], done.stderr)
            watcher = Process(fleet, "watcher", ["events", "-f", "--ca", ca, "--output", "json"])

            def told():
                status, _, answer = fleet.call_tls("/v1/jobs", ca, "POST", {"Content-Type": "application/json"},
                                                   b'{"tenant": "demo", "type": "Work"}')
                self.assertEqual(status, 201, answer)
                return json.loads(answer)["id"] in watcher.out.read_text()
            wait_until(told, "an event of a job comes")

    def test_up_needs_no_certificate_for_this_machine_itself(self):
        with TlsFleet() as fleet:
            made = Certificates(fleet.directory / "ca")
            certificate, key = made.make("public", alt="DNS:hub.example")
            up = fleet.tls_hub("--tls-cert", certificate, "--tls-key", key, "--slots", "1", command="up")
            local = wait_until(lambda: [u for u in (fleet.data / "admin.hub").read_text().split() if u.startswith("http://127.")],
                               "it says where it is in clear")[0]
            env = {"GERES_HUB": local, "GERES_TOKEN": "", "GERES_DATA": str(fleet.data)}
            self.assertIn("hello", fleet.cli("run", "echo", "hello", env=env).stdout)
            done = fleet.cli("status", "--ca", made.ca, check=False)
            self.assertIn("is not for '127.0.0.1", done.stderr)
            self.assertIn("hub.example", done.stderr)
            self.assertTrue(up.alive())

    def test_speaking_the_wrong_protocol_is_answered(self):
        with TlsFleet() as fleet:
            fleet.tls_hub("--tls-self-signed")
            address = fleet.url.removeprefix("https://")
            done = fleet.cli("status", "--hub", "http://" + address, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("this port speaks HTTPS", done.stderr)
            self.assertIn("https://", done.stderr)
            plain = [u for u in (fleet.data / "admin.hub").read_text().split() if u.startswith("http://")][0]
            done = fleet.cli("status", "--hub", plain.replace("http://", "https://"), check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("speaks no TLS", done.stderr)

    def test_what_a_hub_is_not_started_with(self):
        with TlsFleet() as fleet:
            made = Certificates(fleet.directory / "ca")
            good, key = made.make("good")
            other = made.make("other")[1]
            expired = made.make("expired", days=-1)
            short = made.make("short", key=("rsa:1024",))
            own = "--tls-cert", good, "--tls-key", key
            https = "--listen", "https://127.0.0.1:0"
            for words, flag, said in (
                    ((*https,), "--listen", "needs a certificate"),
                    ((*https, "--tls-cert", good), "--tls-key", "belong together"),
                    ((*https, "--tls-key", key), "--tls-cert", "belong together"),
                    ((*https, *own, "--tls-self-signed"), "--tls-self-signed", "do not go together"),
                    (("--tls-self-signed",), "--listen", "nothing listens with TLS"),
                    (("--listen", "0.0.0.0:0"), "--plain-http", "in clear"),
                    (("--listen", "[::]:0"), "--plain-http", "in clear"),
                    (("--listen", "ftp://127.0.0.1:0"), "--listen", "not an address"),
                    ((*https, "--tls-cert", good, "--tls-key", other), "--tls-key", "does not belong"),
                    ((*https, "--tls-cert", "/nowhere.pem", "--tls-key", key), "--tls-cert", "cannot be read"),
                    ((*https, "--tls-cert", key, "--tls-key", key), "--tls-cert", "no certificate in PEM"),
                    ((*https, "--tls-cert", expired[0], "--tls-key", expired[1]), "--tls-cert", "expired on"),
                    ((*https, "--tls-cert", short[0], "--tls-key", short[1]), "--tls-cert", "1024 bits")):
                for command in ("hub", "up"):
                    with self.subTest(command, words=words):
                        done = fleet.cli(command, "--data", fleet.directory / "none", *words, check=False)
                        self.assertIn(done.returncode, (1, 2))
                        self.assertIn(said, done.stderr)
                        self.assertIn(flag, done.stderr)
                        self.assertNotIn("terminate", done.stderr)

    def test_what_a_client_does_not_trust(self):
        with TlsFleet() as fleet:
            made = Certificates(fleet.directory / "ca")
            other = Certificates(fleet.directory / "other")
            weak = {"weak": True}
            for name, options, trust, said, how in (
                    ("good", {}, made.ca, None, {}),
                    ("expired", {"days": -1}, made.ca, "out of date", {}),
                    ("elsewhere", {"alt": "DNS:hub.example,IP:192.0.2.1"}, made.ca, "but for hub.example, 192.0.2.1", {}),
                    ("foreign", {}, other.ca, "is not trusted: it comes from CN=Test authority", {}),
                    ("own", {"own": True}, made.ca, "is not trusted", {}),
                    ("nameless", {"alt": None}, made.ca, "names no host", {}),
                    ("small", {"key": ("rsa:1024",)}, made.ca, "too weak", weak),
                    ("sha1", {"digest": "-sha1"}, made.ca, "too weak", weak)):
                with self.subTest(name):
                    with server(*made.make(name, **options), **how) as port:
                        done = fleet.cli("status", "--hub", f"https://127.0.0.1:{port}", "--token", "geres_secret", "--ca", trust,
                                         check=False)
                    if said is None:
                        self.assertNotIn("trusted", done.stderr)
                    else:
                        self.assertIn(said, done.stderr)
                        self.assertEqual(done.returncode, 3, done.stderr)
                    self.assertNotIn("geres_secret", done.stderr + done.stdout)
            for words, flag in ((("--ca", "/nowhere.pem"), "--ca"), (("--ca-pin", "sha256:12"), "--ca-pin"),
                                (("--ca", made.ca, "--ca-pin", "sha256:" + "0" * 64), "--ca-pin")):
                done = fleet.cli("status", "--hub", "https://127.0.0.1:9", *words, check=False)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(flag, done.stderr)

    def test_a_certificate_is_taken_up_while_the_hub_works(self):
        with TlsFleet() as fleet:
            made = Certificates(fleet.directory / "ca")
            first, second = made.make("first"), made.make("second")
            certificate, key = fleet.directory / "hub.pem", fleet.directory / "hub.key"

            def install(pair):
                for source, target in zip(pair, (certificate, key)):
                    beside = target.with_suffix(".new")
                    beside.write_bytes(source.read_bytes())
                    beside.replace(target)

            def shown():
                address = fleet.url.removeprefix("https://").split(":")
                context = ssl.create_default_context(cafile=made.ca)
                with socket.create_connection((address[0], int(address[1]))) as plain:
                    with context.wrap_socket(plain, server_hostname="127.0.0.1") as peer:
                        return dict(part[0] for part in peer.getpeercert()["subject"])["commonName"]

            install(first)
            hub = fleet.tls_hub("--tls-cert", certificate, "--tls-key", key)
            self.assertEqual(shown(), "first")
            context = ssl.create_default_context(cafile=made.ca)
            held = http.client.HTTPSConnection(fleet.url.removeprefix("https://"), timeout=60, context=context)
            held.request("GET", "/healthz")
            self.assertEqual(held.getresponse().read() and "alive", "alive")

            def log_has(text, count=1):
                return wait_until(lambda: hub.log.read_text().count(text) >= count, f"the log says: {text}")

            with self.subTest("asked for"):
                install(second)
                hub.popen.send_signal(signal.SIGHUP)
                log_has("a certificate was taken up")
                self.assertEqual(shown(), "second")
                held.request("GET", "/healthz")
                self.assertTrue(held.getresponse().read(), "connections go on")
            with self.subTest("all or nothing"):
                certificate.write_bytes(first[0].read_bytes())
                hub.popen.send_signal(signal.SIGHUP)
                log_has("a certificate was not taken up")
                self.assertIn("does not belong", hub.log.read_text())
                self.assertEqual(shown(), "second")
            with self.subTest("seen without being asked"):
                install(first)
                log_has("a certificate was taken up", 2)
                self.assertEqual(shown(), "first")
            self.assertTrue(hub.alive())

    def test_hosts_show_certificates(self):
        with TlsFleet() as fleet:
            made = Certificates(fleet.directory / "ca")
            strangers = Certificates(fleet.directory / "strangers")
            hub = fleet.tls_hub("--tls-self-signed", "--tls-client-ca", made.ca)
            ca = ("--ca", fleet.data / "tls" / "ca.pem")
            one, two = made.make("rack1", alt="URI:geres://host/rack1"), made.make("rack2", alt=None)
            token = json.loads(fleet.cli("token", "create", "racks", "--role", "host", *ca, "--output", "json").stdout)["token"]

            def host(name, pair, *words, given=token):
                shown = ("--cert", pair[0], "--key", pair[1]) if pair else ()
                return Process(fleet, name, ["host", "--hub", fleet.url, *ca, "--data", fleet.directory / name, *shown, *words],
                               env={"GERES_TOKEN": given})

            def refused(process, said):
                wait_until(lambda: said in process.text() or not process.alive(), f"{said}:\n{process.text()}")
                self.assertIn(said, process.text())
                process.terminate()

            def joins(name):
                wait_until(lambda: name in fleet.cli("hosts", *ca).stdout, f"{name} joins")

            good = host("rack1", one)
            joins("rack1")
            done = fleet.cli("run", "--tenant", "demo", *ca, "echo", "with a certificate")
            self.assertIn("with a certificate", done.stdout)
            good.terminate()
            refused(host("bare", None, "--name", "bare"), "has shown no certificate")
            refused(host("other", two, "--name", "other"), "the certificate is host 'rack2's")
            refused(host("stranger", strangers.make("rack3")), "not reached")
            self.assertTrue(hub.alive())
            with self.subTest("the secret of one host with the certificate of another"):
                status, _, answer = self.register(fleet, one, "rack1", token)
                self.assertEqual(status, 201, answer)
                mine = json.loads(answer)
                path = f"/v1/hosts/{mine['id']}/fetch"
                status, _, answer = self.call_as(fleet, two, path, mine["secret"], b"{}")
                self.assertEqual((status, json.loads(answer)["code"]), (401, "certificateOtherHost"))
                status, _, answer = self.call_as(fleet, None, path, mine["secret"], b"{}")
                self.assertEqual((status, json.loads(answer)["code"]), (401, "certificateRequired"))
            with self.subTest("a certificate alone"):
                hub.terminate()
                hub = fleet.tls_hub("--tls-self-signed", "--tls-client-ca", made.ca, "--host-auth", "mtls")
                host("rack2", two, given="")
                joins("rack2")
                status, _, answer = self.register(fleet, two, "rack9", None)
                self.assertEqual((status, json.loads(answer)["code"]), (401, "certificateOtherHost"))
                status, _, answer = self.register(fleet, None, "rack2", None)
                self.assertEqual(status, 401, answer)

    def call_as(self, fleet, pair, path, secret, body):
        context = ssl.create_default_context(cafile=fleet.data / "tls" / "ca.pem")
        if pair:
            context.load_cert_chain(*pair)
        connection = http.client.HTTPSConnection(fleet.url.removeprefix("https://"), timeout=60, context=context)
        headers = {"Content-Type": "application/json", "Geres-Protocol": "3"}
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def register(self, fleet, pair, name, token):
        return self.call_as(fleet, pair, "/v1/hosts", token, json.dumps({"name": name, "slots": 1}).encode())

    def test_a_browser_signs_in_over_tls(self):
        with TlsFleet() as fleet:
            fleet.tls_hub("--tls-self-signed")
            ca = fleet.data / "tls" / "ca.pem"
            token = (fleet.data / "admin.token").read_text().strip()
            body = json.dumps({"token": token}).encode()
            ours = {"Content-Type": "application/json", "Origin": fleet.url}
            status, headers, _ = fleet.call_tls("/v1/session", ca, "POST", ours, body)
            self.assertEqual(status, 201)
            self.assertRegex(headers["Set-Cookie"], r"^__Host-geres=\w+; Path=/; .*HttpOnly; SameSite=Lax; Secure$")
            clear = {**ours, "Origin": fleet.url.replace("https://", "http://")}
            status, _, answer = fleet.call_tls("/v1/session", ca, "POST", clear, body)
            self.assertEqual((status, json.loads(answer)["code"]), (403, "foreignOrigin"))


if __name__ == "__main__":
    unittest.main()
