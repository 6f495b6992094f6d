# SPDX-License-Identifier: Apache-2.0
"""A way to a server that can be shut, and that counts what passes."""
import select
import socket
import threading


class Gate:
    """Passes bytes on to a server, or, when shut, takes no connections and cuts those that there are."""

    def __init__(self, port):
        self.target = port
        self.passed = 0  # bytes towards clients
        self.sent = 0  # bytes towards the server
        self.shut_at = None  # of `sent`
        self.open = True
        self.sockets = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self):
        self.open = False
        for one in list(self.sockets):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def shut_when_sent(self, total):
        self.shut_at = total

    def reopen(self):
        self.open = True

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            if not self.open:
                client.close()
                continue
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            self.sockets |= {client, server}
            try:
                while True:
                    for one in select.select([client, server], [], [])[0]:
                        some = one.recv(65536)
                        if not some:
                            return
                        (server if one is client else client).sendall(some)
                        self._count(len(some), to_server=one is client)
            except OSError:
                return
            finally:
                self.sockets -= {client, server}

    def _count(self, size, to_server):
        if not to_server:
            self.passed += size
            return
        self.sent += size
        if self.shut_at is not None and self.sent >= self.shut_at:
            self.shut_at = None
            self.shut()
