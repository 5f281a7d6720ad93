"""Waiting for what another process says, with a limit and without sleeping.

Every wait is a `select` on a file descriptor that the other process writes to.
The limit is only a guard against hanging: nothing here measures time.
"""

import os
import re
import select
import time

LIMIT = 60.0


class Deadline:
    """A limit for one wait. `what` is waited for; `seen` tells what there was instead, for the error."""

    def __init__(self, what, seen, seconds=LIMIT):
        self.what = what
        self.seen = seen
        self.end = time.monotonic() + seconds

    def remaining(self):
        left = self.end - time.monotonic()
        if left <= 0:
            raise AssertionError(f"waited too long for {self.what}; so far:\n{self.seen()}")
        return left


class Output:
    """All that has come out of a file descriptor, and waiting for more."""

    def __init__(self, fd):
        self.fd = fd
        self.data = b""
        self.ended = False

    def read_more(self, deadline):
        """Waits for at least one more byte, or the end."""
        ready, _, _ = select.select([self.fd], [], [], deadline.remaining())
        if not ready:
            return
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # a terminal whose other end is closed
            data = b""
        self.data += data
        self.ended = not data

    def until(self, pattern, start=0):
        """Reads until the regular expression `pattern` is found at or after `start`; returns the match."""
        deadline = Deadline(repr(pattern), self._seen)
        while True:
            match = re.compile(pattern, re.DOTALL | re.MULTILINE).search(self.data, start)
            if match:
                return match
            if self.ended:
                raise AssertionError(f"the output ended without {pattern!r}:\n{self._seen()}")
            self.read_more(deadline)

    def until_end(self):
        """Reads until the other side has closed; returns everything."""
        deadline = Deadline("the end of the output", self._seen)
        while not self.ended:
            self.read_more(deadline)
        return self.data

    def _seen(self):
        return self.data[-4000:].decode(errors="replace")


def exit_status(process):
    """Waits for a `subprocess.Popen` to end; returns its status."""
    return process.wait(timeout=LIMIT)


def until(holds, what):
    """Looks again and again until `holds()` is true, for what the kernel announces to nobody; returns its result."""
    deadline = Deadline(what, lambda: "")
    while not (result := holds()):
        select.select([], [], [], min(0.01, deadline.remaining()))
    return result
