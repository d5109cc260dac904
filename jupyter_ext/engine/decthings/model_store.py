"""Models as Decthings keeps them: files with a `main.py`, parameter definitions, named states. The only writer of their directories.

    <id>/model.json            everything that is known of it
    <id>/files/…               its code
    <id>/states/<id>/<n>.bin   one key of a state each

Rule: `model.json` speaks only of what is on the disk; what a killed engine left besides is removed at the next start.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import threading
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NotRequired, cast

from typing_extensions import TypedDict

from jupyter_ext.engine.common import records
from jupyter_ext.engine.common.archives import reading_archive
from jupyter_ext.ids import is_training_id, new_training_id
from jupyter_ext.ipc.decthings.dataset_reader import Tag
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.protocol.decthings.definitions import (
    DefinitionsJson,
    ParameterDefinitions,
    parse_definitions,
)

MAX_FILES = 10_000
MAX_UNPACKED_BYTES = 2 << 30
MAIN = "main.py"


class BadArchive(ValueError):
    """The bytes are no files of a model; the text says why."""


class ModelNotFound(LookupError):
    """No model has this id."""


class StateNotFound(LookupError):
    """The model has no state of this id."""


class StateKey(TypedDict):
    """A key of a state and its size."""

    key: str
    byteSize: int


class StoredState(TypedDict):
    """A state as `model.json` has it; `operations` are the ids of the trainings that led to it."""

    id: str
    name: str
    created_at: float
    keys: list[StateKey]
    operations: list[str]


class ModelAbout(TypedDict):
    """What a model is: `python` is the interpreter that runs it."""

    name: str
    description: str
    tags: list[Tag]
    definitions: DefinitionsJson
    language: str
    python: str


class ModelFile(ModelAbout):
    """`model.json`; `max_durations` are limits of time in seconds by step."""

    created_at: float
    states: list[StoredState]
    active_state: str | None
    launchers: list[str]
    max_durations: NotRequired[dict[str, int]]


class StoredModel:
    """One model.

    Args:
        directory: Its directory.
        about: What `model.json` says.
    """

    def __init__(self, directory: Path, about: ModelFile) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self.about = about

    @property
    def id(self) -> str:
        """Its id."""
        return self._directory.name

    @property
    def files(self) -> Path:
        """The directory with its code."""
        return self._directory / "files"

    @property
    def definitions(self) -> ParameterDefinitions:
        """What its functions take and give."""
        return parse_definitions(self.about["definitions"])

    def change(self, **changes: Any) -> None:
        """Change what it says of itself."""
        with self._lock:
            self._write(cast("ModelFile", {**self.about, **changes}))

    def state(self, state_id: str | None = None) -> StoredState:
        """Describe a state, or the active one.

        Raises:
            StateNotFound: There is none.
        """
        wanted = self.about["active_state"] if state_id is None else state_id
        for state in self.about["states"]:
            if state["id"] == wanted:
                return state.copy()
        raise StateNotFound(state_id or "active")

    def add_state(
        self, name: str, content: Mapping[str, bytes | memoryview], operations: list[str] | None = None
    ) -> str:
        """Keep a state; the first one becomes the active one. Gives its id."""
        state_id = str(new_training_id())
        directory = self._directory / "states" / state_id
        directory.mkdir(parents=True, mode=0o700)
        keys: list[StateKey] = []
        for n, (key, data) in enumerate(content.items()):
            with open(directory / f"{n}.bin", "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            keys.append({"key": key, "byteSize": len(data)})
        state: StoredState = {
            "id": state_id,
            "name": name,
            "created_at": time.time(),
            "keys": keys,
            "operations": operations or [],
        }
        with self._lock:
            active = self.about["active_state"] or state_id
            self._write({**self.about, "states": [*self.about["states"], state], "active_state": active})
        return state_id

    def read_state(self, state_id: str | None = None) -> dict[str, bytes]:
        """Return a state, or the active one, by key.

        Raises:
            StateNotFound: There is none.
        """
        state = self.state(state_id)
        directory = self._directory / "states" / state["id"]
        return {key["key"]: (directory / f"{n}.bin").read_bytes() for n, key in enumerate(state["keys"])}

    def delete_state(self, state_id: str) -> None:
        """Delete a state; where it was the active one, the newest that is left becomes that."""
        self.state(state_id)
        with self._lock:
            left = [item for item in self.about["states"] if item["id"] != state_id]
            active = self.about["active_state"]
            if active == state_id:
                active = left[-1]["id"] if left else None
            self._write({**self.about, "states": left, "active_state": active})
        shutil.rmtree(self._directory / "states" / state_id, ignore_errors=True)

    def rename_state(self, state_id: str, name: str) -> None:
        """Rename a state."""
        self.state(state_id)
        with self._lock:
            states: list[StoredState] = [
                {**item, "name": name} if item["id"] == state_id else item for item in self.about["states"]
            ]
            self._write({**self.about, "states": states})

    def tidy(self) -> None:
        """Remove states that a killed engine did not finish."""
        known = {state["id"] for state in self.about["states"]}
        for directory in (self._directory / "states").glob("*"):
            if directory.name not in known:
                shutil.rmtree(directory, ignore_errors=True)

    def delete(self) -> None:
        """Delete it with everything it has."""
        with self._lock:
            shutil.rmtree(self._directory)

    def _write(self, about: ModelFile) -> None:
        write_json(self._directory / "model.json", about)
        self.about = about


class ModelStore:
    """All models of this kind.

    Args:
        directory: One directory each is in it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._models: dict[str, StoredModel] = {}

    def open(self) -> None:
        """Find what is there; remove what a killed engine had begun."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for directory in sorted(self._directory.iterdir()):
            if not is_training_id(directory.name):
                continue
            if not records.is_there(directory / "model.json"):
                shutil.rmtree(directory, ignore_errors=True)
            elif (about := records.load(directory / "model.json", _about)) is not None:
                self._models[directory.name] = StoredModel(directory, about)
                self._models[directory.name].tidy()

    def create(
        self,
        about: ModelAbout,
        files: Mapping[str, bytes] | None = None,
        based_on: StoredModel | None = None,
    ) -> StoredModel:
        """Make a model.

        Args:
            about: What it is.
            files: Its code, by path below its directory; see `unpack`.
            based_on: A model whose code it copies.
        """
        model_id = str(new_training_id())
        directory = self._directory / model_id
        (directory / "states").mkdir(parents=True, mode=0o700)
        if based_on is not None:
            shutil.copytree(based_on.files, directory / "files")
        else:
            (directory / "files").mkdir(mode=0o700)
        for name, content in (files or {}).items():
            path = directory / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_bytes(content)
        known: ModelFile = {
            **about,
            "created_at": time.time(),
            "states": [],
            "active_state": None,
            "launchers": [],
            "max_durations": {},
        }
        write_json(directory / "model.json", known)
        model = StoredModel(directory, known)
        self._models[model_id] = model
        return model

    def get(self, model_id: str) -> StoredModel:
        """Return a model.

        Raises:
            ModelNotFound: None has this id.
        """
        found = self._models.get(model_id)
        if found is None:
            raise ModelNotFound(model_id)
        return found

    def all(self) -> list[StoredModel]:
        """List all, oldest first."""
        return sorted(self._models.values(), key=lambda model: model.id)

    def delete(self, model_id: str) -> None:
        """Delete a model.

        Raises:
            ModelNotFound: None has this id.
        """
        self.get(model_id)
        self._models.pop(model_id).delete()


class _About(TypedDict):
    """What of `model.json` is relied upon."""

    name: str
    created_at: float
    definitions: Any
    states: list[Any]
    active_state: str | None


def _about(content: Any) -> ModelFile:
    records.parse(_About, content)
    parse_definitions(content["definitions"])
    for state in content["states"]:
        state["id"], state["keys"]
    return cast("ModelFile", {"launchers": [], **content})


def unpack(data: bytes) -> dict[str, bytes]:
    """Return the files of an uploaded model: of a zip archive with a `main.py`, or of a `main.py` alone.

    Raises:
        BadArchive: It is neither, too large, or a file's name leads out of the archive.
    """
    if not data.startswith(b"PK\x03\x04"):
        try:
            compile(data, MAIN, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise BadArchive(f"it is neither a zip archive nor a {MAIN}: {error}") from error
        return {MAIN: data}
    with reading_archive(BadArchive), zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) > MAX_FILES or sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
            raise BadArchive(f"it has more than {MAX_FILES} files or {MAX_UNPACKED_BYTES >> 30} GiB")
        for member in members:
            _check_name(member)
        files = {member.filename: archive.read(member) for member in members}
    if MAIN not in files:
        raise BadArchive(f"it has no {MAIN} at its top")
    return files


def _check_name(member: zipfile.ZipInfo) -> None:
    path = PurePosixPath(member.filename)
    odd = path.is_absolute() or ".." in path.parts or "\\" in member.filename or "\0" in member.filename
    if odd or stat.S_ISLNK(member.external_attr >> 16):
        raise BadArchive(f"{member.filename[:80]!r} is no file below it")
