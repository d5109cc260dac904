"""The IPython kernel that a debug session is. Needs IPython and ipykernel in the user's environment.

Rule: what a call prints goes to the session's own files by descriptor and nowhere else; what a cell prints goes to its
client *and* to the files. So nothing is lost when nobody listens, and a training's output never lands in a cell.
"""

from __future__ import annotations

import asyncio
import contextvars
import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from ipykernel.iostream import OutStream
from ipykernel.kernelapp import IPKernelApp
from tornado.ioloop import IOLoop
from traitlets.config import Config

from jupyter_ext.worker.runtime.redaction import Redactor

in_call: contextvars.ContextVar[bool] = contextvars.ContextVar("in_call", default=False)
"""Whether what runs is a call of the session's, not a cell of a client's."""


class SessionStream(OutStream):
    """`sys.stdout` or `sys.stderr` of a session."""

    echo: Any

    def write(self, string: str) -> int:
        """Write to the session's file; what a cell writes also goes to its client."""
        if in_call.get() and isinstance(string, str):
            self.echo.write(string)
            return len(string)
        return super().write(string) or 0

    def flush(self) -> None:
        """Flush without waiting for clients, who are not told of calls."""
        if in_call.get():
            self.echo.flush()
        else:
            super().flush()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Only flush: the kernel needs its streams as long as it lives, whatever the user's code closes."""
        try:
            self.flush()
        except (OSError, ValueError):
            return

    def fileno(self) -> int:
        """Return the descriptor that child processes write to as well."""
        return 2 if self.name == "stderr" else 1


class SessionKernelApp(IPKernelApp):
    """A kernel with its sockets in the file system, and a signal handler of the session's."""

    on_interrupt: Callable[[int, FrameType | None], None]

    def init_signal(self) -> None:
        """Have interrupts reach the call that runs, and nothing else."""
        signal.signal(signal.SIGINT, self.on_interrupt)

    def patch_io(self) -> None:
        """Leave faulthandler alone: it writes to the session's stacks.txt."""

    def log_connection_info(self) -> None:
        """Say nothing: the engine knows where the connection file is."""


def start(
    session_dir: Path,
    sockets: str,
    redactor: Redactor,
    on_interrupt: Callable[[int, FrameType | None], None],
) -> SessionKernelApp:
    """Make the kernel of this process, ready to answer once its loop runs.

    Args:
        session_dir: Gets the connection file.
        sockets: Path to which `-1` … `-5` is added for the kernel's sockets.
        redactor: Keeps secrets out of the files.
        on_interrupt: The handler for SIGINT.
    """
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = redactor.stream(io.FileIO(descriptor, "wb", closefd=False))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    os.environ["IPYTHONDIR"] = str(session_dir / "ipython")
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.banner1 = ""
    config.IPKernelApp.log_level = 40
    app = SessionKernelApp.instance(
        config=config,
        connection_file=str(session_dir / f"kernel-{session_dir.name}.json"),
        transport="ipc",
        ip=sockets,
        outstream_class=f"{__name__}.SessionStream",
        capture_fd_output=False,
        quiet=False,
        parent_handle=0,
    )
    app.on_interrupt = on_interrupt
    app.initialize([])  # type: ignore[no-untyped-call]
    return app


def main_module(app: SessionKernelApp) -> ModuleType:
    """Return the module that cells and the user's code share."""
    shell: Any = app.shell
    module: ModuleType = shell.user_module
    sys.modules["__main__"] = module
    return module


def main_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of the main thread."""
    loop: asyncio.AbstractEventLoop = IOLoop.current().asyncio_loop  # type: ignore[attr-defined]
    return loop
