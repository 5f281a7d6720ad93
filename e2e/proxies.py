"""Proxies that only pass on, and what they lead to: names of AWS at this machine, with a certificate of their own."""

import datetime
import os
import socket
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from destinations import Destination, carry
from emulator import REGION
from interception import AWS_API, AWS_STREAM
from servers import Server, program, reserve_port

# A private endpoint, and a host that is not AWS's.
AWS_PRIVATE_STREAM = f"vpce-0e2e-0e2e.ssmmessages.{REGION}.vpce.amazonaws.com"
OTHER_STREAM = "sessions.example.com"
ALL_NAMES = (AWS_API, AWS_STREAM, AWS_PRIVATE_STREAM, OTHER_STREAM)


def names(directory):
    """The environment in which a process finds these names at this machine, whatever DNS says."""
    libraries = sorted(Path("/usr/lib").glob("*/libnss_wrapper.so"))
    assert libraries, "nss_wrapper is missing; `.ci/run e2e` installs it"
    hosts = directory / "hosts"
    hosts.write_text(f"127.0.0.1 {' '.join(ALL_NAMES)}\n")
    return {"LD_PRELOAD": str(libraries[0]), "NSS_WRAPPER_HOSTS": str(hosts)}


class Authority:
    """A certificate authority, and one certificate by it for all names."""

    def __init__(self, directory):
        self.certificate = directory / "authority.pem"
        self.server = directory / "server.pem"
        self.name = "The Company's Authority"
        key = ec.generate_private_key(ec.SECP256R1())
        authority = self._sign(self.name, key, self.name, key, x509.BasicConstraints(ca=True, path_length=None))
        self.certificate.write_bytes(authority)
        server_key = ec.generate_private_key(ec.SECP256R1())
        hosts = x509.SubjectAlternativeName([x509.DNSName(name) for name in ALL_NAMES])
        server = self._sign(AWS_STREAM, server_key, self.name, key, hosts)
        plain = serialization.NoEncryption()
        form = serialization.PrivateFormat.PKCS8
        self.server.write_bytes(server + server_key.private_bytes(serialization.Encoding.PEM, form, plain))

    @staticmethod
    def _sign(subject, subject_key, issuer, issuer_key, extension):
        name = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])  # noqa: E731
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
        builder = builder.public_key(subject_key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=1))
        is_authority = isinstance(extension, x509.BasicConstraints)
        builder = builder.add_extension(extension, critical=is_authority)
        return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class TlsFront:
    """The emulator with TLS in front, reached by those names at a free port; `asked_for` are those by which it was."""

    def __init__(self, endpoint, authority):
        host, port = endpoint.removeprefix("http://").split(":")
        self.upstream = (host, int(port))
        self.authority = authority.certificate
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(authority.server)
        self.context.sni_callback = lambda _, name, __: self.asked_for.append(name)
        self.asked_for = []
        self.destination = Destination(self._serve)
        self.api = f"https://{AWS_API}:{self.destination.port}"
        self.stream = f"wss://{AWS_STREAM}:{self.destination.port}/"

    def close(self):
        self.destination.close()

    def on_the_way(self, response):
        """A StartSession response as AWS gives it."""
        host, port = self.upstream
        return response | {"StreamUrl": response["StreamUrl"].replace(f"ws://{host}:{port}/", self.stream)}

    def _serve(self, connection):
        with self.context.wrap_socket(connection, server_side=True) as client:
            carry(client, socket.create_connection(self.upstream), client.pending)


class Tinyproxy:
    """An HTTP proxy for CONNECT."""

    scheme = "http"

    def __init__(self, directory, credentials=None):
        self.held = reserve_port()
        self.address = f"127.0.0.1:{self.held.getsockname()[1]}"
        settings = [f"Port {self.held.getsockname()[1]}", "Listen 127.0.0.1", "LogLevel Info", "Timeout 600"]
        settings += [f"BasicAuth {' '.join(credentials)}"] if credentials else []
        configuration = directory / "tinyproxy.conf"
        configuration.write_text("".join(f"{line}\n" for line in settings))
        command = [program("tinyproxy"), "-d", "-c", configuration]
        self.server = Server(directory, command, rb"Accepting connections\.", env=os.environ | names(directory))

    def connections(self):
        """How many it has made."""
        return self.server.log.read_text().count("Established connection to host")

    def stop(self):
        self.server.stop()
        self.held.close()


class SshSocks:
    """`ssh -D`: a SOCKS proxy at this end, OpenSSH's server at the other, which looks names up."""

    scheme = "socks5h"

    def __init__(self, directory, sshd):
        self.held = reserve_port()
        self.address = f"127.0.0.1:{self.held.getsockname()[1]}"
        configuration = sshd.client_configuration("none")
        command = [program("ssh"), "-F", configuration, "-v", "-N", "-o", "ExitOnForwardFailure=yes"]
        command += ["-o", "HostName=127.0.0.1", "-D", self.address, "i-proxy"]
        self.server = Server(directory, command, rb"Entering interactive session")

    def connections(self):
        """How many it was asked for."""
        return self.server.log.read_text().count("new dynamic-tcpip")

    def stop(self):
        self.server.stop()
        self.held.close()
