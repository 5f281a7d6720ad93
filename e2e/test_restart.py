"""`ssh --restart`: one local port, whatever becomes of the session behind it."""

import json
import signal
import socket

import pytest

from destinations import echo, is_cut, read_exactly
from forward import PORT
from servers import reserve_port
from test_forward_ends import is_free
from waiting import LIMIT, Output, exit_status, until


class Lasting:
    """A forward by `ssh --restart`, whose session may be another by now."""

    def __init__(self, emulator, port, local, *arguments):
        parameters = json.dumps({"portNumber": [str(port)], "localPortNumber": [str(local)]})
        chosen = ("--document-name", PORT, "--parameters", parameters, "--restart", *arguments)
        self.process = emulator.popen(emulator.ssh_command(*chosen))
        self.errors = Output(self.process.stderr.fileno())
        self.port = int(self.errors.until(rb"port (\d+) is open").group(1))

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.errors.until_end()
        return exit_status(self.process)


@pytest.fixture
def last(emulator):
    started = []

    def start(*arguments, emulator=emulator):
        started.append(Lasting(emulator, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def is_through(connection, data=b"hello"):
    connection.sendall(data)
    return read_exactly(connection, len(data)) == data


def only_session(emulator):
    [session] = emulator.sessions()
    return session


def test_a_forward_outlives_a_session_that_was_terminated(emulator, last, serve):
    with reserve_port() as held:
        forward = last(serve(echo).port, held.getsockname()[1])
    first = only_session(emulator)
    with forward.connect() as before:
        assert is_through(before)
        # The service is not reached at once, so that somebody comes in between.
        emulator.set_faults(cut=["StartSession*2"])
        emulator.ssm().terminate_session(SessionId=first)
        assert is_cut(before)
    forward.errors.until(rb"starting another")
    with forward.connect() as meanwhile:
        assert is_through(meanwhile)
        assert is_through(meanwhile, b"again")
    with forward.connect() as after:
        assert is_through(after)
    forward.errors.until(rb"forwarding again")
    assert only_session(emulator) != first
    assert forward.stop() == 130
    assert is_free(forward.port)
    emulator.until_over()


def test_a_forward_outlives_a_session_that_may_not_be_resumed(start_emulator, last, serve):
    emulator = start_emulator("--pace", "none", "--refuse", "ResumeSession=AccessDeniedException")
    forward = last(serve(echo).port, 0, emulator=emulator)
    for _ in range(2):
        session = only_session(emulator)
        with forward.connect() as connection:
            assert is_through(connection)
            emulator.close_channel(session, "Cut")
            assert is_cut(connection)
        # The one that could not be resumed is ended, so that one is left.
        until(lambda: list(emulator.sessions()) not in ([], [session]), "another session")
        with forward.connect() as connection:
            assert is_through(connection)
        until(lambda: session not in emulator.sessions(), "the end of the old session")
    assert forward.stop() == 130
    assert is_free(forward.port)
    emulator.until_over()


def test_without_the_option_the_forward_ends_with_its_session(emulator, open_forward, serve):
    forward = open_forward(serve(echo).port)
    emulator.ssm().terminate_session(SessionId=forward.session)
    forward.until_end()
    assert is_free(forward.port)
    assert emulator.sessions() == {}
