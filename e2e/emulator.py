"""The emulator as a process of its own, and the programs that talk to it."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import NamedTuple

import boto3
import botocore.config

from waiting import LIMIT, Output, exit_status, until

BUILT = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parent.parent / "target")).resolve()
# `E2E_PROFILE=release` has the tests run what `cargo build --release` built.
PROGRAMS = BUILT / os.environ.get("E2E_PROFILE", "debug")
EMULATOR = PROGRAMS / "ssm-emulator"
PLUGIN = PROGRAMS / "session-manager-plugin"
REGION = "us-east-1"
TARGET = "i-0e2e0e2e0e2e0e2e0"


class Credentials(NamedTuple):
    """What AWS knows a caller by."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None
    # From when on AWS refuses it, such as 2030-01-01T00:00:00Z.
    expiration: str | None = None

    def known(self):
        """As the emulator and `credential_process` have it."""
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
        return {name: value for name, value in zip(names, self, strict=True) if value}

    def environment(self):
        variables = {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}
        return variables | ({"AWS_SESSION_TOKEN": self.session_token} if self.session_token else {})

    def secrets(self):
        """What nobody may see."""
        return [each for each in self[1:3] if each]


# The emulator takes any, unless it was given some.
ANY = Credentials("emulator", "emulator")


class Emulator:
    """A running `ssm-emulator serve`. Ended by `stop`, by its own process id.

    With `credentials` it refuses all other callers, and the clients made here use the first of them. It listens at
    `host`; where that is not loopback, for a network that nobody else is in.
    """

    def __init__(self, directory, *arguments, credentials=(), host="127.0.0.1"):
        self.directory = directory
        self.log = directory / "emulator.log"
        self.credentials = credentials[0] if credentials else ANY
        if credentials:
            known = directory / "credentials"
            known.write_text(json.dumps([each.known() for each in credentials]))
            arguments += ("--credentials-file", known, "--require-signed-channels")
        arguments += () if host == "127.0.0.1" else ("--listen-anywhere",)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [EMULATOR, "--verbose", "serve", "--listen", f"{host}:0", "--target", TARGET, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment(),
            )
        self.output = Output(self.process.stdout.fileno())
        try:
            ready = self.output.until(rb"^ssm-emulator ready at (http://[\d.]+:\d+)$")
        except AssertionError as error:
            self.stop()
            raise AssertionError(f"{error}\n{self.log.read_text()}") from None
        self.endpoint = ready.group(1).decode()

    def stop(self):
        self.process.terminate()
        self.go_on()
        exit_status(self.process)
        self.process.stdout.close()

    def freeze(self):
        """Stops the process as it is: the kernel still takes connections and data for it."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def _environment(self):
        """What this process was started with, less everything that could lead to a real account."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "SSM_", "XDG_"))
            and not name.lower().endswith("_proxy")
            and name not in ("RUST_LOG", "SSL_CERT_FILE")
        }
        kept["HOME"] = str(self.directory)
        kept["LANG"] = kept["LC_ALL"] = "C.UTF-8"
        return kept

    def bare_environment(self):
        """Our plugin first in `PATH`, an empty home, and neither credentials nor a region. The instance metadata are
        off, for the machine that runs the tests may have some."""
        path = f"{PROGRAMS}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return self._environment() | {"PATH": path, "AWS_EC2_METADATA_DISABLED": "true"}

    def environment(self):
        """The environment in which a user tries the AWS CLI against the emulator, our plugin first in `PATH`."""
        return (
            self.bare_environment()
            | self.credentials.environment()
            | {
                "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                # For all services, so that no test can reach AWS itself.
                "AWS_ENDPOINT_URL": self.endpoint,
            }
        )

    def ssm(self):
        """A boto3 client for the emulated SSM API."""
        return self.client("ssm")

    def client(self, service):
        """A boto3 client for one of the emulated APIs."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=self.credentials.access_key_id,
            aws_secret_access_key=self.credentials.secret_access_key,
            aws_session_token=self.credentials.session_token,
            config=botocore.config.Config(retries={"total_max_attempts": 1}, proxies={}),
        )

    def sessions(self, state="Active"):
        """The sessions as DescribeSessions tells of them, by their ids."""
        return {each["SessionId"]: each for each in self.ssm().describe_sessions(State=state)["Sessions"]}

    def until_over(self):
        """Waits until no session is open or being ended."""
        until(lambda: not self.sessions(), "the end of all sessions")

    def close_channel(self, session_id, how):
        """Has the service close the client's socket, as soon as there is one: `Bye` as it does hourly, `Cut` without a
        word."""
        order = {"SessionId": session_id, "How": how}
        until(lambda: self._do("CloseChannel", **order)["Closed"] == 1, "a client's socket to close")

    def freeze_agent(self, session_id):
        """Has the agent of a session take and say nothing more, while the service answers as before."""
        assert self._do("FreezeAgent", SessionId=session_id)["Agents"] == 1

    def thaw_agent(self, session_id):
        assert self._do("ThawAgent", SessionId=session_id)["Agents"] == 1

    def set_faults(self, stall=(), cut=()):
        """What happens to clients while they connect, as the options `--stall` and `--cut` have it."""
        self._do("SetFaults", Stall=stall, Cut=cut)

    def _do(self, operation, **body):
        """The emulator's own operations, which are none of AWS's."""
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"Emulator.{operation}"}
        request = urllib.request.Request(self.endpoint, json.dumps(body).encode(), headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=LIMIT) as answer:
            return json.load(answer)

    def start_session_command(self, *arguments, target=TARGET):
        """`aws ssm start-session` as typed by a user."""
        return ["aws", "ssm", "start-session", "--endpoint-url", self.endpoint, "--target", target, *arguments]

    def ssh_command(self, *arguments, target=TARGET):
        """`session-manager-plugin ssh` as typed by a user."""
        return [PLUGIN, "ssh", "--target", target, "--endpoint-url", self.endpoint, *arguments]

    def plugin_command(self, response, words=7, **request):
        """The plugin as callers start it themselves: the API response as an argument, and up to seven words in all."""
        request = json.dumps({"Target": TARGET, **request})
        return [PLUGIN, json.dumps(response), REGION, "StartSession", "", request, self.endpoint][:words]

    def popen(self, command, **arguments):
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, **(streams | {"env": self.environment(), "bufsize": 0} | arguments))
