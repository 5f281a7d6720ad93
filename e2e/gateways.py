"""Gateways that take a client as far as one step of connecting, and no further.

Each function serves a connection up to a step; then the connection is closed, as `Destination` does.
"""

import base64
import hashlib
import re

# RFC 6455, 1.3.
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accepted(_connection):
    """The connection stands, and nothing has been read."""


def asked(connection):
    """The request for a WebSocket has been read."""
    return read_head(connection)


def half_answered(connection):
    """The answer has begun."""
    asked(connection)
    connection.sendall(b"HTTP/1.1 101 Swit")


def upgraded(connection):
    """There is a WebSocket."""
    key = re.search(rb"(?im)^sec-websocket-key:\s*(\S+)", asked(connection)).group(1)
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    connection.sendall(head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")


def opened(connection):
    """The frame with the token has come."""
    upgraded(connection)
    connection.recv(65536)


def stalls_after(step):
    """Serves a connection up to a step, then answers nothing more and leaves it open."""

    def serve(connection):
        step(connection)
        while connection.recv(65536):
            pass

    return serve


def read_head(connection):
    head = b""
    while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
        head += data
    return head
