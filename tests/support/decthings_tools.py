"""A bare client of Decthings' wire, for what the official ones cannot say or hear."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from jupyter_ext.protocol.decthings import framing
from jupyter_ext.protocol.decthings.framing import Event, Reply
from jupyter_ext.protocol.decthings.tensors import Tensor

SPEC = {"type": "temporaryLauncher", "spec": {"cpus": 1, "memoryMebibytes": 64}}
LINEAR = (Path(__file__).parents[1] / "conformance" / "decthings_models" / "linear" / "main.py").read_bytes()
ECHO = b"""
import sys, time
from decthings_model import make_model

class Echo:
    def createModelState(self, options):
        options.state_provider.provide("k", b"1")
    def instantiateModel(self, options):
        return self
    async def evaluate(self, options):
        return [{"name": name, "data": await loader.next(loader.size())} for name, loader in options.params.items()]
    async def train(self, options):
        for name, loader in options.params.items():
            while loader.has_next():
                print((await loader.next())[0].numpy())
    def getModelState(self, options):
        raise RuntimeError("no state")

model = make_model(Echo())
"""


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


def instantiated(http: httpx.Client, session: Any) -> Any:
    """Create a state and a model of it."""
    state, _ = post(http, "Debug/callCreateModelState", {**session, "params": []})
    data = {"type": "dataId", "dataId": state["dataId"]}
    made, _ = post(http, "Debug/callInstantiateModel", {**session, "stateData": data})
    return {**session, **made}


def evaluate(http: httpx.Client, model: Any, *tensors: Tensor, layout: Any = "old") -> list[Tensor]:
    """Evaluate with one parameter."""
    blob = b"".join(tensor.encode(layout) for tensor in tensors)
    result, blobs = post(http, "Debug/callEvaluate", {**model, "params": [{"name": "x"}]}, [blob])
    assert result == {"output": [{"name": "x"}]}, result
    return Tensor.decode_many(blobs[0])


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
        """Return the next frame, which is at most 1 MiB."""
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
