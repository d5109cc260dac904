"""An engine for one benchmark, or for a part of one: in directories of its own, ended with it."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.support.scale import IS_SMOKE
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import Locations, locations
from jupyter_ext.engine_process import discovery


@contextmanager
def own_engine(*, smoke_preload: str = "json") -> Iterator[Path]:
    """Set the directories that engines of this process and of those below it use, and end what runs there at the end.

    Args:
        smoke_preload: What a smoke run's engine imports beforehand; torch takes most of its time, and few need it.

    Yields:
        The directory above them.
    """
    with tempfile.TemporaryDirectory(prefix="jx-", ignore_cleanup_errors=True) as directory:
        os.environ["JUPYTER_EXT_DATA_DIR"] = str(Path(directory) / "data")
        os.environ["JUPYTER_EXT_RUNTIME_DIR"] = str(Path(directory) / "run")
        if IS_SMOKE:
            os.environ["JUPYTER_EXT_PRELOAD"] = smoke_preload
        try:
            yield Path(directory)
        finally:
            stop()


def stop(where: Locations | None = None) -> None:
    """End the engine, if one runs."""
    where = where or locations()
    found = discovery.find(where)
    if found is not None:
        discovery.request(found.socket_path, "POST", "/native/engine/stop", {"force": True})
        while discovery.is_running(where):
            time.sleep(0.01)


async def warm(client: AsyncClient) -> None:
    """Wait until a process that has imported torch is there to be forked."""
    await client.warm()
    while not any(found.state == "warm" for found in (await client.engine()).environments):
        await asyncio.sleep(0.05)
