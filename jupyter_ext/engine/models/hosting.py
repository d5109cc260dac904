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
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

from jupyter_ext.config import Locations
from jupyter_ext.engine.models import memory
from jupyter_ext.engine.models.host_directory import HostDirectory, decode_code, digest
from jupyter_ext.engine.models.parts import LoadOptions
from jupyter_ext.engine.workers import control
from jupyter_ext.engine.workers.environments import Environments, Interpreter, WorkerStartError
from jupyter_ext.engine.workers.exit import rfc3339
from jupyter_ext.errors import DoesNotFit, InvalidInput, LoadFailed, UnknownId
from jupyter_ext.ids import is_training_id, new_training_id
from jupyter_ext.protocol.local_models import ModelHost, ModelUser, Unloaded
from jupyter_ext.worker import model_files, model_memory
from jupyter_ext.worker.channel import AsyncConnection, CallError, ChannelClosed

log = logging.getLogger(__name__)

CALLS_GRACE_S = 5.0
"""An unload waits this long for calls that are under way."""
_PRELOAD = "jupyter_ext.worker.model_preload"
_TICK_S = 0.5
_ANSWER_TIMEOUT_S = 5.0
_END_TIMEOUT_S = 20.0
_QUICK_END_S = 2.0
_TELL_FROM_BYTES = 64 << 20
"""An estimate that is wrong by less than this is not worth a word."""
_OPTIONS = ("weights", "factory", "factory_name", "sys_path", "batch")


@dataclass
class _Host:
    """One host as it is known here."""

    model_id: str
    directory: HostDirectory
    resource: ModelHost
    estimate: memory.Estimate | None
    used_at: float = 0.0
    weights_bytes: int = 0
    connection: AsyncConnection | None = None
    notices: list[str] = field(default_factory=list)
    ending: bool = False


