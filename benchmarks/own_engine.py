"""An engine for one benchmark: in directories of its own, ended with it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_ext.config import locations
from jupyter_ext.engine_process import discovery


@contextmanager
def own_engine() -> Iterator[Path]:
    """Set the directories that engines of this process and those below it use; whatever runs there ends; gives the one above them."""
    with tempfile.TemporaryDirectory(prefix="jx-") as directory:
        os.environ["JUPYTER_EXT_DATA_DIR"] = str(Path(directory) / "data")
        os.environ["JUPYTER_EXT_RUNTIME_DIR"] = str(Path(directory) / "run")
        try:
            yield Path(directory)
        finally:
            stop()


def stop() -> None:
    """End the engine, if one runs."""
    found = discovery.find()
    if found is not None:
        discovery.request(found.socket_path, "POST", "/native/engine/stop", {"force": True})
        while discovery.is_running(locations()):
            time.sleep(0.05)
