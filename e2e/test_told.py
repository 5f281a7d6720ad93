"""Whatever goes silent or away, the user is told of it within a limit, has the terminal back when they want it, and
the session goes on if it can.

All of these wait at the same time, for most of it is waiting. What was measured is printed at the end of the run;
`just faults` measures with the limits that users have.
"""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

import gateways as g
import network
import scenes_amid as amid
import scenes_connecting as connecting
from measured import LOST, WAITED, record
from stage import LOST_WORDS, Stage, by_cli, by_ssh, port_arguments

NOT_ANSWERED = r"it closed the connection without an answer|broke during the WebSocket upgrade"


def stalled(step, by, status):
    return lambda stage: connecting.before(stage, g.stalls_after(step), by, status)


def lost(step, by, status):
    return lambda stage: connecting.before(stage, step, by, status, LOST_WORDS)


def closed(step):
    return lambda stage: connecting.closed(stage, step, NOT_ANSWERED)


def left(sent, by, keys, status):
    return lambda stage: amid.a_service_that_is_left(stage, sent, by, keys, status)


def stuck(by):
    return lambda stage: amid.an_agent_that_takes_nothing(stage, by)


def silent(by, status, *arguments):
    return lambda stage: connecting.an_agent_that_never_begins(stage, by, status, *arguments)


# Each with its limit, and how to play it.
SCENES = {
    "service stopped, shell by the AWS CLI, typing": (WAITED, amid.a_stopped_service_while_typing),
    "service stopped, shell by the AWS CLI": (LOST, lambda stage: amid.a_stopped_service(stage, by_cli)),
    "service stopped, shell by ssh": (LOST, lambda stage: amid.a_stopped_service(stage, by_ssh)),
    "service stopped, shell by ssh, then Ctrl-C": (LOST, left(signal.SIGSTOP, by_ssh, ["C-c"], 130)),
    "service stopped, shell by the AWS CLI, then ~.": (LOST, left(signal.SIGSTOP, by_cli, ["Enter", "~", "."], 0)),
    "service killed, shell by the AWS CLI, then Ctrl-C": (WAITED, left(signal.SIGKILL, by_cli, ["C-c"], 0)),
    "service stopped, forward by the AWS CLI, in use": (WAITED, amid.a_stopped_service_behind_a_forward),
    "network cut, shell, typing": (WAITED, amid.a_cut_network),
    "network cut, forward, in use": (WAITED, amid.a_cut_network_behind_a_forward),
    "network cut while connecting": (WAITED, connecting.a_cut_network_while_connecting),
    "proxy silent, shell, typing": (WAITED, amid.a_silent_proxy),
    "proxy silent at CONNECT": (WAITED, connecting.a_proxy_that_does_not_answer_connect),
    "API never answers": (WAITED, connecting.an_api_without_an_answer),
    "TLS never answered": (WAITED, connecting.a_handshake_without_an_answer),
    "TCP accepted, then nothing, by the AWS CLI": (WAITED, stalled(g.accepted, by_cli, 0)),
    "upgrade never answered, by ssh": (WAITED, stalled(g.asked, by_ssh, 130)),
    "upgrade answered by half, by ssh": (WAITED, stalled(g.half_answered, by_ssh, 130)),
    "opening never answered, by the AWS CLI": (WAITED, stalled(g.opened, by_cli, 0)),
    "opening never answered, by ssh": (WAITED, stalled(g.opened, by_ssh, 130)),
    "agent never begins, shell by the AWS CLI": (WAITED, silent(by_cli, 0)),
    "agent never begins, forward by ssh": (WAITED, silent(by_ssh, 130, *port_arguments(1))),
    "closed when accepted": (WAITED, closed(g.accepted)),
    "closed when asked for the upgrade": (WAITED, closed(g.asked)),
    "closed amid the answer": (WAITED, closed(g.half_answered)),
    "closed when upgraded": (WAITED, lost(g.upgraded, by_ssh, 130)),
    "closed when opened": (WAITED, lost(g.opened, by_cli, 0)),
    "closed behind the handshake's request": (WAITED, connecting.cut_behind_the_request),
    "closed when established, again and again": (WAITED, connecting.cut_when_established),
    "ResumeSession never answered": (WAITED, amid.a_resumption_without_an_answer),
    "agent stuck, forward by the AWS CLI": (WAITED, amid.an_agent_that_takes_nothing_behind_a_forward),
    "agent stuck, shell by the AWS CLI": (WAITED, stuck(by_cli)),
    "agent stuck, shell by ssh": (WAITED, stuck(by_ssh)),
}
NEEDS_NETWORK = [fault for fault in SCENES if fault.startswith("network cut")]


@pytest.fixture(scope="module")
def playing(request, tmp_path_factory):
    """All scenes that were chosen, on their way."""
    chosen = [item.callspec.params["fault"] for item in request.session.items if item.path == request.path]
    reason = network.why_not() if set(chosen) & set(NEEDS_NETWORK) else ""
    skipped = NEEDS_NETWORK if reason else []

    def play(fault, directory):
        with Stage(directory) as stage:
            return SCENES[fault][1](stage)

    with ThreadPoolExecutor(len(chosen)) as pool:
        scenes = [each for each in chosen if each not in skipped]
        futures = {fault: pool.submit(play, fault, tmp_path_factory.mktemp("scene")) for fault in scenes}
        yield lambda fault: futures[fault].result() if fault in futures else pytest.skip(reason)


@pytest.mark.parametrize("fault", SCENES)
def test_the_user_is_told_and_has_the_terminal_back(playing, fault):
    answer = playing(fault)
    record(fault, SCENES[fault][0], answer.seconds, answer.words)
