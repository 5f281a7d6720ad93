"""Logs that cannot be written, and who can read those that can."""

import re
import shlex
import stat
import subprocess

import pytest

from terminal import LOCAL_PROMPT
from waiting import LIMIT, Output, exit_status

STATE = ".local/state/session-manager-plugin"
# More than fits on the disk of these tests, as its log.
NUMBERS = range(1, 20001)


def run(emulator, *arguments, **variables):
    """A shell that says much; returns what it said, and what was said about it."""
    process = emulator.popen(
        emulator.ssh_command(*arguments), env=emulator.environment() | {"RUST_LOG": "trace"} | variables
    )
    process.stdin.write(f"seq {NUMBERS[0]} {NUMBERS[-1]}; exit\n".encode())
    process.stdin.close()
    output = Output(process.stdout.fileno()).until_end()
    errors = Output(process.stderr.fileno()).until_end().decode()
    assert exit_status(process) == 0, errors
    numbers = [int(line) for line in output.splitlines() if line.isdigit()]
    assert numbers == list(NUMBERS)
    return errors


@pytest.fixture
def full_disk(tmp_path):
    """A file system of its own, with room for the beginning of a log."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "e2e", disk], capture_output=True, text=True, timeout=LIMIT
    )
    if made.returncode:
        pytest.skip(f"no disk can be made that is full: {made.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True, timeout=LIMIT)


def test_a_full_disk_costs_the_log_and_not_the_session(emulator, full_disk):
    errors = run(emulator, "--log", HOME=str(full_disk))
    told = [line for line in errors.splitlines() if "log" in line]
    assert len(told) == 1, errors
    assert "No space left on device" in told[0]
    kept = list((full_disk / STATE).iterdir())
    assert kept and all(mode(each) == 0o600 for each in kept)


def test_a_device_that_takes_nothing_costs_the_log_and_not_the_session(emulator):
    errors = run(emulator, "--log-file", "/dev/full")
    told = [line for line in errors.splitlines() if "log" in line]
    assert len(told) == 1, errors
    assert "No space left on device" in told[0]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_log_in_the_state_folder_is_its_users_alone(emulator, tmp_path):
    errors = run(emulator, "--log", HOME=str(tmp_path))
    folder = tmp_path / STATE
    assert mode(folder) == 0o700
    [log] = folder.iterdir()
    assert (log.name, mode(log)) == ("log", 0o600)
    session = re.search(r"SessionId: (\S+)", errors).group(1)
    assert session in log.read_text()


def test_a_drop_in_logs_there_when_the_environment_asks_for_it(emulator, open_terminal, tmp_path):
    """Under the AWS CLI, where nothing of it may be on the screen."""
    variables = {"HOME": str(tmp_path), "SSM_SESSION_LOG": "debug"}
    terminal = open_terminal(emulator, environment=emulator.environment() | variables)
    terminal.type(shlex.join(emulator.start_session_command()))
    terminal.until_prompt(r".*[$#]")
    [session] = emulator.sessions()
    terminal.type("exit")
    terminal.until_line(r"Exiting session with sessionId: \S+\.")
    terminal.until_prompt(LOCAL_PROMPT)
    assert "DEBUG" not in terminal.everything()
    log = tmp_path / STATE / "log"
    assert mode(log) == 0o600
    assert session in log.read_text()
