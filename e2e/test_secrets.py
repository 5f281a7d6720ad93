"""What lets others into a session or an account is nowhere to be found: not in a log at its most talkative, not in
what is printed, not in a command line."""

import json
import os
import re
import resource
import signal
import urllib.parse
from pathlib import Path

import pytest

from access import temporary_credentials
from emulator import PLUGIN, TARGET
from relay import Relay
from signatures import Upgrade, presigned
from waiting import Output, exit_status

DOCUMENT = "Emulator-EncryptedShell"


@pytest.fixture
def emulator(start_emulator):
    return start_emulator("--pace", "none", credentials=[temporary_credentials("e2e")])


class Tokens(Relay):
    """The API on the way, to learn the tokens that it gives out."""

    def all(self):
        found = re.findall(rb'"TokenValue": ?"([^"]+)"', self.from_emulator())
        return [json.loads(b'"' + each + b'"') for each in found]


def command_lines():
    """Those of all processes there are."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                found.append((entry / "cmdline").read_bytes())
        except OSError:  # gone
            continue
    return b"\n".join(found)


def by_aws_cli(emulator, api, log):
    command = emulator.start_session_command("--document-name", DOCUMENT)
    command[command.index(emulator.endpoint)] = api
    return command, {"SSM_SESSION_LOG_FILE": str(log)}


def by_ssh(emulator, api, log):
    command = emulator.ssh_command("--document-name", DOCUMENT, "--log-file", log)
    command[command.index(emulator.endpoint)] = api
    return command, {}


@pytest.mark.parametrize("level", ["info", "trace"])
@pytest.mark.parametrize("by", [by_aws_cli, by_ssh])
def test_no_secret_is_shown_by_a_session_from_its_start_to_its_end(emulator, tmp_path, by, level):
    """Encrypted, resumed twice, and ended."""
    api = Tokens(emulator.endpoint)
    log = tmp_path / "plugin.log"
    command, variables = by(emulator, f"http://{api.address}", log)
    process = emulator.popen(command, env=emulator.environment() | variables | {"RUST_LOG": level})
    output = Output(process.stdout.fileno())
    process.stdin.write(b"echo $((6 * 7))-typed-in\n")
    output.until(rb"42-typed-in\r?\n")
    [session] = emulator.sessions()
    for n in range(2):
        emulator.close_channel(session, "Cut")
        process.stdin.write(b"echo $((6 * 7))-again-%d\n" % n)
        output.until(rb"42-again-%d\r?\n" % n)
    lines = command_lines()
    process.stdin.write(b"exit\n")
    output.until_end()
    errors = Output(process.stderr.fileno()).until_end()
    assert exit_status(process) == 0
    api.close()

    assert PLUGIN.name.encode() in lines
    logged = log.read_bytes()
    assert session.encode() in logged
    tokens = api.all()
    assert len(tokens) == 3, "one for the start, one for each time it was resumed"
    secrets = [*emulator.credentials.secrets(), *tokens]
    shown = {"log": logged, "output": output.data, "errors": errors, "command lines": lines}
    shown["emulator's log"] = emulator.log.read_bytes()
    for where, text in shown.items():
        for secret in secrets:
            assert secret.encode() not in text, f"a secret is in the {where}"
        assert not re.search(rb"Signature=[0-9a-f]{16}", text), f"a signature is in the {where}"
    assert b"typed-in" not in logged, "what is typed is in the log"


@pytest.mark.parametrize("refused", [False, True], ids=["taken", "refused"])
def test_the_signature_of_an_address_and_of_a_request_are_shown_nowhere(emulator, tmp_path, refused):
    relay = Relay(emulator.endpoint)
    log = tmp_path / "plugin.log"
    shown = []
    signatures = []
    for is_presigned in (False, True):
        started = relay.on_the_way(emulator.ssm().start_session(Target=TARGET))
        url = started["StreamUrl"]
        if is_presigned:
            url = presigned(url, emulator.credentials)
            [signature] = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["X-Amz-Signature"]
            signatures.append(signature)
        if refused:
            url = url.replace("publish_subscribe", "publish")
        response = json.dumps(started | {"StreamUrl": url}, default=str)
        variables = {"RUST_LOG": "trace", "AWS_SSM_START_SESSION_RESPONSE": response}
        if refused and not is_presigned:
            variables |= temporary_credentials("other").environment()
        process = emulator.popen([PLUGIN, "connect", "--log-file", log], env=emulator.environment() | variables)
        process.stdin.write(b"exit\n")
        process.stdin.close()
        shown += [Output(each.fileno()).until_end() for each in (process.stdout, process.stderr)]
        assert (exit_status(process) != 0) == refused
    signatures += [Upgrade(head).signature()[2] for head in relay.requests() if "authorization" in head.lower()]
    relay.close()
    assert len(signatures) == 2
    shown += [log.read_bytes(), emulator.log.read_bytes()]
    for signature in signatures:
        assert signature.encode() not in b"\n".join(shown)


@pytest.mark.skipif(not Path("/proc/self/coredump_filter").exists(), reason="not Linux")
def test_no_core_is_written_of_a_session_that_is_killed(emulator, tmp_path):
    """Whatever limit the user has, and whether or not something collects cores: none is made."""

    def have_cores():
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (most, most))

    process = emulator.popen(emulator.ssh_command(), cwd=tmp_path, preexec_fn=have_cores)
    output = Output(process.stdout.fileno())
    process.stdin.write(b"echo $((6 * 7))-up\n")
    output.until(rb"42-up\r?\n")
    process.send_signal(signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = status
    assert os.WIFSIGNALED(status)
    assert not os.WCOREDUMP(status)
    assert list(tmp_path.glob("core*")) == []
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()
