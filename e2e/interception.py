"""A proxy that opens TLS with a certificate authority of its own, as companies run them, and leads to the emulator
instead of AWS: what the names of AWS mean is this proxy's business alone."""

import json
import os
import signal
import sys
from pathlib import Path

from emulator import REGION
from servers import Server

AWS_API = f"ssm.{REGION}.amazonaws.com"
AWS_STREAM = f"ssmmessages.{REGION}.amazonaws.com"
NAME, PASSWORD = "corporate user", "p@ss w/rd%"


class Interception:
    """A running mitmproxy; `kind` is `regular` (HTTP) or `socks5`. With `password` it wants name and password."""

    def __init__(self, directory, emulator, kind="regular", password=False):
        self.scheme = "http" if kind == "regular" else "socks5h"
        self.password = password
        self.visited = directory / "visited"
        self.visited.touch()
        command = [Path(sys.executable).parent / "mitmdump", "--mode", f"{kind}@127.0.0.1:0"]
        command += ["--set", f"confdir={directory}", "--set", "connection_strategy=lazy"]
        command += ["--scripts", Path(__file__).parent / "interception_addon.py"]
        command += ["--proxyauth", f"{NAME}:{PASSWORD}"] if password else []
        environment = {"E2E_EMULATOR": emulator.endpoint, "E2E_VISITED": str(self.visited), "PYTHONUNBUFFERED": "1"}
        self.server = Server(
            directory, command, rb"proxy listening at 127\.0\.0\.1:(\d+)", env=os.environ | environment
        )
        self.address = f"127.0.0.1:{self.server.ready.group(1).decode()}"
        self.authority = directory / "mitmproxy-ca-cert.pem"

    def environment(self, emulator):
        """The environment in which everything goes through it, to hosts of AWS."""
        known = {name: value for name, value in emulator.environment().items() if name != "AWS_ENDPOINT_URL"}
        return known | {"HTTPS_PROXY": f"{self.scheme}://{self.address}", "AWS_CA_BUNDLE": str(self.authority)}

    def requests(self):
        """What came through, in order: the host, and the operation or else the path."""
        return [tuple(json.loads(line)) for line in self.visited.read_text().splitlines()]

    def stop(self):
        self.server.stop(signal.SIGTERM)
