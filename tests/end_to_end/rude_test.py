# SPDX-License-Identifier: Apache-2.0
"""Rude clients against a hub that ships: each gets a defined answer or is cut off, the others are served all along, and
nothing is left behind."""
import json
import pathlib
import resource
import select
import socket
import statistics
import struct
import time
import unittest

from fleet import BIN, Fleet, wait_until

PATIENCE = "1s"


def raise_open_files():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 20


class Raw:
    """A client that says what it is told, byte by byte."""

    made = []

    def __init__(self, fleet, receive_buffer=None):
        host, port = fleet.url.removeprefix("http://").rsplit(":", 1)
        self.socket = socket.socket()
        self.socket.settimeout(60)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect((host, int(port)))
        self.got = b""
        Raw.made.append(self)

    @classmethod
    def close_all(cls):
        for client in cls.made:
            client.close()
        cls.made.clear()

    def send(self, data):
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)
        return self

    def more(self):
        piece = self.socket.recv(65536)
        self.got += piece
        return piece

    def answer(self):
        """One answer with Content-Length: (status, body)."""
        while b"\r\n\r\n" not in self.got:
            assert self.more(), self.got
        head, self.got = self.got.split(b"\r\n\r\n", 1)
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        while len(self.got) < length:
            assert self.more(), (head, self.got)
        body, self.got = self.got[:length], self.got[length:]
        return int(head.split(b" ")[1]), body

    def rest(self):
        """All until the hub closes."""
        try:
            while self.more():
                pass
        except ConnectionResetError:
            pass
        return self.got

    def says_something_within(self, seconds):
        return bool(select.select([self.socket], [], [], seconds)[0])

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()


def get(path, *headers):
    return "".join([f"GET {path} HTTP/1.1\r\nHost: hub\r\n", *(h + "\r\n" for h in headers), "\r\n"])


