"""`aws ssm start-session` in a terminal: what a user sees of a shell on a node."""

import json
import os
import re
import shlex
import signal
import subprocess

import pytest

from emulator import REGION, TARGET
from processes import plugin_below
from terminal import LOCAL_PROMPT
from waiting import Output, exit_status

REMOTE_PROMPT = "remote>"


def start_shell(terminal, emulator, *arguments):
    """Starts a session the way users do, up to the remote prompt."""
    terminal.type(shlex.join(emulator.start_session_command(*arguments)))
    terminal.until_line(r"Starting session with SessionId: \S+")
    terminal.until_prompt(r".*[$#]")
    terminal.type(f"PS1='{REMOTE_PROMPT} '")
    terminal.until_prompt(REMOTE_PROMPT)


def plugin_process(terminal):
    """The process id of the plugin that runs in the terminal."""
    return plugin_below(int(terminal.display("pane_pid")))


@pytest.fixture
def shell(terminal, emulator):
    start_shell(terminal, emulator)
    return terminal


def test_the_shell_runs_on_a_terminal_of_the_node(shell):
    shell.type("tty")
    remote = shell.until_line(r"(/dev/pts/\d+)").group(1)
    assert remote != shell.display("pane_tty")


def test_the_shell_has_the_size_of_the_local_window(open_terminal, emulator):
    terminal = open_terminal(emulator, cols=93, rows=31)
    start_shell(terminal, emulator)
    terminal.type("until stty size | grep '^31 93$'; do :; done")
    terminal.until_line("31 93")


def test_a_resized_window_is_seen_by_the_shell(shell):
    shell.resize(101, 37)
    shell.type("until stty size | grep '^37 101$'; do :; done")
    shell.until_line("37 101")
    shell.resize(67, 19)
    shell.type("until stty size | grep '^19 67$'; do :; done")
    shell.until_line("19 67")


def test_control_c_interrupts_the_remote_command_and_not_the_session(shell):
    shell.type("echo 'sleep'ing; sleep 1000; echo 'wok'en")
    shell.until_line("sleeping")
    shell.keys("C-c")
    shell.until_prompt(REMOTE_PROMPT)
    shell.type("echo still $((40 + 2))")
    shell.until_line("still 42")
    assert "woken" not in shell.everything().split("\n")


def test_control_z_and_control_backslash_reach_the_remote_side(shell):
    shell.type("stty -isig; echo 'read'y; od -An -tx1 -N3; stty isig")
    shell.until_line("ready")
    shell.keys("C-z", "C-\\", "C-c", "Enter")
    shell.until_line(" 1a 1c 03")


def test_a_full_screen_program_is_drawn_in_place_and_leaves_no_trace(shell):
    draw = r"printf '\033[?1049h\033[2J\033[5;11Hfive-eleven\033[12;41Htwelve-%s' forty-one; read answer; printf '\033[?1049l'"
    shell.type(draw)
    lines = shell.until(lambda lines: lines if "forty-one" in lines[11] else None, "a drawn screen")
    assert lines[4] == " " * 10 + "five-eleven"
    assert lines[11] == " " * 40 + "twelve-forty-one"
    assert shell.display("alternate_on") == "1"
    shell.keys("Enter")
    shell.until_prompt(REMOTE_PROMPT)
    assert shell.display("alternate_on") == "0"
    assert " " * 10 + "five-eleven" not in shell.screen()


def test_a_long_output_arrives_whole_and_in_order(shell):
    shell.type("seq 1 5000")
    shell.until_line("5000")
    shell.until_prompt(REMOTE_PROMPT)
    numbers = [int(line) for line in shell.everything().split("\n") if re.fullmatch(r"\d+", line.strip())]
    kept = numbers[-1500:]
    assert kept == list(range(5000 - len(kept) + 1, 5001)), "lines are missing, doubled or out of order"
    assert len(kept) == 1500


def test_text_in_other_scripts_survives_both_ways(shell):
    shell.type("echo 'grüße, 世界, 🦀' | tr 'a-z' 'a-z'")
    shell.until_line("grüße, 世界, 🦀")


def test_exit_leads_back_to_an_unchanged_local_terminal(terminal, emulator, tmp_path):
    terminal.type(f"stty -a >{tmp_path}/before")
    start_shell(terminal, emulator)
    terminal.type("exit")
    terminal.until_line(r"Exiting session with sessionId: \S+\.")
    terminal.until_prompt(LOCAL_PROMPT)
    terminal.type(f"echo status $?; stty -a >{tmp_path}/after; echo do''ne")
    terminal.until_line("done")
    assert "status 0" in terminal.screen()
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_a_killed_plugin_leaves_the_terminal_as_it_was(terminal, emulator, tmp_path, sent):
    terminal.type(f"stty -a >{tmp_path}/before")
    start_shell(terminal, emulator)
    os.kill(plugin_process(terminal), sent)
    terminal.until_prompt(LOCAL_PROMPT)
    terminal.type(f"stty -a >{tmp_path}/after; echo do''ne")
    terminal.until_line("done")
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text()


