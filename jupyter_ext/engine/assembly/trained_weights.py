"""Weights that finished trainings have left, for the local models: `training:<id>`.

Rule: weights stay where they are. A kept file has no name there, so a link with one stands in a directory named by the
training's id; what the user called the file decides nothing but the link's ending.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from jupyter_ext.engine.catalog.catalog import Catalog
from jupyter_ext.engine.catalog.rows import TrainingRow
from jupyter_ext.engine.files.uploads import FileStore
from jupyter_ext.engine.models.interfaces import TrainedWeights
from jupyter_ext.engine.trainings.artifacts.publisher import FILE_PATH
from jupyter_ext.ids import is_training_id

ENDINGS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
_LOOKED_AT = 500
"""So many of the newest trainings are looked at for a list; older ones are found by their id."""


class CatalogTrained:
    """Looks trainings up in the catalog; see `interfaces.Trained`.

    Args:
        catalog: All trainings.
        files: Weights that trainings with a destination have left.
        links_dir: Where links to them stand.
    """

    def __init__(self, catalog: Catalog, files: FileStore, links_dir: Path) -> None:
        self._catalog = catalog
        self._files = files
        self._links_dir = links_dir
        self._known: dict[str, TrainedWeights | None] = {}

    async def find(self, training_id: str) -> TrainedWeights | None:
        """Return the weights of a training, if it left any."""
        if not is_training_id(training_id):
            return None
        row = await self._catalog.get_training(training_id)
        return None if row is None else await asyncio.to_thread(self._weights, row)

    async def all(self) -> list[TrainedWeights]:
        """List the weights that the newest trainings have left."""
        rows = await self._catalog.list_trainings(status="succeeded", limit=_LOOKED_AT)

        def look() -> list[TrainedWeights]:
            found = []
            for row in rows:
                if row["id"] not in self._known:
                    self._known[row["id"]] = self._weights(row)
                weights = self._known[row["id"]]
                if weights is not None and weights.path.exists():
                    found.append(weights)
            return found

        return await asyncio.to_thread(look)

    def _weights(self, row: TrainingRow) -> TrainedWeights | None:
        training = row["resource"]
        if not isinstance(training, dict) or row["status"] != "succeeded" or not is_training_id(row["id"]):
            return None
        output = training.get("output")
        named = output.get("weights") if isinstance(output, dict) else output
        if not isinstance(named, str) or not 0 < len(named) < 4000 or "\0" in named:
            return None
        path = self._kept(row["id"], named) if named.startswith(FILE_PATH) else _own(named)
        if path is None:
            return None
        return TrainedWeights(row["id"], row["name"], path, row["created_at"])

    def _kept(self, training_id: str, named: str) -> Path | None:
        stored = self._files.get(named.removeprefix(FILE_PATH).partition("?")[0])
        if stored is None:
            return None
        ending = os.path.splitext(stored.name)[1]
        if ending not in ENDINGS:
            return None
        directory = self._links_dir / training_id
        link = directory / f"model{ending}"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not link.exists():
            link.unlink(missing_ok=True)
            link.symlink_to(self._files.content(stored.id).absolute())
        return link


def _own(named: str) -> Path | None:
    """Return a path that a training returned, where it is a file of weights or a folder with some."""
    path = Path(named)
    if not path.is_absolute():
        return None
    if path.is_file():
        return path if path.suffix in ENDINGS else None
    return path if path.is_dir() and any(path.glob("*.safetensors")) else None
