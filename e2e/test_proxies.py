"""Sessions from networks that let nothing out but through a proxy, and those that look into TLS."""

import base64
import json
import subprocess
import urllib.parse

import pytest

from emulator import PLUGIN, TARGET, Emulator
from interception import AWS_API, AWS_STREAM, NAME, PASSWORD, Interception
from proxies import AWS_PRIVATE_STREAM, OTHER_STREAM, Authority, SshSocks, Tinyproxy, TlsFront, names
from servers import Sshd, reserve_port
from waiting import LIMIT, until

PARAMETERS = {"command": ["sh -c 'echo in; exit 7'"]}
COMMAND = ("--document-name", "Emulator-SeparateOutput", "--parameters", json.dumps(PARAMETERS))
SSH = [PLUGIN, "ssh", "--target", TARGET, *COMMAND]
LOGIN = ("somebody", "opensesame")


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    emulator = Emulator(tmp_path_factory.mktemp("emulator"), "--pace", "none")
    yield emulator
    emulator.stop()
    print(emulator.log.read_text())


@pytest.fixture(scope="module")
def front(tmp_path_factory, emulator):
    """The emulator under the names of AWS, with a certificate by an authority of its own."""
    front = TlsFront(emulator.endpoint, Authority(tmp_path_factory.mktemp("authority")))
    yield front
    front.close()


