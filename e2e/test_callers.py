"""Programs other than the AWS CLI that start the plugin, each in its own manner."""

import os
import re
import termios

import pytest

from emulator import PLUGIN, REGION, TARGET
from waiting import Output, exit_status


@pytest.fixture
def ansible(emulator):
    """Ansible's way: pipes for input and errors, a terminal for output, the whole API response as first argument."""
    response = emulator.ssm().start_session(Target=TARGET, Parameters={})
    assert "ResponseMetadata" in response
    ours, theirs = os.openpty()
    before = termios.tcgetattr(ours)
    process = emulator.popen(emulator.plugin_command(response), stdout=theirs)
    os.close(theirs)
    output = Output(ours)
    yield process, output, before
    if process.poll() is None:
        process.kill()
    exit_status(process)
    process.stdin.close()
    process.stderr.close()
    os.close(ours)


def test_ansible_gets_its_markers_and_a_complete_output(ansible):
    process, output, before = ansible
    output.until(rb"^Starting session with SessionId: [^\n]*\n")

    process.stdin.write(b"stty -echo\n")
    output.until(rb"stty -echo")
    process.stdin.write(b"PS1='' ; printf '\\n%s\\n' 'prompt-is-off'\n")
    # The remote terminal makes CR LF of LF, the local one another CR: both must be left to do so.
    output.until(rb"\r\r\nprompt-is-off\r\r\n")
    assert termios.tcgetattr(output.fd) == before, "the terminal is only our standard output, and not ours to change"

    begin = len(output.data)
    process.stdin.write(b"printf '%s\\n' 'mark-begin' ; seq 1 20000 ; printf '\\n%s\\n%s\\n' \"$?\" 'mark-end' ;\n")
    end = output.until(rb"^0\r\r\nmark-end\r\r\n", begin)
    lines = output.data[begin : end.start()].decode().split("\r\r\n")
    assert lines[lines.index("mark-begin") + 1 :] == [*map(str, range(1, 20001)), "", ""]

    process.stdin.write(b"\nexit\n")
    process.stdin.close()
    output.until(rb"Exiting session with sessionId: ")
    output.until_end()
    assert exit_status(process) == 0
    assert Output(process.stderr.fileno()).until_end() == b"", "errors are taken for the command's"
    assert termios.tcgetattr(output.fd) == before


def lower_camel(response):
    return {
        "sessionId": response["SessionId"],
        "streamUrl": response["StreamUrl"],
        "tokenValue": response["TokenValue"],
    }


@pytest.mark.parametrize("words", [4, 5, 6, 7])
@pytest.mark.parametrize("shape", [dict, lower_camel])
def test_every_number_of_arguments_starts_a_session(emulator, words, shape):
    response = shape(emulator.ssm().start_session(Target=TARGET))
    process = emulator.popen(emulator.plugin_command(response, words))
    output = Output(process.stdout.fileno())
    process.stdin.write(b"echo $((6 * 7))-words; exit\n")
    output.until(rb"^42-words\r?\n")
    assert b"\n\nExiting session with sessionId: " in output.until_end()
    assert exit_status(process) == 0


def test_input_that_ends_before_the_shell_starts_is_still_delivered(emulator):
    """`echo command | aws ssm start-session`: the end of input is not the end of the command."""
    process = emulator.popen(emulator.start_session_command())
    process.stdin.write(b"echo $((6 * 7))-piped; exit\n")
    process.stdin.close()
    out = Output(process.stdout.fileno()).until_end().decode()
    assert re.search(r"^42-piped\r?$", out, re.MULTILINE), out
    assert exit_status(process) == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "\nThe Session Manager plugin was installed successfully. Use the AWS CLI to start a session.\n\n"),
        (
            ["nonsense"],
            "\nUnknown operation nonsense. \nUse session-manager-plugin --version to check the version.\n\n",
        ),
        (["{}", REGION, "StopSession"], "Invalid Operation"),
    ],
)
def test_fixed_texts_are_those_other_programs_know(emulator, arguments, expected):
    process = emulator.popen([PLUGIN, *arguments])
    assert Output(process.stdout.fileno()).until_end().decode() == expected
    assert exit_status(process) == 0


def test_the_version_is_one_the_cli_and_the_toolkits_accept(emulator):
    process = emulator.popen([PLUGIN, "--version"])
    version = Output(process.stdout.fileno()).until_end().decode()
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+\n", version)
    assert (1, 2, 764, 0) <= tuple(map(int, version.split("."))) < (2, 0, 0, 0)
    assert exit_status(process) == 0
