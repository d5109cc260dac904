"""A bare client of Decthings' wire, for what the official ones cannot say or hear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from jupyter_ext.protocol.decthings import framing
from jupyter_ext.protocol.decthings.framing import Event, Reply


def post(
    http: httpx.Client, method: str, params: Any, blobs: Sequence[bytes] = ()
) -> tuple[Any, list[bytes]]:
    """Call a method such as `Debug/callTrain`; give its result or error, and the blobs."""
    answer = http.post(f"/v0/{method}", content=framing.encode_request(params, blobs), timeout=60.0)
    assert answer.status_code == 200, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/octet-stream"
    message = framing.decode_response(answer.content)
    assert len(message.content) == 1, "exactly one of result and error"
    content = message.content.get("result", message.content.get("error"))
    return content, [bytes(blob) for blob in message.blobs]


class Socket:
    """A WebSocket of the engine's; frames arrive in their order."""

    def __init__(self, url: str, key: str | None, headers: dict[str, str] | None = None) -> None:
        self._key = key
        self._next_id = 0
        self.events: list[Event] = []
        address = f"{url.replace('http', 'ws', 1)}/v0/ws"
        self._opening = connect(address, additional_headers=headers, max_size=None, proxy=None)
        self.socket: ClientConnection

    def __enter__(self) -> Socket:
        self.socket = self._opening.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def begin(self, method: str, params: Any, blobs: Sequence[bytes] = ()) -> int:
        """Send a call; give its id."""
        api, _, name = method.partition("/")
        content = {"api": api, "method": name, "apiKey": self._key, "params": params}
        self._next_id += 1
        self.socket.send(framing.encode_call(self._next_id, content, blobs))
        return self._next_id

    def receive(self, timeout_s: float = 30.0) -> Reply | Event:
        """Give the next frame, which is at most 1 MiB."""
        frame = self.socket.recv(timeout_s)
        assert isinstance(frame, bytes)
        assert len(frame) <= framing.MAX_FRAME_BYTES
        return framing.decode_frame(frame)

    def call(self, method: str, params: Any, blobs: Sequence[bytes] = ()) -> Any:
        """Call and wait; events on the way are kept in `events`."""
        wanted = self.begin(method, params, blobs)
        while True:
            frame = self.receive()
            if isinstance(frame, Event):
                self.events.append(frame)
            elif frame.id == wanted:
                return frame.message.content.get("result", frame.message.content.get("error"))

    def until(self, name: str) -> Event:
        """Wait for an event; those before it are kept in `events`, and so is it."""
        while True:
            frame = self.receive()
            if isinstance(frame, Event):
                self.events.append(frame)
                if frame.name == name:
                    return frame
