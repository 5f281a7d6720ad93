"""Servers inside the test: what waits at the far end of a forward, under the test's control."""

import functools
import hashlib
import http.server
import select
import socket
import threading


class Destination:
    """A TCP server on a free loopback port; `serve` gets each connection in a thread of its own, then it is closed."""

    def __init__(self, serve):
        self.serve = serve
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.connections = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        # A thread that waits in `accept` is not woken by `close` alone.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def cut(self):
        """Ends all connections there are."""
        with self.lock:
            for connection in self.connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # closed by its peer already
                    pass

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.connections.add(connection)
        try:
            self.serve(connection)
        except OSError:  # gone
            pass
        with self.lock:
            self.connections.discard(connection)
            connection.close()


def read_exactly(connection, length):
    """Reads `length` bytes; fewer only at the end of the stream."""
    data = bytearray()
    while len(data) < length and (more := connection.recv(min(length - len(data), 1 << 20))):
        data += more
    return bytes(data)


def read_line(connection):
    """Reads up to a line feed, which is left out."""
    line = bytearray()
    while (byte := connection.recv(1)) not in (b"", b"\n"):
        line += byte
    return bytes(line)


def read_all(connection):
    """Reads to the end of the stream."""
    parts = []
    while data := connection.recv(1 << 20):
        parts.append(data)
    return b"".join(parts)


def is_cut(connection):
    """Whether the connection ends without another byte: in order, or by a reset, as when a session is over."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def echo(connection):
    """Sends back what it gets, until the end of its input."""
    while data := connection.recv(65536):
        connection.sendall(data)


def carry(client, server, pending=lambda: False):
    """Passes on both ways until one end is done, in one thread: enough for what waits for its answer.

    `pending` tells whether the client has something to read that its socket does not show.
    """
    with server:
        while True:
            ready = [client] if pending() else select.select([client, server], [], [])[0]
            for source, sink in ((client, server), (server, client)):
                if source in ready:
                    if not (data := source.recv(65536)):
                        return
                    sink.sendall(data)


@functools.cache
def noise(seed):
    return b"".join(hashlib.sha256(b"%d %d" % (seed, n)).digest() for n in range(2048))


def pattern(length, seed=0):
    """Bytes that a shift, a hole or a repeat would make different."""
    block = noise(seed)
    numbered = bytearray()
    for n in range(length // len(block) + 1):
        numbered += n.to_bytes(4, "big") + block[4:]
    return bytes(numbered[:length])


def load(connection):
    """Does what one line asks for: `get N` sends a pattern of N bytes and closes; `put N` takes N bytes and answers
    with their digest; `flood` sends until nobody takes it any more; `echo` is an echo; `GET /N` is HTTP, kept alive."""
    match request := read_line(connection).split():
        case [b"get", length]:
            connection.sendall(pattern(int(length)))
        case [b"put", length]:
            connection.sendall(hashlib.sha256(read_exactly(connection, int(length))).hexdigest().encode())
        case [b"flood"]:
            while True:
                connection.sendall(bytes(65536))
        case [b"echo"]:
            echo(connection)
        case [b"GET", *_]:
            while request:
                while read_line(connection) not in (b"\r", b""):
                    pass
                page = pattern(int(request[1].lstrip(b"/")))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page)
                request = read_line(connection).split()


class Pages(http.server.ThreadingHTTPServer):
    """An HTTP server, connections kept alive: `/N` is a page of N bytes."""

    request_queue_size = 1024
    daemon_threads = True

    class RequestHandlerClass(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):  # the name is http.server's
            page = pattern(int(self.path.lstrip("/")))
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *arguments):
            pass

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.RequestHandlerClass)
        self.port = self.server_address[1]
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self.thread.start()

    def close(self):
        self.shutdown()
        self.server_close()
