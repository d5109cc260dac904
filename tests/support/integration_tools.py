"""An engine in directories of its own, and short ways to train in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.protocol.trainings import Training


@dataclass
class EngineUnderTest:
    """An engine in directories of its own."""

    where: Locations

    def pid(self) -> int:
        """Return the engine's pid."""
        return int(discovery.ensure(where=self.where).info["pid"])

    def kill(self) -> None:
        """Kill the engine with -9 and wait until it is gone."""
        process = psutil.Process(self.pid())
        process.kill()
        until(lambda: not discovery.is_running(self.where), "the engine's end")

    def run_dir(self, training: Training) -> Path:
        """Return a training's directory."""
        return self.where.runs_dir / training.id

    def pids(self, training: Training) -> tuple[int, int]:
        """Return the pids of a training's shim and worker, once they are there."""
        path = self.run_dir(training) / "start.json"
        until(path.exists, "the start of the run")
        start = read_json(path)
        return start["shim"]["pid"], start["worker"]["pid"]

    def close(self) -> None:
        """End the engine and everything it started."""
        where = self.where
        homes = (where.runs_dir, where.sessions_dir, where.hosts_dir)
        for start in (start for home in homes for start in home.glob("*/start.json")):
            for who in ("worker", "shim"):
                pid = read_json(start)[who]["pid"]
                if psutil.pid_exists(pid) and not (start.parent / "exit.json").exists():
                    psutil.Process(pid).kill()
        found = discovery.find(self.where)
        if found is not None:
            discovery.request(found.socket_path, "POST", "/native/engine/stop", {"force": True})
            until(lambda: not discovery.is_running(self.where), "the engine's end", 30)


def until(condition: Callable[[], Any], what: str, timeout_s: float = 60.0) -> Any:
    """Wait for a condition, and give what it gave."""
    deadline = time.monotonic() + timeout_s
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain for {what}"
        time.sleep(0.01)
    return result


def holding(text: str, *directories: Path) -> list[Path]:
    """Return the files that hold a text; those that go away while we look do not count."""
    found, num_seen = [], 0
    for path in (path for directory in directories for path in directory.rglob("*")):
        try:
            if path.is_file():
                num_seen += 1
                found += [path] if text.encode() in path.read_bytes() else []
        except FileNotFoundError:
            continue
    assert num_seen, f"no file in {directories}"
    return found


async def start(
    client: AsyncClient, text: str, name: str = "cell", names: Any = None, **inputs: Any
) -> Training:
    """Start a cell."""
    return await client.create(capture_cell(text, names or {}, name, inputs), inputs)


async def finish(client: AsyncClient, text: str, timeout_s: float = 60.0, **inputs: Any) -> Training:
    """Start a cell and wait for its end."""
    training = await start(client, text, **inputs)
    return await client.wait(training.id, timeout_s)
