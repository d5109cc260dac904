"""A debug session in an engine of its own, and short ways to call it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_ext.client.capture.capture import capture_model
from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.ipc import values
from jupyter_ext.ipc.channel import CallError, Connection
from jupyter_ext.protocol.sessions import DebugSession


class SessionUnderTest:
    """A session, called over its own socket as notebooks do."""

    def __init__(self, where: Locations, resource: DebugSession) -> None:
        self.where = where
        self.id = resource.id
        self.resource = resource
        self.channel = Connection(resource.calls)

    def call(self, op: str, args: Mapping[str, Any] | None = None, **params: Any) -> dict[str, Any]:
        """Call it; gives the answer with its value decoded."""
        tree, blobs = values.encode(dict(args or {}))
        params["args"] = dict(tree["v"])
        result, found = self.channel.call(op, params, blobs, timeout_s=60)
        return {**result, "value": values.decode(result["value"], found)} if "value" in result else result

    def refused(self, op: str, args: Mapping[str, Any] | None = None, **params: Any) -> dict[str, Any]:
        """Call it, and give what it refuses the call with."""
        try:
            answer = self.call(op, args, **params)
        except CallError as error:
            return error.error
        raise AssertionError(f"{op} was not refused; it gave {answer}")

    def now(self) -> DebugSession:
        """Return the resource as the engine has it now."""
        return DebugSession.model_validate(request(self.where, "GET", f"/native/sessions/{self.id}"))

    def terminate(self) -> DebugSession:
        """End it."""
        self.channel.close()
        return DebugSession.model_validate(
            request(self.where, "POST", f"/native/sessions/{self.id}/terminate")
        )


def request(where: Locations, method: str, path: str, body: Any = None) -> Any:
    """Ask the engine."""
    status, answer = discovery.request(
        discovery.ensure(where=where).socket_path, method, path, body, timeout_s=60
    )
    assert status < 300, answer
    return answer


def upload(where: Locations, data: bytes) -> str:
    """Hand the engine a bundle; return its id."""
    import http.client
    import json
    import socket

    peer = http.client.HTTPConnection("engine", timeout=60)
    peer.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.sock.connect(discovery.ensure(where=where).socket_path)
    peer.request("POST", "/native/session-code", data)
    response = peer.getresponse()
    answer = json.loads(response.read())
    peer.close()
    assert response.status == 201, answer
    return str(answer["id"])


def launch(where: Locations, text: str, name: str = "net", **options: Any) -> SessionUnderTest:
    """Launch a session of a cell and wait until it is ready."""
    import sys

    code = upload(where, capture_model(text, {}, name).data)
    body = {"name": name, "python": sys.executable, "code": code, "wait_s": 60, **options}
    resource = DebugSession.model_validate(request(where, "POST", "/native/sessions", body))
    assert resource.status == "running", resource
    return SessionUnderTest(where, resource)
