"""Fetch the weights that a service's training has left: one file, whole or not at all.

Rule: the token goes to the service's own origin only, redirects included; nobody is sent from https to http.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from jupyter_ext.engine.services.networks import answered_inside, resolves_inside
from jupyter_ext.engine.services.tls import tls_context
from jupyter_ext.errors import RequestRefused
from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import httpx
else:
    httpx = late("httpx")

_TIMEOUT = (5.0, 60.0, 60.0, 60.0)
_MAX_ATTEMPTS = 5
_MAX_REDIRECTS = 5
_CHUNK_BYTES = 1 << 20

Progress = Callable[[int, int | None], None]
"""Told bytes received and bytes in all, where the service says so."""


async def download(
    url: str, target: Path, base_url: str, token: str | None, progress: Progress, pause_s: float = 1.0
) -> None:
    """Fetch a file; what was broken off is gone on with where the service can do that.

    Raises:
        RequestRefused: The service refuses, or breaks it off again and again; one line.
        OSError: The disk is full.
    """
    partial = target.with_name(f"{target.name}.part")
    partial.unlink(missing_ok=True)
    base = httpx.URL(base_url)
    tls = await asyncio.to_thread(tls_context)
    is_inside = await asyncio.to_thread(resolves_inside, base.host)
    why, etag = "", ""
    try:
        async with httpx.AsyncClient(verify=tls, timeout=_TIMEOUT, trust_env=not is_inside) as http:
            for attempt in range(_MAX_ATTEMPTS):
                if attempt:
                    await asyncio.sleep(pause_s * 2**attempt)
                try:
                    async with await _follow(http, url, base, is_inside, token, partial, etag) as response:
                        if response.status_code >= 500 or response.status_code == 429:
                            why = f"answered {response.status_code}"
                            continue
                        if response.status_code not in (200, 206):
                            raise RequestRefused(
                                f"{response.url.host} answered {response.status_code} to the weights."
                            )
                        etag = response.headers.get("etag", "")
                        await _write(response, partial, progress)
                    os.replace(partial, target)
                    return
                except httpx.RequestError as error:
                    why = f"broke off ({type(error).__name__})"
    finally:
        partial.unlink(missing_ok=True)
    raise RequestRefused(
        f"{httpx.URL(url).host} {why}, {_MAX_ATTEMPTS} times; ask for the weights again later."
    )


async def _follow(
    http: httpx.AsyncClient,
    url: str,
    base: httpx.URL,
    is_inside: bool,
    token: str | None,
    partial: Path,
    etag: str,
) -> _Open:
    """Send the request, also to where it is redirected; give the answer with its body unread."""
    target = base.join(url)
    for _ in range(_MAX_REDIRECTS):
        refusal = f"{base.host} sent for the weights by {target.host} to this machine itself or its own network; nothing was taken."
        if not is_inside and await asyncio.to_thread(resolves_inside, target.host):
            raise RequestRefused(refusal)
        headers = {}
        if token and _origin(target) == _origin(base):
            headers["Authorization"] = f"Bearer {token}"
        size = _size(partial)
        if size and etag and not etag.startswith("W/"):
            headers |= {"Range": f"bytes={size}-", "If-Range": etag}
        response = await http.send(http.build_request("GET", target, headers=headers), stream=True)
        if not is_inside and answered_inside(http, response):  # its name has led elsewhere a moment ago
            await response.aclose()
            raise RequestRefused(refusal)
        if not response.is_redirect:
            return _Open(response)
        await response.aclose()
        following = target.join(response.headers.get("location", ""))
        if following.scheme not in ("http", "https") or (target.scheme, following.scheme) == (
            "https",
            "http",
        ):
            raise RequestRefused(
                f"{target.host} sent the weights to {str(following)[:80]!r}, which is not followed."
            )
        target = following
    raise RequestRefused(
        f"{base.host} sent the weights from place to place, more than {_MAX_REDIRECTS} times."
    )


class _Open:
    """An answer that is closed in any case."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    async def __aenter__(self) -> httpx.Response:
        return self._response

    async def __aexit__(self, *_: object) -> None:
        await self._response.aclose()


async def _write(response: httpx.Response, partial: Path, progress: Progress) -> None:
    goes_on = response.status_code == 206
    size = _size(partial) if goes_on else 0
    length = response.headers.get("content-length", "")
    total = size + int(length) if length.isdigit() and not response.headers.get("content-encoding") else None
    with _open(partial, goes_on) as file:
        async for chunk in response.aiter_bytes(_CHUNK_BYTES):
            await asyncio.to_thread(file.write, chunk)
            size += len(chunk)
            progress(size, total)
        await asyncio.to_thread(_sync, file)


def _size(partial: Path) -> int:
    return partial.stat().st_size if partial.exists() else 0


def _open(partial: Path, goes_on: bool) -> IO[bytes]:
    return open(partial, "ab" if goes_on else "wb")


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
