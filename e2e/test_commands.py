"""Commands with separate output streams and an exit status, without a terminal."""

import json
import shlex

import pytest

from emulator import PLUGIN, TARGET
from waiting import Output, exit_status

SCRIPT = "echo to output; echo to errors >&2; exit 3"
COMMAND = shlex.join(["sh", "-c", SCRIPT])
DOCUMENT = "Emulator-SeparateOutput"


def finish(process):
    """Closes the input; returns all of standard output and standard error, and the exit status."""
    process.stdin.close()
    out = Output(process.stdout.fileno()).until_end().decode()
    err = Output(process.stderr.fileno()).until_end().decode()
    return out, err, exit_status(process)


def test_the_drop_in_tells_all_and_keeps_status_zero(emulator):
    parameters = json.dumps({"command": [COMMAND]})
    command = emulator.start_session_command("--document-name", DOCUMENT, "--parameters", parameters)
    out, err, status = finish(emulator.popen(command))
    assert status == 0, "any other status makes the AWS CLI print the command line"
    assert err == "", "callers read all of it on standard output"
    assert "to output\n" in out
    assert "to errors\n" in out
    assert "EXIT_CODE: 3" in out
    assert "\n\nExiting session with sessionId: " in out


def connect(emulator, command, document=DOCUMENT):
    response = emulator.ssm().start_session(Target=TARGET, DocumentName=document, Parameters={"command": [command]})
    environment = emulator.environment() | {"AWS_SSM_START_SESSION_RESPONSE": json.dumps(response)}
    return emulator.popen([PLUGIN, "connect"], env=environment)


def test_connect_keeps_the_streams_apart_and_returns_the_remote_status(emulator):
    out, err, status = finish(connect(emulator, COMMAND))
    assert (out, err, status) == ("to output\n", "to errors\n", 3)


@pytest.mark.parametrize("expected", [0, 1, 42, 255])
def test_connect_returns_any_remote_status(emulator, expected):
    _, _, status = finish(connect(emulator, f"sh -c 'exit {expected}'"))
    assert status == expected


def test_connect_delivers_a_large_output_byte_for_byte(emulator):
    process = connect(emulator, "seq 1 60000")
    out, err, status = finish(process)
    assert out == "".join(f"{n}\n" for n in range(1, 60001))
    assert (err, status) == ("", 0)
