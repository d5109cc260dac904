"""Models of running services, beside our own: Pieces OS, or another engine.

Rule: a service is asked when somebody looks or acts, and while one of its downloads runs; never otherwise. What it said last
is shown, and that it does not answer any more is said.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.common.pubsub import PubSub
from jupyter_ext.engine.models.interfaces import Environ, LoadOptions
from jupyter_ext.engine.models.service.background_tasks import BackgroundTasks
from jupyter_ext.engine.models.service.registry import TOPIC
from jupyter_ext.engine.services.pieces import PREFIX, PiecesClient, discover, normal_base_url, split_id
from jupyter_ext.errors import JupyterExtError, UnknownId
from jupyter_ext.protocol.models import LocalModel, ModelUser, Transfer
from jupyter_ext.protocol.problems import Problem

log = logging.getLogger(__name__)

PIECES = "pieces"
_SPEED_OVER_S = 3.0


@dataclass
class _Service:
    """One service and what it said last."""

    client: PiecesClient
    token: str | None
    models: dict[str, LocalModel] = field(default_factory=dict)
    transfers: dict[str, Transfer] = field(default_factory=dict)
    following: BackgroundTasks = field(default_factory=BackgroundTasks)


class RemoteModels:
    """Models of the services that somebody has asked about.

    Args:
        pubsub: Where changes are published.
        own_urls: Returns base URLs of this engine itself, which are not looked at when a service is looked for.
    """

    def __init__(self, pubsub: PubSub[str], own_urls: Callable[[], frozenset[str]]) -> None:
        self._pubsub = pubsub
        self._own_urls = own_urls
        self._services: dict[str, _Service] = {}

    @property
    def num_busy(self) -> int:
        """Count the downloads that are followed."""
        return sum(len(service.following) for service in self._services.values())

    async def close(self) -> None:
        """Stop asking; the services go on."""
        for service in self._services.values():
            await self._close(service)

    async def connect(self, on: str, token: str | None = None) -> str:
        """Begin to know a service, and return its base URL.

        Args:
            on: `pieces`, which is looked for on this machine, or a base URL.
            token: For a service that wants one; in memory only.

        Raises:
            InvalidInput: It is no base URL.
            RequestRefused: None answers.
        """
        base_url = await discover(self._own_urls()) if on == PIECES else normal_base_url(on)
        known = self._services.get(base_url)
        if known is not None and token in (None, known.token):
            return base_url
        service = _Service(PiecesClient(base_url, token), token)
        try:
            await self._refresh(service)  # a service that does not answer is none
        except JupyterExtError:
            await service.client.aclose()
            raise
        if known is not None:
            await self._close(known)
        self._services[base_url] = service
        return base_url

    async def page(self, base_url: str | None = None) -> list[LocalModel]:
        """Return the models of one service or of all, asked anew.

        Raises:
            RequestRefused: The one service does not answer.
        """
        if base_url is not None:
            service = self._services[base_url]
            await self._refresh(service)
            return [self._resource(service, id) for id in service.models]
        await asyncio.gather(*(self._refresh_or_say(service) for service in self._services.values()))
        return [self._resource(service, id) for service in self._services.values() for id in service.models]

    def known(self, model_id: str) -> LocalModel | None:
        """Return a model as it was last heard of, or `None`."""
        try:
            service, id = self._find(model_id)
        except UnknownId:
            return None
        return self._resource(service, id) if id in service.models else None

    async def get(self, model_id: str) -> LocalModel:
        """Return a model, asked anew."""
        service, id = self._find(model_id)
        return self._take(service, id, await service.client.get(id))

    async def download(
        self, model_id: str, environ: Environ | None = None, weights: Sequence[str] | None = None
    ) -> LocalModel:
        """Have the service begin a download, and follow it.

        Raises:
            Problem: Files are named; the service knows what it fetches.
        """
        if weights:
            raise _refused("weights")
        service, id = self._find(model_id)
        if id in service.following and service.transfers[id].status != "running":
            await service.following.wait(id)  # the one before is over and being tidied up
        model = await service.client.act(id, "download")
        if id not in service.following and model.meta["downloading"]:
            now = rfc3339(time.time())
            service.transfers[id] = Transfer(
                status="running", phase="queued", bytes_total=model.bytes, started_at=now
            )
            service.following.begin(id, self._follow(service, id))
        return self._take(service, id, model)

    async def cancel(self, model_id: str) -> LocalModel:
        """Have the service stop a download."""
        return await self._act(model_id, "download/cancel")

    async def update(
        self, model_id: str, environ: Environ | None = None, *, check_only: bool = False
    ) -> LocalModel:
        """Have the service download again, which is the only way it has to a newer revision.

        Raises:
            Problem: With `check_only`; a service does not tell.
        """
        if check_only:
            raise Problem(
                409, "Cannot be asked", "A service does not tell whether there is a newer revision."
            )
        return await self.download(model_id)

    async def load(self, model_id: str, options: LoadOptions, *, wait: bool = True) -> LocalModel:
        """Have the service load; it answers when that is true.

        Raises:
            Problem: It is asked how.
        """
        for name in ("device", "dtype", "keep_alive_s", "pin"):
            if getattr(options, name):
                raise _refused(name)
        for name in options.extra:
            raise _refused(name)
        return await self._act(model_id, "load")

    async def unload(self, model_id: str, *, wait: bool = True) -> LocalModel:
        """Have the service unload."""
        return await self._act(model_id, "unload")

    async def keep(
        self, model_id: str, *, pinned: bool | None = None, keep_alive_s: float | None = None
    ) -> LocalModel:
        """Refuse: Pieces' API has no word for it."""
        raise _refused("pinning or keep-alive")

    async def attach(self, model_id: str, user: ModelUser) -> LocalModel:
        """Refuse: Pieces' API has no word for it."""
        raise _refused("users")

    async def detach(self, model_id: str, user_id: str) -> LocalModel:
        """Refuse: Pieces' API has no word for it."""
        raise _refused("users")

    async def change(
        self, model_id: str, *, name: str | None = None, description: str | None = None
    ) -> LocalModel:
        """Change what the service says of a custom model."""
        service, id = self._find(model_id)
        changes = {"name": name, "description": description}
        given = {key: value for key, value in changes.items() if value is not None}
        return self._take(service, id, await service.client.update(id, given))

    async def delete(self, model_id: str, *, force: bool = False) -> None:
        """Have the service forget a custom model."""
        if force:
            await self.unload(model_id)
        service, id = self._find(model_id)
        await service.client.delete(id)
        service.models.pop(id, None)
        self._pubsub.publish(TOPIC, model_id)

    async def delete_cache(self, model_id: str, *, force: bool = False) -> LocalModel:
        """Have the service delete a model's files."""
        if force:
            await self.unload(model_id)
        service, id = self._find(model_id)
        await service.client.delete_cache(id)
        service.transfers.pop(id, None)
        return self._take(service, id, await service.client.get(id))

    async def _act(self, model_id: str, action: str) -> LocalModel:
        service, id = self._find(model_id)
        return self._take(service, id, await service.client.act(id, action))

    async def _close(self, service: _Service) -> None:
        await service.following.cancel_all()
        await service.client.aclose()

    def _find(self, model_id: str) -> tuple[_Service, str]:
        base_url, id = split_id(model_id)
        service = self._services.get(base_url)
        if service is None:
            raise UnknownId(f"{base_url} is not known to this engine; `%models --on {base_url}` asks it.")
        return service, id

    async def _refresh(self, service: _Service) -> None:
        found = {split_id(model.id)[1]: model for model in await service.client.models()}
        for gone in set(service.models) - set(found):
            service.transfers.pop(gone, None)
        service.models = found

    async def _refresh_or_say(self, service: _Service) -> None:
        try:
            await self._refresh(service)
        except JupyterExtError as error:
            for id, model in service.models.items():
                changes = {"state": "absent", "error": str(error)}
                service.models[id] = model.model_copy(update=changes)

    async def _follow(self, service: _Service, id: str) -> None:
        """Take over how far a download is until it is over."""
        id_here = f"{PREFIX}{service.client.base_url}#{id}"
        samples: list[tuple[float, float]] = []
        asked_at, status = 0.0, "UNKNOWN"
        try:
            async with contextlib.aclosing(service.client.progress(id)) as items:
                async for status, percentage in items:
                    total = service.transfers[id].bytes_total
                    if total is None and percentage is not None and time.monotonic() - asked_at > 1.0:
                        asked_at = time.monotonic()  # it knew no size when the download began
                        total = (await service.client.get(id)).bytes
                    changes: dict[str, object] = {"bytes_total": total}
                    if status == "IN-PROGRESS":
                        changes["phase"] = "transfer"
                    if percentage is not None and total:
                        now, done = time.monotonic(), total * percentage / 100
                        samples = [*(item for item in samples if item[0] > now - _SPEED_OVER_S), (now, done)]
                        changes |= {"bytes_done": round(done), **_speed(samples, total)}
                    service.transfers[id] = service.transfers[id].model_copy(update=changes)
                    self._pubsub.publish(TOPIC, id_here)
            error = (
                f"{service.client.base_url} says that the download failed." if status == "FAILED" else None
            )
        except JupyterExtError as caught:
            status, error = "FAILED", str(caught)
        log.info("download of %s on %s: %s", id, service.client.base_url, status)
        ended = {"COMPLETED": "completed", "CANCELED": "canceled"}.get(status, "failed")
        changes = {"status": ended, "error": error, "eta_s": None, "ended_at": rfc3339(time.time())}
        try:
            model = await service.client.get(id)
        except JupyterExtError as caught:
            log.info("%s", caught)
            state = "downloaded" if ended == "completed" else "absent"
            model = service.models[id].model_copy(update={"state": state})
        # That it is over is told together with what is here.
        transfer = service.transfers[id]
        if ended == "completed" and transfer.bytes_total:
            changes["bytes_done"] = transfer.bytes_total
        service.transfers[id] = transfer.model_copy(update=changes)
        service.models[id] = model
        self._pubsub.publish(TOPIC, id_here)

    def _take(self, service: _Service, id: str, model: LocalModel) -> LocalModel:
        service.models[id] = model
        self._pubsub.publish(TOPIC, model.id)
        return self._resource(service, id)

    def _resource(self, service: _Service, id: str) -> LocalModel:
        """Return a model with its transfer; while we follow one, its own flags may lag behind."""
        model, transfer = service.models[id], service.transfers.get(id)
        if transfer is None:
            return model
        changes: dict[str, object] = {"transfer": transfer, "error": model.error or transfer.error}
        if transfer.status == "running" and model.state == "absent":
            changes["state"] = "downloading"
        return model.model_copy(update=changes)


def _refused(what: str) -> Problem:
    """Make the problem for what Pieces' API has no word for."""
    return Problem(422, "Invalid value", f"A service takes no {what}; leave it out.")


def _speed(samples: list[tuple[float, float]], total: int) -> dict[str, object]:
    (began, before), (now, done) = samples[0], samples[-1]
    if now - began < 0.05 or done <= before:
        return {}
    speed = (done - before) / (now - began)
    return {"bytes_per_s": speed, "eta_s": max(0.0, (total - done) / speed)}
