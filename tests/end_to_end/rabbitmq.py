# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ for tests, as Debian packages it: a node in a directory of its own, under a name, a cookie and ports of its
own, on loopback, that speaks AMQP 1.0. Nothing of it is left when it is stopped."""
import os
import pathlib
import secrets
import signal
import socket
import subprocess

from fleet import quiet_port, wait_until

PROGRAMS = pathlib.Path("/usr/lib/rabbitmq/bin")
START = 120  # seconds; alone on the machine it takes about ten


def installed():
    return (PROGRAMS / "rabbitmq-server").exists()


class RabbitMq:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.port, self.epmd_port, dist = (quiet_port("127.0.0.1") for _ in range(3))
        config, plugins = self.directory / "rabbitmq.conf", self.directory / "enabled_plugins"
        config.write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
                          "vm_memory_high_watermark.absolute = 512MB\ndisk_free_limit.absolute = 1MB\n")
        plugins.write_text("[rabbitmq_amqp1_0].\n")
        self.env = {
            **os.environ, "HOME": str(self.directory), "RABBITMQ_NODENAME": f"geres-{secrets.token_hex(4)}@localhost",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins), "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"), "RABBITMQ_DIST_PORT": str(dist),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self.epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1", "LANG": "C.UTF-8"}
        self.out = open(self.directory / "out", "wb")
        quiet = {"env": self.env, "stdin": subprocess.DEVNULL, "stdout": self.out, "stderr": self.out}
        self.epmd = subprocess.Popen(["epmd"], **quiet)
        wait_until(lambda: self.answers(self.epmd_port), "epmd listens")
        self.server = subprocess.Popen([PROGRAMS / "rabbitmq-server"], start_new_session=True, **quiet)

    @staticmethod
    def answers(port):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    def wait(self):
        def up():
            if self.server.poll() is not None:
                raise AssertionError("RabbitMQ ended: " + (self.directory / "out").read_text())
            return self.answers(self.port)
        wait_until(up, "RabbitMQ listens", START)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        os.killpg(self.server.pid, signal.SIGKILL)  # what it keeps goes with its directory
        self.server.wait()
        self.epmd.kill()
        self.epmd.wait()
        self.out.close()
