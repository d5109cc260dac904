"""A web server that receives webhooks, as well or badly as a test wants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Receives on a free loopback port.

    Args:
        answer: Gives the status for the n-th request, from 0; it may also sleep, or raise to break the connection.
        headers: Sent with each answer.
    """

    def __init__(
        self, answer: Callable[[int], int] = lambda number: 200, headers: dict[str, str] | None = None
    ) -> None:
        self.messages: list[dict[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:  # its sender was killed in the middle of it
                    self.close_connection = True
                    return
                number = len(receiver.messages)
                receiver.messages.append(
                    {
                        "headers": dict(self.headers.items()),
                        "body": body.decode(),
                        "path": self.path,
                        "at": time.monotonic(),
                    }
                )
                status = answer(number)
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                receiver.messages.append({"headers": {}, "body": "{}", "path": f"GET {self.path}", "at": 0.0})
                self.send_response(200)
                self.send_header("Content-Length", "7")
                self.end_headers()
                self.wfile.write(b"fetched")

            def log_message(self, *_: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                return

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it receives."""
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What was received."""
        return [json.loads(message["body"]) for message in self.messages]

    @property
    def statuses(self) -> list[str]:
        """The runs' statuses that were received."""
        return [body["status"] for body in self.bodies]

    def close(self) -> None:
        """Stop receiving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
