"""Sessions whose socket is cut, or closed by the service as it does every hour: nothing is lost, doubled or late for
good, in transfers and under typing."""

import hashlib
import os
import re
import shlex
import signal
import threading

import pytest

from destinations import echo, pattern
from forward import Forward, Pipes
from terminal import LOCAL_PROMPT
from test_shell import REMOTE_PROMPT, start_shell
from waiting import LIMIT, Output, exit_status, until

CUTS = 20
DATA = pattern(50_000_000)
HOWS = ["Cut", "Bye"]


def there_and_back(write, read, cut):
    """Sends the data to an echo while it reads them back, and cuts at even distances; returns the digest of what came.

    Each cut meets another channel than the last one.
    """
    failures = []

    def send():
        try:
            for at in range(0, len(DATA), 65536):
                write(DATA[at : at + 65536])
        except OSError as error:
            failures.append(error)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    digest, taken, cuts = hashlib.sha256(), 0, 0
    while taken < len(DATA):
        data = read(65536)
        assert data, f"the session ended after {taken} bytes and {cuts} cuts: {failures}"
        digest.update(data)
        taken += len(data)
        if cuts < CUTS and taken > (cuts + 0.5) * len(DATA) / CUTS:
            cut()
            cuts += 1
    sender.join(LIMIT)
    assert (cuts, failures) == (CUTS, [])
    return digest.hexdigest()


@pytest.fixture
def emulator(start_emulator):
    return start_emulator("--pace", "none", "--agent-payload", "16384")


WHOLE = hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize("how", HOWS)
def test_50_mb_each_way_through_standard_streams_are_whole(emulator, serve, how):
    pipes = Pipes(emulator, serve(echo).port)
    assert pipes.output.data[pipes.taken :] == b""

    def write(data):
        while data:
            data = data[os.write(pipes.process.stdin.fileno(), data) :]

    def read(length):
        return os.read(pipes.process.stdout.fileno(), length)

    assert there_and_back(write, read, lambda: emulator.close_channel(pipes.session, how)) == WHOLE
    pipes.close()


@pytest.mark.parametrize("how", HOWS)
def test_50_mb_each_way_through_a_forward_are_whole(emulator, serve, how):
    forward = Forward(emulator, portNumber=serve(echo).port)
    with forward.connect() as connection:
        cut = lambda: emulator.close_channel(forward.session, how)  # noqa: E731
        assert there_and_back(connection.sendall, connection.recv, cut) == WHOLE
    told = forward.stop()
    assert told.endswith(f"Exiting session with sessionId: {forward.session}.\n\n")
    emulator.until_over()


