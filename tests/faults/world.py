"""What the rounds of a campaign share: an engine home, a clock, a report, and servers that are made once they are needed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

import torch
from download_tools import MIB, write_model
from hub_server import HubServer
from integration_tools import EngineUnderTest
from model_tools import save
from receiver import Receiver

from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery
from tests.faults.clock import Clock
from tests.faults.faulty_disk import FaultyDisk
from tests.faults.report import Report
from tests.faults.victims import living, processes_of

DOWNLOAD_BYTES = 24 * MIB
_TEMPORARY = re.compile(r"\.(tmp|part|partial|journal)$|^\..+\.\d+$")
"""As atomic writes and downloads name what is not whole yet."""


class World:
    """An engine home and what is around it.

    Args:
        folder: Short, as sockets are made in it; the caller removes it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = EngineUnderTest(Locations(folder / "data", folder / "run"))
        for path in (self.engine.where.data_dir, self.engine.where.runtime_dir):
            path.mkdir(mode=0o700)
        self.clock = Clock(folder)
        self.disk = FaultyDisk(folder / "clock")
        self.report = Report()
        self._open = ExitStack()

    @property
    def environment(self) -> dict[str, str]:
        """What tells clients, engine and trainings to use all this."""
        where = self.engine.where
        return {
            "JUPYTER_EXT_DATA_DIR": str(where.data_dir),
            "JUPYTER_EXT_RUNTIME_DIR": str(where.runtime_dir),
            "HF_HOME": str(self.folder / "hf"),
            **self.clock.environment,
            **self.disk.environment,
        }

    @contextmanager
    def entered(self) -> Iterator[World]:
        """Have this process's clients and engines use it, and end all of it."""
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            yield self
        finally:
            self.engine.close()
            self._open.close()
            os.environ.clear()
            os.environ.update(before)

    @cached_property
    def hub(self) -> HubServer:
        """A hub with models of `DOWNLOAD_BYTES`, slow enough to be struck while they come."""
        hub = self._open.enter_context(HubServer(bytes_per_s=6e6))
        os.environ["HF_ENDPOINT"] = hub.url
        return hub

    def published(self, name: str) -> Path:
        """Publish a model on the hub; returns the folder with its files."""
        folder = write_model(self.folder / "published" / name, DOWNLOAD_BYTES, seed=len(name))
        self.hub.publish(f"acme/{name}", folder)
        return folder

    @cached_property
    def receiver(self) -> Receiver:
        """A receiver of webhooks."""
        receiver = Receiver()
        self._open.callback(receiver.close)
        return receiver

    @cached_property
    def weights(self) -> Path:
        """A file with one tensor, `w`."""
        return save(self.folder / "small.safetensors", {"w": torch.tensor([1.0, 2.0])})

    def left(self) -> list[str]:
        """List processes, sockets and temporary files that belong to no living engine or zygote."""
        where = self.engine.where
        homes = (where.runs_dir, where.sessions_dir, where.hosts_dir)
        left = [
            f"{who} {pid} of {path.parent.name}"
            for home in homes
            for path in home.glob("*/start.json")
            for who in ("worker", "shim")
            if (pid := living(path, who)) is not None
        ]
        left += [f"socket {path.name}" for path in where.socket_dir.glob("*.call")]
        left += [f"host {path.name}" for path in where.hosts_dir.glob("*")]
        left += [
            f"directory {path.name} without spec.json"
            for path in where.runs_dir.glob("*")
            if not (path / "spec.json").exists()
        ]
        left += [f"shared memory {name}" for name in _shared_memory() - self._shared_memory_before]
        for folder in (where.data_dir, self.folder / "hf"):
            for parent, _, names in os.walk(folder):  # passes over what goes away meanwhile
                left += [f"file {Path(parent, name)}" for name in names if _TEMPORARY.search(name)]
        return left + self._processes_left()

    def _processes_left(self) -> list[str]:
        found = discovery.find(self.engine.where)
        kept: set[int | None] = set()
        if found is not None:
            kept = {int(found.info["pid"]), *(item["pid"] for item in found.info["environments"])}
        return [
            f"process {pid} {line}"
            for pid, line in processes_of(self.engine.where.data_dir)
            if pid not in kept
        ]

    @cached_property
    def _shared_memory_before(self) -> set[str]:
        return _shared_memory()


def _shared_memory() -> set[str]:
    """Return the names below /dev/shm that torch's and Python's shared memory has; others are not ours."""
    try:
        return {name for name in os.listdir("/dev/shm") if name.startswith(("torch_", "psm_", "sem.mp-"))}
    except OSError:
        return set()
