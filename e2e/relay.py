"""A TCP relay in front of the emulator that remembers what it carried, and can cut the line or let it go silent."""

import socket
import threading


class Relay:
    """Listens on a free loopback port and passes everything on to `endpoint`."""

    def __init__(self, endpoint):
        host, port = endpoint.removeprefix("http://").split(":")
        self.upstream = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.lock = threading.Lock()
        self.sockets = []
        self.answers = b""
        self.asked = {}
        self.moving = threading.Event()
        self.moving.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def on_the_way(self, response):
        """A StartSession response whose data channel leads through this relay."""
        host, port = self.upstream
        assert f"ws://{host}:{port}/" in response["StreamUrl"]
        return response | {"StreamUrl": response["StreamUrl"].replace(f"{host}:{port}", self.address)}

    def from_emulator(self):
        """Every byte the emulator has sent so far. WebSocket messages of a server are not masked."""
        with self.lock:
            return self.answers

    def requests(self):
        """The head of the first HTTP request of each connection so far, in order."""
        with self.lock:
            whole = [data.partition(b"\r\n\r\n") for data in self.asked.values()]
        return [head.decode("latin-1") for head, end, _ in whole if end]

    def silence(self):
        """Moves no byte from now on, on old connections and new ones, and closes none."""
        self.moving.clear()

    def speak(self):
        """Goes on where it fell silent: nothing was lost."""
        self.moving.set()

    def cut(self):
        """Closes every connection, as a network does that goes away with a reset."""
        with self.lock:
            sockets, self.sockets = self.sockets, []
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:  # closed by its peer already
                pass

    def close(self):
        self.listener.close()
        self.cut()
        self.moving.set()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:  # closed
                return
            with self.lock:
                self.sockets.append(client)
                self.asked[client] = b""
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client):
        try:
            self._greet(client)
            server = socket.create_connection(self.upstream)
        except OSError:  # gone
            return client.close()
        with self.lock:
            self.sockets.append(server)
        threading.Thread(target=self._carry, args=(client, server, self._is_asked), daemon=True).start()
        self._carry(server, client, self._is_answered)

    def _greet(self, _client):
        """What comes before anything is passed on."""
        self.moving.wait()

    def _is_asked(self, client, data):
        with self.lock:
            if b"\r\n\r\n" not in self.asked[client]:
                self.asked[client] += data

    def _is_answered(self, _server, data):
        with self.lock:
            self.answers += data

    def _carry(self, source, sink, remember):
        try:
            while data := source.recv(65536):
                self.moving.wait()
                remember(source, data)
                sink.sendall(data)
        except OSError:  # cut
            pass
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class HttpProxy(Relay):
    """A proxy that is asked for connections by CONNECT, and makes all of them to the emulator."""

    def _greet(self, client):
        head = b""
        while b"\r\n\r\n" not in head and (data := client.recv(65536)):
            head += data
        self.moving.wait()
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