TYPED = "".join(f"{n:03d}-the quick brown fox " for n in range(5 * CUTS))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("by", ["the AWS CLI", "ssh"])
def test_every_key_that_is_typed_into_a_shell_arrives_once_and_in_order(terminal, emulator, tmp_path, how, by):
    command = emulator.start_session_command() if by == "the AWS CLI" else emulator.ssh_command()
    terminal.type(f"stty -a >{tmp_path}/before")
    terminal.type(shlex.join(map(str, command)))
    terminal.until_prompt(r".*[$#]")
    file = tmp_path / "typed"
    terminal.type(f"PS1='{REMOTE_PROMPT} '; stty -echo; echo 'lis'tening; cat >{file}; stty echo")
    terminal.until_line("listening")
    [session] = emulator.sessions()
    parts = [TYPED[at : at + len(TYPED) // (2 * CUTS)] for at in range(0, len(TYPED), len(TYPED) // (2 * CUTS))]
    for n, part in enumerate(parts):
        terminal.tmux("send-keys", "-l", part)
        terminal.keys("Enter")
        if n % 2 and n // 2 < CUTS:
            # Somewhere on the way of what was just typed, or before, or behind it.
            emulator.close_channel(session, how)
    terminal.keys("C-d")
    terminal.until_prompt(REMOTE_PROMPT)
    assert file.read_text() == "".join(f"{line}\n" for line in parts)
    terminal.type("exit")
    terminal.until_prompt(LOCAL_PROMPT)
    terminal.type(f"stty -a >{tmp_path}/after; echo do''ne")
    terminal.until_line("done")
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text()
    assert emulator.sessions("History")[session]["Status"] == "Terminated"


def test_output_goes_on_where_it_was_when_the_service_says_bye(terminal, emulator):
    """Under the AWS CLI, with more output than fits on the screen."""
    start_shell(terminal, emulator)
    [session] = emulator.sessions()
    terminal.type("seq 1 1000; read go; seq 1001 1900")
    terminal.until_line("1000")
    emulator.close_channel(session, "Bye")
    terminal.keys("Enter")
    terminal.until_line("1900")
    terminal.until_prompt(REMOTE_PROMPT)
    numbers = [int(line) for line in terminal.everything().split("\n") if re.fullmatch(r"\d+", line.strip())]
    assert numbers == list(range(1, 1901))


def test_a_plugin_that_was_stopped_goes_on_where_it_was(emulator, sit, tmp_path):
    """As in a laptop that was closed: the service is gone from the other end when it opens."""
    seat, file = sit(), tmp_path / "typed"
    seat.open_shell(emulator.start_session_command())
    seat.terminal.type(f"stty -echo; echo 'lis'tening; cat >{file}; stty echo")
    seat.terminal.until_line("listening")
    [session] = emulator.sessions()
    for how in ("Cut", "Silence"):
        os.kill(seat.plugin.process_id, signal.SIGSTOP)
        emulator.close_channel(session, how)
        seat.terminal.type(f"typed behind {how}")
        os.kill(seat.plugin.process_id, signal.SIGCONT)
        until(lambda: f"typed behind {how}\n" in file.read_text(), "what was typed")
    seat.terminal.keys("C-d")
    seat.terminal.until_prompt(REMOTE_PROMPT)
    assert file.read_text() == "".join(f"typed behind {how}\n" for how in ("Cut", "Silence"))
    seat.terminal.type("exit")
    seat.until_back(0)


def test_a_session_that_may_not_be_resumed_ends_with_the_reason(start_emulator, open_terminal, tmp_path):
    emulator = start_emulator("--refuse", "ResumeSession=AccessDeniedException")
    terminal = open_terminal(emulator)
    terminal.type(f"stty -a >{tmp_path}/before")
    start_shell(terminal, emulator)
    [session] = emulator.sessions()
    emulator.close_channel(session, "Cut")
    terminal.until_prompt(LOCAL_PROMPT)
    assert "ssm:ResumeSession" in terminal.everything().replace("\n", "")
    terminal.type(f"stty -a >{tmp_path}/after; echo do''ne")
    terminal.until_line("done")
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text()
    emulator.until_over()


def test_a_session_that_ended_while_the_socket_was_lost_ends_in_order(start_emulator, open_terminal):
    """Ended by somebody else in between: nothing is left to resume."""
    emulator = start_emulator("--refuse", "ResumeSession=InternalServerError*3")
    terminal = open_terminal(emulator)
    start_shell(terminal, emulator)
    [session] = emulator.sessions()
    emulator.close_channel(session, "Cut")
    emulator.ssm().terminate_session(SessionId=session)
    terminal.until_prompt(LOCAL_PROMPT)
    assert session in terminal.everything()


ENDS = [
    ("--idle-timeout", "Your session timed out due to inactivity"),
    ("--max-session-duration", "Your session has lasted as long as a session may"),
]


@pytest.mark.parametrize(("limit", "words"), ENDS, ids=[limit for limit, _ in ENDS])
@pytest.mark.parametrize("by", ["the AWS CLI", "ssh"])
def test_a_session_that_the_service_ends_for_good_is_not_resumed_and_says_why(start_emulator, limit, words, by):
    emulator = start_emulator("--pace", "none", limit, "300ms")
    command = emulator.start_session_command() if by == "the AWS CLI" else emulator.ssh_command()
    process = emulator.popen(command)
    said = b"".join(Output(each.fileno()).until_end() for each in (process.stdout, process.stderr)).decode()
    assert words in said
    assert exit_status(process) == (0 if by == "the AWS CLI" else 1)
    assert "ResumeSession" not in emulator.log.read_text()


def test_an_hourly_close_goes_unnoticed(start_emulator, open_terminal):
    """Left to the service's own clock, here with short hours."""
    emulator = start_emulator("--pace", "none", "--channel-lifetime", "300ms")
    terminal = open_terminal(emulator)
    terminal.type(shlex.join(emulator.start_session_command()))
    terminal.until_prompt(r".*[$#]")
    terminal.type("seq 1 1000")
    closed = lambda: emulator.log.read_text().count("client attached")  # noqa: E731
    seen = closed()
    until(lambda: closed() >= seen + 5, "five closes")
    terminal.type("seq 1001 1900; exit")
    terminal.until_line(r"Exiting session with sessionId: \S+\.")
    numbers = [int(line) for line in terminal.everything().split("\n") if re.fullmatch(r"\d+", line.strip())]
    assert numbers == list(range(1, 1901))
