"""Starting a shim in a fresh interpreter, where no warm one can fork it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from pathlib import Path

from jupyter_ext.engine.common import descriptors
from jupyter_ext.engine.common.private_files import user_umask
from jupyter_ext.engine.processes.zygote_process import BOOT, ROOT
from jupyter_ext.ipc import processes, run_files
from jupyter_ext.ipc.payloads.worker_specs import WorkerSpec
from jupyter_ext.ipc.start_environment import waiting_defaults

_SPAWN_TIMEOUT_S = 60.0
"""So long a fresh interpreter may take to its first line, as on a cold disk."""
_CLAIM_POLL_S, _CLAIM_POLL_MAX_S = 0.0005, 0.02


class WorkerStartError(Exception):
    """A worker process could not be started."""


async def spawn(python: str, spec: WorkerSpec, run_dir: Path) -> None:
    """Start a shim in a fresh process, and wait until it or another one has claimed the directory.

    Args:
        python: The interpreter.
        spec: What the shim is to do.
        run_dir: The directory that it claims.

    Raises:
        WorkerStartError: It ended, or took too long.
    """
    environ = spec.get("environ") or os.environ
    try:
        process = await asyncio.create_subprocess_exec(
            python,
            BOOT,
            str(ROOT),
            "shim",
            stdin=asyncio.subprocess.PIPE,
            cwd="/",
            umask=user_umask(),
            env=processes.with_placeholder({**waiting_defaults(environ), **environ}),
        )
    except OSError as error:
        raise WorkerStartError(f"{python} cannot be started: {error.strerror or error}") from error
    descriptors.limit_as_before(process.pid)
    assert process.stdin is not None
    with contextlib.suppress(ConnectionError):  # it ended already, which is seen below
        process.stdin.write(json.dumps(spec).encode())
        process.stdin.close()
    ended = asyncio.create_task(process.wait(), name=f"shim {run_dir.name}")
    try:
        async with asyncio.timeout(_SPAWN_TIMEOUT_S):
            await until_claimed(run_dir, ended)
    except TimeoutError:
        raise WorkerStartError(f"{python} did not begin within {_SPAWN_TIMEOUT_S:.0f} s") from None
    if not run_files.is_claimed(run_dir):
        raise WorkerStartError(
            f"{python} ended with code {process.returncode} before it began; `%engine log` may say why"
        )


async def until_claimed(run_dir: Path, ended: asyncio.Task[int] | None = None) -> None:
    """Wait until a shim has claimed a directory, or the process that was to do so has ended."""
    pause_s = _CLAIM_POLL_S
    while not run_files.is_claimed(run_dir) and not (ended is not None and ended.done()):
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _CLAIM_POLL_MAX_S)
