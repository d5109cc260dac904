"""The page that shows a run, a session or a model in JupyterLab: its address, where a Jupyter server with our extension is known and lives.

Rule: a server tells its own address, over the Unix socket; nothing is guessed, and nobody is sent to a server that has ended. An
address carries no token: who follows it logs in as for any page.

Source: docs/architecture/06-replicate.md, "`urls.web`".
"""

from __future__ import annotations

import re
import time
from typing import Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict

from jupyter_ext.ipc import processes, run_files
from jupyter_ext.ipc.run_files import Place
from jupyter_ext.protocol.models import LocalModel, ModelPage
from jupyter_ext.protocol.problems import InvalidField, invalid_input
from jupyter_ext.protocol.sessions import DebugSession
from jupyter_ext.protocol.trainings import PageUrls, Training

PARAMETER = "jupyter-ext"
"""Of JupyterLab's URL: `training:<id>`, `session:<id>` or `model:<id>`; our extension opens a tab for it and removes it."""
_MAX_URL_CHARS = 2_000
_PLAIN = re.compile(r"[\x21-\x7e]+")
_LOOK_S = 1.0
"""A server is looked for this often at most; a page of a hundred runs asks a hundred times."""

Kind = Literal["training", "session", "model"]


class LabServer(BaseModel):
    """What a Jupyter server tells of itself: the address of its JupyterLab, as browsers know it, and its process."""

    model_config = ConfigDict(extra="ignore", strict=True)

    url: str
    pid: int
    ticks: int | None
    boot_id: str
    pid_namespace: int | None


class LabPages:
    """The servers that are known; the one that told last is the one whose pages are named, while it lives."""

    def __init__(self) -> None:
        self._servers: dict[tuple[int, int | None], LabServer] = {}
        self._looked_at = 0.0

    def tell(self, server: LabServer) -> None:
        """Take over what a server says of itself.

        Raises:
            Problem: Its address is none that a browser can be sent to.
        """
        _check(server.url)
        key = server.pid, server.ticks
        self._servers.pop(key, None)
        self._servers[key] = server
        self._looked_at = 0.0

    def url(self, kind: Kind, id: str) -> str | None:
        """Return the page that shows a training (or prediction), a session or a model; `None` where no server is known."""
        self._look()
        if not self._servers:
            return None
        newest = next(reversed(self._servers.values()))
        return f"{newest.url.rstrip('/')}?{PARAMETER}={kind}:{quote(id, safe='/:@')}"

    def training(self, training: Training) -> Training:
        """Return a training (or prediction) with the address of its page."""
        urls = training.urls.model_copy(update={"web": self.url("training", training.id)})
        return training.model_copy(update={"urls": urls})

    def session(self, session: DebugSession) -> DebugSession:
        """Return a session with the address of its page."""
        return session.model_copy(update={"urls": PageUrls(web=self.url("session", session.id))})

    def model(self, model: LocalModel) -> LocalModel:
        """Return a model with the address of its page."""
        return model.model_copy(update={"urls": PageUrls(web=self.url("model", model.id))})

    def models(self, page: ModelPage) -> ModelPage:
        """Return all models with the addresses of their pages."""
        return page.model_copy(update={"models": [self.model(model) for model in page.models]})

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_S:
            self._looked_at = now
            self._servers = {key: server for key, server in self._servers.items() if _lives(server)}


def _lives(server: LabServer) -> bool:
    """Tell whether a server runs; one whose processes cannot be seen from here is not named."""
    place: Place = {"boot_id": server.boot_id, "pid_namespace": server.pid_namespace}
    return run_files.is_here(place) and processes.is_alive(server.pid, server.ticks)


def _check(url: str) -> None:
    problem = "url must be the address of a page, http:// or https://, without a user, a query or a fragment"
    try:
        parts = urlsplit(url)
        is_page = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_page = False
    if (
        not is_page
        or len(url) > _MAX_URL_CHARS
        or not _PLAIN.fullmatch(url)
        or parts.username is not None
        or parts.password is not None
        or set("?#") & set(url)
    ):
        raise invalid_input([InvalidField("invalid", "url", problem)])
