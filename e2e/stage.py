"""What scenes need in which a user is told of a fault: a service, a seat before a terminal, a way between the two."""

import contextlib
import json
import time
from typing import NamedTuple

from destinations import Destination, echo
from emulator import REGION, TARGET, Emulator
from forward import PORT
from network import Network
from proxies import OTHER_STREAM, names
from relay import HttpProxy
from seat import REMOTE_PROMPT, Seat

LOST_WORDS = r"the connection is lost since [\d:]+ UTC; [^\n]*"
STUCK_WORDS = r"the node has taken nothing since [\d:]+ UTC[^\n]*"
# Where somebody types, what is not taken is told long before the silence that shows a connection to be lost.
EITHER = f"{STUCK_WORDS}|{LOST_WORDS}"
WAITING_WORDS = r"Waiting for [^\n]*; press Ctrl-C to give up"


class Stage(contextlib.ExitStack):
    """What a scene needs, ended with it."""

    def __init__(self, directory):
        super().__init__()
        self.directory = directory

    def fresh(self, name):
        """A path that is nobody's yet."""
        return self.directory / f"{name}-{len(list(self.directory.iterdir()))}"

    def emulator(self, *arguments, **settings):
        directory = self.fresh("emulator")
        directory.mkdir()
        emulator = Emulator(directory, "--pace", "none", *arguments, **settings)
        self.callback(lambda: print(f"--- {emulator.log}\n{emulator.log.read_text()}"))
        self.callback(emulator.stop)
        return emulator

    def seat(self, emulator, **environment):
        seat = Seat(self.fresh("seat"), emulator.environment() | environment)
        self.callback(seat.close)
        return seat

    def destination(self, serve=echo):
        destination = Destination(serve)
        self.callback(destination.close)
        return destination

    def network(self):
        made = Network()
        self.callback(made.close)
        return made

    def proxy(self, emulator):
        proxy = HttpProxy(emulator.endpoint)
        self.callback(proxy.close)
        return proxy


class Told(NamedTuple):
    """The words, and the seconds from the fault until they were read."""

    words: str
    seconds: float


def told(seat, pattern, since):
    words = seat.until_told(pattern).group()
    return Told(words, time.monotonic() - since)


class Typing:
    """Lines typed into a file on the node: each has to arrive once, and in order."""

    def __init__(self, stage, seat):
        self.seat = seat
        self.file = stage.fresh("typed")
        self.lines = []
        seat.terminal.type(f"stty -echo; echo 'lis'tening; cat >{self.file}; stty echo")
        seat.terminal.until_line("listening")

    def go_on(self):
        for _ in range(5):
            self.lines.append(f"{len(self.lines)} the quick brown fox")
            self.seat.terminal.type(self.lines[-1])

    def until_whole(self):
        self.seat.terminal.keys("C-d")
        self.seat.terminal.until_prompt(REMOTE_PROMPT)
        assert self.file.read_text() == "".join(f"{line}\n" for line in self.lines)


def through_a_fault(stage, seat, strike, heal, pattern, types=True):
    """A shell, amid which something breaks, is told of, and is whole again: nothing is lost."""
    typing = Typing(stage, seat)
    typing.go_on()
    strike()
    since = time.monotonic()
    if types:
        typing.go_on()
    answer = told(seat, pattern, since)
    typing.go_on()
    heal()
    typing.go_on()
    typing.until_whole()
    seat.terminal.type("exit")
    return answer


def by_cli(emulator, *arguments):
    return emulator.start_session_command(*arguments)


def by_ssh(emulator, *arguments):
    return emulator.ssh_command(*arguments)


def port_arguments(port):
    return "--document-name", PORT, "--parameters", json.dumps({"portNumber": [str(port)], "localPortNumber": ["0"]})


def by_connect(emulator, seat, variables=(), endpoint=None, **request):
    """`connect` for a session that was started by others, whose stream may lead over a network; with what it needs in
    the environment."""
    response = emulator.ssm().start_session(Target=TARGET, **request)
    endpoint = endpoint or emulator.endpoint
    response["StreamUrl"] = response["StreamUrl"].replace(
        emulator.endpoint.removeprefix("http://"), endpoint.removeprefix("http://")
    )
    del response["ResponseMetadata"]
    file = seat.directory / "response"
    file.write_text(json.dumps(response))
    seat.terminal.type(f"export AWS_SSM_START_SESSION_RESPONSE=$(cat {file})")
    return ["session-manager-plugin", "connect", "--allow-plain", "--endpoint-url", endpoint, "--region", REGION]


def behind_a_proxy(stage):
    """By a name, for this machine itself is never looked for behind a proxy."""
    emulator = stage.emulator()
    proxy = stage.proxy(emulator)
    directory = stage.fresh("names")
    directory.mkdir()
    seat = stage.seat(emulator, ALL_PROXY=f"http://{proxy.address}", **names(directory))
    port = emulator.endpoint.rsplit(":", 1)[1]
    return seat, proxy, by_connect(emulator, seat, endpoint=f"http://{OTHER_STREAM}:{port}")
