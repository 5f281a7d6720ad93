"""Commands among what is typed, and the row that tells what is the matter: under the real AWS CLI and `ssh`, in a
terminal as users have one."""

import time

import pytest

from relay import Relay
from seat import REMOTE_PROMPT
from terminal import LOCAL_PROMPT
from waiting import Output, exit_status

# Who left a session has the status of SIGINT, but callers of the plugin know only 0.
BY = pytest.mark.parametrize(("by", "status"), [("cli", 0), ("ssh", 130)], ids=["cli", "ssh"])


def command(emulator, by):
    return emulator.start_session_command() if by == "cli" else emulator.ssh_command()


def press(seat, keys):
    """Types keys without Enter."""
    seat.terminal.tmux("send-keys", "-l", keys)


@BY
def test_the_first_two_keys_can_be_the_end_of_a_session(emulator, sit, by, status):
    seat = sit()
    seat.run(command(emulator, by))
    seat.terminal.until_prompt(r".*[$#]")
    seat.watch()
    press(seat, "~.")
    seat.until_back(status)
    emulator.until_over()


@BY
def test_what_is_no_escape_reaches_the_node_as_it_was_typed(emulator, sit, tmp_path, by, status):
    seat, file = sit(), tmp_path / "typed"
    seat.open_shell(command(emulator, by))
    seat.terminal.type(f"stty -echo; echo 'lis'tening; cat >{file}; stty echo")
    seat.terminal.until_line("listening")
    press(seat, "~?")
    seat.until_told(r"~\.\s+end the session")
    # Twice for the character itself; amid a line, and before any other key, it is one like all.
    for line in ("~~.", "amid ~.", "~/bin"):
        seat.terminal.type(line)
    press(seat, "~-")
    seat.until_told(r"[Ee]scape sequences are off")
    seat.terminal.type("~.")
    seat.terminal.keys("C-d")
    seat.terminal.until_prompt(REMOTE_PROMPT)
    assert file.read_text() == "~.\namid ~.\n~/bin\n~.\n"
    seat.terminal.type("exit")
    seat.until_back(0)


@BY
def test_a_suspended_session_leaves_the_terminal_and_takes_it_again(emulator, sit, tmp_path, by, status):
    seat = sit()
    seat.open_shell(command(emulator, by))
    press(seat, "~")
    seat.terminal.keys("C-z")
    seat.until_told(r"Stopped")
    seat.terminal.until_prompt(LOCAL_PROMPT)
    seat.terminal.type(f"stty -a >{tmp_path}/meanwhile; echo lo''cal")
    seat.terminal.until_line("local")
    assert (tmp_path / "meanwhile").read_text() == (seat.directory / "before").read_text()
    seat.terminal.type("fg")
    seat.terminal.type("echo $((6 * 7)) again")
    seat.terminal.until_line("42 again")
    seat.terminal.until_prompt(REMOTE_PROMPT)
    seat.terminal.keys("Enter")
    press(seat, "~.")
    seat.until_back(status)
    emulator.until_over()


@pytest.fixture
def cut_off(start_emulator, sit, request):
    """A shell, and what takes the network away from it for as long as wished."""
    emulator = start_emulator("--pace", "none")
    relay = Relay(emulator.endpoint)
    request.addfinalizer(relay.close)

    def cut():
        emulator.freeze()
        relay.cut()

    def open_shell(by):
        seat = sit(emulator, SSM_SESSION_STREAM_HOST=relay.address)
        seat.open_shell(command(emulator, by))
        return seat

    return emulator, open_shell, cut


WORDS = r"the connection is lost since [\d:]+ UTC; press Ctrl-C to give up, or Enter ~\."


@pytest.mark.parametrize(("by", "lines"), [("cli", 3), ("ssh", 200)], ids=["in the middle", "at the bottom"])
def test_the_row_that_tells_of_a_loss_goes_away_without_a_trace(cut_off, by, lines):
    emulator, open_shell, cut = cut_off
    seat = open_shell(by)
    seat.terminal.type(f"seq 1 {lines}")
    seat.terminal.until_line(str(lines))
    seat.terminal.until_prompt(REMOTE_PROMPT)
    press(seat, "echo half-typed")
    seat.terminal.until_prompt(f"{REMOTE_PROMPT} echo half-typed")
    before = shown(seat)
    cut()
    seat.until_told(WORDS)
    *above, row = shown(seat)
    # On a line of its own below the cursor, which may have made the rest move up.
    assert above == before[-len(above) :]
    assert "half-typed" not in row
    emulator.go_on()
    seat.terminal.until(lambda _: shown(seat) == above, "the screen as it was")
    seat.terminal.type(" and more")
    seat.terminal.until_line("half-typed and more")
    seat.terminal.type("exit")
    seat.until_back(0)


def shown(seat):
    """The lines of the screen, without the empty ones below."""
    lines = seat.terminal.screen()
    while lines and not lines[-1]:
        lines.pop()
    return lines


def test_a_stuck_node_does_not_keep_who_leaves(emulator, sit):
    seat = sit()
    seat.open_shell(emulator.ssh_command())
    [session] = emulator.sessions()
    emulator.freeze_agent(session)
    seat.terminal.type("unheard")
    press(seat, "~.")
    began = time.monotonic()
    seat.until_back(130)
    print(f"left {time.monotonic() - began:.1f} s after the escape")
    emulator.thaw_agent(session)
    emulator.until_over()


def test_the_escape_character_can_be_another_or_none(emulator, sit):
    seat = sit(SSM_SESSION_ESCAPE_CHAR="^B")
    seat.open_shell(emulator.start_session_command())
    seat.terminal.type("~.")
    seat.until_told(r"~\.: .*not found")
    seat.terminal.keys("C-b", ".")
    seat.until_back(0)
    seat = sit()
    seat.open_shell(emulator.ssh_command("--escape-char", "none"))
    seat.terminal.type("~.")
    seat.until_told(r"~\.: .*not found")
    seat.terminal.type("exit")
    seat.until_back(0)


def test_where_no_user_types_nothing_is_an_escape(emulator):
    process = emulator.popen(emulator.ssh_command())
    output = Output(process.stdout.fileno())
    process.stdin.write(b"cat <<end\n~.\n~?\nend\nexit\n")
    output.until(rb"^~\.\r?\n~\?\r?\n")
    output.until_end()
    assert exit_status(process) == 0
