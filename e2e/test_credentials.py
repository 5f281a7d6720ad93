"""`ssh` with credentials from everywhere AWS's own tools take them, and what it says where they are missing, too old
or not accepted. The emulator lets nobody else in, neither to its API nor to a data channel."""

import json
import re
import shlex
import subprocess

import pytest

from access import ABSENT, EXPIRED, REFUSED, Sources, temporary_credentials
from emulator import PLUGIN, REGION, TARGET
from relay import Relay
from terminal import LOCAL_PROMPT
from waiting import LIMIT, Output, exit_status

PARAMETERS = json.dumps({"command": ["sh -c 'echo in; exit 7'"]})
COMMAND = ("--document-name", "Emulator-SeparateOutput", "--parameters", PARAMETERS)


@pytest.fixture
def emulator(start_emulator, access):
    return start_emulator("--pace", "none", credentials=[access.credentials])


@pytest.fixture
def ssh(emulator, home):
    """Runs `ssh` with nothing but these variables and this home."""

    def run(variables, *arguments, target=TARGET, command=COMMAND):
        return subprocess.run(
            emulator.ssh_command(*arguments, *command, target=target),
            env=emulator.bare_environment() | {"HOME": str(home)} | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )

    return run


def refusal(finished):
    """What it says of a session that it could not start, which is one line."""
    assert (finished.stdout, finished.returncode) == ("", 1), finished
    said = [line for line in finished.stderr.splitlines() if "starting session with SessionId" not in line]
    assert len(said) == 1, finished
    print(said[0])
    return said[0]


SOURCES = [
    Sources.environment,
    Sources.shared_file,
    Sources.process,
    Sources.sign_in,
    Sources.sign_in_without_session,
    Sources.renewed_sign_in,
    Sources.web_identity,
    Sources.container,
    Sources.instance,
    Sources.role,
]


def named(source):
    return source.__name__


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_credentials_from_anywhere_open_a_session(ssh, emulator, sources, source):
    finished = ssh(source(sources))
    assert (finished.stdout, finished.returncode) == ("in\n", 7), finished
    [session] = emulator.sessions("History")
    assert session in finished.stderr


def test_a_profile_by_option_wins_over_keys_in_the_environment(ssh, sources):
    variables = sources.shared_file()
    del variables["AWS_PROFILE"]
    wrong = {"AWS_REGION": REGION} | temporary_credentials("wrong").environment()
    assert ssh(variables | wrong, "--profile", Sources.profile).returncode == 7
    assert "security token" in refusal(ssh(variables | wrong))


def test_a_role_asks_for_its_second_factor_in_the_terminal(open_terminal, emulator, sources, home, access):
    environment = emulator.bare_environment() | {"HOME": str(home)} | sources.role_with_second_factor()
    terminal = open_terminal(emulator, environment=environment)
    terminal.type(shlex.join(map(str, emulator.ssh_command(*COMMAND))))
    terminal.until(lambda lines: any("arn:aws:iam::123456789012:mfa/me" in line for line in lines), "the question")
    terminal.type(access.second_factor)
    terminal.until_line("in")
    terminal.until_prompt(LOCAL_PROMPT)
    terminal.type("echo status $?")
    terminal.until_line("status 7")


class Signers(Relay):
    """The API on the way, to learn whose keys its requests are signed with."""

    def _is_asked(self, client, data):
        with self.lock:
            self.asked[client] += data

    def of(self, operation):
        with self.lock:
            asked = b"".join(self.asked.values()).decode("latin-1")
        requests = [each for each in asked.split("POST / HTTP/1.1") if f"AmazonSSM.{operation}" in each]
        return [re.search(r"Credential=(\w+)/", each).group(1) for each in requests]


def test_a_session_is_resumed_with_the_keys_that_the_profile_has_by_then(start_emulator, sources, access, home):
    """Short-lived keys in a file are renewed by whoever wrote them; that they are over only the service knows."""
    first, second = access.credentials, temporary_credentials("second")
    over = ("--refuse", "ResumeSession=ExpiredTokenException*1")
    emulator = start_emulator("--pace", "none", *over, credentials=[first, second])
    api = Signers(emulator.endpoint)
    command = [PLUGIN, "ssh", "--target", TARGET, "--endpoint-url", f"http://{api.address}"]
    environment = emulator.bare_environment() | {"HOME": str(home)} | sources.shared_file()
    process = emulator.popen(command, env=environment)
    output = Output(process.stdout.fileno())
    process.stdin.write(b"echo $((6 * 7))-before\n")
    output.until(rb"42-before\r?\n")
    [session] = emulator.sessions()
    sources.keys(sources.profile, second)
    emulator.close_channel(session, "Cut")
    process.stdin.write(b"echo $((6 * 7))-after; exit\n")
    output.until(rb"42-after\r?\n")
    output.until_end()
    assert exit_status(process) == 0
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()
    api.close()
    assert api.of("StartSession") == [first.access_key_id]
    assert api.of("ResumeSession") == [first.access_key_id, second.access_key_id]


def test_no_credentials_at_all_is_told_with_the_ways_to_have_some(ssh):
    said = refusal(ssh({"AWS_REGION": REGION}))
    assert "no AWS credentials" in said
    assert "aws configure" in said
    assert "aws sso login" in said


