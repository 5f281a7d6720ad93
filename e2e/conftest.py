"""What every test stands on: an emulator, a terminal, a forward, servers, each ended with what asked for it."""

import subprocess

import pytest

import measured
from access import Access, Sources
from destinations import Destination, Pages, load
from emulator import EMULATOR, PLUGIN, Emulator
from forward import Forward
from relay import Relay
from seat import Seat
from servers import Postgres, Redis, Sshd
from terminal import Terminal


def pytest_terminal_summary(terminalreporter):
    if measured.ROWS:
        terminalreporter.section("until the user was told")
        for line in measured.table():
            terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def programs():
    for program in (EMULATOR, PLUGIN):
        assert program.is_file(), f"{program} is missing: run `cargo build --workspace --bins` first"
    subprocess.run(["tmux", "-V"], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def start_emulator(tmp_path, request):
    """Starts an emulator with further arguments; shows its log when the test fails."""
    started = []

    def start(*arguments, **credentials):
        directory = tmp_path / f"emulator-{len(started)}"
        directory.mkdir()
        emulator = Emulator(directory, *arguments, **credentials)
        started.append(emulator)
        return emulator

    yield start
    for emulator in started:
        emulator.stop()
        print(f"--- {emulator.log}\n{emulator.log.read_text()}")


@pytest.fixture
def emulator(start_emulator):
    return start_emulator("--pace", "none")


@pytest.fixture
def access():
    """Services that give out credentials, which differ from test to test."""
    access = Access("e2e")
    yield access
    access.close()


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def sources(home, access):
    return Sources(home, access)


@pytest.fixture
def open_terminal(tmp_path):
    """Opens a terminal in which the AWS CLI finds the emulator and our plugin."""
    opened = []

    def open_one(emulator, **arguments):
        directory = tmp_path / f"terminal-{len(opened)}"
        directory.mkdir()
        arguments.setdefault("environment", emulator.environment())
        terminal = Terminal(directory, **arguments)
        opened.append(terminal)
        return terminal

    yield open_one
    for terminal in opened:
        terminal.close()


@pytest.fixture
def terminal(open_terminal, emulator):
    return open_terminal(emulator)


@pytest.fixture
def sit(tmp_path, emulator):
    """Seats users in front of terminals; further variables are for what they start."""
    seats = []

    def sit(emulator=emulator, **environment):
        seats.append(Seat(tmp_path / f"seat-{len(seats)}", emulator.environment() | environment))
        return seats[-1]

    yield sit
    for seat in seats:
        seat.close()


@pytest.fixture
def relay(emulator):
    relay = Relay(emulator.endpoint)
    yield relay
    relay.close()


@pytest.fixture
def open_forward(emulator):
    """Opens forwards to a port; the parameters are those of `Forward`, the emulator is another one if given."""
    opened = []

    def open_one(port, emulator=emulator, **arguments):
        forward = Forward(emulator, portNumber=port, **arguments)
        opened.append(forward)
        return forward

    yield open_one
    for forward in opened:
        forward.stop()


@pytest.fixture
def serve():
    """Starts destinations inside the test."""
    started = []

    def start(serve=load):
        destination = Destination(serve)
        started.append(destination)
        return destination

    yield start
    for destination in started:
        destination.close()


@pytest.fixture(scope="session")
def pages():
    pages = Pages()
    yield pages
    pages.close()


@pytest.fixture(scope="session")
def sshd(tmp_path_factory):
    sshd = Sshd(tmp_path_factory.mktemp("sshd"))
    yield sshd
    sshd.stop()


@pytest.fixture(scope="session")
def postgres():
    postgres = Postgres()
    yield postgres
    postgres.stop()


@pytest.fixture(scope="session")
def redis(tmp_path_factory):
    redis = Redis(tmp_path_factory.mktemp("redis"))
    yield redis
    redis.stop()
