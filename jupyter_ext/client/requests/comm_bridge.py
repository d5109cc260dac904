"""What a widget without a Jupyter server of ours asks through its kernel: the same requests, over the loop thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
from collections.abc import Callable

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.process_client import client
from jupyter_ext.client.requests.reconnect import connect
from jupyter_ext.errors import JupyterExtError
from jupyter_ext.protocol import stream_ends

_ALLOWED = ("/native/", "/v1/")
"""What views ask for."""
_ABNORMAL = 1006


class OpenStream:
    """A stream that is being passed on."""

    def __init__(self, future: concurrent.futures.Future[None]) -> None:
        self._future = future

    def close(self) -> None:
        """Stop passing it on."""
        self._future.cancel()


class CommBridge:
    """Passes a view's requests on to the engine. Thread-safe."""

    def request(self, method: str, path: str, body: object | None) -> tuple[int, str, bytes]:
        """Make one request and return status, content type and body. Blocks: call it off the main thread."""
        if not path.startswith(_ALLOWED):
            return 403, "text/plain", f"a view does not ask for {path.split('?')[0]}".encode()
        try:
            data = None if body is None else json.dumps(body).encode()
            return loop_thread().run(client().transport.tunnel(method, path, data))
        except JupyterExtError as error:
            return 503, "text/plain", str(error).encode()

    def open_stream(
        self, path: str, on_message: Callable[[str | bytes], None], on_close: Callable[[int, str], None]
    ) -> OpenStream:
        """Pass a stream's messages on until it ends; `on_close` gets the close code and the reason."""
        return OpenStream(loop_thread().submit(_pass_on(path, on_message, on_close)))


async def _pass_on(
    path: str, on_message: Callable[[str | bytes], None], on_close: Callable[[int, str], None]
) -> None:
    code, reason = _ABNORMAL, ""
    try:
        if path.startswith(_ALLOWED):
            socket_path = await client().transport.ensure_socket()
            async with connect(socket_path, path) as socket:
                async for message in socket:
                    on_message(message)
            code, reason = socket.close_code or _ABNORMAL, socket.close_reason or ""
    except ConnectionClosed as error:
        if error.rcvd:
            code, reason = error.rcvd.code, error.rcvd.reason
    except InvalidStatus as refusal:
        code = stream_ends.code_of(refusal.response.status_code)
        reason = stream_ends.refusal_of(bytes(refusal.response.body or b""))
    except JupyterExtError as error:
        code, reason = stream_ends.UNAVAILABLE, str(error)
    except (OSError, InvalidHandshake):
        code = _ABNORMAL
    except asyncio.CancelledError:
        return
    on_close(code, reason)