def test_no_region_is_told_with_the_ways_to_name_one(ssh, access):
    said = refusal(ssh(access.credentials.environment()))
    assert "no AWS region" in said
    assert "AWS_REGION" in said


def test_a_profile_that_does_not_exist_is_named(ssh, sources):
    sources.shared_file()
    assert "nowhere" in refusal(ssh({}, "--profile", "nowhere"))


def test_keys_that_the_service_does_not_know_are_refused(ssh):
    said = refusal(ssh({"AWS_REGION": REGION} | temporary_credentials("other").environment()))
    assert "security token" in said


OLD = [Sources.environment, Sources.shared_file, Sources.process, Sources.container, Sources.instance]


@pytest.mark.parametrize("source", OLD, ids=named)
def test_keys_that_are_too_old_for_the_service_are_told_so(start_emulator, home, access, sources, source):
    """Whoever gave them out may not know, or says so: what counts is what the service says."""
    access.mode = EXPIRED
    emulator = start_emulator(credentials=[access.credentials._replace(expiration="2020-01-01T00:00:00Z")])
    finished = subprocess.run(
        emulator.ssh_command(*COMMAND),
        env=emulator.bare_environment() | {"HOME": str(home)} | source(sources),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert "expired" in refusal(finished)


# What the service refuses, and what the one line has to hold.
REFUSALS = [
    ("StartSession=AccessDeniedException", ["ssm:StartSession", TARGET]),
    ("StartSession=ThrottlingException", ["Rate exceeded"]),
    ("StartSession=InvalidDocument", [COMMAND[1]]),
    ("OpenDataChannel=AccessDeniedException", ["ssmmessages:OpenDataChannel"]),
]


@pytest.mark.parametrize(("refuse", "expected"), REFUSALS, ids=lambda value: value if isinstance(value, str) else None)
def test_what_the_service_refuses_is_told_with_what_was_asked(start_emulator, refuse, expected):
    emulator = start_emulator("--refuse", refuse)
    finished = subprocess.run(
        emulator.ssh_command(*COMMAND), env=emulator.environment(), capture_output=True, text=True, timeout=LIMIT
    )
    said = refusal(finished)
    for part in expected:
        assert part in said
    emulator.until_over()


def test_a_target_that_is_not_there_is_told_with_the_likely_reasons(ssh, access):
    said = refusal(ssh({"AWS_REGION": REGION} | access.credentials.environment(), target="i-0ffffffffffffffff"))
    for part in ("i-0ffffffffffffffff", "region", "account", "Agent"):
        assert part in said


# What is no target, and which form of one is explained.
NO_TARGETS = [
    ("web-1", "i-"),
    ("i-", "EC2"),
    ("mi-0", "mi-"),
    ("ecs:cluster", "runtimeId"),
    ("I-0123456789abcdef0", "i-"),
]


@pytest.mark.parametrize(("target", "explained"), NO_TARGETS, ids=[target for target, _ in NO_TARGETS])
def test_what_cannot_be_a_target_is_explained(ssh, target, explained):
    finished = ssh({}, target=target)
    assert finished.returncode == 2
    assert target in finished.stderr
    assert explained in finished.stderr.replace(f'"{target}"', "")


# What is wrong, and what the one line has to hold: the source by its name, and what to do.
SENTENCES = [
    (Sources.process, REFUSED, ["credential_process"]),
    (Sources.process, ABSENT, ["credential_process"]),
    (Sources.sign_in, EXPIRED, ["aws sso login --profile work"]),
    (Sources.sign_in, REFUSED, ["work", "No access"]),
    (Sources.sign_in, ABSENT, ["aws sso login --profile work"]),
    (Sources.expired_sign_in, None, ["expired", "aws sso login --profile work"]),
    (Sources.renewed_sign_in, REFUSED, ["aws sso login --profile work"]),
    (Sources.web_identity, EXPIRED, ["expired", "web identity"]),
    (Sources.web_identity, REFUSED, ["AWS_WEB_IDENTITY_TOKEN_FILE", "sts:AssumeRoleWithWebIdentity"]),
    (Sources.web_identity, ABSENT, ["AWS_WEB_IDENTITY_TOKEN_FILE"]),
    (Sources.container, REFUSED, ["container"]),
    (Sources.container, ABSENT, ["container"]),
    (Sources.instance, REFUSED, ["credentials"]),
    (Sources.instance, ABSENT, ["credentials"]),
    (Sources.role, EXPIRED, ["expired"]),
    (Sources.role, REFUSED, ["sts:AssumeRole", "arn:aws:iam::123456789012:role/admin"]),
    (Sources.role_with_second_factor, None, ["arn:aws:iam::123456789012:mfa/me"]),
]


@pytest.mark.parametrize(("source", "wrong", "expected"), SENTENCES, ids=lambda value: getattr(value, "__name__", None))
def test_credentials_that_cannot_be_had_are_named_with_what_to_do(
    ssh, emulator, sources, access, source, wrong, expected
):
    access.mode = wrong or access.mode
    # The instance that refuses to tell its credentials does not tell its region either.
    said = refusal(ssh(source(sources) | {"AWS_REGION": REGION}))
    for part in expected:
        assert part in said
    for secret in access.credentials.secrets():
        assert secret not in said
