"""A forward under mixed load for minutes: nothing is lost, and nothing that it holds may grow.

    target/e2e-venv/bin/python e2e/soak.py [MINUTES] [--cut-every SECONDS]

Ten minutes unless told otherwise. Everything goes through one forward at the same time: requests, bulk both ways,
connections that idle, come and go, are half-closed, are not read, and one that carries data both ways from beginning to
end. With `--cut-every` its socket is closed again and again, with the service's Bye, by a cut, or by silence. Memory,
open files and connections of plugin and emulator are sampled every few seconds. It fails when a load fails, when a byte
is lost, doubled or out of order, when anything has grown from the first to the last third by more than its tolerance,
or when something is left over once all loads have ended.
"""

import argparse
import hashlib
import http.client
import random
import select
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
        data = pattern(length)
        with self.connect() as connection:
            connection.sendall(b"put %d\n" % length + data)
            assert read_exactly(connection, 64) == hashlib.sha256(data).hexdigest().encode()

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


class Steady:
    """One connection to an echo, from beginning to end; what was sent and what came back must be the same."""

    def __init__(self, loads):
        self.loads = loads
        self.connection = loads.connect()
        self.connection.sendall(b"echo\n")
        self.sent, self.received = hashlib.sha256(), hashlib.sha256()
        self.length = 0
        self.taken = 0
        self.is_sent = threading.Event()
        self.threads = [threading.Thread(target=each) for each in (self._send, self._receive)]
        for thread in self.threads:
            thread.start()

    def finish(self):
        """What is wrong, in words; to be called when the loads are to stop."""
        for thread in self.threads:
            thread.join()
        self.connection.close()
        digests = self.sent.hexdigest(), self.received.hexdigest()
        print(f"one connection: {self.length} bytes there, {self.taken} back; sha256", *digests)
        return [] if digests[0] == digests[1] else ["what came back by one connection is not what was sent"]

    def _send(self):
        chance = random.Random(0)
        try:
            while not self.loads.stopping.wait(0.05):
                data = chance.randbytes(chance.randint(1, 32768))
                self.connection.sendall(data)
                self.sent.update(data)
                self.length += len(data)
        except OSError as error:
            self.loads.failures.append(f"the one connection could not be written to: {error!r}")
        self.is_sent.set()

    def _receive(self):
        try:
            while not self.is_sent.is_set() or self.taken < self.length:
                if not select.select([self.connection], [], [], 1)[0]:
                    continue
                data = self.connection.recv(65536)
                if not data:
                    raise ConnectionError("it was ended")
                self.received.update(data)
                self.taken += len(data)
        except OSError as error:
            self.loads.failures.append(f"the one connection could not be read from: {error!r}")


# How a socket is closed, in turn.
HOWS = ("Bye", "Cut", "Silence")
# A connection that has gone silent is noticed sooner than users have it, so that most of the time there is load.
SETTINGS = {"SSM_SESSION_KEEPALIVE": "5", "SSM_SESSION_SILENCE": "15"}


class Closes:
    """Closes the forward's socket every so many seconds."""

    def __init__(self, emulator, forward, loads, seconds):
        self.emulator, self.forward, self.loads, self.seconds = emulator, forward, loads, seconds
        self.done = dict.fromkeys(HOWS, 0)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def finish(self):
        """What is wrong, in words: each close takes one other connection, and nothing else does."""
        self.thread.join()
        closes = sum(self.done.values())
        attached = lambda: self.emulator.log.read_text().count("client attached")  # noqa: E731
        until(lambda: attached() > closes, "a connection after the last close")
        print("closes:", self.done, "connections:", attached())
        return [] if attached() == closes + 1 else [f"{attached()} connections were made for {closes} closes"]

    def _run(self):
        while self.seconds and not self.loads.stopping.wait(self.seconds):
            how = HOWS[sum(self.done.values()) % len(HOWS)]
            try:
                self.emulator.close_channel(self.forward.session, how)
                self.done[how] += 1
            except Exception as error:  # every failure is one of the soak
                self.loads.failures.append(f"the socket could not be closed: {error!r}")
                return


class Sampled:
    """A process, and what it held when. `kept` is how many files it has open by intention."""

    def __init__(self, name, process_id, kept=lambda: 0):
        self.name = name
        self.process_id = process_id
        self.kept = kept
        self.samples = []

    def sample(self):
        established = [each for each in connections(self.process_id) if each[2] == ESTABLISHED]
        files = len(open_files(self.process_id)) - self.kept()
        self.samples.append((memory(self.process_id), files, len(established)))
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


def table(loads, sampled, closes, minutes):
    """Samples until the time is up or a load has failed, a line each."""
    held = ("MiB", "files", "sockets")
    names = ["seconds", *(f"{each.name} {what}" for each in sampled for what in held), *loads.done, "closes"]
    print("  ".join(names))
    began = time.monotonic()
    while not loads.stopping.wait(INTERVAL) and not loads.failures:
        seconds = time.monotonic() - began
        cells = [f"{seconds:.0f}"]
        for each in sampled:
            used, files, established = each.sample()
            cells += [f"{used / MIB:.1f}", files, established]
        cells += [*loads.done.values(), sum(closes.done.values())]
        print("  ".join(f"{cell:>{len(name)}}" for name, cell in zip(names, cells)), flush=True)
        if seconds >= minutes * 60:
            return


def soak(emulator, destination, minutes, cut_every):
    """Puts load on a forward; returns what is wrong with it, in words."""
    forward = Forward(emulator, portNumber=destination.port, environment=SETTINGS if cut_every else {})
    loads = Loads(forward.port)
    closes = Closes(emulator, forward, loads, cut_every)
    # The sockets that it has made fall silent the emulator keeps as long as the session lasts.
    silenced = lambda: closes.done["Silence"]  # noqa: E731
    sampled = [Sampled("plugin", forward.plugin.process_id), Sampled("emulator", emulator.process.pid, silenced)]
    unused = [each.sample() for each in sampled]
    idle = [loads.connect() for _ in range(IDLE)]
    for connection in idle:
        connection.sendall(b"echo\n")
    steady = Steady(loads)
    try:
        loads.start("requests", loads.requests, threads=3)
        loads.start("downloads", loads.download)
        loads.start("uploads", loads.upload)
        loads.start("half-closed", loads.half_close)
        loads.start("come+go", loads.come_and_go, threads=2)
        loads.start("unread", loads.unread, threads=2)
        table(loads, sampled, closes, minutes)
    finally:
        loads.stop()
        failures = steady.finish() + closes.finish() + loads.failures
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
    parser = argparse.ArgumentParser(description="a forward under mixed load, for growth and for what is lost")
    parser.add_argument("minutes", type=float, nargs="?", default=10, help="how long (default: 10)")
    parser.add_argument("--cut-every", type=float, metavar="SECONDS", help="close the session's socket so often")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        destination = Destination(load)
        emulator = Emulator(Path(directory), "--pace", "none")
        try:
            failures = soak(emulator, destination, given.minutes, given.cut_every)
        finally:
            emulator.stop()
            destination.close()
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
