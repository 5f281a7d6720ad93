"""A TCP relay in front of the emulator that remembers what it carried and can cut the line."""

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

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:  # closed
                return
            server = socket.create_connection(self.upstream)
            with self.lock:
                self.sockets += [client, server]
                self.asked[client] = b""
            threading.Thread(target=self._carry, args=(client, server, self._is_asked), daemon=True).start()
            threading.Thread(target=self._carry, args=(server, client, self._is_answered), daemon=True).start()

    def _is_asked(self, client, data):
        with self.lock:
            if b"\r\n\r\n" not in self.asked[client]:
                self.asked[client] += data

    def _is_answered(self, _server, data):
        with self.lock:
            self.answers += data

    @staticmethod
    def _carry(source, sink, remember):
        try:
            while data := source.recv(65536):
                remember(source, data)
                sink.sendall(data)
        except OSError:  # cut
            pass
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
