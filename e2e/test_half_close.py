"""Connections that one side ends before the other: nothing that was sent is lost."""

import hashlib
import shutil
import socket
import subprocess
import threading
import time

import pytest

from destinations import echo, pattern, read_all, read_exactly
from forward import SOCKET
from processes import forwarded, until_end_of_input_is_read
from waiting import LIMIT, until

SENT = pattern(300_000)
ANSWER = pattern(500_000, seed=1)


@pytest.fixture(params=["port", "unix socket"])
def forward_to(request, open_forward, tmp_path):
    """Opens a forward with either kind of local end."""

    def open_one(port):
        if request.param == "port":
            return open_forward(port)
        return open_forward(port, document=SOCKET, localUnixSocket=tmp_path / "local")

    return open_one


def nc(forward):
    """OpenBSD's netcat, which with `-N` ends its direction of the connection with its input."""
    program = shutil.which("nc.openbsd") or shutil.which("nc")
    place = ["-U", forward.path] if forward.path else ["127.0.0.1", str(forward.port)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([program, "-N", *place], **pipes)


def finish(process, data, limit=LIMIT):
    """Gives all input and takes all output, errors and the status."""
    out, err = process.communicate(data, timeout=limit)
    return out, err, process.returncode


def test_an_answer_that_begins_after_the_end_of_the_request_arrives_whole(open_forward, serve):
    """Half-closed for a while before the server says its first byte: the moment AWS's plugin drops the connection."""
    go = threading.Event()

    def serve_late(connection):
        assert read_exactly(connection, len(SENT)) == SENT
        assert go.wait(LIMIT)
        connection.sendall(ANSWER)

    forward = open_forward(serve(serve_late).port)
    process = nc(forward)
    process.stdin.write(SENT)
    process.stdin.close()
    until_end_of_input_is_read(forward.port)
    go.set()
    assert process.stdout.read() == ANSWER
    assert process.wait(LIMIT) == 0
    process.stdout.close()
    process.stderr.close()


def test_an_answer_in_parts_arrives_whole_after_the_end_of_the_request(forward_to, serve):
    def serve_parts(connection):
        read_exactly(connection, len(SENT))
        for at in range(0, len(ANSWER), 50_000):
            connection.sendall(ANSWER[at : at + 50_000])

    assert finish(nc(forward_to(serve(serve_parts).port)), SENT) == (ANSWER, b"", 0)


def test_a_sink_that_ends_on_its_own_has_got_everything(forward_to, serve):
    taken = []

    def sink(connection):
        taken.append(read_exactly(connection, len(SENT)))

    assert finish(nc(forward_to(serve(sink).port)), SENT) == (b"", b"", 0)
    assert taken == [SENT]


def test_an_echo_that_waits_for_the_end_of_its_input_gets_it_in_the_end(open_forward, serve, tmp_path):
    """It has sent everything back by then. The protocol has no way to tell it at once, so it takes half a minute of
    silence; both kinds of local end wait at the same time here."""
    port = serve(echo).port
    forwards = [open_forward(port), open_forward(port, document=SOCKET, localUnixSocket=tmp_path / "local")]
    began = time.monotonic()
    processes = [nc(forward) for forward in forwards]
    results = [None, None]

    def wait(n):
        results[n] = finish(processes[n], SENT, limit=3 * LIMIT)

    threads = [threading.Thread(target=wait, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"the end of input was passed on after {time.monotonic() - began:.1f} s")
    assert results == [(SENT, b"", 0)] * 2


def test_a_server_that_closes_first_has_its_last_words_read(forward_to, serve):
    forward = forward_to(serve(lambda connection: connection.sendall(ANSWER)).port)
    for _ in range(20):
        with forward.connect() as connection:
            assert read_all(connection) == ANSWER


def test_a_server_that_closes_while_it_is_sent_to_ends_the_connection(forward_to, serve):
    forward = forward_to(serve(lambda connection: read_exactly(connection, 1000)).port)
    with forward.connect() as connection:
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while True:
                connection.sendall(bytes(65536))


def test_a_program_that_has_gone_leaves_no_connection_at_the_node(forward_to, serve):
    """Not half-closed but closed: the server learns of it without waiting for anything."""
    ended = threading.Event()

    def serve_until_the_end(connection):
        echo(connection)
        ended.set()

    forward = forward_to(serve(serve_until_the_end).port)
    with forward.connect() as connection:
        connection.sendall(b"hello")
        assert read_exactly(connection, 5) == b"hello"
    assert ended.wait(20), "the server still has its connection"


def test_what_a_program_wrote_before_it_went_away_is_delivered(forward_to, serve):
    """Neither side waits for the other: `printf … | nc -q0` and the like."""
    digests, all_there = [], threading.Event()

    def sink(connection):
        digests.append(hashlib.sha256(read_exactly(connection, len(SENT))).hexdigest())
        if len(digests) == 20:
            all_there.set()

    forward = forward_to(serve(sink).port)
    for _ in range(20):
        with forward.connect() as connection:
            connection.sendall(SENT)
    assert all_there.wait(LIMIT)
    assert set(digests) == {hashlib.sha256(SENT).hexdigest()}


def test_a_closed_connection_is_forgotten(open_forward, serve):
    forward = open_forward(serve().port)
    for _ in range(50):
        with forward.connect() as connection:
            connection.sendall(b"get 10\n")
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection) == pattern(10)
    until(
        lambda: not forwarded(forward.port),
        "the end of all forwarded connections",
    )