class Rude(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet()
        self.addCleanup(self.fleet.__exit__, None, None, None)
        self.addCleanup(Raw.close_all)

    def hub(self, *options, **how):
        self.process = self.fleet.hub(*options, **how)
        self.authorization = "Authorization: Bearer " + (self.fleet.data / "admin.token").read_text().strip()

    def expect_that_others_are_served(self):
        client = Raw(self.fleet).send(get("/healthz"))
        self.assertEqual(client.answer()[0], 200)
        client.close()

    def sockets(self):
        count = 0
        for entry in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                count += str(entry.readlink()).startswith("socket:")
            except OSError:
                pass
        return count

    def resident(self):
        if b"__asan_init" in (BIN / "geres").read_bytes():
            return 0  # it keeps what was freed
        pages = pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    def metric(self, name):
        text = self.fleet.call("GET", "/metrics")[2].decode()
        return next(float(line.split()[1]) for line in text.splitlines() if line.split()[0] == name)

    def test_refuses_what_two_readers_could_read_differently(self):
        self.hub("--client-patience", PATIENCE)
        post = f"POST /v1/jobs HTTP/1.1\r\nHost: hub\r\n{self.authorization}\r\n"
        shapes = [
            (post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            (post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
            (post + "Content-Length: +2\r\n\r\n{}", 400),
            (post + "Content-Length: 2,2\r\n\r\n{}", 400),
            (post + "Content-Length : 2\r\n\r\n{}", 400),
            (post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501),
            (post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
            (post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
            (post + "X: a\nContent-Length: 2\r\n\r\n{}", 400),
            (post + "X: a\rContent-Length: 2\r\n\r\n{}", 400),
            (post + "X: a\0b\r\n\r\n", 400),
            (post + "Host: other\r\n\r\n", 400),
            (post + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n", 400),
            (post + "Transfer-Encoding: chunked\r\n\r\n1;" + "x" * 2_000_000, 400),
            (post + "Content-Length: 18446744073709551615\r\n\r\n", 413),
            ("GET /healthz HTTP/1.1\r\n\r\n", 400),
            ("GET /healthz HTTP/1.1\n\n", 400),
            ("GET /healthz\r\n\r\n", 400),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
            ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
            (get("/v1/%2e%2e/healthz"), 400),
            (get("/v1%2fhealthz"), 400),
            (get("/v1/%c0%ae"), 400),
            (get("/healthz", "X: " + "x" * 20_000), 431),
            (get("/" + "x" * 20_000), 414),
            (get("/healthz", *["A: b"] * 101), 431),
        ]
        for data, status in shapes:
            with self.subTest(data[:200]):
                client = Raw(self.fleet)
                try:
                    client.send(data)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # it did not wait for the rest
                answer = client.rest()
                self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), answer[:300])
                self.assertIn(b"application/problem+json", answer)
                self.assertEqual(answer.count(b"\r\nDate: "), 1, answer)
                self.expect_that_others_are_served()

    def test_cuts_off_who_is_slow(self):
        self.hub("--client-patience", PATIENCE)
        slow = Raw(self.fleet).send("GET /heal")
        while not slow.says_something_within(0.05):
            slow.send("t")  # a byte now and then buys no time
        self.assertTrue(slow.rest().startswith(b"HTTP/1.1 408 "), slow.got)

        slow = Raw(self.fleet).send(f"POST /v1/jobs HTTP/1.1\r\nHost: hub\r\n{self.authorization}\r\nContent-Length: 100000\r\n\r\n")
        while not slow.says_something_within(0.05):
            slow.send(" ")
        answer = slow.rest()
        self.assertTrue(answer.startswith(b"HTTP/1.1 408 "), answer)
        self.assertEqual(json.loads(answer.split(b"\r\n\r\n", 1)[1])["code"], "timeout")
        self.expect_that_others_are_served()

    def test_who_takes_nothing_costs_little_and_not_for_long(self):
        self.hub("--client-patience", PATIENCE)
        status, _, file = self.fleet.call("PUT", "/v1/files/demo", b"x" * (32 << 20))
        self.assertEqual(status, 201, file)
        before, resident = self.sockets(), self.resident()
        readers = [Raw(self.fleet, 4096).send(get(f"/v1/files/demo/{file['sha256']}", self.authorization)) for _ in range(50)]
        for reader in readers:
            self.assertTrue(reader.says_something_within(60))
        self.assertLess(self.resident() - resident, 32 << 20)
        wait_until(lambda: self.sockets() <= before, "the hub has cut them off")
        for reader in readers:
            self.assertLess(len(reader.rest()), 32 << 20)

    def test_answers_pipelined_requests_in_order(self):
        self.hub()
        ids = [f"00000000-0000-7000-8000-{n:012d}" for n in range(100)]
        client = Raw(self.fleet).send("".join(get(f"/v1/jobs/{id}", self.authorization) for id in ids) + "\x01\x02")
        for id in ids:
            status, body = client.answer()
            self.assertEqual(status, 404)
            self.assertIn(id.encode(), body)
        self.assertEqual(client.answer()[0], 400)
        self.assertEqual(client.rest(), b"")

    def test_cannot_fill_the_log(self):
        self.hub()
        client = Raw(self.fleet)
        for _ in range(20):
            client.send(get("/v1/jobs") * 100)
            for _ in range(100):
                self.assertEqual(client.answer()[0], 401)
        self.assertLess(self.process.log.read_text().count('"status":401'), 1000)

    def test_thousands_of_idle_connections(self):
        files = raise_open_files()
        count = min(10_000, files - 1_000)  # as many on each side, which has a limit of its own
        self.hub()

        def milliseconds():
            times = []
            for _ in range(200):
                start = time.monotonic()
                self.expect_that_others_are_served()
                times.append((time.monotonic() - start) * 1000)
            return statistics.median(times)

        alone, resident = milliseconds(), self.resident()
        idle = [Raw(self.fleet).send(get("/healthz")) for _ in range(count)]
        for client in idle:
            self.assertEqual(client.answer()[0], 200)
        each = (self.resident() - resident) / count
        print(f"{count} idle connections: {each:.0f} bytes each; /healthz takes {milliseconds():.2f} ms beside them, "
              f"{alone:.2f} ms alone")
        self.assertLess(each, 32_000)
        self.assertGreaterEqual(self.sockets(), count)
        for client in idle:
            client.reset()
        wait_until(lambda: self.sockets() < 100, "the hub has let them go")

    def test_keeps_descriptors_for_itself(self):
        raise_open_files()
        self.hub(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (600, 600)))
        room = 400
        # Idle ones give way.
        idle = [Raw(self.fleet).send(get("/healthz")) for _ in range(room + 100)]
        answered = sum(client.answer()[0] == 200 for client in idle)
        self.assertEqual(answered, len(idle))
        for client in idle:
            client.close()
        wait_until(lambda: self.sockets() < 50, "the hub has let them go")
        # Busy ones do not, and who comes then is told.
        id = self.fleet.submit(type="Later", delay="1h")
        polls = []
        for n in range(room):
            polls.append(Raw(self.fleet).send(get(f"/v1/jobs/{id}?wait=50s", self.authorization)))
            if n % 50 == 49:
                wait_until(lambda: self.sockets() > n, "they are taken in")
        refused = [Raw(self.fleet).send(get("/healthz")) for _ in range(20)]
        for client in refused:
            answer = client.rest()
            self.assertTrue(answer.startswith(b"HTTP/1.1 503 "), answer)
            self.assertIn(b"Retry-After: ", answer)
        for client in polls:
            client.close()
        wait_until(lambda: self.sockets() < 50, "the hub has let them go")
        self.expect_that_others_are_served()
        self.fleet.api("POST", f"/v1/jobs/{id}/cancel")

    def test_forgets_who_goes_while_waiting(self):
        self.hub()
        id = self.fleet.submit(type="Later", delay="1h")
        polls = [Raw(self.fleet).send(get(f"/v1/jobs/{id}?wait=50s", self.authorization)) for _ in range(20)]
        wait_until(lambda: self.metric("geres_followers") == 20, "they wait")
        for poll in polls[:10]:
            poll.close()
        for poll in polls[10:]:
            poll.reset()
        wait_until(lambda: self.metric("geres_followers") == 0, "they are forgotten")

    def test_a_fetch_whose_host_went_takes_no_job(self):
        self.hub()
        host = self.fleet.api("POST", "/v1/hosts", {"name": "w", "slots": 1, "types": ["Echo"], "packages": False})
        secret = f"Authorization: Bearer {host['secret']}"

        def fetch(name):
            body = json.dumps({"fetchId": name, "slots": 1, "wait": "30s"})
            return Raw(self.fleet).send(f"POST /v1/hosts/{host['id']}/fetch HTTP/1.1\r\nHost: hub\r\n{secret}\r\n"
                                        f"Content-Length: {len(body)}\r\n\r\n{body}")

        commands = lambda: self.metric("geres_engine_commands_total")
        for n in range(5):
            before = commands()
            client = fetch(f"gone-{n}")
            wait_until(lambda: commands() > before, "the fetch waits")
            before = commands()
            client.reset()
            wait_until(lambda: commands() > before, "it is abandoned")
        id = self.fleet.submit(type="Echo")
        status, body = fetch("here").answer()
        self.assertEqual(status, 200, body)
        self.assertEqual([lease["job"]["id"] for lease in json.loads(body)["leases"]], [id])
        self.assertEqual(self.fleet.job(id)["attempt"], 1)

    def test_leaves_no_half_upload(self):
        self.hub()
        temporary = self.fleet.data / "blobs" / "tmp"
        files = lambda: list(temporary.iterdir())
        for leave in (Raw.close, Raw.reset):
            for framing in ("Content-Length: 100000000", "Transfer-Encoding: chunked"):
                client = Raw(self.fleet).send(f"PUT /v1/files/demo HTTP/1.1\r\nHost: hub\r\n{self.authorization}\r\n{framing}\r\n\r\n")
                client.send("100000\r\n" + "x" * 1_000_000)
                wait_until(files, "the upload has begun")
                leave(client)
                wait_until(lambda: not files(), "it is swept")
        self.assertFalse([file for file in (self.fleet.data / "blobs" / "tenants").rglob("*") if file.is_file()])
        self.expect_that_others_are_served()


if __name__ == "__main__":
    unittest.main(verbosity=2)
