"""What becomes of a run's result: weights are kept as a file, a training with a destination becomes a new version.

Rule: doing it a second time, because an engine was killed in between, gives the same file and the same version.
"""

from __future__ import annotations

import asyncio
import logging
import mimetypes
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from jupyter_ext.engine.catalog.catalog import Catalog
from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.files.names import file_id
from jupyter_ext.engine.files.uploads import FileStore, StoredFile
from jupyter_ext.engine.trainings.artifacts.versions import Trained, Versions
from jupyter_ext.engine.trainings.run_spec import RunSpec
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.protocol.problems import Problem

log = logging.getLogger(__name__)

Place = Sequence[str | int]
"""Where a value stands in an output: keys and indexes."""

FILE_PATH = "/v1/files/"
"""How a stored output names a file of ours; the HTTP layer makes a link of it."""


class Publisher:
    """Publishes results."""

    def __init__(self, versions: Versions, files: FileStore, catalog: Catalog) -> None:
        self._versions = versions
        self._files = files
        self._catalog = catalog

    def publish(
        self, spec: RunSpec, output: Any, files: Sequence[Place] = ()
    ) -> tuple[Any, list[str], tuple[str, str] | None]:
        """Keep what a run that succeeded gave. Blocks: call it in a thread.

        Args:
            spec: The run's spec.json.
            output: What its function returned, as JSON.
            files: Where in it paths of files stand.

        Returns:
            The output for clients, lines for the user, and id and model of the new version, if there is one.
        """
        try:
            if (destination := spec.get("destination")) and spec.get("kind") != "prediction":
                return self._new_version(spec, destination, output, files)
            if spec.get("returns_path"):
                files = [*files, *_top_places(output)]
            if spec.get("kind") == "prediction" or _has_own_directory(spec):
                return self._with_files(spec, output, files), [], None
        except OSError as error:
            log.exception("the result of %s could not be kept", spec["id"])
            return output, [f"The result could not be kept as a file or version: {error}."], None
        return output, [], None

    async def promote(self, run_dir: Path, spec: RunSpec, destination: str) -> str:
        """Make a version of a model of what a run that succeeded has returned; return it as `owner/name:version`.

        Raises:
            Problem: Its code is gone, or its weights cannot be kept.
        """
        output = await asyncio.to_thread(read_json, run_dir / "output.json")
        places = await asyncio.to_thread(read_json, run_dir / "output_files.json") or []
        chosen: RunSpec = {**spec, "destination": destination}
        _, notices, made = await asyncio.to_thread(self.publish, chosen, output, places)
        if made is None:
            raise Problem(409, "Cannot be kept", notices[0] if notices else "There is nothing to keep.")
        await self.register(*made)
        return f"{made[1]}:{made[0]}"

    async def register(self, version_id: str, model: str) -> None:
        """Put a new version into the catalog."""
        version = self._versions.find(version_id)
        if version is not None:
            await self._catalog.put_version(
                version_id, model=model, created_at=rfc3339(time.time()), manifest=version.manifest
            )

    def _new_version(
        self, spec: RunSpec, destination: str, output: Any, files: Sequence[Place]
    ) -> tuple[Any, list[str], tuple[str, str]]:
        base = self._versions.find(spec["version"])
        if base is None:
            raise FileNotFoundError(f"the version {spec['version'][:12]} was deleted while it trained")
        path, notices = _weights_path(output, spec["cwd"])
        weights = self._keep(spec["id"], "weights", path) if path else None
        trained = Trained(
            destination, spec["id"], weights.id if weights else None, spec["python"], spec["cwd"]
        )
        version = self._versions.add_trained(base, trained)
        result: dict[str, Any] = {}
        if isinstance(output, dict):
            rest = {key: value for key, value in output.items() if key != "weights"}
            result = self._with_files(spec, rest, [place for place in files if place[:1] != ["weights"]])
        elif output is not None and weights is None:
            result = {"output": output}
        result = result | {"version": f"{trained.model}:{version.id}"}
        if weights:
            result["weights"] = FILE_PATH + weights.id
        return result, notices, (version.id, trained.model)

    def _with_files(self, spec: RunSpec, output: Any, files: Sequence[Place]) -> Any:
        """Keep each file that a path in an output names, and put its name there instead."""
        for place in files:
            try:
                value = output
                for key in place:
                    value = value[key]
            except (LookupError, TypeError):
                continue
            path = _existing(value, spec["cwd"])
            if path is not None:
                part = "/".join(map(str, place)) or "output"
                output = _replaced(output, place, FILE_PATH + self._keep(spec["id"], part, path).id)
        return output

    def _keep(self, run_id: str, part: str, path: Path) -> StoredFile:
        """Keep a copy, as the user's own code may write to that path again; of a directory, an archive."""
        id = file_id(run_id, part)
        if path.is_dir():
            with tempfile.TemporaryFile() as archive:
                with tarfile.open(fileobj=archive, mode="w") as tar:
                    tar.add(path, arcname=path.name)
                archive.seek(0)
                return self._add(id, archive, f"{path.name}.tar")
        with open(path, "rb") as source:
            return self._add(id, source, path.name)

    def _add(self, id: str, source: IO[bytes], name: str) -> StoredFile:
        content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return self._files.add(id, source, name, content_type, {})


def _existing(value: Any, cwd: str) -> Path | None:
    """Return the file or directory that a returned text names, if it does."""
    if not isinstance(value, str) or not value or len(value) > 4000 or "\0" in value or "\n" in value:
        return None
    path = Path(cwd) / value
    return path if path.is_file() or path.is_dir() else None


def _weights_path(output: Any, cwd: str) -> tuple[Path | None, list[str]]:
    """Return the weights that a result names, and a line for the user where it names some that are not there."""
    if not isinstance(output, dict):
        path = _existing(output, cwd)
        # a word that happens to be a folder's name is none
        return (None if path is not None and path.is_dir() else path), []
    named = output.get("weights")
    path = _existing(named, cwd)
    if path is None and named is not None:
        return None, [f"weights={str(named)[:200]!r} is no file in {cwd}; the version has none."]
    return path, []


def _has_own_directory(spec: RunSpec) -> bool:
    """Tell whether a run's client named no directory: it cannot open paths of this machine, as a notebook can."""
    return spec["id"] in Path(spec["cwd"]).parts


def _top_places(output: Any) -> list[Place]:
    """Return the places of a value itself, or of the items of a list or dict: an annotation says that they are paths."""
    if isinstance(output, list):
        return [[number] for number in range(len(output))]
    return [[key] for key in output] if isinstance(output, dict) else [[]]


def _replaced(output: Any, place: Place, value: Any) -> Any:
    """Return a copy of an output with another value at a place."""
    if not place:
        return value
    copy: Any = list(output) if isinstance(output, list) else dict(output)
    copy[place[0]] = _replaced(output[place[0]], place[1:], value)
    return copy
