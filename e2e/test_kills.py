"""`kill -9` of everybody around a session: no process, listener, socket file or raw terminal is left behind, and the
session is ended where somebody is left to do it. What a killed service leaves is among `test_told.py`."""

import os
import shlex
import signal
import subprocess

import pytest

from destinations import echo, is_cut
from emulator import TARGET
from forward import SOCKET, SSH
from processes import Watched, descendants, parents, plugin_below, plugins
from test_forward_ends import is_free, open_connection
from waiting import LIMIT, Output, exit_status

CALLERS = pytest.mark.parametrize("by", ["cli", "shell script", "Python program"])


def kill(process_id):
    os.kill(process_id, signal.SIGKILL)


@CALLERS
def test_a_forward_does_not_outlive_its_caller(emulator, open_forward, serve, by):
    """Otherwise the port stays open, with a session behind it that nobody knows of."""
    forward = open_forward(serve(echo).port, by=by)
    assert forward.plugin.process_id != forward.process.pid
    with open_connection(forward) as connection:
        forward.process.kill()
        assert is_cut(connection)
    forward.plugin.until_gone()
    assert is_free(forward.port)
    emulator.until_over()


@CALLERS
def test_a_killed_caller_leaves_no_socket_file(emulator, open_forward, serve, tmp_path, by):
    path = tmp_path / "local.sock"
    forward = open_forward(serve(echo).port, document=SOCKET, localUnixSocket=path, by=by)
    assert path.is_socket()
    forward.process.kill()
    forward.plugin.until_gone()
    assert not path.exists()
    emulator.until_over()


def script(emulator):
    response = emulator.ssm().start_session(Target=TARGET)
    command = shlex.join(map(str, emulator.plugin_command(response)))
    return ["sh", "-c", f"{command}; exit 3"]


@pytest.mark.parametrize("by", [script, lambda emulator: emulator.start_session_command()], ids=["script", "cli"])
def test_a_shell_does_not_outlive_its_caller_and_leaves_the_terminal_as_it_was(emulator, sit, by):
    seat = sit()
    seat.open_shell(by(emulator))
    caller = parents()[seat.plugin.process_id]
    kill(caller)
    # The local shell has the terminal long before, and what the plugin says as it ends stands behind its prompt.
    seat.plugin.until_gone()
    seat.terminal.keys("Enter")
    seat.until_back(137)
    emulator.until_over()


def test_a_killed_plugin_leaves_no_listener_and_no_connection(emulator, open_forward, serve):
    """The session stays, as after every client that was killed, until its own time is up."""
    forward = open_forward(serve(echo).port, by="cli")
    with open_connection(forward) as connection:
        kill(forward.plugin.process_id)
        assert is_cut(connection)
    forward.plugin.until_gone()
    exit_status(forward.process)
    assert is_free(forward.port)
    assert not descendants(forward.process.pid)
    emulator.ssm().terminate_session(SessionId=forward.session)
    emulator.until_over()


def test_a_killed_plugin_leaves_the_terminal_to_the_shell_that_started_it(emulator, sit):
    seat = sit()
    seat.open_shell(emulator.ssh_command())
    kill(seat.plugin.process_id)
    seat.until_back(137)


@pytest.fixture
def ssh_by(emulator, sshd):
    """`ssh -F` with a ProxyCommand that is the AWS CLI, our own command, or the plugin in the place of a script."""

    def command(by):
        match by:
            case "cli":
                proxy = emulator.start_session_command(
                    "--document-name", SSH, "--parameters", "portNumber=%p", target="%h"
                )
            case "ssh":
                parameters = '{"portNumber": ["%p"]}'
                proxy = emulator.ssh_command("--document-name", SSH, "--parameters", parameters, target="%h")
            case "script":
                request = {"DocumentName": SSH, "Parameters": {"portNumber": [str(sshd.port)]}}
                response = emulator.ssm().start_session(Target=TARGET, **request)
                # ssh has its shell replace itself by this, and looks for its own percent signs.
                proxy = [str(word).replace("%", "%%") for word in emulator.plugin_command(response, **request)]
        return ["ssh", "-F", str(sshd.client_configuration(shlex.join(map(str, proxy))))]

    return command


PROXIES = pytest.mark.parametrize("by", ["cli", "ssh", "script"])


@PROXIES
def test_a_killed_sshd_ends_ssh_and_all_that_it_started(emulator, ssh_by, by):
    process = emulator.popen([*ssh_by(by), TARGET, "echo $PPID; cat"])
    server = int(Output(process.stdout.fileno()).until(rb"^(\d+)\n").group(1))
    below = [Watched(each) for each in descendants(process.pid)]
    assert plugin_below(process.pid) in [each.process_id for each in below]
    kill(server)
    assert exit_status(process) == 255
    for each in below:
        each.until_gone()
        each.close()
    emulator.until_over()


@PROXIES
def test_ssh_in_the_background_outlives_what_started_it(emulator, ssh_by, sshd, serve, tmp_path, by):
    """`ssh -f` leaves its ProxyCommand to a parent that is gone: that is no end of the session."""
    control, errors = tmp_path / "control", tmp_path / "errors"
    options = ("-f", "-o", "ControlMaster=yes", "-o", "ControlPersist=yes", "-S", str(control))

    def run(*arguments):
        """With errors in a file, for the one that stays has it open."""
        with open(errors, "ab") as file:
            return subprocess.run(
                [*command, *arguments],
                env=emulator.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=file,
                timeout=LIMIT,
            )

    command = ssh_by(by)
    first = run(*options, TARGET, "true")
    assert first.returncode == 0, errors.read_text()
    [plugin] = map(Watched, plugins(emulator.endpoint))
    for n in range(3):
        again = run("-S", str(control), TARGET, f"seq 1 20000; exit {n}")
        assert again.returncode == n, errors.read_text()
        assert again.stdout == b"".join(b"%d\n" % number for number in range(1, 20001))
    run("-S", str(control), "-O", "exit", TARGET)
    plugin.until_gone()
    plugin.close()
    emulator.until_over()