def test_the_cli_finds_nothing_to_complain_about(terminal, emulator, tmp_path):
    command = shlex.join(emulator.start_session_command())
    terminal.type(f"{command} 2>{tmp_path}/errors")
    terminal.until_prompt(r".*[$#]")
    terminal.type("exit")
    terminal.until_line(r"Exiting session with sessionId: \S+\.")
    terminal.until_prompt(LOCAL_PROMPT)
    assert (tmp_path / "errors").read_text() == ""
    assert "outdated" not in terminal.everything()


def test_neither_token_nor_payload_is_in_a_log(emulator, tmp_path):
    log = tmp_path / "plugin.log"
    environment = emulator.environment() | {"SSM_SESSION_LOG_FILE": str(log), "RUST_LOG": "trace"}
    response = emulator.ssm().start_session(Target=TARGET)
    process = emulator.popen(emulator.plugin_command(response), env=environment)
    output = Output(process.stdout.fileno())
    process.stdin.write(b"echo $((6 * 7))-unlogged; exit\n")
    output.until(rb"^42-unlogged\r?$")
    output.until_end()
    assert exit_status(process) == 0
    for name, logged in (("plugin", log.read_text()), ("emulator", emulator.log.read_text())):
        assert response["SessionId"] in logged, f"the {name} did not log this session"
        assert response["TokenValue"] not in logged, f"the {name} logs the token"
        assert "unlogged" not in logged, f"the {name} logs what is typed or shown"


def test_an_unknown_target_is_an_error_of_the_cli(emulator):
    finished = subprocess.run(
        emulator.start_session_command(target="i-0ffffffffffffffff"),
        env=emulator.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode != 0
    assert "TargetNotConnected" in finished.stderr
    assert "i-0ffffffffffffffff" in finished.stderr
    assert finished.stdout == ""


def test_the_agents_own_pace_still_gives_a_shell(start_emulator, open_terminal):
    emulator = start_emulator("--pace", "agent")
    terminal = open_terminal(emulator)
    start_shell(terminal, emulator)
    terminal.type("echo $((6 * 7)) at the agents pace")
    terminal.until_line("42 at the agents pace")


def test_two_shells_at_once_are_apart(open_terminal, emulator):
    first, second = open_terminal(emulator), open_terminal(emulator)
    start_shell(first, emulator)
    start_shell(second, emulator)
    first.type("mine=first; echo $mine one")
    second.type("echo ${mine:-none} two")
    first.until_line("first one")
    second.until_line("none two")


def test_an_interactive_command_runs_on_a_terminal(terminal, emulator):
    parameters = '{"command":["read name; echo hello $name on $(tty)"]}'
    command = emulator.start_session_command(
        "--document-name", "AWS-StartInteractiveCommand", "--parameters", parameters
    )
    terminal.type(shlex.join(command))
    terminal.until_line(r"Starting session with SessionId: \S+")
    terminal.type("node")
    terminal.until_line(r"hello node on /dev/pts/\d+")
    terminal.until_line(r"Exiting session with sessionId: \S+\.")
    terminal.until_prompt(LOCAL_PROMPT)


def test_a_lost_connection_is_made_again_for_callers_who_name_no_endpoint_either(terminal, emulator, relay, tmp_path):
    response = relay.on_the_way(emulator.ssm().start_session(Target=TARGET))
    (tmp_path / "response").write_text(json.dumps(response))
    terminal.type(f"stty -a >{tmp_path}/before; export AWS_SSM_START_SESSION_RESPONSE=$(cat {tmp_path}/response)")
    terminal.type(f"session-manager-plugin AWS_SSM_START_SESSION_RESPONSE {REGION} StartSession")
    terminal.until_prompt(r".*[$#]")
    terminal.type(f"PS1='{REMOTE_PROMPT} '")
    terminal.until_prompt(REMOTE_PROMPT)
    relay.cut()
    terminal.type("echo $((6 * 7)) after the cut")
    terminal.until_line("42 after the cut")
    terminal.type("exit")
    terminal.until_line(r"Exiting session with sessionId: \S+\.")
    terminal.until_prompt(LOCAL_PROMPT)
    terminal.type(f"stty -a >{tmp_path}/after; echo do''ne")
    terminal.until_line("done")
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text()
