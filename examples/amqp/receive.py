# SPDX-License-Identifier: Apache-2.0
"""Receives a hub's events from an AMQP 1.0 broker and prints the type and subject of each, once.

    python3 receive.py amqp[s]://HOST[:PORT] ADDRESS      USER_NAME and PASSWORD in the environment

Needs Debian's python3-qpid-proton.
"""
import json
import os
import sys

from proton.handlers import MessagingHandler
from proton.reactor import Container


# [receive]
class Events(MessagingHandler):
    def __init__(self, server, address):
        super().__init__(auto_accept=False)
        self.server, self.address = server, address
        self.seen = set()  # a real receiver keeps the ids beside what it makes of the events, in one transaction

    def on_start(self, event):
        connection = event.container.connect(
            self.server, user=os.environ.get("USER_NAME"), password=os.environ.get("PASSWORD"),
            allow_insecure_mechs=self.server.startswith("amqp://localhost"))
        event.container.create_receiver(connection, self.address)

    def on_message(self, event):
        self.handle(event.message)
        self.accept(event.delivery)  # only now: if this process dies before, the broker delivers the message again

    def handle(self, message):
        if message.id in self.seen:
            return  # sent again
        data = json.loads(bytes(message.body))
        if message.subject == "geres.gap":
            print("gap", data["until"], flush=True)  # look at the jobs themselves
        else:
            print(message.subject, data["id"], flush=True)
        self.seen.add(message.id)
# [receive]

    def on_link_opened(self, event):
        print("receiving", file=sys.stderr, flush=True)


if __name__ == "__main__":
    Container(Events(*sys.argv[1:3])).run()
