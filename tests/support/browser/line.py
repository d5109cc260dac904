"""The line between a page and its Jupyter server, which can go away without a word, as with a laptop's network."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Line:
    """Passes on TCP connections to a port of this machine.

    Args:
        port: Where they go.

    Attributes:
        port: Where they come.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._carries = threading.Event()
        self._carries.set()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @contextlib.contextmanager
    def swallowing(self) -> Iterator[None]:
        """Pass on nothing meanwhile: open connections are lost, with no word to either end; new ones wait."""
        lost, self._open = self._open, set()
        self._carries.clear()
        try:
            yield
        finally:
            self._carries.set()
            del lost  # still open towards both ends

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                page, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(page,), daemon=True).start()

    def _connect(self, page: socket.socket) -> None:
        self._carries.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            page.close()
            return
        self._open.add(page)
        back = threading.Thread(target=self._pass, args=(page, server, page), daemon=True)
        back.start()
        self._pass(page, page, server)
        back.join()
        self._open.discard(page)
        page.close()
        server.close()

    def _pass(self, of_page: socket.socket, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if of_page in self._open:
                    sink.sendall(data)
        with contextlib.suppress(OSError):
            if of_page in self._open:
                sink.shutdown(socket.SHUT_WR)
