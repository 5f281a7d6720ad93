"""Real servers for the far end of a session, each on a port of its own and ended by its own process id."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from waiting import LIMIT, Output, exit_status


def reserve_port():
    """A socket that holds a free port and does not listen: connections to it are refused.

    A server that sets SO_REUSEADDR, as all here do, may take the port over; nobody else gets it meanwhile.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


class Server:
    """A server process that says when it is ready: `ready` is what it said. Its output stays in `log`."""

    def __init__(self, directory, command, ready, **arguments):
        self.log = directory / f"{Path(command[0]).name}.log"
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **arguments
        )
        output = Output(self.process.stdout.fileno())
        try:
            self.ready = output.until(ready)
        except BaseException:
            self.stop(signal.SIGKILL)
            raise
        self.log.touch()
        self.drain = threading.Thread(target=self._drain, args=(output.data,), daemon=True)
        self.drain.start()

    def stop(self, sent=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sent)
        exit_status(self.process)

    def _drain(self, data):
        with open(self.log, "wb") as log, self.process.stdout as output:
            while data:
                log.write(data)
                log.flush()
                data = os.read(output.fileno(), 65536)


def program(name):
    """A server's program, which need not be in the PATH of a user."""
    found = shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    assert found, f"{name} is missing; `.ci/run e2e` installs it"
    return found


class Sshd:
    """An OpenSSH server for the user who runs the tests, with keys of its own, and a client configuration to it."""

    def __init__(self, directory, **environment):
        self.directory = directory
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.home = directory / "home"
        self.home.mkdir()
        for key in ("host_key", "user_key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", directory / key]
            subprocess.run(command, check=True, timeout=LIMIT)
        if os.getuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        self.held = reserve_port()
        self.port = self.held.getsockname()[1]
        settings = {
            "ListenAddress": f"127.0.0.1:{self.port}",
            "HostKey": directory / "host_key",
            "AuthorizedKeysFile": directory / "user_key.pub",
            "PidFile": "none",
            "UsePAM": "no",
            "StrictModes": "no",
            "PermitRootLogin": "prohibit-password",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PrintMotd": "no",
            "PrintLastLog": "no",
            "MaxSessions": "100",
            "Subsystem": "sftp internal-sftp",
            # Shells here leave the files of whoever runs the tests alone.
            "SetEnv": f"HOME={self.home} HISTFILE=/dev/null LC_ALL=C.UTF-8",
        }
        configuration = directory / "sshd_config"
        configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        command = [program("sshd"), "-D", "-e", "-f", configuration]
        self.server = Server(directory, command, rb"^Server listening on ", env=os.environ | environment)

    def stop(self):
        self.server.stop()
        self.held.close()

    def client_configuration(self, proxy_command, port=None):
        """Writes a configuration for `ssh -F` in which all nodes are reached by `proxy_command`; returns its path."""
        _, kind, key = ["", *(self.directory / "host_key.pub").read_text().split()[:2]]
        (self.directory / "known_hosts").write_text(f"the-sshd {kind} {key}\n")
        settings = {
            "Host": "i-*",
            "ProxyCommand": proxy_command,
            "Port": port or self.port,
            "User": self.user,
            "IdentityFile": self.directory / "user_key",
            "IdentitiesOnly": "yes",
            "HostKeyAlias": "the-sshd",
            "UserKnownHostsFile": self.directory / "known_hosts",
            "GlobalKnownHostsFile": "none",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
        }
        path = Path(tempfile.mkdtemp(dir=self.directory)) / "config"
        path.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        return path


class Postgres:
    """A PostgreSQL server with an empty database, as a user who may not be root."""

    def __init__(self):
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
        assert versions, "PostgreSQL is missing; `.ci/run e2e` installs it"
        self.programs = versions[-1]
        # Not below pytest's directory: that is closed to other users.
        self.directory = Path(tempfile.mkdtemp(prefix="e2e-postgres-"))
        run_as = {}
        if os.getuid() == 0:
            run_as = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(self.directory, "postgres", "postgres")
        data = self.directory / "data"
        command = [self.programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        command += ["--locale=C", "--no-sync", "--no-instructions"]
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, timeout=LIMIT, cwd=self.directory, **run_as
        )
        self.held = reserve_port()
        self.port = self.held.getsockname()[1]
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "fsync": "off"}
        command = [self.programs / "postgres", "-D", data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self.server = Server(
            self.directory, command, rb"database system is ready to accept connections", cwd=self.directory, **run_as
        )

    def stop(self):
        self.server.stop(signal.SIGQUIT)  # at once: the data go too
        self.held.close()
        shutil.rmtree(self.directory)


class Redis:
    """A Redis server that keeps nothing."""

    def __init__(self, directory):
        self.held = reserve_port()
        self.port = self.held.getsockname()[1]
        command = [program("redis-server"), "--bind", "127.0.0.1", "--port", str(self.port)]
        command += ["--save", "", "--appendonly", "no", "--dir", str(directory)]
        self.server = Server(directory, command, rb"Ready to accept connections")

    def stop(self):
        self.server.stop()
        self.held.close()
