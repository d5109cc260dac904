"""How a model's host is started: what it is to do, in which interpreter, and when it is ready."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from jupyter_ext.config import Locations
from jupyter_ext.engine.common import records
from jupyter_ext.engine.models import memory
from jupyter_ext.engine.models.hosts.directory import HostDirectory, decode_code, digest
from jupyter_ext.engine.models.hosts.host import RunningHost
from jupyter_ext.engine.models.interfaces import LoadKilled, LoadOptions
from jupyter_ext.engine.processes.fresh_process import WorkerStartError
from jupyter_ext.engine.processes.interpreters import Environments, Interpreter
from jupyter_ext.errors import DoesNotFit, InvalidInput, LoadFailed
from jupyter_ext.ids import is_training_id, new_training_id
from jupyter_ext.ipc.cores import usable_cores
from jupyter_ext.protocol.models import ModelHost
from jupyter_ext.protocol.module_options import ModuleOptions
from jupyter_ext.weights import files as model_files
from jupyter_ext.worker.model_host.messages import HostError, HostSpec, HostWorkerSpec

_PRELOAD = "jupyter_ext.worker.model_host.preload"


@dataclass(frozen=True)
class Start:
    """A host that can be started. Only `spec` is written down; the rest stays in memory."""

    host: RunningHost
    spec: HostSpec
    code: bytes | None
    interpreter: Interpreter
    options: LoadOptions
    by_transformers: bool


class HostLauncher:
    """Starts hosts.

    Args:
        environments: Where their processes are forked.
        where: Their directories and sockets.
    """

    def __init__(self, environments: Environments, where: Locations) -> None:
        self._environments = environments
        self._where = where

    async def prepare(self, model_id: str, path: Path, options: LoadOptions) -> Start:
        """Find out what a load takes, and check what is asked for; nothing is started.

        Raises:
            InvalidInput: An option is unknown or wrong.
            LoadFailed: The weights are not there or not whole; one line.
        """
        dtype = memory.dtype_name(options.dtype)
        extra = _module_options(options.extra)
        code = decode_code(extra.get("factory"))
        try:
            files = await asyncio.to_thread(model_files.find, path, extra.get("weights"))
        except model_files.BadWeights as error:
            raise LoadFailed(str(error)) from None
        estimate = memory.estimate(files, dtype)
        interpreter = self._environments.get(options.python)
        by_transformers = (
            code is None and extra.get("factory_name") is None and (path / "config.json").exists()
        )
        if by_transformers:
            interpreter = self._environments.warmest(options.python, _PRELOAD)
            taken = memory.PRELOADED_BYTES if interpreter.extra else memory.TRANSFORMERS_BYTES
            estimate = replace(estimate, process_bytes=taken)
        directory = HostDirectory(self._where.hosts_dir / new_training_id())
        calls = str(self._where.call_socket(directory.id))
        resource = ModelHost(
            id=directory.id,
            state="loading",
            calls=calls,
            device=options.device or "cpu",
            dtype=estimate.dtype,
            estimated_bytes=estimate.memory_bytes,
            code=digest(code),
        )
        spec: HostSpec = {
            "model_id": model_id,
            "path": str(path),
            "dtype": dtype,
            "device": options.device,
            "keep_alive_s": options.keep_alive_s,
            "pin": options.pin,
            "estimate": list(astuple(estimate)),
            "code": resource.code,
            "code_dir": self._code_dir(model_id, directory, code, extra.get("factory_name")),
            "calls": calls,
            "weights": extra.get("weights"),
            "factory_name": extra.get("factory_name"),
            "sys_path": extra.get("sys_path"),
            "batch": extra.get("batch"),
        }
        host = RunningHost(model_id, directory, resource, estimate)
        return Start(host, spec, code, interpreter, options, by_transformers)

    async def start(self, start: Start) -> None:
        """Start a host and wait until it answers calls.

        Raises:
            DoesNotFit: The device has not the memory.
            LoadFailed: Weights, device or module are not what they should be; one line.
        """
        directory, options = start.host.directory, start.options
        await asyncio.to_thread(directory.write_spec, start.spec, start.code)
        started: HostWorkerSpec = {
            **start.spec,
            "run_dir": str(directory.path),
            "control": str(self._where.socket_dir / f"{directory.id}.sock"),
            "role": "model_host",
            "threads": usable_cores(),
            "cwd": options.cwd,
            "environ": dict(options.environ) or None,
            "secrets": {},
        }
        try:
            await directory.process.start(start.interpreter, started)
        except WorkerStartError as error:
            raise LoadFailed(f"The model's process cannot be started: {error}.") from error
        await _until_ready(directory)
        await start.host.connect(options.user)
        start.host.compare()
        if start.by_transformers and start.host.resource.task != "tensors":
            self._environments.get(options.python, _PRELOAD)  # the next one of its kind is forked from it

    def _code_dir(
        self, model_id: str, directory: HostDirectory, code: bytes | None, factory_name: str | None
    ) -> str | None:
        """Return the directory of the code that builds the module: the notebook's, or that of the training."""
        if code is not None:
            return str(directory.path / "code")
        if factory_name is None:
            return None
        source, _, training = model_id.partition(":")
        if source != "training" or not is_training_id(training):
            raise InvalidInput(
                f"factory {factory_name!r} is a name, which only a training's code has; give the class itself."
            )
        return str(self._where.runs_dir / training / "code")


def _module_options(given: Mapping[str, object]) -> ModuleOptions:
    known = list(ModuleOptions.__annotations__)
    if unknown := sorted(set(given) - set(known)):
        raise InvalidInput(f"There is no option {unknown[0]!r}; there are {', '.join(known)}.")
    try:
        return records.parse(ModuleOptions, given)
    except ValueError as error:
        raise InvalidInput(f"options: {records.why(error)}.") from None


async def _until_ready(directory: HostDirectory) -> None:
    began = time.monotonic()
    while True:
        report = directory.report
        if report is not None and report["state"] == "ready":
            return
        if report is not None and report["state"] == "failed":
            error = report["error"]
            kind = DoesNotFit if error["code"] == "device_memory" else LoadFailed
            raise kind(_failure(error))
        ended = directory.ended()
        if ended is not None and directory.report is None:
            raise LoadKilled(f"{ended} It was loading; {_last_words(directory)}")
        await asyncio.sleep(0.003 if time.monotonic() - began < 1.0 else 0.02)


def _failure(error: HostError) -> str:
    """Return a failure in one line, with the user's innermost line where their factory raised."""
    frames = error.get("frames") or []
    at = f" ({frames[-1]['file']}, line {frames[-1]['line']}, in {frames[-1]['function']})" if frames else ""
    return f"{error['message']}{at}"


def _last_words(directory: HostDirectory) -> str:
    line = directory.last_log_line()
    return f"its last log line: {line}" if line else "it had logged nothing."
