"""Models in memory: each in a process of its own that all notebooks share, found again after an engine restart.

Rule: a host knows best about its calls and users; what is kept here is the last it said. Nothing that is in a call is
ended to make room.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_ext.config import Locations
from jupyter_ext.engine.models import memory
from jupyter_ext.engine.models.hosts.directory import HostDirectory, decode_code, digest
from jupyter_ext.engine.models.hosts.eviction import MemoryBudget
from jupyter_ext.engine.models.hosts.host import RunningHost, attaching, shown
from jupyter_ext.engine.models.hosts.launcher import HostLauncher
from jupyter_ext.engine.models.interfaces import LoadOptions
from jupyter_ext.engine.processes.interpreters import Environments
from jupyter_ext.errors import UnknownId
from jupyter_ext.ipc import memory_usage
from jupyter_ext.ipc.channel import CallError, ChannelClosed
from jupyter_ext.protocol.models import ModelHost, ModelUser, Unloaded
from jupyter_ext.worker.model_host.messages import HostSpec

log = logging.getLogger(__name__)

CALLS_GRACE_S = 5.0
"""An unload waits this long for calls that are under way."""
_TICK_S = 0.5
_END_TIMEOUT_S = 20.0
_QUICK_END_S = 2.0


class HostManager:
    """All hosts of this user.

    Args:
        environments: Where their processes are forked.
        where: Their directories and sockets.
        on_change: Called with a model's id when its host has changed or ended.
        budget_bytes: What all hosts may take together; by default what the machine has.
    """

    def __init__(
        self,
        environments: Environments,
        where: Locations,
        on_change: Callable[[str], None] = lambda model_id: None,
        budget_bytes: int | None = None,
    ) -> None:
        self._where = where
        self._on_change = on_change
        self._launcher = HostLauncher(environments, where)
        self._hosts: dict[str, RunningHost] = {}
        self._ended: dict[str, str] = {}
        self._unwanted: list[HostDirectory] = []
        self._budget = MemoryBudget(self._hosts, self._end_retired, budget_bytes)
        self._loading = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()

    # -- life -------------------------------------------------------------------------------------------------------

    async def adopt(self) -> dict[str, ModelHost]:
        """Find the hosts that an earlier engine started; those that it had not seen ready are ended."""
        directories = sorted(self._where.hosts_dir.glob("*")) if self._where.hosts_dir.exists() else []
        for directory in map(HostDirectory, directories):
            spec = directory.spec
            if directory.ended() is not None:
                await self._tidy(directory)
            elif spec is None or (report := directory.report) is None or report.get("state") != "ready":
                self._unwanted.append(directory)
            else:
                await self._adopt_one(directory, spec)
        await self._end_unwanted()
        self._watching = asyncio.create_task(self._watch(), name="model hosts")
        return {model_id: host.resource for model_id, host in self._hosts.items()}

    async def _adopt_one(self, directory: HostDirectory, spec: HostSpec) -> None:
        model_id = spec["model_id"]
        try:
            host = _host_of(directory, spec)
            await host.connect()
        except (ChannelClosed, CallError, TimeoutError, KeyError, TypeError, ValueError) as error:
            log.warning("the host %s of %s cannot be adopted, ending it: %r", directory.id, model_id, error)
            self._unwanted.append(directory)
            return
        log.info("adopted the host %s of %s", directory.id, model_id)
        self._hosts[model_id] = host

    async def close(self) -> None:
        """Let go of the hosts; they go on."""
        if self._watching is not None:
            self._watching.cancel()
        for host in self._hosts.values():
            if host.connection is not None:
                host.connection.close()

    # -- loading ----------------------------------------------------------------------------------------------------

    async def load(self, model_id: str, path: Path, options: LoadOptions) -> ModelHost:
        """Load a model and return when it answers calls.

        Raises:
            InvalidInput: An option is unknown.
            DoesNotFit: It takes more memory than there is.
            LoadFailed: Weights, device or module are not what they should be; one line.
        """
        start = await self._launcher.prepare(model_id, path, options)
        host = start.host
        async with self._loading:
            if not options.force:
                await self._budget.ensure_fits(host, options.device or "cpu")
            self._ended.pop(model_id, None)
            self._hosts[model_id] = host
        try:
            await self._launcher.start(start)
        except BaseException:
            self._hosts.pop(model_id, None)
            await asyncio.shield(self._end(host))
            raise
        return host.resource

    # -- looking and changing ---------------------------------------------------------------------------------------

    def host(self, model_id: str) -> ModelHost | None:
        """Describe the host of a model, where there is one."""
        host = self._hosts.get(model_id)
        return None if host is None else host.resource

    def code_of(self, options: LoadOptions) -> str | None:
        """Identify the code that these options build the module with, or `None` where there is none.

        Raises:
            InvalidInput: It is no bundle.
        """
        factory = options.extra.get("factory")
        return digest(None if factory is None else decode_code(str(factory)))

    def why_ended(self, model_id: str) -> str | None:
        """Tell why a model's host ended by itself, in one line, or `None`."""
        return self._ended.get(model_id)

    def change(self, model_id: str, *, pinned: bool | None, keep_alive_s: float | None) -> None:
        """Change how long a loaded model stays."""
        changes = {"pinned": pinned, "keep_alive_s": keep_alive_s}
        given = {name: value for name, value in changes.items() if value is not None}
        if given and (host := self._hosts.get(model_id)) is not None:
            host.resource = host.resource.model_copy(update=given)
            self._send(host, "settings", given)

    def add_user(self, model_id: str, user: ModelUser) -> None:
        """Note somebody who uses a loaded model."""
        if (host := self._hosts.get(model_id)) is not None:
            others = [known for known in host.resource.users if known.id != user.id]
            host.resource = host.resource.model_copy(update={"users": [*others, user]})
            self._send(host, "attach", attaching(user))

    def remove_user(self, model_id: str, user_id: str) -> None:
        """Forget somebody who used a loaded model."""
        if (host := self._hosts.get(model_id)) is not None:
            users = [known for known in host.resource.users if known.id != user_id]
            host.resource = host.resource.model_copy(update={"users": users})
            self._send(host, "detach", {"id": user_id})

    def _send(self, host: RunningHost, op: str, params: dict[str, Any]) -> None:
        async def send() -> None:
            with contextlib.suppress(
                ChannelClosed, CallError, TimeoutError
            ):  # the watch sees a host that is gone
                await host.ask(op, params)
                self._on_change(host.model_id)

        task = asyncio.create_task(send())
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    # -- the end ----------------------------------------------------------------------------------------------------

    async def unload(self, model_id: str) -> Unloaded:
        """End a model's host and tell what that gave back; calls under way get a moment to finish.

        Raises:
            UnknownId: It is not loaded.
        """
        host = self._hosts.get(model_id)
        if host is None:
            raise UnknownId(f"{model_id} is not loaded.")
        host.ending = True
        began = time.monotonic()
        deadline = began + CALLS_GRACE_S
        pid = host.directory.worker_pid
        before = memory.available_bytes()
        host_bytes = memory_usage.rollup(pid)["pss"] if pid else 0
        with contextlib.suppress(ChannelClosed, CallError, TimeoutError):
            while not (await host.ask("retire"))["retired"] and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
        await self._end(host)
        self._hosts.pop(model_id, None)
        after = memory.available_bytes()
        return Unloaded(
            host_bytes=host_bytes,
            available_before_bytes=before,
            available_after_bytes=after,
            took_s=time.monotonic() - began,
        )

    async def _end(self, host: RunningHost) -> str | None:
        """Wait for a host to end, stopping it where it does not by itself; give why it ended."""
        if host.connection is not None:
            host.connection.close()
        began = time.monotonic()
        stopped = host.resource.state == "loading" and host.directory.process.stop()
        while (ended := host.directory.ended()) is None:
            waited = time.monotonic() - began
            if not stopped and waited > (0.0 if host.resource.state == "loading" else _QUICK_END_S):
                stopped = host.directory.process.stop()
            if waited > _END_TIMEOUT_S:
                log.error("the host %s of %s cannot be ended", host.directory.id, host.model_id)
                return None
            await asyncio.sleep(0.002 if waited < 0.2 else 0.02)
        await self._tidy(host.directory)
        return ended

    async def _tidy(self, directory: HostDirectory) -> None:
        for path in (self._where.call_socket(directory.id), self._where.socket_dir / f"{directory.id}.sock"):
            path.unlink(missing_ok=True)
        await asyncio.to_thread(directory.remove)

    async def _end_retired(self, host: RunningHost) -> None:
        await self._forget(host, await self._end(host))

    async def _forget(self, host: RunningHost, why: str | None) -> None:
        if self._hosts.get(host.model_id) is host:
            del self._hosts[host.model_id]
            if why is not None:
                self._ended[host.model_id] = why
            self._on_change(host.model_id)

    async def _watch(self) -> None:
        """Look at every host again and again: its state, and that it is there."""
        while True:
            await asyncio.sleep(_TICK_S)
            await self._end_unwanted()
            for host in list(self._hosts.values()):
                if host.resource.state == "loading" or host.ending:
                    continue
                try:
                    await self._look_at(host)
                except Exception:
                    log.exception("looking at the host of %s failed", host.model_id)

    async def _end_unwanted(self) -> None:
        """End hosts that an engine before this one was starting: one may not have begun yet, and then nobody hears a stop."""
        for directory in list(self._unwanted):
            if directory.ended() is not None:
                self._unwanted.remove(directory)
                await self._tidy(directory)
            elif not directory.process.call_off():
                directory.process.stop()

    async def _look_at(self, host: RunningHost) -> None:
        before = host.resource
        try:
            await host.ask("status")
        except (ChannelClosed, CallError, TimeoutError):
            ended = host.directory.ended()
            if ended is not None and not host.ending:
                log.info("the host of %s ended: %s", host.model_id, ended)
                await self._forget(host, ended)
                await self._end(host)
            elif host.connection is not None and host.connection.closed and ended is None:
                with contextlib.suppress(ChannelClosed, CallError, TimeoutError):
                    await host.connect()
            return
        if shown(before) != shown(host.resource):
            self._on_change(host.model_id)


def _host_of(directory: HostDirectory, spec: HostSpec) -> RunningHost:
    """Make what is known of a host from its directory.

    Raises:
        KeyError, TypeError, ValueError: The directory does not say what it must.
    """
    resource = ModelHost(
        id=directory.id, state="ready", calls=spec["calls"], device="cpu", code=spec.get("code")
    )
    estimate = memory.Estimate(*spec["estimate"]) if spec.get("estimate") else None
    return RunningHost(spec["model_id"], directory, resource, estimate, notices=spec.get("notices", []))
