"""Connections whose program does not read: they hold up nobody, and cost a bounded amount of memory."""

import asyncio
import hashlib
import time

import pytest

from destinations import pattern, read_all, read_line
from forward import Forward
from processes import memory, until_unchanged
from waiting import LIMIT, until

HUNDRED = 100
PAGE = 200_000
MIB = 1 << 20
# What is kept for programs that do not read is bounded by 16 MiB in all (ARCHITECTURE.md, "Streams in a port session").
# On top come a read and a message for each connection that is busy, and what the allocator does not give back.
BOUND = 16 * MIB + 8 * MIB


async def load(port, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read(-1)
    writer.close()
    await writer.wait_closed()
    return hashlib.sha256(answer).hexdigest()


def hundred(port):
    """A hundred connections at once, each with its page; returns the seconds it took."""
    expected = hashlib.sha256(pattern(PAGE)).hexdigest()

    async def all_of_them():
        return await asyncio.gather(*(load(port, b"get %d\n" % PAGE) for _ in range(HUNDRED)))

    began = time.monotonic()
    assert asyncio.run(asyncio.wait_for(all_of_them(), LIMIT)) == [expected] * HUNDRED
    return time.monotonic() - began


class Counting:
    """Like `load`, and counts the bytes that those were sent who asked for a flood, and how many floods were ended."""

    def __init__(self):
        self.sent = 0
        self.ended = 0

    def __call__(self, connection):
        request = read_line(connection).split()
        if request[0] == b"get":
            return connection.sendall(pattern(int(request[1])))
        try:
            while True:
                self.sent += connection.send(bytes(65536))
        finally:
            self.ended += 1


@pytest.fixture
def counting():
    return Counting()


@pytest.fixture
def forward(start_emulator, serve, counting):
    """Through an agent that sends more at once than real ones, so that little time is spent on filling buffers."""
    forward = Forward(start_emulator("--pace", "none", "--agent-payload", "16384"), portNumber=serve(counting).port)
    yield forward
    forward.stop()


def dead(forward, request=b"flood\n"):
    """A connection that asks, and reads nothing of the answer."""
    connection = forward.connect()
    connection.sendall(request)
    return connection


def grown(forward, before):
    """By how many bytes the plugin's memory has been larger since."""
    return memory(forward.plugin.process_id, "VmHWM") - before


def test_a_flood_that_nobody_reads_beside_a_hundred_that_do(forward, counting):
    alone = hundred(forward.port)
    before = memory(forward.plugin.process_id)
    with dead(forward):
        beside = [hundred(forward.port)]
        while not counting.ended:
            beside.append(hundred(forward.port))
        after = hundred(forward.port)
        most = grown(forward, before)
    print(f"a hundred: {alone:.2f} s alone, {max(beside):.2f} s beside it, {after:.2f} s after")
    print(f"memory: {before / MIB:.1f} MiB before, at most {most / MIB:.1f} MiB more")
    assert most <= BOUND


def test_many_floods_that_nobody_reads_cost_no_more_than_the_bound(forward, counting):
    """Each alone stays within its own bound, all together would not."""
    hundred(forward.port)
    before = memory(forward.plugin.process_id)
    stalled = [dead(forward) for _ in range(10)]
    # The last one is alone, and is waited for.
    until(lambda: counting.ended == len(stalled) - 1, "the end of all floods but one")
    most = grown(forward, before)
    assert hundred(forward.port)
    for connection in stalled:
        connection.close()
    print(f"{counting.sent / MIB:.0f} MiB were sent to ten that do not read: at most {most / MIB:.1f} MiB more")
    assert most <= BOUND


def test_one_that_pauses_while_a_hundred_pass_misses_nothing(forward):
    with dead(forward, b"get %d\n" % (3 * MIB)) as slow:
        hundred(forward.port)
        assert read_all(slow) == pattern(3 * MIB)


def test_one_that_is_alone_is_waited_for_however_much_there_is(forward, counting):
    """Nothing more is read from the network until it reads."""
    before = memory(forward.plugin.process_id)
    with dead(forward) as slow:
        until_unchanged(lambda: counting.sent, "a server that can send no more")
        stalled = counting.sent
        taken = 0
        while taken < 2 * stalled:
            taken += len(slow.recv(MIB))
        print(f"the server stalled after {stalled / MIB:.0f} MiB; at most {grown(forward, before) / MIB:.1f} MiB more")
        assert grown(forward, before) <= BOUND
        assert counting.ended == 0


def test_the_session_ends_at_once_beside_one_that_does_not_read(forward, counting):
    with dead(forward):
        until_unchanged(lambda: counting.sent, "a server that can send no more")
        began = time.monotonic()
        assert forward.stop().endswith(f"Exiting session with sessionId: {forward.session}.\n\n")
        print(f"ended within {time.monotonic() - began:.2f} s")
