"""Faults while a session is being opened: there is none yet, and the user is told what is waited for, or why there is
none."""

import time

import gateways
from measured import WAITED
from stage import LOST_WORDS, WAITING_WORDS, Told, behind_a_proxy, by_cli, by_connect, by_ssh, port_arguments, told


def a_cut_network_while_connecting(stage):
    network = stage.network()
    emulator = stage.emulator(host=network.ours)
    seat = stage.seat(emulator)
    command = network.command(*by_connect(emulator, seat))
    network.cut()
    # What the kernel says to it depends on whether it still knows its neighbour.
    words = "could not be reached: No route to host|did not complete the TCP connection within 10 s"
    answer = told(seat, rf"{WAITING_WORDS}|{words}", seat.run(command))
    seat.until_told(f"({words}).*; check the network")
    seat.until_back(1)
    return answer


def a_proxy_that_does_not_answer_connect(stage):
    seat, proxy, command = behind_a_proxy(stage)
    proxy.silence()
    return given_up(seat, command, 130)


def given_up(seat, command, status, pattern=WAITING_WORDS):
    """Nothing comes; the user is told what is waited for, and presses Ctrl-C."""
    answer = told(seat, pattern, seat.run(command))
    seat.watch()
    seat.terminal.keys("C-c")
    seat.until_back(status)
    return answer


def before(stage, serve, by, status, pattern=WAITING_WORDS):
    """In front of a gateway that is none."""
    emulator = stage.emulator()
    gateway = stage.destination(serve)
    seat = stage.seat(emulator, SSM_SESSION_STREAM_HOST=f"127.0.0.1:{gateway.port}")
    answer = given_up(seat, by(emulator), status, pattern)
    # By whoever it was told that the session is not wanted.
    emulator.until_over()
    return answer


def an_agent_that_never_begins(stage, by, status, *arguments):
    """The gateway answers pings all the while."""
    emulator = stage.emulator("--stall", "handshake")
    return given_up(stage.seat(emulator), by(emulator, *arguments), status)


def cut_behind_the_request(stage):
    """Every connection, so that no resumption gets further; what is told is that the agent has not answered."""
    emulator = stage.emulator("--cut", "handshake")
    seat = stage.seat(emulator)
    answer = given_up(seat, by_ssh(emulator, *port_arguments(1)), 130, f"{WAITING_WORDS}|{LOST_WORDS}")
    emulator.until_over()
    return answer


def cut_when_established(stage):
    """A forward whose connections are all made, and lost at once."""
    emulator = stage.emulator("--cut", "established")
    seat = stage.seat(emulator)
    since = seat.run(by_cli(emulator, *port_arguments(1)))
    answer = Told(seat.until_told(LOST_WORDS, limit=WAITED).group(), time.monotonic() - since)
    seat.terminal.keys("C-c")
    seat.until_back(0)
    return answer


def closed(stage, step, words):
    """A connection that is closed before there is a WebSocket: there is no session then, and the reason is told."""
    emulator = stage.emulator()
    gateway = stage.destination(step)
    seat = stage.seat(emulator, SSM_SESSION_STREAM_HOST=f"127.0.0.1:{gateway.port}")
    answer = told(seat, words, seat.run(by_ssh(emulator)))
    seat.until_back(1)
    emulator.until_over()
    return answer


def a_handshake_without_an_answer(stage):
    """TLS, with a server that does not speak it."""
    emulator = stage.emulator()
    gateway = stage.destination(gateways.stalls_after(gateways.accepted))
    seat = stage.seat(emulator)
    command = by_connect(emulator, seat)
    file = seat.directory / "response"
    address = emulator.endpoint.removeprefix("http://")
    text = file.read_text().replace(f"ws://{address}", f"wss://127.0.0.1:{gateway.port}")
    file.write_text(text)
    seat.terminal.type(f"export AWS_SSM_START_SESSION_RESPONSE=$(cat {file})")
    answer = told(seat, f"{WAITING_WORDS}|did not complete the TLS handshake", seat.run(command))
    seat.until_told("did not complete the TLS handshake within 10 s")
    seat.until_back(1)
    return answer


def an_api_without_an_answer(stage):
    emulator = stage.emulator()
    api = stage.destination(gateways.stalls_after(gateways.accepted))
    seat = stage.seat(emulator)
    command = by_ssh(emulator)
    command[command.index(emulator.endpoint)] = f"http://127.0.0.1:{api.port}"
    return given_up(seat, command, 130)
