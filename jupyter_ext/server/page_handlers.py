"""What a page asks of the extension itself: versions, the widget's code, notebooks to start from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import tornado.web

from jupyter_ext import __version__
from jupyter_ext.config import PROTOCOL_VERSION, locations
from jupyter_ext.server.handlers import JupyterExtHandler, permitted
from jupyter_ext.server.proxy import (
    EngineProxy,
)
from jupyter_ext.server.templates import TEMPLATES, template


class InfoHandler(JupyterExtHandler):
    """`GET info`: what a widget's loader asks first."""

    def initialize(self, static_files: Callable[[], Mapping[str, object]], engine: EngineProxy) -> None:
        """Take what the route was given."""
        self.static_files = static_files
        self.engine = engine

    @tornado.web.authenticated
    @permitted
    async def get(self) -> None:
        """Answer with versions, the names of the static files, where the engine keeps things, and whether one runs."""
        self.set_header("Cache-Control", "no-store")
        where = locations()
        self.finish(
            {
                "version": __version__,
                "protocol": PROTOCOL_VERSION,
                "static": dict(self.static_files()),
                "directories": {"data": str(where.data_dir), "runtime": str(where.runtime_dir)},
                "engine": "running" if await self.engine.is_running() else "stopped",
            }
        )


class TemplateHandler(JupyterExtHandler):
    """`GET templates/<name>`: a notebook to start from."""

    @tornado.web.authenticated
    @permitted
    async def get(self, name: str) -> None:
        """Answer with the notebook's JSON."""
        found = await asyncio.to_thread(template, name)
        if found is None:
            self.write_problem(404, f"There is no template {name!r}; there are {', '.join(TEMPLATES)}.")
            return
        self.finish(found)


class StaticHandler(JupyterExtHandler):
    """`GET static/<name>`: the widget's code. Names carry a hash, so the browser keeps a file for ever."""

    def initialize(self, directory: Path) -> None:
        """Take what the route was given."""
        self.directory = directory

    @tornado.web.authenticated
    @permitted
    async def get(self, name: str) -> None:
        """Answer with the file, compressed where that was prepared and the browser takes it."""
        path = _listed(self.directory, name)
        if path is None:
            self.write_problem(
                404, f"There is no file {name!r}; reload the page to get the names of this version."
            )
            return
        packed = path.with_name(f"{path.name}.gz")
        self.set_header("Vary", "Accept-Encoding")
        if packed.is_file() and "gzip" in self.request.headers.get("Accept-Encoding", ""):
            path = packed
            self.set_header("Content-Encoding", "gzip")
        self.set_header("Content-Type", _CONTENT_TYPES[Path(name).suffix])
        self.set_header("Cache-Control", "private, max-age=31536000, immutable")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(await asyncio.to_thread(path.read_bytes))


_CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".map": "application/json",
    ".css": "text/css; charset=utf-8",
}


def _listed(directory: Path, name: str) -> Path | None:
    """Find a file by comparing names, so that no request becomes a path."""
    if Path(name).suffix not in _CONTENT_TYPES or not directory.is_dir():
        return None
    return next((entry for entry in directory.iterdir() if entry.name == name and entry.is_file()), None)
