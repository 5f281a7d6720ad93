"""A forward under mixed load for minutes: nothing that it holds may grow.

    target/e2e-venv/bin/python e2e/soak.py [MINUTES]

Ten minutes unless told otherwise. Everything goes through one forward at the same time: requests, bulk both ways,
connections that idle, come and go, are half-closed, are not read. Memory, open files and connections of plugin and
emulator are sampled every few seconds. It fails when a load fails, when anything has grown from the first to the last
third by more than its tolerance, or when something is left over once all loads have ended.
"""

import http.client
import random
import socket
import statistics
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path

from destinations import Destination, load, pattern, read_all, read_exactly
from emulator import Emulator
from forward import Forward
from processes import ESTABLISHED, connections, forwarded, memory, open_files
from waiting import until

MIB = 1 << 20
INTERVAL = 5
IDLE = 20
# By how much the median of the last third may exceed that of the first: a tenth, for allocators settle late, and what
# the buffers of one unread connection are, or the connections that happen to be open.
SHARE = 0.1
TOLERANCES = (("bytes of memory", 4 * MIB), ("open files", 15), ("connections", 15))


class Loads:
    """Threads that repeat something until told to stop, and what they have to say."""

    def __init__(self, port):
        self.port = port
        self.stopping = threading.Event()
        self.done = {}
        self.failures = []
        self.threads = []

    def start(self, name, once, threads=1):
        self.done[name] = 0
        for n in range(threads):
            thread = threading.Thread(target=self._repeat, args=(name, once, random.Random(n)))
            thread.start()
            self.threads.append(thread)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _repeat(self, name, once, chance):
        while not self.stopping.is_set() and not self.failures:
            try:
                once(chance)
                self.done[name] += 1
            except Exception as error:  # every failure of a load is one of the soak
                self.failures.append(f"{name}: {error!r}")

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=120)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def requests(self, chance):
        """Up to 50 pages over one connection."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        for _ in range(chance.randint(1, 50)):
            length = chance.randint(0, 20_000)
            client.request("GET", f"/{length}")
            assert client.getresponse().read() == pattern(length)
        client.close()

    def download(self, chance):
        length = chance.randint(1, 4 * MIB)
        with self.connect() as connection:
            connection.sendall(b"get %d\n" % length)
            assert read_all(connection) == pattern(length)

    def upload(self, chance):
        length = chance.randint(1, 4 * MIB)
        with self.connect() as connection:
            connection.sendall(b"put %d\n" % length + pattern(length))
            assert len(read_exactly(connection, 64)) == 64

    def half_close(self, chance):
        length = chance.randint(1, 100_000)
        with self.connect() as connection:
            connection.sendall(b"get %d\n" % length)
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection) == pattern(length)

    def come_and_go(self, chance):
        """Closed without a word, in the middle of an answer, or with a reset."""
        with self.connect() as connection:
            match chance.randrange(4):
                case 0:
                    pass
                case 1:
                    connection.sendall(b"get 100000\n")
                case 2:
                    connection.sendall(b"get 100000\n")
                    assert connection.recv(1000)
                case 3:
                    connection.sendall(b"echo\n")
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def unread(self, chance):
        """A flood that is not read for some seconds, and perhaps ended for it."""
        with self.connect() as connection:
            connection.sendall(b"flood\n")
            self.stopping.wait(chance.uniform(1, 6))


class Sampled:
    """A process, and what it held when."""

    def __init__(self, name, process_id):
        self.name = name
        self.process_id = process_id
        self.samples = []

    def sample(self):
        established = [each for each in connections(self.process_id) if each[2] == ESTABLISHED]
        self.samples.append((memory(self.process_id), len(open_files(self.process_id)), len(established)))
        return self.samples[-1]

    def growth(self):
        """What has grown beyond its tolerance, in words."""
        third = max(len(self.samples) // 3, 1)
        found = []
        for n, (what, absolute) in enumerate(TOLERANCES):
            first = statistics.median(sample[n] for sample in self.samples[:third])
            last = statistics.median(sample[n] for sample in self.samples[-third:])
            if last > first * (1 + SHARE) + absolute:
                found.append(f"{self.name}: {what} grew from {first:.0f} to {last:.0f}")
        return found


def table(loads, sampled, minutes):
    """Samples until the time is up or a load has failed, a line each."""
    held = ("MiB", "files", "sockets")
    names = ["seconds", *(f"{each.name} {what}" for each in sampled for what in held), *loads.done]
    print("  ".join(names))
    began = time.monotonic()
    while not loads.stopping.wait(INTERVAL) and not loads.failures:
        seconds = time.monotonic() - began
        cells = [f"{seconds:.0f}"]
        for each in sampled:
            used, files, established = each.sample()
            cells += [f"{used / MIB:.1f}", files, established]
        cells += loads.done.values()
        print("  ".join(f"{cell:>{len(name)}}" for name, cell in zip(names, cells)), flush=True)
        if seconds >= minutes * 60:
            return


def soak(emulator, destination, minutes):
    """Puts load on a forward; returns what is wrong with it, in words."""
    forward = Forward(emulator, portNumber=destination.port)
    loads = Loads(forward.port)
    sampled = [Sampled("plugin", forward.plugin.process_id), Sampled("emulator", emulator.process.pid)]
    unused = [each.sample() for each in sampled]
    idle = [loads.connect() for _ in range(IDLE)]
    for connection in idle:
        connection.sendall(b"echo\n")
    try:
        loads.start("requests", loads.requests, threads=3)
        loads.start("downloads", loads.download)
        loads.start("uploads", loads.upload)
        loads.start("half-closed", loads.half_close)
        loads.start("come+go", loads.come_and_go, threads=2)
        loads.start("unread", loads.unread, threads=2)
        table(loads, sampled, minutes)
    finally:
        loads.stop()
    failures = loads.failures
    for connection in idle:
        connection.sendall(b"still here")
        if read_exactly(connection, 10) != b"still here":
            failures.append("an idle connection was ended")
        connection.close()
    for each in sampled:
        each.samples, beginning = each.samples[1:], each.samples[0]
        failures += each.growth()
        until(lambda: not forwarded(forward.port), "the end of all forwarded connections")
        # What the first connections brought along, such as the runtime's own, may stay.
        until(lambda: each.sample()[1] <= beginning[1] + 4, f"the {each.name} to close its files")
    print("before:", *unused, "after:", *(each.samples[-1] for each in sampled))
    forward.stop()
    return failures


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        destination = Destination(load)
        emulator = Emulator(Path(directory), "--pace", "none")
        try:
            failures = soak(emulator, destination, minutes)
        finally:
            emulator.stop()
            destination.close()
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
