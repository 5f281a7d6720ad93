"""Faults amid a session: the user is told, and it goes on once they are mended, or the user leaves."""

import json
import socket
import time

from destinations import read_exactly
from stage import EITHER, LOST_WORDS, STUCK_WORDS, behind_a_proxy, by_cli, by_connect, port_arguments
from stage import through_a_fault, told
from test_forward_ends import is_free
from waiting import LIMIT, Output


def a_stopped_service_while_typing(stage):
    emulator = stage.emulator()
    seat = stage.seat(emulator, SSM_SESSION_KEEPALIVE="15", SSM_SESSION_SILENCE="45")
    seat.open_shell(by_cli(emulator))
    answer = through_a_fault(stage, seat, emulator.freeze, emulator.go_on, STUCK_WORDS)
    seat.until_back(0)
    return answer


def a_stopped_service(stage, by):
    emulator = stage.emulator()
    seat = stage.seat(emulator)
    seat.open_shell(by(emulator))
    answer = through_a_fault(stage, seat, emulator.freeze, emulator.go_on, LOST_WORDS, types=False)
    seat.until_back(0)
    return answer


def a_service_that_is_left(stage, sent, by, keys, status):
    """A shell whose service is stopped or killed, and whose user does not wait for it."""
    emulator = stage.emulator()
    seat = stage.seat(emulator)
    seat.open_shell(by(emulator))
    emulator.process.send_signal(sent)
    answer = told(seat, LOST_WORDS, time.monotonic())
    seat.terminal.keys(*keys)
    seat.until_back(status)
    return answer


def a_stopped_service_behind_a_forward(stage):
    emulator = stage.emulator()
    seat = stage.seat(emulator)
    port = seat.open_forward(by_cli(emulator, *port_arguments(stage.destination().port)))
    return forward_through_a_fault(seat, port, emulator.freeze, emulator.go_on, 0)


def forward_through_a_fault(seat, port, strike, heal, status, pattern=EITHER):
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as connection:
        connection.sendall(b"before")
        assert read_exactly(connection, 6) == b"before"
        strike()
        since = time.monotonic()
        connection.sendall(b"meanwhile")
        answer = told(seat, pattern, since)
        heal()
        assert read_exactly(connection, 9) == b"meanwhile"
    seat.terminal.keys("C-c")
    seat.until_back(status)
    assert is_free(port)
    return answer


def a_cut_network(stage):
    network = stage.network()
    emulator = stage.emulator(host=network.ours)
    seat = stage.seat(emulator)
    seat.open_shell(network.command(*by_connect(emulator, seat)))
    answer = through_a_fault(stage, seat, network.cut, network.mend, EITHER)
    seat.until_back(0)
    return answer


def a_cut_network_behind_a_forward(stage):
    network = stage.network()
    emulator = stage.emulator(host=network.ours)
    seat = stage.seat(emulator)
    _, document, _, parameters = port_arguments(stage.destination().port)
    request = {"DocumentName": document, "Parameters": json.loads(parameters)}
    command = by_connect(emulator, seat, **request)
    port = seat.open_forward(network.command(*command))
    # The port is open inside.
    inside = emulator.popen(network.command("nc.openbsd", "127.0.0.1", str(port)))
    stage.callback(inside.wait)
    stage.callback(inside.kill)
    output = Output(inside.stdout.fileno())
    inside.stdin.write(b"before\n")
    output.until(rb"^before$")
    network.cut()
    since = time.monotonic()
    inside.stdin.write(b"meanwhile\n")
    answer = told(seat, EITHER, since)
    network.mend()
    output.until(rb"^meanwhile$")
    seat.terminal.keys("C-c")
    seat.until_back(130)
    assert output.until_end() == b"before\nmeanwhile\n"
    return answer


def a_silent_proxy(stage):
    seat, proxy, command = behind_a_proxy(stage)
    seat.open_shell(command)
    answer = through_a_fault(stage, seat, proxy.silence, proxy.speak, EITHER)
    seat.until_back(0)
    return answer


def a_resumption_without_an_answer(stage):
    """The next one is asked for when the first has not come by its limit; who does not want to wait for that leaves."""
    emulator = stage.emulator("--stall", "ResumeSession")
    seat = stage.seat(emulator)
    seat.open_shell(by_cli(emulator))
    [session] = emulator.sessions()
    since = time.monotonic()
    emulator.close_channel(session, "Cut")
    answer = told(seat, LOST_WORDS, since)
    seat.terminal.keys("C-c")
    seat.until_back(0)
    emulator.until_over()
    return answer


def an_agent_that_takes_nothing(stage, by):
    """The service answers all the while."""
    emulator = stage.emulator()
    seat = stage.seat(emulator)
    seat.open_shell(by(emulator))
    [session] = emulator.sessions()
    answer = through_a_fault(
        stage,
        seat,
        lambda: emulator.freeze_agent(session),
        lambda: emulator.thaw_agent(session),
        STUCK_WORDS,
    )
    seat.until_back(0)
    return answer


def an_agent_that_takes_nothing_behind_a_forward(stage):
    emulator = stage.emulator()
    seat = stage.seat(emulator)
    port = seat.open_forward(by_cli(emulator, *port_arguments(stage.destination().port)))
    [session] = emulator.sessions()
    return forward_through_a_fault(
        seat, port, lambda: emulator.freeze_agent(session), lambda: emulator.thaw_agent(session), 0, STUCK_WORDS
    )
