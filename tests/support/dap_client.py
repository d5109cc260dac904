"""A small client of the Debug Adapter Protocol, over a socket, as editors have one.

Source: https://microsoft.github.io/debug-adapter-protocol/specification
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any


class DapClient:
    """Speaks DAP; requests wait for their response, events are kept until asked for."""

    def __init__(self, address: str | tuple[str, int]) -> None:
        if isinstance(address, str):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(30)
            self._socket.connect(address)
        else:
            self._socket = socket.create_connection(address, timeout=30)
        self._file = self._socket.makefile("rb")
        self._seq = 0
        self._events: list[dict[str, Any]] = []
        self._responses: dict[int, dict[str, Any]] = {}

    def send(self, command: str, **arguments: Any) -> int:
        """Send a request; gives its number."""
        self._seq += 1
        body = json.dumps(
            {"seq": self._seq, "type": "request", "command": command, "arguments": arguments}
        ).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return self._seq

    def request(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and give the body of its response."""
        return self.response(self.send(command, **arguments))

    def response(self, seq: int) -> dict[str, Any]:
        """Return the body of a response."""
        while seq not in self._responses:
            self._read()
        response = self._responses.pop(seq)
        assert response["success"], response
        body: dict[str, Any] = response.get("body") or {}
        return body

    def event(self, name: str) -> dict[str, Any]:
        """Return the body of the next event of this name."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for event in self._events:
                if event["event"] == name:
                    self._events.remove(event)
                    return event.get("body") or {}
            self._read()
        raise AssertionError(f"no event {name}")

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()

    def _read(self) -> None:
        length = 0
        while (line := self._file.readline().strip()) or not length:
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        message = json.loads(self._file.read(length))
        if message["type"] == "event":
            self._events.append(message)
        elif message["type"] == "response":
            self._responses[message["request_seq"]] = message
