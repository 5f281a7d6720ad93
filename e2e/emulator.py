"""The emulator as a process of its own, and the programs that talk to it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import botocore.config

from waiting import Output, exit_status

BUILT = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parent.parent / "target")).resolve()
# `E2E_PROFILE=release` has the tests run what `cargo build --release` built.
PROGRAMS = BUILT / os.environ.get("E2E_PROFILE", "debug")
EMULATOR = PROGRAMS / "ssm-emulator"
PLUGIN = PROGRAMS / "session-manager-plugin"
REGION = "us-east-1"
TARGET = "i-0e2e0e2e0e2e0e2e0"


class Emulator:
    """A running `ssm-emulator serve`. Ended by `stop`, by its own process id."""

    def __init__(self, directory, *arguments):
        self.directory = directory
        self.log = directory / "emulator.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [EMULATOR, "--verbose", "serve", "--listen", "127.0.0.1:0", "--target", TARGET, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment(),
            )
        self.output = Output(self.process.stdout.fileno())
        try:
            ready = self.output.until(rb"^ssm-emulator ready at (http://127\.0\.0\.1:\d+)$")
        except AssertionError as error:
            self.stop()
            raise AssertionError(f"{error}\n{self.log.read_text()}") from None
        self.endpoint = ready.group(1).decode()

    def stop(self):
        self.process.terminate()
        exit_status(self.process)
        self.process.stdout.close()

    def _environment(self):
        """What this process was started with, less everything that could lead to a real account."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_") and not k.lower().endswith("_proxy")}
        kept.pop("SSM_PLUGIN_SKIP_CLIENT_CONFIGURE", None)
        kept.pop("RUST_LOG", None)
        kept.pop("SSM_SESSION_LOG_FILE", None)
        kept.pop("SSM_SESSION_TOKEN", None)
        kept["HOME"] = str(self.directory)
        kept["LANG"] = kept["LC_ALL"] = "C.UTF-8"
        return kept

    def environment(self):
        """The environment in which a user tries the AWS CLI against the emulator, our plugin first in `PATH`."""
        return self._environment() | {
            "PATH": f"{PROGRAMS}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "AWS_ACCESS_KEY_ID": "emulator",
            "AWS_SECRET_ACCESS_KEY": "emulator",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_KMS": self.endpoint,
        }

    def ssm(self):
        """A boto3 client for the emulated SSM API."""
        return boto3.client(
            "ssm",
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id="emulator",
            aws_secret_access_key="emulator",
            config=botocore.config.Config(retries={"total_max_attempts": 1}, proxies={}),
        )

    def start_session_command(self, *arguments, target=TARGET):
        """`aws ssm start-session` as typed by a user."""
        return ["aws", "ssm", "start-session", "--endpoint-url", self.endpoint, "--target", target, *arguments]

    def plugin_command(self, response, words=7, **request):
        """The plugin as callers start it themselves: the API response as an argument, and up to seven words in all."""
        request = json.dumps({"Target": TARGET, **request})
        return [PLUGIN, json.dumps(response), REGION, "StartSession", "", request, self.endpoint][:words]

    def popen(self, command, **arguments):
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, **(streams | {"env": self.environment(), "bufsize": 0} | arguments))
