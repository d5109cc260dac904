"""One engine's connection: requests over its socket, and what a refusal becomes.

Rule: this is the only place where the notebook side speaks HTTP to the engine; where none runs, it is started.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx

from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.engine_process.socket_transport import EngineTransport
from jupyter_ext.errors import EngineUnreachable, InvalidInput, JupyterExtError, RequestRefused, UnknownId

UPLOAD_TIMEOUT = httpx.Timeout(600.0, connect=5.0)
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_TEMPORARY = frozenset({429, 500, 502, 503, 504, 507})
"""Refusals of now: too many requests, an engine that is ending, a disk that is full."""


class Transport:
    """Requests to the engine of this user on this host, for one event loop.

    Args:
        where: The directories that the engine's socket is found by.
    """

    def __init__(self, where: Locations) -> None:
        self.where = where
        self._http: httpx.AsyncClient | None = None
        self._socket_path = str(where.socket)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def ensure_socket(self) -> str:
        """Make sure that an engine runs; give its socket's path."""
        found = await asyncio.to_thread(discovery.ensure, 30.0, self.where)
        return found.socket_path

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """Make one JSON request and return the decoded body, `None` where it is empty.

        Raises:
            JupyterExtError: The engine refused it, or cannot be asked.
        """
        response = await self._request(method, path, **options)
        return response.json() if response.content else None

    async def ask_bytes(self, method: str, path: str, **options: Any) -> bytes:
        """Make one request and return the body as it is.

        Raises:
            JupyterExtError: The engine refused it, or cannot be asked.
        """
        return (await self._request(method, path, **options)).content

    async def chunks(self, path: str) -> AsyncGenerator[bytes, None]:
        """Get an answer as it comes, whatever its size, from an engine that was asked before.

        Raises:
            JupyterExtError: The engine refused it, or ended meanwhile.
        """
        try:
            async with self._client().stream("GET", path, timeout=UPLOAD_TIMEOUT) as response:
                if response.status_code >= 400:
                    await response.aread()
                    raise error_of(response)
                async for chunk in response.aiter_bytes():
                    yield chunk
        except httpx.HTTPError as error:
            raise EngineUnreachable(f"The engine broke off its answer to GET {path}; try again.") from error

    async def tunnel(self, method: str, path: str, body: bytes | None) -> tuple[int, str, bytes]:
        """Pass a view's request on and return status, content type and body as they are."""
        headers = {"Content-Type": "application/json"} if body else {}
        response = await self.send(method, path, content=body, headers=headers)
        return response.status_code, response.headers.get("content-type", ""), response.content

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        response = await self.send(method, path, **options)
        if response.status_code >= 400:
            raise error_of(response)
        return response

    async def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request; where nobody listens, start the engine and send it once more.

        Returns:
            The answer, whatever its status.

        Raises:
            EngineUnreachable: There was none.
        """
        if "json" in options:  # as escapes, so that the engine can say which value it does not take
            options["content"] = json.dumps(options.pop("json")).encode()
            options["headers"] = {"Content-Type": "application/json", **options.get("headers", {})}
        for attempt in (1, 2):
            try:
                return await self._client().request(method, path, **options)
            except httpx.ConnectError:
                if attempt == 2:
                    raise EngineUnreachable(
                        f"The engine at {self._socket_path} went away; try again."
                    ) from None
                await self.ensure_socket()
            except (httpx.RemoteProtocolError, httpx.ReadError) as error:
                if attempt == 2 or method != "GET":
                    raise EngineUnreachable(
                        f"The engine went away during {method} {path}; `%trainings` shows whether it was done."
                    ) from error
                await self.ensure_socket()
            except httpx.TimeoutException as error:
                raise EngineUnreachable(
                    f"The engine did not answer {method} {path} in time; try `%engine`."
                ) from error
        raise AssertionError("unreachable")

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            transport = EngineTransport(self._socket_path)
            self._http = httpx.AsyncClient(
                transport=transport, base_url="http://engine", timeout=_TIMEOUT, trust_env=False
            )
        return self._http


def error_of(response: httpx.Response) -> JupyterExtError:
    """Return the error that a refusal of the engine's is here."""
    is_temporary = response.status_code in _TEMPORARY
    try:
        problem = response.json()
        detail = str(problem.get("detail") or problem.get("title"))
    except (ValueError, AttributeError):
        text = f"The engine answered {response.status_code} to {response.request.url.path}."
        return RequestRefused(text, is_temporary=is_temporary)
    if response.status_code == 404:
        return UnknownId(detail)
    if response.status_code in (400, 422):
        fields = problem.get("invalid_fields") or []
        return InvalidInput("; ".join(field["description"] for field in fields) or detail)
    return RequestRefused(detail, is_temporary=is_temporary)
