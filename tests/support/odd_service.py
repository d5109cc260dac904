"""A service that answers what it is told to, on a loopback port: for clients that must bear everything."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class OddService:
    """`with OddService({"GET /models": (200, b"…")}) as service:` answers so, and 410 to all else.

    Attributes:
        answers: Status and body by method and path.
        asked: What was asked, in order.
        headers: The headers of each request.
    """

    def __init__(self, answers: dict[str, tuple[int, bytes]] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                key = f"{self.command} {self.path}"
                service.asked.append(key)
                service.headers.append({name.lower(): value for name, value in self.headers.items()})
                self.rfile.read(int(self.headers.get("content-length") or 0))
                status, body = service.answers.get(key, (410, b"model was not found."))
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", body.decode())
                    body = b""
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_HEAD = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> OddService:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.close()

    def close(self) -> None:
        """Stop; whoever asks now gets no answer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
