"""Loaded by mitmproxy, not by the tests: leads requests for hosts of AWS to the emulator."""

import json
import os
import urllib.parse

EMULATOR = urllib.parse.urlsplit(os.environ["E2E_EMULATOR"])
REGION = "us-east-1"


def request(flow):
    named = flow.request.host_header
    what = flow.request.headers.get("X-Amz-Target") or flow.request.path.partition("?")[0]
    with open(os.environ["E2E_VISITED"], "a") as visited:
        visited.write(json.dumps([named, what]) + "\n")
    assert named.split(":")[0].endswith(".amazonaws.com"), named
    flow.request.scheme = "http"
    flow.request.host = EMULATOR.hostname
    flow.request.port = EMULATOR.port
    # Signatures cover it.
    flow.request.host_header = named


def response(flow):
    """AWS's answers name AWS's hosts."""
    ours = f"ws://{EMULATOR.netloc}/"
    if ours in (flow.response.get_text(strict=False) or ""):
        flow.response.text = flow.response.text.replace(ours, f"wss://ssmmessages.{REGION}.amazonaws.com/")
