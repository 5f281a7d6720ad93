"""How forwards end: by a key, by a signal, with their caller, with the session."""

import json
import re
import shlex
import signal
import socket

import pytest

from destinations import echo, is_cut, read_exactly
from emulator import TARGET
from forward import OLD_AGENT, PORT, SOCKET, Forward
from processes import Watched, plugin_below
from servers import reserve_port
from terminal import LOCAL_PROMPT
from waiting import exit_status


def is_free(port):
    """Whether another program can listen on a port, on both addresses."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            socket.create_server((address, port), family=family).close()
        except OSError:
            return False
    return True


def open_connection(forward):
    """A connection that has carried something and stays."""
    connection = forward.connect()
    connection.sendall(b"hello")
    assert read_exactly(connection, 5) == b"hello"
    return connection


def active(emulator):
    return emulator.ssm().describe_sessions(State="Active", Filters=[{"key": "Target", "value": TARGET}])["Sessions"]


def test_control_c_in_a_terminal_ends_the_forward_and_frees_the_port(terminal, emulator, serve):
    parameters = json.dumps({"portNumber": [str(serve(echo).port)], "localPortNumber": ["0"]})
    terminal.type(shlex.join(emulator.start_session_command("--document-name", PORT, "--parameters", parameters)))
    port = int(terminal.until_line(r"Port (\d+) opened for sessionId \S+\.").group(1))
    terminal.until_line(r"Waiting for connections\.\.\.")
    plugin = Watched(plugin_below(int(terminal.display("pane_pid"))))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"hello")
        assert read_exactly(connection, 5) == b"hello"
        terminal.until_line(r"Connection accepted for session \[\S+\]")
        terminal.keys("C-c")
        assert is_cut(connection)
    terminal.until_line(r"(\^C)?Terminate signal received, exiting\.")
    terminal.until_line(r"Exiting session with sessionId: \S+\.")
    terminal.until_prompt(LOCAL_PROMPT)
    plugin.until_gone()
    plugin.close()
    assert is_free(port)
    assert active(emulator) == []
    terminal.type("echo status $?")
    terminal.until_line("status 0")


# The first that takes one connection at a time and the wish to end a session.
OLDER_AGENT = ("--agent-version", "2.3.722.1")


@pytest.mark.parametrize("agent", [(), OLDER_AGENT], ids=["multiplexed", "basic"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP])
def test_a_signal_ends_the_forward_its_connections_and_its_session(start_emulator, serve, agent, sent):
    emulator = start_emulator("--pace", "none", *agent)
    forward = Forward(emulator, portNumber=serve(echo).port)
    connection = open_connection(forward)
    forward.send_signal(sent)
    with connection:
        assert is_cut(connection)
    ending = f"Terminate signal received, exiting.\n\n\nExiting session with sessionId: {forward.session}.\n\n"
    assert forward.until_end().endswith(ending)
    assert exit_status(forward.process) == 0
    assert is_free(forward.port)
    assert active(emulator) == []
    forward.stop()


def test_a_signal_ends_the_forward_also_where_the_agent_cannot_be_told(start_emulator, serve):
    emulator = start_emulator("--pace", "none", *OLD_AGENT)
    forward = Forward(emulator, portNumber=serve(echo).port)
    connection = open_connection(forward)
    printed = forward.stop()
    assert printed.endswith(f"\n\nExiting session with sessionId: {forward.session}.\n\n")
    assert is_cut(connection)
    connection.close()
    assert is_free(forward.port)


def test_a_session_that_the_service_ends_takes_the_forward_along(emulator, open_forward, serve):
    forward = open_forward(serve(echo).port, by="cli")
    connection = open_connection(forward)
    emulator.ssm().terminate_session(SessionId=forward.session)
    with connection:
        assert is_cut(connection)
    assert forward.until_end().endswith(f"\n\nExiting session with sessionId: {forward.session}.\n\n")
    assert exit_status(forward.process) == 0
    assert is_free(forward.port)


def test_a_session_that_cannot_be_resumed_ends_the_forward_with_an_explanation(start_emulator, serve):
    emulator = start_emulator("--pace", "none", "--refuse", "ResumeSession=DoesNotExistException")
    forward = Forward(emulator, portNumber=serve(echo).port)
    connection = open_connection(forward)
    emulator.close_channel(forward.session, "Cut")
    with connection:
        assert is_cut(connection)
    told = forward.until_end()
    assert f"Session: {forward.session} timed out." in told
    forward.stop()
    assert is_free(forward.port)


def test_a_service_that_is_gone_does_not_hold_up_who_ends_the_forward(start_emulator, serve):
    emulator = start_emulator("--pace", "none")
    forward = Forward(emulator, portNumber=serve(echo).port)
    connection = open_connection(forward)
    emulator.process.kill()
    assert forward.stop().endswith(f"\n\nExiting session with sessionId: {forward.session}.\n\n")
    with connection:
        assert is_cut(connection)
    assert is_free(forward.port)


def test_a_killed_plugin_leaves_a_socket_file_that_the_next_one_replaces(emulator, open_forward, serve, tmp_path):
    path, port = tmp_path / "local.sock", serve(echo).port
    killed = Forward(emulator, document=SOCKET, portNumber=port, localUnixSocket=path)
    killed.send_signal(signal.SIGKILL)
    killed.stop()
    assert path.is_socket()
    with open_connection(open_forward(port, document=SOCKET, localUnixSocket=path)):
        pass


def test_a_live_socket_file_is_not_taken_away(emulator, open_forward, serve, tmp_path):
    path, port = tmp_path / "local.sock", serve(echo).port
    first = open_forward(port, document=SOCKET, localUnixSocket=path)
    with pytest.raises(AssertionError, match=re.escape(str(path))):
        Forward(emulator, document=SOCKET, portNumber=port, localUnixSocket=path)
    with open_connection(first):
        pass


def test_a_closed_terminal_ends_the_forward(open_terminal, emulator, serve):
    terminal = open_terminal(emulator)
    parameters = json.dumps({"portNumber": [str(serve(echo).port)]})
    terminal.type(shlex.join(emulator.start_session_command("--document-name", PORT, "--parameters", parameters)))
    port = int(terminal.until_line(r"Port (\d+) opened for sessionId \S+\.").group(1))
    plugin = Watched(plugin_below(int(terminal.display("pane_pid"))))
    terminal.tmux("new-window", "-d")  # the server stays
    terminal.tmux("kill-pane")
    plugin.until_gone()
    plugin.close()
    assert is_free(port)
    assert active(emulator) == []


def test_the_same_port_can_be_taken_again_at_once(open_forward, serve):
    port = serve(echo).port
    with reserve_port() as held:
        local = held.getsockname()[1]
        for _ in range(3):
            forward = open_forward(port, localPortNumber=local)
            with open_connection(forward):
                forward.stop()