def run(emulator, command, variables):
    # Whatever leads to AWS has to go through a proxy, and none of these leads there.
    known = {name: value for name, value in emulator.environment().items() if name != "AWS_ENDPOINT_URL"}
    return subprocess.run(
        command,
        env=known | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


def connect(emulator, response, variables):
    passed = {"AWS_SSM_START_SESSION_RESPONSE": json.dumps(response, default=str)}
    return run(emulator, [PLUGIN, "connect"], variables | passed)


def by_channel(emulator, front, variables):
    """A session whose channel is at a host of AWS."""
    chosen = {"DocumentName": COMMAND[1], "Parameters": PARAMETERS}
    response = front.on_the_way(emulator.ssm().start_session(Target=TARGET, **chosen))
    return connect(emulator, response, variables | {"AWS_CA_BUNDLE": str(front.authority)})


def by_api(emulator, front, variables):
    """A session whose API is at a host of AWS, its channel at this machine, which no proxy is asked for."""
    command = [PLUGIN, "ssh", "--target", TARGET, "--endpoint-url", front.api, *COMMAND]
    return run(emulator, command, variables | {"AWS_CA_BUNDLE": str(front.authority)})


CHANNEL_AND_API = pytest.mark.parametrize("reach", [by_channel, by_api], ids=["channel", "API"])


def is_in(finished):
    assert (finished.stdout, finished.returncode) == ("in\n", 7), finished
    return True


def failed(finished):
    assert (finished.stdout, finished.returncode) == ("", 1), finished
    return finished.stderr


def proxy_url(proxy, login=None):
    user = ":".join(urllib.parse.quote(part, safe="") for part in login) + "@" if login else ""
    return f"{proxy.scheme}://{user}{proxy.address}"


@pytest.fixture(scope="module")
def open_proxy(tmp_path_factory):
    proxy = Tinyproxy(tmp_path_factory.mktemp("tinyproxy"))
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def closed_proxy(tmp_path_factory):
    proxy = Tinyproxy(tmp_path_factory.mktemp("tinyproxy"), LOGIN)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def socks(tmp_path_factory):
    directory = tmp_path_factory.mktemp("socks")
    sshd = Sshd(directory, **names(directory))
    proxy = SshSocks(directory, sshd)
    yield proxy
    proxy.stop()
    sshd.stop()


@CHANNEL_AND_API
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_tinyproxy_without_a_password(emulator, front, open_proxy, reach, variable):
    before = open_proxy.connections()
    assert is_in(reach(emulator, front, {variable: proxy_url(open_proxy)}))
    until(lambda: open_proxy.connections() > before, "a connection in the log of the proxy")


@CHANNEL_AND_API
def test_tinyproxy_with_a_password(emulator, front, closed_proxy, reach):
    assert is_in(reach(emulator, front, {"HTTPS_PROXY": proxy_url(closed_proxy, LOGIN)}))


@CHANNEL_AND_API
@pytest.mark.parametrize("login", [None, (LOGIN[0], "wrong-password")], ids=["no password", "wrong password"])
def test_tinyproxy_refuses_and_is_told_apart_from_aws(emulator, front, closed_proxy, reach, login):
    said = failed(reach(emulator, front, {"HTTPS_PROXY": proxy_url(closed_proxy, login)}))
    assert "proxy" in said
    assert "wrong-password" not in said
    # 407 it should be by the standards, 401 is what tinyproxy says.
    assert "401" in said or "407" in said or "password" in said


@CHANNEL_AND_API
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_by_ssh(emulator, front, socks, reach, scheme):
    before = socks.connections()
    assert is_in(reach(emulator, front, {"ALL_PROXY": f"{scheme}://{socks.address}"}))
    until(lambda: socks.connections() > before, "a connection in the log of the proxy")


@CHANNEL_AND_API
@pytest.mark.parametrize("around", [".amazonaws.com", "amazonaws.com", f"example.com, {AWS_API},{AWS_STREAM}", "*"])
def test_no_proxy_leads_around_it(emulator, front, reach, tmp_path, around):
    with reserve_port() as nobody:
        proxy = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        variables = {"HTTPS_PROXY": proxy, "NO_PROXY": around}
        assert is_in(reach(emulator, front, variables | names(tmp_path)))


@CHANNEL_AND_API
def test_no_proxy_for_others_leads_through_it(emulator, front, reach, tmp_path):
    with reserve_port() as nobody:
        proxy = f"127.0.0.1:{nobody.getsockname()[1]}"
        variables = {"HTTPS_PROXY": f"http://{proxy}", "NO_PROXY": "example.com,.amazonaws.com.cn"}
        said = failed(reach(emulator, front, variables | names(tmp_path)))
    assert "proxy" in said
    assert proxy in said


# Other hosts than the one AWS names.


def started(emulator, front, host):
    """A session whose channel is at a host."""
    chosen = {"DocumentName": COMMAND[1], "Parameters": PARAMETERS}
    response = emulator.ssm().start_session(Target=TARGET, **chosen)
    return response | {"StreamUrl": front.on_the_way(response)["StreamUrl"].replace(AWS_STREAM, host)}


def test_a_private_endpoint_takes_the_place_of_the_host_in_name_certificate_and_port(emulator, front, tmp_path):
    response = started(emulator, front, AWS_STREAM)
    response["StreamUrl"] = response["StreamUrl"].replace(f":{front.destination.port}/", "/")
    variables = names(tmp_path) | {
        "AWS_CA_BUNDLE": str(front.authority),
        "SSM_SESSION_STREAM_HOST": f"{AWS_PRIVATE_STREAM}:{front.destination.port}",
    }
    assert is_in(connect(emulator, response, variables))
    assert front.asked_for[-1] == AWS_PRIVATE_STREAM


def test_a_host_that_is_not_of_aws_gets_nothing_unless_it_is_allowed(emulator, front, tmp_path):
    variables = names(tmp_path) | {"AWS_CA_BUNDLE": str(front.authority)}
    before = list(front.asked_for)
    refused = connect(emulator, started(emulator, front, OTHER_STREAM), variables)
    assert (refused.stdout, refused.returncode) == ("", 2), refused
    for part in (OTHER_STREAM, "--allow-stream-host", "SSM_SESSION_ALLOW_STREAM_HOSTS", "configuration file"):
        assert part in refused.stderr
    assert front.asked_for == before
    allowed = {"SSM_SESSION_ALLOW_STREAM_HOSTS": "*.example.com"}
    assert is_in(connect(emulator, started(emulator, front, OTHER_STREAM), variables | allowed))
    assert front.asked_for[-1] == OTHER_STREAM


# Proxies that look into TLS. Here everything has the names of AWS, and nothing is told of the emulator.


@pytest.fixture(scope="module")
def interception(tmp_path_factory, emulator):
    """Starts them, one of each kind."""
    started = {}

    def start(kind="regular", password=False):
        if (kind, password) not in started:
            directory = tmp_path_factory.mktemp("interception")
            started[kind, password] = Interception(directory, emulator, kind, password)
        return started[kind, password]

    yield start
    for each in started.values():
        each.stop()
        print(each.server.log.read_text())


def intercepted(emulator, proxy, **variables):
    """`ssh` as against AWS itself."""
    login = (NAME, PASSWORD) if proxy.password else None
    return run(emulator, SSH, {"HTTPS_PROXY": proxy_url(proxy, login)} | variables)


@pytest.mark.parametrize("password", [False, True], ids=["open", "password"])
@pytest.mark.parametrize("kind", ["regular", "socks5"])
def test_a_proxy_that_looks_into_tls_with_its_authority(emulator, interception, kind, password):
    proxy = interception(kind, password)
    before = len(proxy.requests())
    assert is_in(intercepted(emulator, proxy, AWS_CA_BUNDLE=str(proxy.authority)))
    first, second, *_ = proxy.requests()[before:]
    assert first == (AWS_API, "AmazonSSM.StartSession")
    assert second[0] == AWS_STREAM
    assert second[1].startswith("/v1/data-channel/")


def test_its_authority_may_be_in_the_profile_too(emulator, interception, tmp_path):
    proxy = interception()
    config = tmp_path / "config"
    config.write_text(f"[default]\nca_bundle = {proxy.authority}\n")
    assert is_in(intercepted(emulator, proxy, AWS_CONFIG_FILE=str(config)))


def test_an_authority_for_the_whole_machine_counts_as_well(emulator, interception):
    proxy = interception()
    assert is_in(intercepted(emulator, proxy, SSL_CERT_FILE=str(proxy.authority)))


def test_without_its_authority_the_certificate_is_named_as_the_trouble(emulator, interception):
    said = failed(intercepted(emulator, interception()))
    assert "certificate authority" in said
    assert AWS_API in said


def test_without_its_authority_the_channel_names_the_certificate_too(emulator, interception):
    proxy = interception()
    response = emulator.ssm().start_session(Target=TARGET)
    host, port = emulator.endpoint.removeprefix("http://").split(":")
    response["StreamUrl"] = response["StreamUrl"].replace(f"ws://{host}:{port}/", f"wss://{AWS_STREAM}/")
    said = failed(connect(emulator, response, {"HTTPS_PROXY": proxy_url(proxy)}))
    assert "certificate authority" in said
    assert AWS_STREAM in said


@pytest.mark.parametrize("kind", ["regular", "socks5"])
def test_a_wrong_password_for_it_is_told_and_not_shown(emulator, interception, kind):
    proxy = interception(kind, password=True)
    url = proxy_url(proxy, (NAME, "wrong-password"))
    said = failed(run(emulator, SSH, {"HTTPS_PROXY": url, "AWS_CA_BUNDLE": str(proxy.authority)}))
    assert "the proxy" in said
    assert "the password" in said
    assert "wrong-password" not in said


def test_the_aws_cli_with_our_plugin_through_it(emulator, interception):
    proxy = interception()
    command = ["aws", "ssm", "start-session", "--target", TARGET, *COMMAND]
    variables = {"HTTPS_PROXY": proxy_url(proxy), "AWS_CA_BUNDLE": str(proxy.authority)}
    finished = run(emulator, command, variables)
    assert finished.returncode == 0
    assert "\nin\n" in finished.stdout


def test_a_service_on_this_machine_is_asked_without_it(emulator, interception, sources, access):
    """Such as the one that gives a container its credentials."""
    proxy = interception()
    nothing = dict.fromkeys(emulator.credentials.environment(), "")
    proxies = {"HTTP_PROXY": proxy_url(proxy), "AWS_CA_BUNDLE": str(proxy.authority)}
    assert is_in(intercepted(emulator, proxy, **nothing, **proxies, **sources.container()))
    assert ("GET", "/container") in access.asked


def test_the_password_of_a_proxy_is_in_no_log(emulator, interception, tmp_path):
    proxy = interception("regular", password=True)
    log = tmp_path / "plugin.log"
    variables = {"HTTPS_PROXY": proxy_url(proxy, (NAME, PASSWORD)), "AWS_CA_BUNDLE": str(proxy.authority)}
    assert is_in(run(emulator, [*SSH, "--log-file", log], variables | {"RUST_LOG": "trace"}))
    logged = log.read_text()
    assert AWS_STREAM in logged
    basic = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
    for secret in (PASSWORD, urllib.parse.quote(PASSWORD, safe=""), basic):
        assert secret not in logged
