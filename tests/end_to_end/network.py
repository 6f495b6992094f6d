# SPDX-License-Identifier: Apache-2.0
"""A network namespace with one wire to the machine, that can be cut: wholly, or in one direction only. Needs root."""
import os
import random
import subprocess


def ip(*words, check=True):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.returncode == 0


def why_not():
    """None where namespaces can be made, else the reason."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        with Network(random.Random()):
            return None
    except (OSError, RuntimeError) as trouble:
        return f"network namespaces cannot be made here: {trouble}"


class Network:
    def __init__(self, rng):
        # 198.18.0.0/15 is kept for tests of networks. Names and addresses that others use are drawn again.
        for _ in range(20):
            number = random.SystemRandom().randrange(1 << 15)
            subnet = f"198.{18 + (number >> 14)}.{number >> 6 & 255}.{(number & 63) * 4}"
            base, last = subnet.rsplit(".", 1)
            self.hub_address, self.host_address = f"{base}.{int(last) + 1}", f"{base}.{int(last) + 2}"
            self.name = f"geres-{number}"
            self.near, self.far = f"gn{number}", f"gf{number}"
            try:
                ip("netns", "add", self.name)
                break
            except RuntimeError as trouble:
                last_trouble = trouble
        else:
            raise last_trouble
        self._cut = None
        try:
            ip("link", "add", self.near, "type", "veth", "peer", "name", self.far, "netns", self.name)
            ip("addr", "add", f"{self.hub_address}/30", "dev", self.near)
            ip("link", "set", self.near, "up")
            self._inside("addr", "add", f"{self.host_address}/30", "dev", self.far)
            self._inside("link", "set", "lo", "up")
            self._inside("link", "set", self.far, "up")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.heal()
        ip("link", "del", self.near, check=False)
        ip("netns", "del", self.name, check=False)

    def _inside(self, *words, check=True):
        return ip("-n", self.name, *words, check=check)

    # Words before a command that is to run inside. Not `ip netns exec`: that hides the cgroups.
    @property
    def enter(self):
        return ["nsenter", f"--net=/var/run/netns/{self.name}"]

    def cut(self, how):
        """both: the wire is out. to_hub, to_host: what goes that way is lost."""
        self._cut = how
        if how == "both":
            ip("link", "set", self.near, "down")
        elif how == "to_hub":
            self._inside("route", "add", "blackhole", f"{self.hub_address}/32")
        else:
            ip("route", "add", "blackhole", f"{self.host_address}/32")

    def heal(self):
        how, self._cut = self._cut, None
        if how == "both":
            ip("link", "set", self.near, "up")
        elif how == "to_hub":
            self._inside("route", "del", "blackhole", f"{self.hub_address}/32")
        elif how == "to_host":
            ip("route", "del", "blackhole", f"{self.host_address}/32")
