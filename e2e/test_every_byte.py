"""Every byte, through every form of a port session: unchanged, whatever the messages it travels in."""

import contextlib

import pytest

from destinations import echo, pattern, read_exactly
from forward import OLD_AGENT, SOCKET, Forward, Pipes

# Bytes that terminals, line editors and AWS's plugin have meanings for.
SPECIAL = [b"\n", b"\r", b"\r\n", b"\n\r", b"\n\n", b"\x03", b"\x04", b"\x1a", b"\x1c", b"~.", b"\n~.", b"\xff\xff"]
ALL_PAIRS = b"".join(bytes((first, second)) for first in range(256) for second in range(256))
# With the eight bytes of a smux header these leave one byte for the second message of 1 KiB.
ONE_OVER = [pattern(length) + b"\n" for length in (1015, 1016, 1023, 1024, 1031, 16_383, 16_384)]


class Connection:
    """A connection through a forward."""

    def __init__(self, forward):
        self.forward = forward
        self.connection = forward.connect()

    def exchange(self, data):
        # The echo takes no more than the kernel's buffers hold ahead of what is read back.
        taken = b""
        for at in range(0, len(data), 32_768):
            part = data[at : at + 32_768]
            self.connection.sendall(part)
            taken += read_exactly(self.connection, len(part))
        return taken

    def close(self):
        self.connection.close()
        self.forward.stop()


@pytest.fixture(params=["multiplexed", "basic", "stdio", "unix socket"])
def exchange(request, start_emulator, serve, tmp_path):
    """Sends data to an echo through a form of port session; returns what came back."""
    agent = OLD_AGENT if request.param == "basic" else ()
    emulator = start_emulator("--pace", "none", *agent)
    port = serve(echo).port
    match request.param:
        case "stdio":
            form = Pipes(emulator, port)
        case "unix socket":
            form = Connection(Forward(emulator, SOCKET, portNumber=port, localUnixSocket=tmp_path / "local"))
        case _:
            form = Connection(Forward(emulator, portNumber=port))
    with contextlib.closing(form):
        yield form.exchange


def test_each_byte_alone(exchange):
    for byte in range(256):
        alone = bytes([byte])
        assert exchange(alone) == alone


def test_all_pairs_of_bytes(exchange):
    assert exchange(ALL_PAIRS) == ALL_PAIRS


def test_what_terminals_have_meanings_for(exchange):
    for data in SPECIAL * 3:
        assert exchange(data) == data


def test_a_line_feed_that_ends_up_alone_in_its_message(exchange):
    for data in ONE_OVER * 3:
        assert exchange(data) == data


def test_5_mb_there_and_back(exchange):
    data = pattern(5_000_000)
    assert exchange(data) == data
