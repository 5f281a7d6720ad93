"""What every test stands on: an emulator and a terminal, each ended with the test that asked for it."""

import subprocess

import pytest

from emulator import EMULATOR, PLUGIN, Emulator
from relay import Relay
from terminal import Terminal


@pytest.fixture(scope="session", autouse=True)
def programs():
    for program in (EMULATOR, PLUGIN):
        assert program.is_file(), f"{program} is missing: run `cargo build --workspace --bins` first"
    subprocess.run(["tmux", "-V"], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def start_emulator(tmp_path, request):
    """Starts an emulator with further arguments; shows its log when the test fails."""
    started = []

    def start(*arguments):
        directory = tmp_path / f"emulator-{len(started)}"
        directory.mkdir()
        emulator = Emulator(directory, *arguments)
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
def open_terminal(tmp_path):
    """Opens a terminal in which the AWS CLI finds the emulator and our plugin."""
    opened = []

    def open_one(emulator, **arguments):
        directory = tmp_path / f"terminal-{len(opened)}"
        directory.mkdir()
        terminal = Terminal(directory, emulator.environment(), **arguments)
        opened.append(terminal)
        return terminal

    yield open_one
    for terminal in opened:
        terminal.close()


@pytest.fixture
def terminal(open_terminal, emulator):
    return open_terminal(emulator)


@pytest.fixture
def relay(emulator):
    relay = Relay(emulator.endpoint)
    yield relay
    relay.close()
