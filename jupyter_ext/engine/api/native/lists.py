"""One WebSocket per page for all lists: everything once, then each thing that changes.

Rule: a viewer hears of one thing at most twice a second, and of what it was told already not again. What has changed is
remembered as a set of ids and looked up when it is sent, so a slow viewer costs nothing and lags behind nothing.

Source: docs/architecture/02-wire.md, "Lists".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol

from pydantic import BaseModel
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

from jupyter_ext.engine.api.http.websocket_send import send_json, send_until_gone
from jupyter_ext.engine.common.lab_pages import LabPages
from jupyter_ext.engine.common.pubsub import Watch
from jupyter_ext.engine.models.service.router import ModelRouter
from jupyter_ext.engine.sessions.service import DebugSessionService
from jupyter_ext.engine.trainings.listing import TrainingList
from jupyter_ext.protocol.lists import (
    LIST_NAMES,
    EngineChanged,
    EngineSummary,
    ListName,
    ListsMessage,
    ModelChanged,
    Removed,
    SessionChanged,
    TrainingChanged,
    TrainingsPage,
)
from jupyter_ext.protocol.problems import Problem

NUM_NEWEST = 100
"""Trainings that a stream begins with, besides those that are not over."""
INTERVAL_S = 0.5
ENGINE_INTERVAL_S = 5.0
"""The engine's own memory, which nobody tells of, is looked at this often."""

Watching = Callable[[asyncio.Event], AbstractContextManager[Watch]]


class Listed(Protocol):
    """What is on one list."""

    watch: Watching

    async def change(self, id: str) -> BaseModel:
        """Return the message that tells of one thing as it is now."""


class Trainings:
    """The list of trainings, for one viewer."""

    def __init__(self, trainings: TrainingList, watch: Watching, pages: LabPages) -> None:
        self._pages = pages
        self._trainings = trainings
        self._status: dict[str, str] = {}
        self.watch = watch

    async def change(self, id: str) -> BaseModel:
        """Return the message that tells of one training."""
        training = await self._trainings.find(id)
        status = None if training is None else training.status
        is_news = self._status.get(id) != status
        counts = await self._trainings.counts() if is_news else None
        if training is None:
            self._status.pop(id, None)
            return Removed(list="trainings", id=id, counts=counts)
        self._status[id] = training.status
        return TrainingChanged(training=self._pages.training(training), counts=counts)


class Sessions:
    """The list of debug sessions, for one viewer."""

    def __init__(self, sessions: DebugSessionService, watch: Watching, pages: LabPages) -> None:
        self._pages = pages
        self._sessions = sessions
        self.watch = watch

    async def change(self, id: str) -> BaseModel:
        """Return the message that tells of one session."""
        session = self._sessions.find(id)
        if session is None:
            return Removed(list="sessions", id=id)
        return SessionChanged(session=self._pages.session(session))


class Models:
    """The list of models, for one viewer."""

    def __init__(self, models: ModelRouter, watch: Watching, pages: LabPages) -> None:
        self._pages = pages
        self._models = models
        self.watch = watch

    async def change(self, id: str) -> BaseModel:
        """Return the message that tells of one model."""
        model = self._models.provider(id).known(id)
        return (
            Removed(list="models", id=id) if model is None else ModelChanged(model=self._pages.model(model))
        )


class ListsAPI:
    """`/native/lists/stream`.

    Args:
        trainings: All trainings.
        sessions: All debug sessions.
        models: All models.
        watches: How to hear of a change, by list.
        engine: What the engine says of itself.
        pages: Where JupyterLab is.
    """

    def __init__(
        self,
        trainings: TrainingList,
        sessions: DebugSessionService,
        models: ModelRouter,
        watches: Mapping[ListName, Watching],
        engine: Callable[[], EngineSummary],
        pages: LabPages,
    ) -> None:
        self._pages = pages
        self._trainings = trainings
        self._sessions = sessions
        self._models = models
        self._watches = watches
        self._engine = engine
        self.num_viewers = 0

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [WebSocketRoute("/native/lists/stream", self.stream)]

    async def stream(self, socket: WebSocket) -> None:
        """Send the lists named in `lists` (all, if it is absent), then what changes; with `quiet=1` only what `news_of` names.

        It keeps an idle engine alive only with `keep=1`: while an output is looked at.
        """
        await socket.accept()
        names = [name for name in socket.query_params.get("lists", ",".join(LIST_NAMES)).split(",") if name]
        is_quiet = socket.query_params.get("quiet") == "1"
        keeps = socket.query_params.get("keep") == "1"
        self.num_viewers += keeps
        try:
            await send_until_gone(socket, lambda: self._send(socket, names, is_quiet))
        finally:
            self.num_viewers -= keeps

    async def _send(self, socket: WebSocket, names: list[str], is_quiet: bool) -> None:
        lists = {name: self._list(name) for name in names}
        wake = asyncio.Event()
        with ExitStack() as watching:
            watches = {name: watching.enter_context(one.watch(wake)) for name, one in lists.items()}
            first = await self._first(names)
            await send_json(socket, first.model_dump(mode="json"))
            news: dict[str, object] = {}
            looked_at = time.monotonic()
            while True:
                for name, watch in watches.items():
                    for id in watch.take():
                        message = await lists[name].change(id)
                        if not is_quiet or news.get(id) != news_of(message):
                            await send_json(socket, message.model_dump(mode="json"))
                        news[id] = news_of(message)
                if time.monotonic() - looked_at >= ENGINE_INTERVAL_S:
                    looked_at = time.monotonic()
                    if (engine := self._engine()) != first.engine:
                        first.engine = engine
                        await send_json(socket, EngineChanged(engine=engine).model_dump(mode="json"))
                await asyncio.sleep(INTERVAL_S)
                await _within(wake.wait(), ENGINE_INTERVAL_S)
                wake.clear()

    async def _first(self, names: list[str]) -> ListsMessage:
        return ListsMessage(
            trainings=await self._overview() if "trainings" in names else None,
            sessions=[self._pages.session(one) for one in self._sessions.list()]
            if "sessions" in names
            else None,
            models=self._pages.models(await self._models.page()) if "models" in names else None,
            engine=self._engine(),
        )

    async def _overview(self) -> TrainingsPage:
        page = await self._trainings.overview(NUM_NEWEST)
        return page.model_copy(update={"trainings": [self._pages.training(one) for one in page.trainings]})

    def _list(self, name: str) -> Listed:
        match name:
            case "trainings":
                return Trainings(self._trainings, self._watches[name], self._pages)
            case "sessions":
                return Sessions(self._sessions, self._watches[name], self._pages)
            case "models":
                return Models(self._models, self._watches[name], self._pages)
        raise Problem(
            422, "Invalid value", f"There is no list {name[:40]!r}; there are {', '.join(LIST_NAMES)}."
        )


def news_of(message: BaseModel) -> object:
    """Return what of a change a viewer wants to know who does not look: ends, failures, loads; no progress."""
    match message:
        case TrainingChanged(training=training):
            return training.status, len(training.notices), len(training.alerts)
        case SessionChanged(session=session):
            return session.status, session.failure is not None and session.failure.at
        case ModelChanged(model=model):
            return model.state, model.transfer and model.transfer.status, model.error
        case _:
            return None


async def _within(waiting: Awaitable[object], seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await waiting
    except TimeoutError:
        return
