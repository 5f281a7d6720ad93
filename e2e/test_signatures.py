"""How the opening of a data channel is signed, beside AWS's own SDK."""

import json

import pytest

from access import temporary_credentials
from emulator import PLUGIN, TARGET, Credentials
from relay import Relay
from signatures import Upgrade, presigned
from waiting import Output, exit_status

LONG_LIVED = Credentials("AKIAE2E", "secret+/of==e2e")


@pytest.fixture(params=["long-lived", "temporary"])
def credentials(request):
    return LONG_LIVED if request.param == "long-lived" else temporary_credentials("e2e")


@pytest.fixture
def emulator(start_emulator, credentials):
    return start_emulator("--pace", "none", credentials=[credentials])


@pytest.fixture
def started(emulator, relay):
    return relay.on_the_way(emulator.ssm().start_session(Target=TARGET))


def connect(emulator, response, variables=None):
    """Runs a shell that ends at once; returns its output, errors and status."""
    environment = emulator.environment() | {"AWS_SSM_START_SESSION_RESPONSE": json.dumps(response, default=str)}
    process = emulator.popen([PLUGIN, "connect"], env=environment | (variables or {}))
    process.stdin.write(b"echo $((6 * 7))-in; exit\n")
    process.stdin.close()
    out, err = (Output(each.fileno()).until_end().decode() for each in (process.stdout, process.stderr))
    return out, err, exit_status(process)


def only_upgrade(relay):
    [head] = relay.requests()
    return Upgrade(head)


def test_the_signature_is_the_one_the_sdk_makes(emulator, relay, started, credentials):
    out, err, status = connect(emulator, started)
    assert "42-in" in out, err
    assert status == 0
    upgrade = only_upgrade(relay)
    access_key_id, signed, signature = upgrade.signature()
    assert access_key_id == credentials.access_key_id
    assert {"host", "x-amz-date"} <= set(signed)
    assert upgrade.fields.get("x-amz-security-token") == credentials.session_token
    assert ("x-amz-security-token" in signed) == (credentials.session_token is not None)
    assert signature == upgrade.expected_signature(credentials)
    # And would be another one with another key.
    other = credentials._replace(secret_access_key="another")
    assert signature != upgrade.expected_signature(other)


def test_every_way_to_start_a_session_signs(emulator, relay, started, credentials):
    process = emulator.popen(emulator.plugin_command(started))
    process.stdin.write(b"echo $((6 * 7))-in; exit\n")
    process.stdin.close()
    assert b"42-in" in Output(process.stdout.fileno()).until_end()
    upgrade = only_upgrade(relay)
    assert upgrade.signature()[2] == upgrade.expected_signature(credentials)


def test_an_address_that_is_signed_already_is_left_alone(emulator, relay, started, credentials):
    url = presigned(started["StreamUrl"], credentials)
    out, err, status = connect(emulator, started | {"StreamUrl": url})
    assert "42-in" in out, err
    assert status == 0
    upgrade = only_upgrade(relay)
    assert url.endswith(upgrade.path_and_query)
    assert "authorization" not in upgrade.fields
    assert not [name for name in upgrade.fields if name.startswith("x-amz-")]


def test_an_address_that_was_changed_after_it_was_signed_is_refused(emulator, relay, started, credentials):
    url = presigned(started["StreamUrl"], credentials).replace("publish_subscribe", "publish")
    out, err, status = connect(emulator, started | {"StreamUrl": url})
    assert (out, status) == ("", 1)
    assert "403" in err
    assert "Signature=" not in err


@pytest.mark.parametrize("credentials", [LONG_LIVED])
def test_keys_that_the_service_does_not_know_open_no_channel(emulator, started, credentials):
    out, err, status = connect(emulator, started, temporary_credentials("other").environment())
    assert (out, status) == ("", 1)
    assert "ssmmessages:OpenDataChannel" in err


@pytest.mark.parametrize("credentials", [LONG_LIVED])
@pytest.mark.parametrize("choice", ["skipped", "none"])
def test_nothing_is_signed_on_request_or_without_credentials(emulator, relay, started, credentials, choice):
    """The emulator lets nobody in unsigned who has keys, which shows that the channel was not signed."""
    nothing = dict.fromkeys(credentials.environment(), "")
    out, err, status = connect(
        emulator, started, nothing if choice == "none" else {"SSM_PLUGIN_SKIP_CLIENT_CONFIGURE": "true"}
    )
    assert (out, status) == ("", 1)
    assert "not signed" in err
    assert "authorization" not in only_upgrade(relay).fields


def test_an_unsigned_channel_is_opened_where_the_service_lets_it_in(start_emulator):
    emulator = start_emulator("--pace", "none")
    relay = Relay(emulator.endpoint)
    started = relay.on_the_way(emulator.ssm().start_session(Target=TARGET))
    nothing = dict.fromkeys(emulator.credentials.environment(), "")
    out, err, status = connect(emulator, started, nothing)
    relay.close()
    assert "42-in" in out, err
    assert status == 0
    assert "authorization" not in only_upgrade(relay).fields
