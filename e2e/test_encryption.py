"""Sessions encrypted with a KMS key: emulated KMS, real AWS CLI, real credentials chain in the plugin."""

import shlex
import socket

import pytest

from emulator import TARGET
from terminal import LOCAL_PROMPT
from waiting import Output, exit_status

ENCRYPTED = "This session is encrypted using AWS KMS."
DOCUMENT = ("--document-name", "Emulator-EncryptedShell")


@pytest.mark.parametrize("challenge", ["absent", "offered", "required"])
def test_an_encrypted_shell_works_with_agents_old_and_new(start_emulator, open_terminal, challenge):
    emulator = start_emulator("--pace", "none", "--kms-challenge", challenge)
    terminal = open_terminal(emulator)
    terminal.type(shlex.join(emulator.start_session_command(*DOCUMENT)))
    terminal.until_line(ENCRYPTED.replace(".", r"\."))
    terminal.until_prompt(r".*[$#]")
    terminal.type("echo $((6 * 7)) secrets")
    terminal.until_line("42 secrets")
    terminal.type("exit")
    terminal.until_line(r"Exiting session with sessionId: \S+\.")
    terminal.until_prompt(LOCAL_PROMPT)


def test_a_key_that_cannot_be_had_ends_the_session_with_the_reason(emulator):
    with socket.socket() as unused:  # bound and not listening: refuses connections for as long as the test runs
        unused.bind(("127.0.0.1", 0))
        environment = emulator.environment() | {"AWS_ENDPOINT_URL_KMS": f"http://127.0.0.1:{unused.getsockname()[1]}"}
        process = emulator.popen(emulator.start_session_command(*DOCUMENT), env=environment)
        out = Output(process.stdout.fileno()).until_end().decode()
        err = Output(process.stderr.fileno()).until_end().decode()
        exit_status(process)
    assert "Starting session with SessionId: " in out
    assert "KMS" in out + err
    assert ENCRYPTED not in out
    sessions = emulator.ssm().describe_sessions(State="Active", Filters=[{"key": "Target", "value": TARGET}])
    assert sessions["Sessions"] == []


@pytest.mark.parametrize(("document", "readable"), [("SSM-SessionManagerRunShell", True), (DOCUMENT[1], False)])
def test_only_an_encrypted_session_hides_its_output_on_the_way(emulator, relay, document, readable):
    response = relay.on_the_way(emulator.ssm().start_session(Target=TARGET, DocumentName=document))
    process = emulator.popen(emulator.plugin_command(response))
    output = Output(process.stdout.fileno())
    process.stdin.write(b"echo $((6 * 7))-on-the-way; exit\n")
    output.until(rb"^42-on-the-way\r?$")
    output.until_end()
    assert exit_status(process) == 0
    assert (b"42-on-the-way" in relay.from_emulator()) == readable
