"""What is known of one model, and the file that keeps it.

Rule: only the service changes a record. Its file is named by a hash of the id; what runs now (transfer, host) is never
in it, nor is any variable of whoever asked.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from jupyter_ext.engine.common import records
from jupyter_ext.engine.models.reference import ModelRef, parse_ref
from jupyter_ext.engine.models.service.states import Disk, Memory, move_disk, move_memory, shown
from jupyter_ext.engine.models.sources.description import ModelDescription
from jupyter_ext.protocol.model_refs import key_of
from jupyter_ext.protocol.models import (
    LocalModel,
    ModelFile,
    ModelHost,
    ModelSource,
    ModelState,
    Transfer,
    Unloaded,
)

log = logging.getLogger(__name__)


@dataclass
class Record:
    """One model. Times are RFC 3339 UTC, sizes bytes."""

    id: str
    name: str
    created_at: str
    description: str | None = None
    custom: bool = False
    used_at: str | None = None
    path: str | None = None
    revision: str | None = None
    newer_revision: str | None = None
    bytes: int | None = None
    memory_bytes: int | None = None
    num_parameters: int | None = None
    dtype: str | None = None
    architecture: str | None = None
    tokenizer: bool = False
    files: list[dict[str, Any]] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    """Pieces' fields that a client gave, such as `foundation`, and scores."""
    weights: list[str] = field(default_factory=list)
    """Names or patterns of files that are no safetensors and were asked for by name."""
    stale: list[str] = field(default_factory=list)
    """Revisions that an update has replaced and that are still on the disk, because they were loaded."""
    hub: dict[str, str] = field(default_factory=dict)
    """Endpoint and cache of its last download, without any token, so that another engine goes on in the same place."""
    fetching: bool = False
    """Whether a download was under way when this was written: the next engine goes on with it."""

    disk: Disk = field(default="absent", metadata={"live": True})
    memory: Memory = field(default="free", metadata={"live": True})
    transfer: Transfer | None = field(default=None, metadata={"live": True})
    host: ModelHost | None = field(default=None, metadata={"live": True})
    unloaded: Unloaded | None = field(default=None, metadata={"live": True})
    error: str | None = field(default=None, metadata={"live": True})
    notices: list[str] = field(default_factory=list, metadata={"live": True})

    @property
    def ref(self) -> ModelRef:
        """Its id, taken apart."""
        return parse_ref(self.id)

    @property
    def source(self) -> ModelSource:
        """Where it comes from; what has no files of its own is a `service`'s."""
        source = self.ref.source
        return "service" if source == "custom" else source

    @property
    def state(self) -> ModelState:
        """The state that people see."""
        return shown(self.disk, self.memory)

    def move_disk(self, then: Disk) -> None:
        """Go to another state by the table."""
        self.disk = move_disk(self.disk, then)

    def move_memory(self, then: Memory) -> None:
        """Go to another state by the table."""
        self.memory = move_memory(self.memory, then)

    def describe(self, found: ModelDescription) -> None:
        """Take over what is known of its files; what nobody could tell stays as it was."""
        for name in ("revision", "bytes", "memory_bytes", "num_parameters", "dtype", "architecture"):
            if (value := getattr(found, name)) is not None:
                setattr(self, name, value)
        self.tokenizer = self.tokenizer or found.tokenizer
        if found.files:
            self.files = [file.model_dump(mode="json") for file in found.files]
        if found.path is not None:
            self.path = str(found.path)
        self.notices = list(found.notices)

    def resource(self) -> LocalModel:
        """Return the resource."""
        return LocalModel(
            id=self.id,
            name=self.name,
            source=self.source,
            description=self.description,
            state=self.state,
            custom=self.custom,
            revision=self.revision,
            newer_revision=self.newer_revision,
            path=self.path,
            bytes=self.bytes,
            memory_bytes=self.memory_bytes,
            num_parameters=self.num_parameters,
            dtype=self.dtype,
            architecture=self.architecture,
            tokenizer=self.tokenizer,
            files=[ModelFile.model_validate(file) for file in self.files],
            transfer=self.transfer,
            host=self.host,
            unloaded=self.unloaded,
            error=self.error,
            notices=list(self.notices),
            created_at=self.created_at,
            used_at=self.used_at,
            meta=dict(self.meta),
        )


def _make(content: Any) -> Record:
    kept = {name: content[name] for name in _KEPT if name in content}
    record = records.parse(Record, kept)
    parse_ref(record.id)
    record.resource()
    return record


_KEPT = tuple(item.name for item in fields(Record) if not item.metadata.get("live"))


class Records:
    """The files of all records. Blocks for a millisecond or two: each is some kB.

    Args:
        directory: Where they lie.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def open(self) -> list[Record]:
        """Read all of them; one that cannot be read is left out, and its model is found again by its files."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = []
        for path in sorted(self.directory.glob("*.json")):
            record = records.load(path, _make)
            if record is not None:
                found.append(record)
        return found

    def put(self, record: Record) -> None:
        """Keep a record."""
        records.replace(self._path(record), {name: getattr(record, name) for name in _KEPT})

    def delete(self, record: Record) -> None:
        """Forget a record."""
        self._path(record).unlink(missing_ok=True)

    def _path(self, record: Record) -> Path:
        return self.directory / f"{key_of(record.id)}.json"
