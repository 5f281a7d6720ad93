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


def finish(process):
    """Runs a shell that ends at once, if it starts; returns all it said."""
    process.stdin.write(b"echo $((6 * 7))-secret; exit\n")
    process.stdin.close()
    said = b"".join(Output(each.fileno()).until_end() for each in (process.stdout, process.stderr)).decode()
    exit_status(process)
    return said


@pytest.mark.parametrize("words", [4, 5, 7])
def test_callers_that_do_not_tell_the_target_have_encrypted_sessions_too(emulator, words):
    """AWS's plugin refuses encryption to those who pass four words."""
    response = emulator.ssm().start_session(Target=TARGET, DocumentName=DOCUMENT[1])
    said = finish(emulator.popen(emulator.plugin_command(response, words)))
    assert ENCRYPTED in said
    assert "42-secret" in said


def test_ssh_opens_an_encrypted_shell(emulator):
    said = finish(emulator.popen(emulator.ssh_command(*DOCUMENT)))
    assert ENCRYPTED in said
    assert "42-secret" in said


def test_another_target_than_the_nodes_is_told_in_the_agents_words(emulator):
    """The key is sealed for a target, and the agent opens it as itself."""
    response = emulator.ssm().start_session(Target=TARGET, DocumentName=DOCUMENT[1])
    said = finish(emulator.popen(emulator.plugin_command(response, Target="i-0ffffffffffffffff")))
    assert "Fetching data key failed: Unable to retrieve data key" in said
    assert "42-secret" not in said


@pytest.mark.parametrize("by", ["the AWS CLI", "ssh"])
def test_a_key_that_kms_refuses_is_told_with_its_reason(start_emulator, by):
    reason = "The ciphertext refers to a customer master key that may not be used by you"
    emulator = start_emulator("--refuse", f"GenerateDataKey=AccessDeniedException:{reason}")
    command = emulator.start_session_command(*DOCUMENT) if by == "the AWS CLI" else emulator.ssh_command(*DOCUMENT)
    said = finish(emulator.popen(command))
    assert "kms:GenerateDataKey" in said
    assert reason in said
    assert ENCRYPTED not in said
    emulator.until_over()


def test_an_agent_that_requires_the_challenge_is_satisfied_by_every_way_to_start(start_emulator):
    emulator = start_emulator("--pace", "none", "--kms-challenge", "required")
    response = emulator.ssm().start_session(Target=TARGET, DocumentName=DOCUMENT[1])
    assert "42-secret" in finish(emulator.popen(emulator.plugin_command(response, 4)))
    assert "42-secret" in finish(emulator.popen(emulator.ssh_command(*DOCUMENT)))
