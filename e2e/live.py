"""The plugin against a real account: `just live TARGET=i-0123456789abcdef0`.

Credentials, region and proxy come from wherever the AWS CLI takes them. Without credentials or without TARGET all is
skipped, and one line says why. Everything here is what its user may do anyway; each session is ended.
"""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import urllib.parse

import botocore.session
import pytest

from destinations import Destination, carry, read_line
from emulator import PLUGIN
from terminal import LOCAL_PROMPT, Terminal
from waiting import LIMIT, Output, exit_status

TARGET = os.environ.get("TARGET", "")


def why_not():
    """What is missing for a run, if anything."""
    if not TARGET:
        return "no TARGET; name a node of yours: just live TARGET=i-0123456789abcdef0"
    if botocore.session.Session().get_credentials() is None:
        return "no credentials; aws configure or aws sso login get some"
    return None


def ssh(document=None, **parameters):
    command = [str(PLUGIN), "ssh", "--target", TARGET, "--reason", "a test of the client"]
    if document:
        command += ["--document-name", document, "--parameters", json.dumps(parameters)]
    return command


class Line:
    """A proxy for HTTPS that can be cut: one of its own, or in front of the one that is in use here."""

    def __init__(self):
        self.proxy = urllib.parse.urlsplit(os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or "")
        self.destination = Destination(self._serve)
        user = f"{self.proxy.netloc.rpartition('@')[0]}@" if "@" in self.proxy.netloc else ""
        self.url = f"http://{user}127.0.0.1:{self.destination.port}"

    def close(self):
        self.destination.close()

    def cut(self):
        """Cuts all connections there are."""
        self.destination.cut()

    def _serve(self, client):
        if self.proxy.hostname:
            return carry(client, socket.create_connection((self.proxy.hostname, self.proxy.port or 80), LIMIT))
        method, authority, _ = read_line(client).split()
        while read_line(client) not in (b"\r", b""):
            pass
        assert method == b"CONNECT"
        host, _, port = authority.decode().rpartition(":")
        server = socket.create_connection((host, int(port)), LIMIT)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return carry(client, server)


@pytest.fixture
def line():
    line = Line()
    yield line
    line.close()


@pytest.fixture
def terminal(tmp_path, line):
    terminal = Terminal(tmp_path, os.environ | {"HTTPS_PROXY": line.url, "https_proxy": line.url})
    yield terminal
    terminal.close()


def test_a_shell(terminal):
    terminal.type(shlex.join(ssh()))
    terminal.until_prompt(r".*[$#%>]")
    terminal.type("echo $((6 * 7)) live")
    terminal.until_line("42 live")
    terminal.type("exit")
    terminal.until_prompt(LOCAL_PROMPT)


def test_a_command():
    finished = subprocess.run(
        ssh("AWS-StartNonInteractiveCommand", command=["echo live and well"]),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert finished.returncode == 0, finished.stderr
    assert "live and well\n" in finished.stdout


def test_a_forward():
    """To the node's port 22; `PORT=…` takes another one, whose server need not say anything."""
    process = subprocess.Popen(
        ssh("AWS-StartPortForwardingSession", portNumber=[os.environ.get("PORT", "22")]),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        port = Output(process.stderr.fileno()).until(rb"127\.0\.0\.1:(\d+)|[Pp]ort (\d+)")
        with socket.create_connection(("127.0.0.1", int(port.group(1) or port.group(2))), LIMIT) as connection:
            assert "PORT" in os.environ or read_line(connection).startswith(b"SSH-")
    finally:
        process.send_signal(signal.SIGINT)
        exit_status(process)
        process.stderr.close()


def test_a_shell_whose_connection_is_cut_goes_on(terminal, line):
    terminal.type(shlex.join(ssh()))
    terminal.until_prompt(r".*[$#%>]")
    terminal.type("kept=$((6 * 7)); echo $kept before")
    terminal.until_line("42 before")
    line.cut()
    terminal.type("echo $kept after")
    terminal.until_line("42 after")
    terminal.type("exit")
    terminal.until_prompt(LOCAL_PROMPT)


if __name__ == "__main__":
    if reason := why_not():
        print(f"skipped: {reason}")
        sys.exit(0)
    sys.exit(pytest.main(["-q", __file__]))
