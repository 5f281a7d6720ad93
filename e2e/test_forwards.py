"""Port forwarding sessions: how they are opened, and what they tell those who parse it."""

import os
import re
import socket

import pytest

from destinations import echo, is_cut, pattern, read_all, read_exactly
from forward import OLD_AGENT, PORT, REMOTE_HOST, SOCKET, Forward, start
from servers import reserve_port
from waiting import Output, exit_status

STARTING = "\nStarting session with SessionId: {id}\n"
OPENED = "Port {port} opened for sessionId {id}.\n"
WAITING = "Waiting for connections...\n"
ACCEPTED = "\nConnection accepted for session [{id}]\n"
ACCEPTED_BASIC = "Connection accepted for session {id}.\n"
REFUSED = "\nConnection to destination port failed, check SSM Agent logs.\n"
STOPPED = "Terminate signal received, exiting.\n"
EXITING = "\n\nExiting session with sessionId: {id}.\n\n"


def fetch(connection, read=read_all, length=100_000):
    """Whether a whole answer comes through."""
    with connection:
        connection.sendall(b"get %d\n" % length)
        return read(connection) == pattern(length)


def is_refused(forward):
    """Whether a connection ends without a byte, perhaps before it is known here that it was made."""
    try:
        with forward.connect() as connection:
            return is_cut(connection)
    except ConnectionResetError:
        return True


def text(forward, *parts):
    return "".join(parts).format(id=forward.session, port=forward.port, path=forward.path)


@pytest.mark.parametrize("by", ["cli", "sdk"])
def test_standard_output_of_a_multiplexed_forward_is_that_of_the_plugin_of_aws(open_forward, serve, by):
    forward = open_forward(serve().port, by=by)
    for _ in range(3):
        assert fetch(forward.connect())
    expected = text(forward, STARTING, OPENED, WAITING, ACCEPTED, STOPPED, EXITING)
    assert forward.stop() == expected
    assert forward.process.returncode == 0


def test_standard_output_of_a_basic_forward_is_that_of_the_plugin_of_aws(start_emulator, serve):
    emulator = start_emulator("--pace", "none", *OLD_AGENT)
    forward = Forward(emulator, by="cli", portNumber=serve().port)
    for _ in range(3):
        # An old agent does not tell that the destination has closed its connection.
        assert fetch(forward.connect(), lambda connection: read_exactly(connection, 100_000))
    assert forward.stop() == text(forward, STARTING, OPENED, ACCEPTED_BASIC, STOPPED, EXITING)
    assert forward.process.returncode == 0


def test_nothing_is_on_standard_error(open_forward, serve):
    forward = open_forward(serve().port)
    assert fetch(forward.connect())
    forward.send_signal(2)
    assert forward.errors() == ""


def test_a_free_port_is_taken_on_both_loopback_addresses(open_forward, serve):
    forward = open_forward(serve().port)
    assert fetch(forward.connect("127.0.0.1"))
    assert fetch(forward.connect("::1"))
    assert fetch(forward.connect("localhost"))


def test_nothing_listens_beyond_loopback(open_forward, serve):
    forward = open_forward(serve().port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; names the address this machine has to the outside
        except OSError:
            pytest.skip("this machine has loopback only")
        address = probe.getsockname()[0]
    with pytest.raises(ConnectionRefusedError):
        forward.connect(address)


def test_the_port_that_was_asked_for_is_taken(open_forward, serve):
    with reserve_port() as held:
        port = held.getsockname()[1]
        forward = open_forward(serve().port, localPortNumber=port)
        assert forward.port == port
        assert fetch(forward.connect("127.0.0.1"))
        assert fetch(forward.connect("::1"))


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_busy_port_is_named_at_once_and_no_session_stays(emulator, serve, family):
    address = "127.0.0.1" if family == socket.AF_INET else "::1"
    with socket.create_server((address, 0), family=family) as busy:
        port = busy.getsockname()[1]
        process = start(emulator, PORT, {"portNumber": serve().port, "localPortNumber": port}, by="cli")
        told = Output(process.stdout.fileno()).until_end().decode()
        exit_status(process)
    assert "Cannot perform start session: " in told
    assert re.search(rf"\bport {port}\b", told), told
    assert "opened for" not in told
    assert emulator.ssm().describe_sessions(State="Active")["Sessions"] == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_host_behind_the_node_is_reached(open_forward, serve, host):
    forward = open_forward(serve().port, document=REMOTE_HOST, by="cli", host=host)
    assert fetch(forward.connect())


def test_a_unix_socket_is_a_local_end_for_its_user_alone(open_forward, serve, tmp_path):
    path = tmp_path / "local.sock"
    forward = open_forward(serve().port, document=SOCKET, by="cli", localUnixSocket=path)
    assert forward.path == str(path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert fetch(forward.connect())
    opened = "Unix socket {path} opened for sessionId {id}.\n"
    assert forward.stop() == text(forward, STARTING, opened, WAITING, ACCEPTED, STOPPED, EXITING)
    assert not path.exists()


def test_a_refused_destination_is_told_and_the_next_connection_has_its_own_chance(open_forward):
    with reserve_port() as held:
        port = held.getsockname()[1]
        forward = open_forward(port)
        assert is_refused(forward)
        forward.output.until(re.escape(REFUSED.encode()))
        held.listen()
        with forward.connect() as connection:
            server, _ = held.accept()
            with server:
                server.sendall(b"here now")
            assert read_all(connection) == b"here now"


def test_an_old_agent_serves_one_connection_after_the_other(start_emulator, serve):
    forward = Forward(start_emulator("--pace", "none", *OLD_AGENT), portNumber=serve(echo).port)
    with forward.connect() as first, forward.connect() as second:
        first.sendall(b"first")
        assert read_exactly(first, 5) == b"first"
        second.sendall(b"second")
        first.sendall(b"still first")
        assert read_exactly(first, 11) == b"still first"
        first.close()
        assert read_exactly(second, 6) == b"second"
    forward.stop()


def test_a_refused_destination_ends_the_session_of_an_old_agent_with_its_reason(start_emulator):
    emulator = start_emulator("--pace", "none", *OLD_AGENT)
    with reserve_port() as held:
        process = start(emulator, PORT, {"portNumber": held.getsockname()[1]}, by="cli")
        told = Output(process.stdout.fileno()).until_end().decode()
    exit_status(process)
    assert "Unable to connect to specified port" in told, told


def test_a_host_without_an_address_ends_the_session_with_its_reason(emulator, serve):
    parameters = {"portNumber": serve().port, "host": "no-such-host.invalid"}
    process = start(emulator, REMOTE_HOST, parameters, by="cli")
    told = Output(process.stdout.fileno()).until_end().decode()
    assert exit_status(process) == 0
    assert "no-such-host.invalid" in told, told
