"""ssh through a session: the real client and server, the AWS CLI as ProxyCommand."""

import shlex
import socket
import subprocess

import pytest

from destinations import pattern, read_all
from emulator import TARGET
from forward import SSH
from processes import Watched, descendants, is_plugin, plugin_below
from servers import reserve_port
from terminal import LOCAL_PROMPT
from waiting import LIMIT, Output, exit_status

REMOTE_PROMPT = "remote>"


@pytest.fixture
def ssh_command(emulator, sshd):
    """`ssh` and further arguments, as with the ProxyCommand of the README."""
    proxy = emulator.start_session_command("--document-name", SSH, "--parameters", "portNumber=%p", target="%h")
    configuration = sshd.client_configuration(shlex.join(proxy))
    return lambda *arguments: ["ssh", "-F", str(configuration), *arguments]


def run(emulator, command, **arguments):
    return subprocess.run(command, env=emulator.environment(), capture_output=True, timeout=LIMIT, **arguments)


def test_output_errors_and_status_are_those_of_the_remote_command(emulator, ssh_command):
    finished = run(emulator, ssh_command(TARGET, "echo to output; echo to errors >&2; exit 3"))
    assert (finished.stdout, finished.stderr, finished.returncode) == (b"to output\n", b"to errors\n", 3)


def test_input_reaches_the_remote_command_and_so_does_its_end(emulator, ssh_command):
    everything = bytes(range(256)) * 1000 + b"\n"
    finished = run(emulator, ssh_command(TARGET, "cat; echo the end; exit 0"), input=everything)
    assert finished.stdout == everything + b"the end\n"
    assert (finished.stderr, finished.returncode) == (b"", 0)


def test_a_shell_in_a_terminal(terminal, ssh_command):
    terminal.type(shlex.join(ssh_command(TARGET)))
    terminal.until_prompt(r".*[$#]")
    terminal.type(f"PS1='{REMOTE_PROMPT} '")
    terminal.until_prompt(REMOTE_PROMPT)
    terminal.type("echo $((6 * 7)) on $(tty)")
    remote = terminal.until_line(r"42 on (/dev/pts/\d+)").group(1)
    assert remote != terminal.display("pane_tty")
    terminal.type("echo 'sleep'ing; sleep 1000")
    terminal.until_line("sleeping")
    terminal.keys("C-c")
    terminal.until_prompt(REMOTE_PROMPT)
    terminal.type("exit 5")
    terminal.until_line(rf"Connection to {TARGET} closed\.")
    terminal.until_prompt(LOCAL_PROMPT)
    terminal.type("echo status $?")
    terminal.until_line("status 5")


def test_one_connection_serves_several_commands_and_forwards_of_ssh(emulator, ssh_command, serve, tmp_path):
    """ControlMaster and `-L`."""
    control = ("-S", str(tmp_path / "control"))
    local = tmp_path / "local"
    destination = serve()
    forward = ("-L", f"{local}:localhost:{destination.port}")
    master = emulator.popen(ssh_command("-M", *control, *forward, "-N", "-v", TARGET))
    try:
        Output(master.stderr.fileno()).until(rb"Entering interactive session")
        for status in range(5):
            assert run(emulator, ssh_command(*control, TARGET, f"exit {status}")).returncode == status
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(LIMIT)
            connection.connect(str(local))
            connection.sendall(b"get 100000\n")
            assert read_all(connection) == pattern(100_000)
    finally:
        run(emulator, ssh_command(*control, "-O", "exit", TARGET))
        exit_status(master)


def test_a_killed_ssh_leaves_no_process_behind(emulator, ssh_command):
    process = emulator.popen(ssh_command(TARGET, "echo up; cat"))
    Output(process.stdout.fileno()).until(rb"^up$")
    plugin = plugin_below(process.pid)
    below = [Watched(each) for each in descendants(process.pid)]
    assert plugin in [each.process_id for each in below]
    process.kill()
    exit_status(process)
    for each in below:
        each.until_gone()
        each.close()
    assert not is_plugin(plugin)


def test_a_port_without_a_server_is_named_and_ends_ssh(emulator, sshd):
    proxy = emulator.start_session_command("--document-name", SSH, "--parameters", "portNumber=%p", target="%h")
    with reserve_port() as held:
        port = held.getsockname()[1]
        configuration = sshd.client_configuration(shlex.join(proxy), port=port)
        finished = run(emulator, ["ssh", "-F", str(configuration), TARGET, "echo unreachable"])
    errors = finished.stderr.decode()
    assert finished.returncode == 255
    assert finished.stdout == b""
    assert "Unable to connect to specified port" in errors, errors
    assert f":{port}" in errors, errors
