"""A network of its own for a program under test, that can be cut where the program does not see it."""

import itertools
import os
import subprocess

from waiting import LIMIT

# Of the range for tests of network devices, RFC 2544: no machine reaches another by it.
OURS, THEIRS, PREFIX = "198.18.{n}.1", "198.18.{n}.2", 30
NUMBERS = itertools.count()


class Network:
    """A network namespace that a cable joins with this one: `ours` is the address at this end.

    Its making needs root; `why_not` says why there is none.
    """

    def __init__(self):
        n = (os.getpid() * 16 + next(NUMBERS)) % 256
        self.name = f"e2e-{os.getpid()}-{n}"
        self.ours, theirs, self.cable = OURS.format(n=n), THEIRS.format(n=n), f"e2e{os.getpid() % 10000}-{n}"
        ip("netns", "add", self.name)
        try:
            ip("link", "add", self.cable, "type", "veth", "peer", "name", "cable", "netns", self.name)
            ip("address", "add", f"{self.ours}/{PREFIX}", "dev", self.cable)
            ip("-netns", self.name, "address", "add", f"{theirs}/{PREFIX}", "dev", "cable")
            ip("-netns", self.name, "link", "set", "lo", "up")
            ip("-netns", self.name, "link", "set", "cable", "up")
            self.mend()
        except BaseException:
            self.close()
            raise

    def command(self, *command):
        """Runs a command inside."""
        return ["ip", "netns", "exec", self.name, *command]

    def cut(self):
        """What is sent from inside from now on arrives nowhere, and nobody is told."""
        ip("link", "set", self.cable, "down")

    def mend(self):
        ip("link", "set", self.cable, "up")

    def close(self):
        # The cable goes with it.
        ip("netns", "delete", self.name)


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=LIMIT)


def why_not():
    """Why no network can be made here, in words; nothing where it can."""
    try:
        Network().close()
    except FileNotFoundError:
        return "no network can be made: there is no program `ip`"
    except subprocess.CalledProcessError as error:
        return f"no network can be made: {error.stderr.strip()}"
    return ""
