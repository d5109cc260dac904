"""What the engine is asked about debug sessions; calls into one go to it directly, see `session_channel`."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import httpx

from jupyter_ext.bundles.bundle import Bundle
from jupyter_ext.client.requests.caller_context import origin
from jupyter_ext.client.requests.process_client import client
from jupyter_ext.client.requests.transport import UPLOAD_TIMEOUT, Transport
from jupyter_ext.errors import UnknownId
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.protocol.sessions import DebugSession

_LAUNCH_TIMEOUT = httpx.Timeout(90.0, connect=5.0)
READY_WITHIN_S = 60.0


def requests() -> SessionRequests:
    """Return what asks the engine about sessions."""
    return SessionRequests(client().transport)


class SessionRequests:
    """Requests about sessions, with await.

    Args:
        transport: The engine's connection.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def launch(self, name: str, bundle: Bundle | None, inactive_s: float | None) -> DebugSession:
        """Launch a session in this process's environment, and wait until it is ready."""
        body: dict[str, object] = {
            "name": name,
            **origin(),
            "inactive_s": inactive_s,
            "wait_s": READY_WITHIN_S,
        }
        if bundle is not None:
            body["code"] = await self._upload(bundle)
        answer = await self._transport.ask("POST", "/native/sessions", json=body, timeout=_LAUNCH_TIMEOUT)
        return DebugSession.model_validate(answer)

    async def replace_code(self, session_id: str, bundle: Bundle) -> httpx.Response:
        """Replace a session's code; returns the answer as it is."""
        body = {"code": await self._upload(bundle)}
        path = f"/native/sessions/{_path(session_id)}/code"
        return await self._transport.send("POST", path, json=body, timeout=UPLOAD_TIMEOUT)

    async def get(self, session_id: str) -> DebugSession:
        """Return a session.

        Raises:
            UnknownId: There is none with this id.
        """
        return DebugSession.model_validate(
            await self._transport.ask("GET", f"/native/sessions/{_path(session_id)}")
        )

    async def call(
        self, session_id: str, op: str, params: Mapping[str, object]
    ) -> tuple[JsonObject, list[memoryview]]:
        """Call a session through the engine, which answers for one that has ended what it still can.

        Raises:
            JupyterExtError: It has ended, or refused.
        """
        path = f"/native/sessions/{_path(session_id)}/call"
        answer = await self._transport.ask("POST", path, json={"op": op, "params": dict(params)})
        return answer["result"], [memoryview(base64.b64decode(blob)) for blob in answer["blobs"]]

    async def list(self, *, ended: bool = False) -> list[DebugSession]:
        """List sessions, newest first."""
        params = {} if ended else {"running": "1"}
        answer = await self._transport.ask("GET", "/native/sessions", params=params)
        return [DebugSession.model_validate(one) for one in answer["sessions"]]

    async def terminate(self, session_id: str) -> DebugSession:
        """End a session; returns it as it is then."""
        return DebugSession.model_validate(
            await self._transport.ask("POST", f"/native/sessions/{_path(session_id)}/terminate")
        )

    async def delete(self, session_id: str) -> None:
        """Forget a session that has ended, and delete its files."""
        await self._transport.ask("DELETE", f"/native/sessions/{_path(session_id)}")

    async def logs(self, session_id: str, stream: str, tail: int | None) -> str:
        """Return what a session printed, or the last lines of it, a mebibyte at most."""
        params = {"stream": stream, "tail": str(10**9 if tail is None else tail)}
        answer = await self._transport.ask("GET", f"/native/sessions/{_path(session_id)}/logs", params=params)
        return str(answer["text"])

    async def stacks(self, session_id: str) -> str:
        """Return where each thread of a session stands, also of one that answers nothing."""
        answer = await self._transport.ask("GET", f"/native/sessions/{_path(session_id)}/stacks")
        return str(answer["text"])

    async def _upload(self, bundle: Bundle) -> str:
        answer = await self._transport.ask(
            "POST", "/native/session-code", content=bundle.data, timeout=UPLOAD_TIMEOUT
        )
        return str(answer["id"])


def _path(session_id: str) -> str:
    if not session_id.isalnum():
        raise UnknownId(f"There is no debug session {session_id!r}. `%debug_sessions` lists those there are.")
    return session_id
