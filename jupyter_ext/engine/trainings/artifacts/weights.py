"""A training's weights as a file on this machine: where they are, or fetched from the service that has them.

runs/<id>/weights/<name>    a link to the kept file, or what was fetched
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyter_ext.engine.files.names import safe_name
from jupyter_ext.engine.services.replicate.weights_download import download
from jupyter_ext.engine.trainings.artifacts.file_inputs import FileInputs
from jupyter_ext.engine.trainings.artifacts.publisher import FILE_PATH
from jupyter_ext.engine.trainings.run_spec import read_spec
from jupyter_ext.errors import JupyterExtError
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.trainings import Training

FindToken = Callable[[str], Awaitable[str | None]]
_FILE = re.compile(re.escape(FILE_PATH) + r"([0-9a-v]{26})")


@dataclass
class Fetching:
    """A download that is going on; sizes in bytes."""

    task: asyncio.Task[None]
    received_bytes: int = 0
    total_bytes: int | None = None


class WeightFiles:
    """Gives weights as files.

    Args:
        runs_dir: One directory per training.
        file_inputs: Links kept files into directories.
        find_token: Gives the token for a service's base URL.
    """

    def __init__(self, runs_dir: Path, file_inputs: FileInputs, find_token: FindToken) -> None:
        self._runs_dir = runs_dir
        self._file_inputs = file_inputs
        self._find_token = find_token
        self._fetching: dict[str, Fetching] = {}

    async def path(self, training: Training) -> Path | Fetching:
        """Return the file, or the download that was begun to have it.

        Raises:
            Problem: It has not succeeded, has left no weights, or they cannot be had; one line.
        """
        if training.status != "succeeded":
            detail = (
                f"Training {training.id} is `{training.status}`; one that has succeeded can have weights."
            )
            raise Problem(409, "No weights", detail)
        named = training.output.get("weights") if isinstance(training.output, dict) else training.output
        run_dir = self._runs_dir / training.id
        spec = await asyncio.to_thread(read_spec, run_dir)
        if not isinstance(named, str) or spec is None:
            raise _none(training)
        if found := _FILE.fullmatch(named):
            return Path(await asyncio.to_thread(self._file_inputs.link, found[1], run_dir / "weights"))
        if "remote" in spec and named.startswith(("https://", "http://", "/")):
            return await self._fetched(training.id, named, run_dir / "weights", spec["remote"]["base_url"])
        path = Path(spec["cwd"] or run_dir, named) if 0 < len(named) < 4000 and "\0" not in named else None
        if path is None or not await asyncio.to_thread(path.exists):
            raise _none(training)
        return path

    async def close(self) -> None:
        """Cancel the downloads that are going on."""
        tasks = [fetching.task for fetching in self._fetching.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetched(self, training_id: str, url: str, folder: Path, base_url: str) -> Path | Fetching:
        target = folder / safe_name(urlsplit(url).path)
        fetching = self._fetching.get(training_id)
        if fetching is None:
            if await asyncio.to_thread(target.exists):
                return target
            token = await self._find_token(base_url)
            fetching = self._fetching.get(training_id) or self._begin(
                training_id, url, target, base_url, token
            )
        if not fetching.task.done():
            return fetching
        del self._fetching[training_id]
        try:
            fetching.task.result()
        except JupyterExtError as error:
            raise Problem(502, "Weights cannot be had", str(error)) from error
        except OSError as error:
            raise Problem(507, "Weights cannot be kept", f"The weights do not fit here: {error}.") from error
        return target

    def _begin(self, training_id: str, url: str, target: Path, base_url: str, token: str | None) -> Fetching:
        target.parent.mkdir(exist_ok=True, mode=0o700)

        def progress(received: int, total: int | None) -> None:
            fetching.received_bytes, fetching.total_bytes = received, total

        task = asyncio.create_task(
            download(url, target, base_url, token, progress), name=f"weights {training_id}"
        )
        fetching = self._fetching[training_id] = Fetching(task)
        return fetching


def to_resource(found: Path | Fetching) -> dict[str, Any]:
    """Return the file or its download as clients see it."""
    if isinstance(found, Path):
        return {"path": str(found)}
    return {"path": None, "received_bytes": found.received_bytes, "total_bytes": found.total_bytes}


def _none(training: Training) -> Problem:
    detail = f"Training {training.id} has left no weights: train() returns the path of a file, or a dict with `weights`."
    return Problem(404, "No weights", detail)
