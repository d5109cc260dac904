"""Tell the engine at which address this server's JupyterLab is, so that answers to other programs can name it.

Rule: the address is the one that a logged-in page used last: behind a proxy or a hub nobody else knows it. It never carries a
token. Telling is an extra: it starts no engine, waits for nobody, and a failure changes nothing for the page.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlsplit

import httpx
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado.httputil import HTTPServerRequest

from jupyter_ext.ipc import processes, run_files
from jupyter_ext.server.proxy import EngineProxy

TARGET = "/native/page"


class LabPage:
    """The address of one server's JupyterLab.

    Args:
        engine: The way to the engine.
        base_url: The server's, with a slash at both ends.
        has_lab: Tells whether the server has JupyterLab at all.
    """

    def __init__(self, engine: EngineProxy, base_url: str, has_lab: Callable[[], bool]) -> None:
        self._engine = engine
        self._path = quote(url_path_join(base_url, "lab"), safe="/%:@!$&'()*+,;=~")
        self._has_lab = has_lab
        self._url: str | None = None
        self._told: tuple[str, object] | None = None
        """What was told, and to which engine."""
        self._telling: asyncio.Task[None] | None = None

    def seen(self, request: HTTPServerRequest) -> None:
        """Learn the address from the request of a page that was let in."""
        self.is_at(f"{request.protocol}://{request.host}")

    def is_at(self, origin: str) -> None:
        """Tell the engine, in the background, that browsers reach this server at an origin, unless it knows."""
        self._url = f"{origin}{self._path}"
        is_telling = self._telling is not None and not self._telling.done()
        if not is_telling and self._told != (self._url, self._engine.engine):
            self._telling = asyncio.create_task(self._tell(), name="tell the engine where JupyterLab is")

    async def close(self) -> None:
        """Stop telling."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    async def _tell(self) -> None:
        url, engine = self._url, self._engine.engine
        if url is None or not self._has_lab():
            return
        pid = os.getpid()
        body = {"url": url, "pid": pid, "ticks": processes.start_ticks(pid), **run_files.here()}
        headers = [("content-type", "application/json")]
        try:
            if await self._engine.tell("POST", TARGET, headers, json.dumps(body).encode()):
                self._told = url, engine
        except httpx.HTTPError:
            return  # the next request tries again


def has_lab(server: ServerApp) -> bool:
    """Tell whether a server has JupyterLab."""
    found = server.extension_manager.extensions.get("jupyterlab")
    return found is not None and bool(found.enabled)


def first_origin(server: ServerApp, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return where a server most likely is before any page has asked it; `None` where only a page can know."""
    if "JUPYTERHUB_SERVICE_PREFIX" in environ:
        text = environ.get("JUPYTERHUB_PUBLIC_URL", "")
    else:
        text = server.custom_display_url or server.connection_url
    parts = urlsplit(text)
    host = parts.netloc.rpartition("@")[2]
    is_known = (
        parts.scheme in ("http", "https") and host and not host.endswith(":0")
    )  # port 0 is still to be found
    return f"{parts.scheme}://{host}" if is_known else None
