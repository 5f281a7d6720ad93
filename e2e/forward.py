"""A port session with its local end, held open by the plugin."""

import json
import os
import selectors
import shlex
import signal
import socket
import subprocess
import sys

from emulator import TARGET
from processes import Watched, plugin_below
from waiting import LIMIT, Output, exit_status

PORT = "AWS-StartPortForwardingSession"
REMOTE_HOST = "AWS-StartPortForwardingSessionToRemoteHost"
SOCKET = "AWS-StartPortForwardingSessionToSocket"
SSH = "AWS-StartSSHSession"
# Agents up to 3.0.196.0 take one connection at a time.
OLD_AGENT = ("--agent-version", "2.3.700.0")


def start(emulator, document, parameters, by="sdk", **arguments):
    """Starts a port session: by the AWS CLI, or by the SDK and then the plugin as other callers start it, which may be
    a shell script or a Python program."""
    parameters = {name: [str(value)] for name, value in parameters.items()}
    if by == "cli":
        chosen = ("--document-name", document, "--parameters", json.dumps(parameters))
        return emulator.popen(emulator.start_session_command(*chosen), **arguments)
    request = {"DocumentName": document, "Parameters": parameters}
    response = emulator.ssm().start_session(Target=TARGET, **request)
    command = list(map(str, emulator.plugin_command(response, **request)))
    match by:
        case "shell script":
            command = ["sh", "-c", f"{shlex.join(command)}; exit 3"]
        case "Python program":
            command = [sys.executable, "-c", f"import subprocess; subprocess.run({command!r})"]
    return emulator.popen(command, **arguments)


class Forward:
    """A forward that takes connections. Ended by `stop`, by its own process id."""

    def __init__(self, emulator, document=PORT, by="sdk", environment=None, **parameters):
        environment = emulator.environment() | (environment or {})
        self.process = start(emulator, document, parameters, by, env=environment, stdin=subprocess.DEVNULL)
        self.output = Output(self.process.stdout.fileno())
        try:
            opened = rb"^(?:Port (\d+)|Unix socket ([^\n]+)) opened for sessionId ([^\n]+)\.\n"
            port, path, session = self.output.until(opened).groups()
        except AssertionError as error:
            self.process.kill()
            raise AssertionError(f"{error}\n{self.errors()}") from None
        self.port = port and int(port)
        self.path = path and path.decode()
        self.session = session.decode()
        self.plugin = Watched(plugin_below(self.process.pid))
        self.stopped = False

    def connect(self, host="127.0.0.1"):
        """A connection to the local end, which waits for nothing longer than the limit."""
        if self.path:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(LIMIT)
            connection.connect(self.path)
            return connection
        connection = socket.create_connection((host, self.port), timeout=LIMIT)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def until_end(self):
        """All of standard output, when it has ended."""
        return self.output.until_end().decode()

    def errors(self):
        return Output(self.process.stderr.fileno()).until_end().decode()

    def send_signal(self, sent):
        """Signals the plugin, and not the AWS CLI above it."""
        signal.pidfd_send_signal(self.plugin.fd, sent)

    def stop(self):
        """Interrupts the plugin, as Ctrl-C does; returns all it printed."""
        if not self.stopped:
            self.stopped = True
            try:
                self.send_signal(signal.SIGINT)
            except ProcessLookupError:  # it has ended
                pass
            self.until_end()
            exit_status(self.process)
            self.plugin.close()
            self.process.stdout.close()
            self.process.stderr.close()
        return self.output.data.decode()


class Pipes:
    """Standard input and output of a session without a local end, as a connection."""

    def __init__(self, emulator, port):
        self.process = start(emulator, SSH, {"portNumber": port}, by="sdk")
        self.output = Output(self.process.stdout.fileno())
        started = self.output.until(rb"^Starting session with SessionId: ([^\n]+)\n")
        self.session = started.group(1).decode()
        self.taken = started.end()

    def exchange(self, data):
        """Sends data while it takes as many bytes back."""
        sent, end = 0, self.taken + len(data)
        os.set_blocking(self.process.stdin.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdin, selectors.EVENT_WRITE)
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while sent < len(data) or len(self.output.data) < end:
                ready = [key.fileobj for key, _ in selector.select(LIMIT)]
                assert ready, "nothing moves any more"
                if self.process.stdin in ready:
                    sent += os.write(self.process.stdin.fileno(), data[sent : sent + 65536])
                    if sent == len(data):
                        selector.unregister(self.process.stdin)
                if self.process.stdout in ready:
                    more = os.read(self.process.stdout.fileno(), 65536)
                    assert more, "the output has ended"
                    self.output.data += more
        taken, self.taken = self.output.data[self.taken : end], end
        return taken

    def close(self):
        self.process.stdin.close()
        self.process.send_signal(signal.SIGTERM)
        exit_status(self.process)
        self.process.stdout.close()
        self.process.stderr.close()
