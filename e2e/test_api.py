"""The emulated SSM API through the real SDK, which checks the shape of every answer."""

import botocore.exceptions
import pytest

from emulator import TARGET
from waiting import Output, exit_status


@pytest.fixture
def ssm(emulator):
    return emulator.ssm()


@pytest.fixture
def attached(emulator, ssm):
    """A shell session with the plugin attached, and what the API said when it was started."""
    response = ssm.start_session(Target=TARGET, Reason="a test")
    process = emulator.popen(emulator.plugin_command(response))
    output = Output(process.stdout.fileno())
    process.stdin.write(b"echo $((6 * 7))-attached\n")
    output.until(rb"^42-attached\r?\n")
    yield response, process, output
    if process.poll() is None:
        process.kill()
    exit_status(process)
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()


def error_code(error):
    return error.value.response["Error"]["Code"]


def test_an_open_session_is_listed(ssm, attached):
    response, _, _ = attached
    filters = [{"key": "SessionId", "value": response["SessionId"]}]
    [session] = ssm.describe_sessions(State="Active", Filters=filters)["Sessions"]
    assert session["SessionId"] == response["SessionId"]
    assert session["Target"] == TARGET
    assert session["Status"] == "Connected"
    assert session["Reason"] == "a test"
    assert session["StartDate"].year > 2020
    assert "EndDate" not in session
    assert ssm.describe_sessions(State="History", Filters=filters)["Sessions"] == []


def test_a_terminated_session_ends_at_the_client_and_moves_to_the_history(ssm, attached):
    response, process, output = attached
    session_id = response["SessionId"]
    assert ssm.terminate_session(SessionId=session_id)["SessionId"] == session_id
    everything = output.until_end().decode()
    assert everything.endswith(f"\n\nExiting session with sessionId: {session_id}.\n\n")
    assert exit_status(process) == 0
    filters = [{"key": "SessionId", "value": session_id}]
    assert ssm.describe_sessions(State="Active", Filters=filters)["Sessions"] == []
    [session] = ssm.describe_sessions(State="History", Filters=filters)["Sessions"]
    assert session["Status"] == "Terminated"
    assert session["EndDate"] >= session["StartDate"]


def test_a_session_that_is_exited_moves_to_the_history(ssm, attached):
    response, process, output = attached
    process.stdin.write(b"exit\n")
    output.until_end()
    assert exit_status(process) == 0
    [session] = ssm.describe_sessions(
        State="History", Filters=[{"key": "SessionId", "value": response["SessionId"]}]
    )["Sessions"]
    assert session["Status"] == "Terminated"


def test_an_unknown_target_is_refused_by_name(ssm):
    with pytest.raises(ssm.exceptions.TargetNotConnected) as error:
        ssm.start_session(Target="i-0ffffffffffffffff")
    assert error_code(error) == "TargetNotConnected"
    assert "i-0ffffffffffffffff" in error.value.response["Error"]["Message"]
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_an_unknown_document_is_refused_by_name(ssm):
    with pytest.raises(ssm.exceptions.InvalidDocument) as error:
        ssm.start_session(Target=TARGET, DocumentName="No-SuchDocument")
    assert "No-SuchDocument" in error.value.response["Error"]["Message"]


def test_an_unknown_filter_is_refused(ssm):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        ssm.describe_instance_information(Filters=[{"Key": "NoSuchKey", "Values": ["x"]}])
    assert error_code(error) == "InvalidFilterKey"


def test_connection_status_tells_known_from_unknown_targets(ssm):
    assert ssm.get_connection_status(Target=TARGET)["Status"] == "connected"
    assert ssm.get_connection_status(Target="i-0ffffffffffffffff")["Status"] == "notconnected"


def test_the_node_is_described(ssm):
    nodes = ssm.describe_instance_information()["InstanceInformationList"]
    [node] = [node for node in nodes if node["InstanceId"] == TARGET]
    assert node["PingStatus"] == "Online"
    assert node["PlatformType"] == "Linux"
    assert tuple(map(int, node["AgentVersion"].split("."))) > (3, 1, 1511, 0)
    filtered = ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": ["i-0ffffffffffffffff"]}])
    assert filtered["InstanceInformationList"] == []
