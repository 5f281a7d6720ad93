"""Sessions that one client starts and another lists, resumes or ends: boto3, the real AWS CLI, and ours."""

import json
import shlex
import signal
import subprocess

import pytest

from emulator import PLUGIN, REGION, TARGET
from interception import AWS_API, AWS_STREAM, Interception
from processes import plugin_below
from terminal import LOCAL_PROMPT
from test_shell import REMOTE_PROMPT, plugin_process
from waiting import LIMIT, Output, exit_status

REASON = "INC-1234: disk full"


def aws(emulator, *arguments):
    """Runs the AWS CLI; returns what it answered."""
    finished = subprocess.run(
        ["aws", *arguments, "--endpoint-url", emulator.endpoint],
        env=emulator.environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


@pytest.fixture
def ours(terminal, emulator):
    """A shell by `ssh`, in a terminal; its session's id."""
    terminal.type(shlex.join(map(str, emulator.ssh_command("--reason", REASON))))
    terminal.until_prompt(r".*[$#]")
    terminal.type(f"PS1='{REMOTE_PROMPT} '")
    terminal.until_prompt(REMOTE_PROMPT)
    [session] = emulator.sessions()
    assert session in terminal.everything()
    return session


def test_our_session_is_listed_by_the_aws_cli_as_we_started_it(emulator, ours):
    [listed] = aws(emulator, "ssm", "describe-sessions", "--state", "Active")["Sessions"]
    assert listed["SessionId"] == ours
    assert (listed["Target"], listed["Status"], listed["Reason"]) == (TARGET, "Connected", REASON)


def test_the_aws_cli_ends_our_shell_which_says_so(emulator, terminal, ours):
    assert aws(emulator, "ssm", "terminate-session", "--session-id", ours)["SessionId"] == ours
    terminal.until_prompt(rf".*{LOCAL_PROMPT}")
    terminal.type("echo status $?")
    terminal.until_line("status 0")
    assert emulator.sessions("History")[ours]["Status"] == "Terminated"


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_our_shell_that_is_killed_is_terminated_at_the_service(emulator, terminal, ours, sent):
    plugin = plugin_process(terminal)
    subprocess.run(["kill", f"-{sent.value}", str(plugin)], check=True, timeout=LIMIT)
    terminal.until_prompt(rf".*{LOCAL_PROMPT}")
    terminal.type("echo status $?")
    terminal.until_line(f"status {128 + sent}")
    emulator.until_over()
    assert emulator.sessions("History")[ours]["Status"] == "Terminated"


def test_our_command_that_is_interrupted_is_terminated_at_the_service(emulator):
    parameters = json.dumps({"command": ["sh -c 'echo up; exec cat'"]})
    command = emulator.ssh_command("--document-name", "Emulator-SeparateOutput", "--parameters", parameters)
    process = emulator.popen(command)
    Output(process.stdout.fileno()).until(rb"^up$")
    process.send_signal(signal.SIGINT)
    process.stdin.close()
    Output(process.stderr.fileno()).until_end()
    exit_status(process)
    emulator.until_over()
    [session] = emulator.sessions("History").values()
    assert session["Status"] == "Terminated"


def test_our_shell_is_resumed_by_the_sdk_while_it_is_open_and_goes_on(emulator, terminal, ours):
    """Whoever resumes gets another token; the channel that is open stays open until somebody comes with it."""
    resumed = emulator.ssm().resume_session(SessionId=ours)
    assert resumed["SessionId"] == ours
    assert resumed["TokenValue"]
    terminal.type("echo $((6 * 7)) still here")
    terminal.until_line("42 still here")
    terminal.type("exit")
    terminal.until_prompt(LOCAL_PROMPT)
    assert emulator.sessions("History")[ours]["Status"] == "Terminated"


def test_a_session_that_the_sdk_started_and_resumed_is_ours_to_connect_to(emulator):
    ssm = emulator.ssm()
    started = ssm.start_session(Target=TARGET, Reason=REASON)
    resumed = ssm.resume_session(SessionId=started["SessionId"])
    process = emulator.popen(
        [PLUGIN, "connect"],
        env=emulator.environment() | {"AWS_SSM_START_SESSION_RESPONSE": json.dumps(resumed, default=str)},
    )
    output = Output(process.stdout.fileno())
    process.stdin.write(b"echo $((6 * 7))-resumed; exit\n")
    output.until(rb"^42-resumed\r?\n")
    output.until_end()
    assert exit_status(process) == 0
    assert emulator.sessions("History")[started["SessionId"]]["Status"] == "Terminated"


def test_a_shell_by_the_aws_cli_whose_plugin_is_killed_is_terminated_at_the_service(emulator):
    process = emulator.popen(emulator.start_session_command())
    output = Output(process.stdout.fileno())
    process.stdin.write(b"echo $((6 * 7))-attached\n")
    output.until(rb"^42-attached\r?\n")
    [session] = emulator.sessions()
    subprocess.run(["kill", str(plugin_below(process.pid))], check=True, timeout=LIMIT)
    output.until_end()
    exit_status(process)
    emulator.until_over()
    assert emulator.sessions("History")[session]["Status"] == "Terminated"


# ECS Exec: the emulator has one task with one container.

CLUSTER, TASK, CONTAINER = "emulator", "0123456789abcdef0123456789abcdef", "app"


@pytest.fixture
def container(emulator):
    """The container as a target of Systems Manager."""
    [task] = emulator.client("ecs").describe_tasks(cluster=CLUSTER, tasks=[TASK])["tasks"]
    [container] = [each for each in task["containers"] if each["name"] == CONTAINER]
    return f"ecs:{CLUSTER}_{TASK}_{container['runtimeId']}"


@pytest.fixture
def ecs_terminal(open_terminal, emulator, tmp_path):
    """A terminal in which ECS and Systems Manager are where they are for users; and what is asked of either."""
    (tmp_path / "proxy").mkdir()
    proxy = Interception(tmp_path / "proxy", emulator)
    terminal = open_terminal(emulator, environment=proxy.environment(emulator))
    chosen = ["--cluster", CLUSTER, "--task", TASK, "--container", CONTAINER]
    terminal.type(shlex.join(["aws", "ecs", "execute-command", *chosen, "--interactive", "--command", "/bin/sh"]))
    yield terminal, proxy
    proxy.stop()


def test_aws_ecs_execute_command_opens_a_shell_in_a_container(ecs_terminal, emulator, container):
    terminal, _ = ecs_terminal
    terminal.until_line(r"Starting session with SessionId: \S+")
    terminal.until_prompt(r".*[$#]")
    terminal.type("echo $((6 * 7)) on $(tty)")
    remote = terminal.until_line(r"42 on (/dev/pts/\d+)").group(1)
    assert remote != terminal.display("pane_tty")
    [session] = emulator.sessions().values()
    assert session["Target"] == container
    terminal.type("exit")
    terminal.until_line(r"Exiting session with sessionId: \S+\.")
    terminal.until_prompt(LOCAL_PROMPT)
    emulator.until_over()


def test_an_ecs_session_is_resumed_and_terminated_by_systems_manager(ecs_terminal, emulator):
    terminal, proxy = ecs_terminal
    terminal.until_prompt(r".*[$#]")
    terminal.type("echo $((6 * 7)) attached")
    terminal.until_line("42 attached")
    [session] = emulator.sessions()
    emulator.close_channel(session, "Cut")
    terminal.type("echo $((6 * 7)) resumed")
    terminal.until_line("42 resumed")
    subprocess.run(["kill", str(plugin_process(terminal))], check=True, timeout=LIMIT)
    terminal.until_prompt(rf".*{LOCAL_PROMPT}")
    emulator.until_over()
    asked = [each for each in proxy.requests() if each[0] != AWS_STREAM]
    ecs = f"ecs.{REGION}.amazonaws.com"
    assert {each for each in asked if each[0] == ecs} == {
        (ecs, "AmazonEC2ContainerServiceV20141113.ExecuteCommand"),
        (ecs, "AmazonEC2ContainerServiceV20141113.DescribeTasks"),
    }
    others = [each for each in asked if each[0] != ecs]
    assert others == [(AWS_API, "AmazonSSM.ResumeSession"), (AWS_API, "AmazonSSM.TerminateSession")]


def test_a_container_is_a_target_of_our_own(emulator, container):
    parameters = json.dumps({"command": ["sh -c 'echo in the container; exit 3'"]})
    command = emulator.ssh_command(
        "--document-name", "Emulator-SeparateOutput", "--parameters", parameters, target=container
    )
    process = emulator.popen(command)
    process.stdin.close()
    assert Output(process.stdout.fileno()).until_end() == b"in the container\n"
    assert exit_status(process) == 3
