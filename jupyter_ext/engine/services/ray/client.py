"""Ray's Jobs API over HTTP.

Source: Ray's docs, "Ray Jobs REST API"; packages as `ray.dashboard.modules.dashboard_sdk` uploads them.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from jupyter_ext.errors import RequestRefused
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import httpx
    import websockets.asyncio.client as websockets_client
else:
    httpx = late("httpx")
    websockets_client = late("websockets.asyncio.client")

TERMINAL = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
MAX_PACKAGE_BYTES = 500 << 20
"""What Ray takes as one package."""
_NO_AGENT = "No available agent"
"""What Ray says until a node's agent has registered, some seconds after the node has."""
_AGENT_WITHIN_S, _AGENT_PAUSE_S = 30.0, 0.5
_TOKEN_VARIABLE, _TOKEN_FILE_VARIABLE = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
_DEFAULT_TOKEN_FILE = "~/.ray/auth_token"


class RayError(RequestRefused):
    """The cluster refuses something, or cannot be reached; the text says what."""


class RayUnreachable(RayError):
    """Nobody answers at the address."""


class NoRay(RayError):
    """Something answers at the address, but no Ray dashboard."""


class JobInfo(TypedDict):
    """What a cluster says of a job."""

    status: str
    message: str
    node: str
    exit_code: int | None


def find_token(environ: Mapping[str, str] | None) -> str | None:
    """Return the token of Ray's own settings: of a notebook's variables, of the engine's, or of Ray's file.

    Raises:
        RayError: What is there cannot be a token; it is not repeated.
    """
    for variables in (environ or {}, os.environ):
        if token := variables.get(_TOKEN_VARIABLE, "").strip():
            return _checked(token, _TOKEN_VARIABLE)
        if (path := variables.get(_TOKEN_FILE_VARIABLE)) and (kept := _read(path)):
            return _checked(kept, f"{_TOKEN_FILE_VARIABLE}={path}")
    kept = _read(_DEFAULT_TOKEN_FILE)
    return None if kept is None else _checked(kept, _DEFAULT_TOKEN_FILE)


def _checked(token: str, where: str) -> str:
    if not token.isascii() or not token.isprintable() or " " in token:
        raise RayError(f"{where} holds characters that no token has; write the cluster's token there.")
    return token


def _read(path: str) -> str | None:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8", errors="replace").strip() or None
    except (OSError, RuntimeError):  # RuntimeError: a ~ of nobody
        return None


class RayClient:
    """Talks to one cluster's dashboard.

    Args:
        address: Such as `http://127.0.0.1:8265`.
        token: Where the cluster asks for one.
    """

    def __init__(self, address: str, token: str | None) -> None:
        self._address = address.rstrip("/")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(
            base_url=self._address,
            headers=self._headers,
            timeout=httpx.Timeout(30.0, connect=5.0, write=120.0),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def check(self) -> str:
        """Return the version of the Ray whose dashboard is at the address.

        Raises:
            NoRay: It is something else's.
        """
        answer = await self._send("GET", "/api/version", accept=(200, 404, 405, 501))
        told = self._json(answer) if answer.status_code == 200 else {}
        if not isinstance(told.get("ray_version"), str):
            raise self._no_ray(answer)
        return str(told["ray_version"])

    async def put_package(self, name: str, data: bytes) -> str:
        """Store a package, unless the cluster has it; return its URI.

        Args:
            name: With its hash, so that the same name is the same content.
            data: A zip file.
        """
        path = f"/api/packages/gcs/{name}"
        if (await self._send("GET", path, accept=(200, 404))).status_code == 404:
            await self._send("PUT", path, content=data)
        return f"gcs://{name}"

    async def submit(self, submission_id: str, request: Mapping[str, object]) -> None:
        """Submit a job; one that is there already under this id is that job. A cluster that has just started is given its time."""
        deadline = time.monotonic() + _AGENT_WITHIN_S
        while True:
            try:
                await self._send("POST", "/api/jobs/", json={**request, "submission_id": submission_id})
                return
            except RayError as error:
                if _NO_AGENT in str(error) and time.monotonic() < deadline:
                    await asyncio.sleep(_AGENT_PAUSE_S)
                    continue
                if await self.info(submission_id) is None:
                    raise
                return

    async def info(self, submission_id: str) -> JobInfo | None:
        """Return how a job stands, or `None` where there is none."""
        answer = await self._send("GET", f"/api/jobs/{submission_id}", accept=(200, 404))
        if answer.status_code == 404:
            return None
        told = self._json(answer)
        code = told.get("driver_exit_code")
        return {
            "status": str(told.get("status")),
            "message": str(told.get("message") or ""),
            "node": str(told.get("driver_agent_http_address") or told.get("driver_node_id") or ""),
            "exit_code": code if isinstance(code, int) else None,
        }

    async def stop(self, submission_id: str) -> None:
        """Have a job stopped."""
        await self._send("POST", f"/api/jobs/{submission_id}/stop")

    async def logs(self, submission_id: str) -> str:
        """Return a job's whole log."""
        return str(self._json(await self._send("GET", f"/api/jobs/{submission_id}/logs")).get("logs") or "")

    async def tail(self, submission_id: str) -> AsyncGenerator[str]:
        """Yield a job's log from its beginning, as it grows; it may end before the job does.

        Raises:
            OSError: The connection breaks.
        """
        url = f"ws{self._address.removeprefix('http')}/api/jobs/{submission_id}/logs/tail"
        context = ssl.create_default_context() if url.startswith("wss:") else None
        # aiohttp, which Ray answers with, breaks off a compressed stream at its first message
        socket = websockets_client.connect(
            url, additional_headers=self._headers, max_size=None, ssl=context, compression=None
        )
        async with socket as messages:
            async for message in messages:
                yield message if isinstance(message, str) else message.decode("utf-8", "replace")

    async def _send(
        self, method: str, path: str, *, accept: tuple[int, ...] = (200,), **options: object
    ) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, **options)  # type: ignore[arg-type]
        except httpx.HTTPError as error:
            raise RayUnreachable(
                f"No Ray cluster answers at {self._address} ({type(error).__name__}); `ray start --head` starts one, and "
                "--address names another."
            ) from error
        if answer.status_code in accept:
            return answer
        if answer.status_code in (401, 403):
            raise RayError(
                f"The Ray cluster at {self._address} asks for a token: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, and run it again."
            )
        if _is_html(answer) or answer.is_redirect:
            raise self._no_ray(answer)
        text = " ".join(answer.text.split())
        raise RayError(f"The Ray cluster at {self._address} says {answer.status_code}: {text[-300:]}")

    def _json(self, answer: httpx.Response) -> JsonObject:
        try:
            told = answer.json()
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise self._no_ray(answer)
        return told

    def _no_ray(self, answer: httpx.Response) -> NoRay:
        text = " ".join(answer.text.split())[:40]
        what = "an HTML page" if _is_html(answer) else f"{text!r}" if text else "nothing"
        return NoRay(
            f"{self._address} is no Ray dashboard (it answers {answer.status_code} with {what}); give --address the "
            "dashboard's URL, such as http://127.0.0.1:8265."
        )


def _is_html(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("content-type", "").startswith("text/html"))