class Hosts:
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
        self._environments = environments
        self._where = where
        self._on_change = on_change
        self._budget_bytes = budget_bytes
        self._hosts: dict[str, _Host] = {}
        self._ended: dict[str, str] = {}
        self._room = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()

    # -- life -------------------------------------------------------------------------------------------------------

    async def adopt(self) -> dict[str, ModelHost]:
        """Find the hosts that an earlier engine started; those that it had not seen ready are ended."""
        directories = sorted(self._where.hosts_dir.glob("*")) if self._where.hosts_dir.exists() else []
        for directory in map(HostDirectory, directories):
            model_id = directory.spec.get("model_id")
            if model_id is None or directory.ended(time.time()) is not None:
                await self._tidy(directory)
            elif (directory.told or {}).get("state") != "ready":
                control.send(directory.path, "stop")
            else:
                await self._adopt_one(model_id, directory)
        self._watching = asyncio.create_task(self._watch(), name="model hosts")
        return {model_id: host.resource for model_id, host in self._hosts.items()}

    async def _adopt_one(self, model_id: str, directory: HostDirectory) -> None:
        spec = directory.spec
        resource = ModelHost(
            id=directory.id, state="ready", calls=spec["calls"], device="cpu", code=spec.get("code")
        )
        host = _Host(model_id, directory, resource, _estimate_of(spec), notices=spec.get("notices", []))
        try:
            await self._connect(host)
        except (ChannelClosed, CallError, TimeoutError) as error:
            log.warning("the host %s of %s does not answer, ending it: %s", directory.id, model_id, error)
            control.send(directory.path, "stop")
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
        dtype = memory.dtype_name(options.dtype)
        extra = {name: options.extra.get(name) for name in _OPTIONS}
        if unknown := sorted(set(options.extra) - set(_OPTIONS)):
            raise InvalidInput(f"There is no option {unknown[0]!r}; there are {', '.join(_OPTIONS)}.")
        code = decode_code(extra.pop("factory"))
        try:
            files = await asyncio.to_thread(model_files.find, path, extra["weights"])
        except model_files.BadWeights as error:
            raise LoadFailed(str(error)) from None
        estimate = memory.estimate(files, dtype)
        interpreter = self._environments.get(options.python)
        by_transformers = code is None and extra["factory_name"] is None and (path / "config.json").exists()
        if by_transformers:
            interpreter = self._environments.warmest(options.python, _PRELOAD)
            taken = memory.PRELOADED_BYTES if interpreter.extra else memory.TRANSFORMERS_BYTES
            estimate = replace(estimate, process_bytes=taken)
        directory = HostDirectory(self._where.hosts_dir / new_training_id())
        host = _Host(model_id, directory, self._new_resource(directory, options, estimate, code), estimate)
        async with self._room:
            if not options.force:
                await self._make_room(host, options.device or "cpu")
            self._ended.pop(model_id, None)
            self._hosts[model_id] = host
        spec = {
            "model_id": model_id,
            "path": str(path),
            "dtype": dtype,
            "device": options.device,
            "keep_alive_s": options.keep_alive_s,
            "pin": options.pin,
            "estimate": list(astuple(estimate)),
            "code": host.resource.code,
            "code_dir": self._code_dir(model_id, directory, code, extra),
            "calls": host.resource.calls,
            **extra,
        }
        try:
            await self._start(host, interpreter, spec, code, options)
            await self._until_ready(host)
            await self._connect(host, options.user)
        except BaseException:
            self._hosts.pop(model_id, None)
            await asyncio.shield(self._end(host))
            raise
        self._compare(host)
        if by_transformers and host.resource.task != "tensors":
            self._environments.get(options.python, _PRELOAD)  # the next one of its kind is forked from it
        return host.resource

    def _new_resource(
        self, directory: HostDirectory, options: LoadOptions, estimate: memory.Estimate, code: bytes | None
    ) -> ModelHost:
        return ModelHost(
            id=directory.id,
            state="loading",
            calls=str(self._where.call_socket(directory.id)),
            device=options.device or "cpu",
            dtype=estimate.dtype,
            estimated_bytes=estimate.memory_bytes,
            code=digest(code),
        )

    def _code_dir(
        self, model_id: str, directory: HostDirectory, code: bytes | None, extra: dict[str, Any]
    ) -> str | None:
        """Give the directory of the code that builds the module: the notebook's, or that of the training."""
        if code is not None:
            return str(directory.path / "code")
        if extra.get("factory_name") is None:
            return None
        source, _, training = model_id.partition(":")
        if source != "training" or not is_training_id(training):
            raise InvalidInput(
                f"factory {extra['factory_name']!r} is a name, which only a training's code has; give the class itself."
            )
        return str(self._where.runs_dir / training / "code")

    async def _start(
        self,
        host: _Host,
        interpreter: Interpreter,
        spec: dict[str, Any],
        code: bytes | None,
        options: LoadOptions,
    ) -> None:
        await asyncio.to_thread(host.directory.write_spec, spec, code)
        started = {
            **spec,
            "run_dir": str(host.directory.path),
            "control": str(self._where.socket_dir / f"{host.directory.id}.sock"),
            "role": "model_host",
            "cwd": options.cwd,
            "environ": dict(options.environ) or None,
        }
        try:
            await interpreter.start(started)
        except WorkerStartError as error:
            raise LoadFailed(f"The model's process cannot be started: {error}.") from error

    async def _until_ready(self, host: _Host) -> None:
        began = time.monotonic()
        while True:
            told = host.directory.told
            if told is not None and told["state"] == "ready":
                return
            if told is not None:
                error = told["error"]
                kind = DoesNotFit if error["code"] == "device_memory" else LoadFailed
                raise kind(_failure(error))
            ended = host.directory.ended(time.time())
            if ended is not None and host.directory.told is None:
                raise LoadFailed(f"{ended} It was loading; {_last_words(host.directory)}")
            await asyncio.sleep(0.003 if time.monotonic() - began < 1.0 else 0.02)

    async def _connect(self, host: _Host, user: ModelUser | None = None) -> None:
        host.connection = await AsyncConnection.open(host.resource.calls)
        params = None if user is None else {"user": {"id": user.id, "name": user.name, "pid": user.pid}}
        await self._ask(host, "status" if user is None else "attach", params)

    async def _ask(self, host: _Host, op: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask a host something whose answer is its state."""
        if host.connection is None:
            raise ChannelClosed("the host is not ready")
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            state, _ = await host.connection.call(op, params)
        if "pid" in state:
            self._take(host, state)
        return state

    def _take(self, host: _Host, state: dict[str, Any]) -> None:
        """Take over what a host says of itself."""
        host.used_at, host.weights_bytes = state["used_at"], state["weights_bytes"]
        expires_at = state["expires_at"]
        users = [ModelUser(**{**user, "since": rfc3339(user["since"])}) for user in state["users"]]
        same = (
            "device",
            "dtype",
            "task",
            "pid",
            "load_s",
            "num_calls",
            "in_flight",
            "keep_alive_s",
            "pinned",
        )
        host.resource = host.resource.model_copy(
            update={
                **{name: state[name] for name in same},
                "state": state["state"],
                "estimated_bytes": None if host.estimate is None else host.estimate.memory_bytes,
                "memory_bytes": state["memory_bytes"],
                "private_bytes": state["private_bytes"],
                "device_bytes": state["device_bytes"],
                "loaded_at": rfc3339(state["loaded_at"]),
                "expires_at": None if expires_at is None else rfc3339(expires_at),
                "users": users,
                "notices": [*state["notices"], *host.notices],
            }
        )

    def _compare(self, host: _Host) -> None:
        """Tell where the estimate was wrong."""
        told, estimate = host.directory.told, host.estimate
        if told is None or estimate is None or host.resource.device != "cpu":
            return
        measured, expected = told["grown_bytes"], estimate.weights_bytes
        wrong = abs(measured - expected)
        if wrong > max(memory.WRONG_BY * expected, _TELL_FROM_BYTES):
            host.notices.append(
                f"Loading took {memory.readable(measured)} of memory, the estimate was {memory.readable(expected)}."
            )
            host.resource = host.resource.model_copy(
                update={"notices": [*host.resource.notices, *host.notices]}
            )

    # -- room -------------------------------------------------------------------------------------------------------

    async def _make_room(self, host: _Host, device: str) -> None:
        """See to it that a model fits, ending hosts that nobody needs, the longest unused first.

        Raises:
            DoesNotFit: It does not, and nothing that could be ended would change that.
        """
        if device != "cpu":
            await self._check_device(host, device)
            return
        assert host.estimate is not None
        needed = host.estimate.memory_bytes
        while (available := self._available()) < needed:
            idle = [other for other in self._hosts.values() if self._may_end(other)]
            if available + sum(_taken(other) for other in idle) < needed:
                raise DoesNotFit(self._refusal(host, available))
            victim = min(idle, key=lambda other: other.used_at)
            log.info("ending the host of %s to make room for %s", victim.model_id, host.model_id)
            with contextlib.suppress(ChannelClosed, CallError, TimeoutError):
                answer = await self._ask(victim, "retire", {"reason": "room", "used_before": victim.used_at})
                if not answer.get("retired"):
                    await self._ask(victim, "status")
                    continue
            await self._forget(victim, await self._end(victim))

    async def _check_device(self, host: _Host, device: str) -> None:
        free = await memory.device_free_bytes(device)
        assert host.estimate is not None
        if free is not None and free < host.estimate.weights_bytes:
            raise DoesNotFit(
                f"{host.model_id} needs {memory.readable(host.estimate.weights_bytes)} on {device}, which has "
                f"{memory.readable(free)} free; unload another model, choose a smaller dtype, or device='cpu'."
            )

    def _available(self) -> int:
        """Give what another host can take: mapped weights count as taken, though the kernel could drop their pages."""
        mapped = sum(
            host.weights_bytes for host in self._hosts.values() if host.estimate and host.estimate.mapped
        )
        available = memory.available_bytes() - mapped
        if self._budget_bytes is not None:
            taken = sum(_taken(host) for host in self._hosts.values())
            available = min(available, self._budget_bytes - taken)
        return available

    def _may_end(self, host: _Host) -> bool:
        resource = host.resource
        return (
            resource.state == "ready"
            and not resource.pinned
            and not resource.in_flight
            and not host.ending
            and resource.device == "cpu"
        )

    def _refusal(self, host: _Host, available: int) -> str:
        assert host.estimate is not None
        estimate = host.estimate
        kept = [
            f"{other.model_id} ({'pinned' if other.resource.pinned else 'in a call'})"
            for other in self._hosts.values()
            if not self._may_end(other)
        ]
        return (
            f"{host.model_id} needs {memory.readable(estimate.memory_bytes)} of memory "
            f"(weights {memory.readable(estimate.weights_bytes)} as {estimate.dtype or 'they are'}), "
            f"{memory.readable(max(available, 0))} are there"
            + (f"; {', '.join(kept)} cannot be ended" if kept else "")
            + ". Unload a model, choose a smaller dtype, or load it anyway with force=True."
        )

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
        return digest(decode_code(options.extra.get("factory")))

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
            self._send(host, "attach", {"user": {"id": user.id, "name": user.name, "pid": user.pid}})

    def remove_user(self, model_id: str, user_id: str) -> None:
        """Forget somebody who used a loaded model."""
        if (host := self._hosts.get(model_id)) is not None:
            users = [known for known in host.resource.users if known.id != user_id]
            host.resource = host.resource.model_copy(update={"users": users})
            self._send(host, "detach", {"id": user_id})

    def _send(self, host: _Host, op: str, params: dict[str, Any]) -> None:
        async def send() -> None:
            with contextlib.suppress(
                ChannelClosed, CallError, TimeoutError
            ):  # the watch sees a host that is gone
                await self._ask(host, op, params)
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
        host_bytes = model_memory.rollup(pid)["pss"] if pid else 0
        with contextlib.suppress(ChannelClosed, CallError, TimeoutError):
            while not (await self._ask(host, "retire"))["retired"] and time.monotonic() < deadline:
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

    async def _end(self, host: _Host) -> str | None:
        """Wait for a host to end, stopping it where it does not by itself; give why it ended."""
        if host.connection is not None:
            host.connection.close()
        began = time.monotonic()
        stopped = host.resource.state == "loading" and control.send(host.directory.path, "stop")
        while (ended := host.directory.ended(time.time())) is None:
            waited = time.monotonic() - began
            if not stopped and waited > (0.0 if host.resource.state == "loading" else _QUICK_END_S):
                stopped = control.send(host.directory.path, "stop")
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

    async def _forget(self, host: _Host, why: str | None) -> None:
        if self._hosts.get(host.model_id) is host:
            del self._hosts[host.model_id]
            if why is not None:
                self._ended[host.model_id] = why
            self._on_change(host.model_id)

    async def _watch(self) -> None:
        """Look at every host again and again: its state, and that it is there."""
        while True:
            await asyncio.sleep(_TICK_S)
            for host in list(self._hosts.values()):
                if host.resource.state == "loading" or host.ending:
                    continue
                try:
                    await self._look_at(host)
                except Exception:
                    log.exception("looking at the host of %s failed", host.model_id)

    async def _look_at(self, host: _Host) -> None:
        before = host.resource
        try:
            await self._ask(host, "status")
        except (ChannelClosed, CallError, TimeoutError):
            ended = host.directory.ended(time.time())
            if ended is not None and not host.ending:
                log.info("the host of %s ended: %s", host.model_id, ended)
                await self._forget(host, ended)
                await self._end(host)
            elif host.connection is not None and host.connection.closed and ended is None:
                with contextlib.suppress(ChannelClosed, CallError, TimeoutError):
                    await self._connect(host)
            return
        if _shown(before) != _shown(host.resource):
            self._on_change(host.model_id)


def _taken(host: _Host) -> int:
    """Give what the end of a host gives back, bytes."""
    estimated = 0 if host.estimate is None else host.estimate.memory_bytes
    return max(estimated, host.resource.memory_bytes or 0)


def _shown(host: ModelHost) -> dict[str, Any]:
    """Give what a viewer would see change: memory in steps of 10 MB."""
    shown = host.model_dump(exclude={"expires_at"})
    for name in ("memory_bytes", "private_bytes", "device_bytes"):
        shown[name] = round((shown[name] or 0) / 1e7)
    return shown


def _estimate_of(spec: dict[str, Any]) -> memory.Estimate | None:
    return memory.Estimate(*spec["estimate"]) if spec.get("estimate") else None


def _failure(error: dict[str, Any]) -> str:
    """Give a failure in one line, with the user's innermost line where their factory raised."""
    frames = error.get("frames") or []
    at = f" ({frames[-1]['file']}, line {frames[-1]['line']}, in {frames[-1]['function']})" if frames else ""
    return f"{error['message']}{at}"


def _last_words(directory: HostDirectory) -> str:
    line = directory.last_log_line()
    return f"its last log line: {line}" if line else "it had logged nothing."
