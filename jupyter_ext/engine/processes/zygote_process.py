"""Start a zygote: the process of one interpreter that imports torch and forks runs.

Rule: this module is light. The engine starts the zygote of its own interpreter before it imports the rest of itself, so that
both import at the same time.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from jupyter_ext.engine.common import descriptors
from jupyter_ext.engine.common.private_files import user_umask
from jupyter_ext.ipc import processes
from jupyter_ext.ipc.start_environment import waiting_defaults

ROOT = Path(__file__).resolve().parents[2]
BOOT = str(ROOT / "worker" / "bootstrap.py")


def environ_of_zygotes() -> dict[str, str]:
    """Return the environment that zygotes get: what is forked there has read some of it for good."""
    return {**os.environ, **waiting_defaults(os.environ)}


class ZygoteProcess:
    """A zygote that was started.

    Args:
        python: Path of its interpreter.
        preload: Modules that it imports, the most needed first.
        environ: Its environment.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, python: str, preload: tuple[str, ...], environ: Mapping[str, str]) -> None:
        self.python, self.preload, self.environ = python, preload, dict(environ)
        self.channel, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [python, BOOT, str(ROOT), "zygote", str(theirs.fileno()), ",".join(preload)],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    cwd="/",
                    umask=user_umask(),
                    env=processes.with_placeholder(self.environ),
                    start_new_session=True,
                )
            except OSError:
                self.channel.close()
                raise
        descriptors.limit_as_before(self._process.pid)

    @property
    def pid(self) -> int | None:
        """Its pid while it lives."""
        return self._process.pid if self._process.poll() is None else None

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()

    async def wait(self) -> int:
        """Wait for its end, which is near once it has closed its end of the channel or was killed; return its exit code."""
        return await asyncio.to_thread(self._process.wait)
