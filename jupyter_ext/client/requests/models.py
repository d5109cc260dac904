"""What the asynchronous client asks about local models: `AsyncClient().models`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import httpx

from jupyter_ext.client.requests.caller_context import current_directory
from jupyter_ext.client.requests.reconnect import messages, within
from jupyter_ext.client.requests.transport import Transport
from jupyter_ext.errors import EngineUnreachable, RequestRefused, UnknownId
from jupyter_ext.protocol.model_refs import HUB_VARIABLES
from jupyter_ext.protocol.models import LocalModel, ModelPage

_PATIENT = httpx.Timeout(None, connect=5.0)
"""Loading a large model takes as long as it takes; an interrupt ends the waiting."""
SERVICE_TOKEN_VARIABLE = "JUPYTER_EXT_SERVICE_TOKEN"
"""What a service is shown that wants a token, such as another engine's port; Pieces OS wants none."""
_ATTEMPTS = 3


@dataclass(frozen=True)
class ModelEvent:
    """Something that happened: `models` gives all of them, `model` one that changed, `removed` only its id."""

    kind: Literal["models", "model", "removed"]
    page: ModelPage | None = None
    model: LocalModel | None = None
    id: str | None = None


class ModelRequests:
    """Requests about local models; made by `AsyncClient`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def page(self, on: str | None = None) -> ModelPage:
        """Return all models, and what there is to hold them.

        Args:
            on: Only those of a service: `pieces`, or the base URL of one like it.
        """
        if on is None:
            return ModelPage.model_validate(await self._transport.ask("GET", "/native/models"))
        body = {"on": on, "token": os.environ.get(SERVICE_TOKEN_VARIABLE)}
        return ModelPage.model_validate(
            await self._transport.ask("POST", "/native/models/services", json=body)
        )

    async def get(self, model_id: str) -> LocalModel:
        """Return a model.

        Raises:
            UnknownId: There is none of this id.
        """
        return await self._model("GET", _path(model_id))

    async def add(
        self, text: str, *, name: str | None = None, description: str | None = None, look: bool = False
    ) -> LocalModel:
        """Begin to know a model by its id, a path or an address; with `look` its hub is asked how big it is."""
        body = {"id": text, "name": name, "description": description, "look": look, "environ": hub_environ()}
        return await self._model("POST", "/native/models", body)

    async def change(
        self,
        model_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        pinned: bool | None = None,
        keep_alive_s: float | None = None,
    ) -> LocalModel:
        """Change what is said of a model, or how long it stays loaded; `None` leaves it."""
        changes = {
            "name": name,
            "description": description,
            "pinned": pinned,
            "keep_alive_s": keep_alive_s,
        }
        given = {field: value for field, value in changes.items() if value is not None}
        return await self._model("PATCH", _path(model_id), given)

    async def download(self, model_id: str, weights: Sequence[str] = ()) -> LocalModel:
        """Begin to download, or join whoever does.

        Args:
            model_id: Which.
            weights: Names or patterns of files that are no safetensors and are fetched all the same.
        """
        body = {"environ": hub_environ(), "weights": [*weights]}
        return await self._model("POST", f"{_path(model_id)}/download", body)

    async def cancel(self, model_id: str) -> LocalModel:
        """Stop a download; what has come is kept."""
        return await self._model("POST", f"{_path(model_id)}/cancel")

    async def update(self, model_id: str, *, check_only: bool = False) -> LocalModel:
        """Look for a newer revision, and begin to fetch it unless `check_only`."""
        body = {"environ": hub_environ(), "check": check_only}
        return await self._model("POST", f"{_path(model_id)}/update", body)

    async def load(
        self,
        model_id: str,
        *,
        device: str | None = None,
        dtype: str | None = None,
        keep_alive_s: float | None = None,
        pin: bool = False,
        force: bool = False,
        wait: bool = True,
        options: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> LocalModel:
        """Load a model, downloading it first where it is not here; also over a restart of the engine."""
        body = {
            "device": device,
            "dtype": dtype,
            "keep_alive_s": keep_alive_s,
            "pin": pin,
            "force": force,
            "wait": wait,
            "options": dict(options or {}),
            "environ": hub_environ(),
            "worker": {"python": sys.executable, "cwd": current_directory(), "environ": dict(environ or {})},
            "user": who(),
        }
        return await self._patiently(f"{_path(model_id)}/load", body)

    async def unload(self, model_id: str, *, wait: bool = True) -> LocalModel:
        """Unload a model; with `wait` it says what that gave back."""
        return await self._patiently(f"{_path(model_id)}/unload", {"wait": wait})

    async def unload_all(self) -> None:
        """Unload every model that nobody has pinned."""
        await self._transport.ask("POST", "/native/models/unload", timeout=_PATIENT)

    async def delete(self, model_id: str, *, force: bool = False) -> None:
        """Forget a model and delete its files; with `force` it is unloaded first."""
        await self._transport.ask("DELETE", _path(model_id), params=_flag(force), timeout=_PATIENT)

    async def delete_files(self, model_id: str, *, force: bool = False) -> LocalModel:
        """Delete a model's files and go on knowing it."""
        content = await self._transport.ask(
            "DELETE", f"{_path(model_id)}/cache", params=_flag(force), timeout=_PATIENT
        )
        return LocalModel.model_validate(content)

    async def follow(self) -> AsyncGenerator[ModelEvent]:
        """Yield all models, then each that changes, also over restarts of the engine; it never ends by itself."""
        async with contextlib.aclosing(
            messages(self._transport.ensure_socket, lambda: "/native/models/stream")
        ) as stream:
            async for message in stream:
                if (event := _decode(json.loads(message))) is not None:
                    yield event

    async def until(
        self, model_id: str, is_done: Callable[[LocalModel], bool], timeout_s: float | None = None
    ) -> LocalModel:
        """Wait until something is true of a model.

        Raises:
            NotOver: It is not, after that many seconds.
            UnknownId: The model was deleted meanwhile.
        """
        async with (
            within(timeout_s, f"What runs for {model_id}"),
            contextlib.aclosing(self.follow()) as stream,
        ):
            async for event in stream:
                found = event.model if event.model is not None and event.model.id == model_id else None
                if event.page is not None:
                    found = next((model for model in event.page.models if model.id == model_id), None)
                    if found is None:
                        raise UnknownId(f"{model_id} is not known any more.")
                if event.kind == "removed" and event.id == model_id:
                    raise UnknownId(f"{model_id} was deleted.")
                if found is not None and is_done(found):
                    return found
        raise AssertionError("unreachable")

    async def downloaded(self, model_id: str, timeout_s: float | None = None) -> LocalModel:
        """Wait until no download of a model runs any more.

        Raises:
            RequestRefused: It failed or was canceled.
            NotOver: It runs still, after that many seconds.
        """

        def is_done(model: LocalModel) -> bool:
            return model.transfer is None or model.transfer.status != "running"

        model = await self.until(model_id, is_done, timeout_s)
        transfer = model.transfer
        if transfer is not None and transfer.status == "failed":
            raise RequestRefused(f"{model_id} was not downloaded: {transfer.error or model.error}")
        if transfer is not None and transfer.status == "canceled":
            raise RequestRefused(f"The download of {model_id} was canceled; what has come is kept.")
        return model

    async def _patiently(self, path: str, body: dict[str, Any]) -> LocalModel:
        """Ask for what may take long, and ask the next engine where one goes away: asking twice is asking once."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._model("POST", path, body, timeout=_PATIENT)
            except EngineUnreachable:
                if attempt == _ATTEMPTS:
                    raise
                await self._transport.ensure_socket()
        raise AssertionError("unreachable")

    async def _model(
        self, method: str, path: str, body: Mapping[str, object] | None = None, **options: Any
    ) -> LocalModel:
        if body is not None:
            options["json"] = dict(body)
        return LocalModel.model_validate(await self._transport.ask(method, path, **options))


def hub_environ() -> dict[str, str]:
    """Return the variables of this process that say which hub, who asks and where its cache is."""
    return {name: os.environ[name] for name in HUB_VARIABLES if os.environ.get(name)}


def who() -> dict[str, Any]:
    """Say who this process is to others who use the same model: a notebook by its name, else a program."""
    notebook = os.environ.get("JPY_SESSION_NAME")
    name = os.path.basename(notebook) if notebook else os.path.basename(sys.argv[0] or "python")
    return {"id": f"{os.getpid()}-{_STARTED}", "name": name, "pid": os.getpid()}


_STARTED = f"{time.time():.0f}"


def _decode(content: dict[str, Any]) -> ModelEvent | None:
    match content.get("kind"):
        case "models":
            return ModelEvent("models", page=ModelPage.model_validate(content["page"]))
        case "model":
            return ModelEvent("model", model=LocalModel.model_validate(content["model"]))
        case "removed":
            return ModelEvent("removed", id=content["id"])
    return None


def _path(model_id: str) -> str:
    return f"/native/models/{quote(model_id, safe='')}"


def _flag(force: bool) -> dict[str, str]:
    return {"force": "1"} if force else {}
