"""`python -m jupyter_ext.engine`: be the engine of this user on this host.

Rule: the lock first. Nothing is opened, bound or written before `engine.lock` is held, and it is held for life.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path

from jupyter_ext.config import EngineSettings, Locations, engine_settings, locations
from jupyter_ext.engine.common import descriptors, heap, private_files
from jupyter_ext.engine.common.log_limits import Repeats
from jupyter_ext.engine.processes.zygote_process import ZygoteProcess, environ_of_zygotes
from jupyter_ext.errors import JupyterExtError
from jupyter_ext.ipc import private_sockets
from jupyter_ext.ipc.cores import usable_cores

_MAX_LOG_BYTES = 10 * 2**20
_CORES_FOR_BOTH = 2
"""With fewer, two processes that import hold each other up."""


def main() -> int:
    """Run the engine; the exit code is 0 when it ended in order, 1 when it could not start, 3 when one runs."""
    parser = argparse.ArgumentParser(
        prog="python -m jupyter_ext.engine", description="Start the jupyter-ext engine."
    )
    parser.add_argument(
        "--ready-fd", type=int, help="write `ready` or the reason for not starting to this descriptor"
    )
    arguments = parser.parse_args()
    if arguments.ready_fd is not None and os.fork():
        os._exit(0)  # whoever started us waits for a line on the pipe, not for us
    heap.limit_arenas()
    tell = _teller(arguments.ready_fd)
    where = locations()
    try:
        settings = engine_settings()
        private_files.write_privately()
        descriptors.raise_limit()
        where.make()
        private_files.tighten([*where.own, where.engine_log])
        lock = _lock(where)
        if lock is None:
            tell(f"an engine already holds {where.engine_lock}; `%engine status` shows it")
            return 3
        _set_up_logging(where.engine_log)
        listener = private_sockets.listen(where.socket)
        zygote = _start_zygote(settings)
    except OSError as error:
        tell(f"{error.strerror or error}: {error.filename or where.runtime_dir}")
        return 1
    except JupyterExtError as error:
        tell(str(error))
        return 1
    try:
        asyncio.run(_run(where, settings, listener, zygote, tell))
    except JupyterExtError as error:
        tell(str(error))
        return 1
    except Exception as error:
        logging.getLogger(__name__).exception("the engine failed")
        tell(f"{type(error).__name__}: {error}")
        return 1
    finally:
        where.socket.unlink(missing_ok=True)
        os.close(lock)
    return 0


def _start_zygote(settings: EngineSettings) -> ZygoteProcess | None:
    """Have the interpreter's own zygote import torch while this process imports the rest of itself, on another core."""
    if usable_cores() < _CORES_FOR_BOTH:
        return None
    try:
        return ZygoteProcess(sys.executable, settings.preload, environ_of_zygotes())
    except OSError as error:
        logging.getLogger(__name__).warning("no zygote could be started: %s", error)
        return None


async def _run(
    where: Locations,
    settings: EngineSettings,
    listener: socket.socket,
    zygote: ZygoteProcess | None,
    tell: Callable[[str], None],
) -> None:
    from jupyter_ext.engine.app import Engine

    engine = Engine(where, settings, zygote)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, engine.end, f"got {number.name}")
    await engine.run(listener, lambda: tell("ready"))


def _teller(descriptor: int | None) -> Callable[[str], None]:
    """Return a function that tells whoever started us, once."""
    told = False

    def tell(text: str) -> None:
        nonlocal told
        if descriptor is None:
            if text != "ready":
                print(text, file=sys.stderr)
        elif not told:
            told = True
            try:
                os.write(descriptor, text.replace("\n", " ").encode() + b"\n")
                os.close(descriptor)
            except OSError:
                logging.getLogger(__name__).info("whoever started this engine is gone")

    return tell


def _lock(where: Locations) -> int | None:
    descriptor = os.open(where.engine_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _set_up_logging(path: Path) -> None:
    handler = RotatingFileHandler(
        path, maxBytes=_MAX_LOG_BYTES, backupCount=1, encoding="utf-8", errors="backslashreplace"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(Repeats())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("uvicorn", "httpx", "httpx2"):
        logging.getLogger(name).setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
