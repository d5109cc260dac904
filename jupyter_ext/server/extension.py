"""The extension as Jupyter Server loads it.

Rule: a server start is never delayed or refused because of the engine, and a page that is merely open starts none. The first
request that needs it does; where that fails, the requests say why.
"""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from traitlets import Any as AnyTrait
from traitlets import Bool

from jupyter_ext.errors import EngineError
from jupyter_ext.server.engine_process import EngineProcess, default_locator
from jupyter_ext.server.lab_page import LabPage, first_origin, has_lab
from jupyter_ext.server.proxy import EngineProxy
from jupyter_ext.server.routes import routes


class JupyterExtension(ExtensionApp):
    """Passes an authenticated page through to the engine of the server's user."""

    name = "jupyter_ext"
    description = "Trainings from notebooks that go on without them"
    load_other_extensions = True

    start_engine = Bool(
        False, help="Start the engine when the server starts, not when something needs it."
    ).tag(config=True)

    locator = AnyTrait(help="How to find and start the engine; None for this user's on this host.")

    def initialize_handlers(self) -> None:
        """Add the routes."""
        import jupyter_ext_widgets

        self.engine_process = EngineProcess(self.locator or default_locator())
        server = self.serverapp
        assert server is not None
        engine, base_url = EngineProxy(self.engine_process), server.web_app.settings["base_url"]
        self.lab_page = LabPage(engine, base_url, lambda: has_lab(server))
        server.web_app.add_handlers(
            ".*$",
            routes(
                base_url,
                engine,
                jupyter_ext_widgets.static_dir(),
                jupyter_ext_widgets.static_files,
                self.lab_page.seen,
            ),
        )

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        if self.start_engine:
            self._starting = asyncio.create_task(self._find_engine())

    async def stop_extension(self) -> None:
        """Give up a start that is still going on; the engine itself goes on without the server."""
        starting: asyncio.Task[None] | None = getattr(self, "_starting", None)
        if starting is not None:
            starting.cancel()
        await self.lab_page.close()

    async def _find_engine(self) -> None:
        try:
            path = await self.engine_process.socket_path()
        except EngineError as error:
            self.log.warning("jupyter_ext: %s", error)
        else:
            self.log.info("jupyter_ext: the engine listens on %s", path)
            assert self.serverapp is not None
            if (origin := first_origin(self.serverapp)) is not None:
                self.lab_page.is_at(origin)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "jupyter_ext.server.extension", "app": JupyterExtension}]
