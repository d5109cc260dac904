"""All records of an engine: in memory, on the disk, and published when they change.

Rule: variables of whoever asks are kept in memory only; of them a record keeps where the hub and its cache are, and never a
token. A token goes to the hub that it was given for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time

from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.common.pubsub import PubSub
from jupyter_ext.engine.models.interfaces import Environ
from jupyter_ext.engine.models.reference import ModelRef, parse_ref
from jupyter_ext.engine.models.service.record import Record, Records
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.model_refs import full_id
from jupyter_ext.protocol.problems import Problem

log = logging.getLogger(__name__)

TOPIC = "models"
"""The topic; its items are ids of models that have changed."""

_KEPT_VARIABLES = ("HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE")
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_MAX_NOTICES = 3
MAX_NAME = 300
MAX_DESCRIPTION = 10_000
"""Characters of what somebody says of a model."""


class ModelRegistry:
    """All records by id.

    Args:
        files: Their files.
        pubsub: Where changes are published.
        environ: The engine's own variables, for whoever brings none.
    """

    def __init__(self, files: Records, pubsub: PubSub[str], environ: Environ) -> None:
        self._files = files
        self._pubsub = pubsub
        self.environ = dict(environ)
        self._records: dict[str, Record] = {}
        self._environs: dict[str, Environ] = {}

    async def open(self) -> None:
        """Read the files."""
        for record in await asyncio.to_thread(self._files.open):
            self._records[record.id] = record

    def all(self) -> list[Record]:
        """List all records."""
        return list(self._records.values())

    def get(self, model_id: str) -> Record | None:
        """Return a record by its exact id."""
        return self._records.get(model_id)

    def find(self, text: str) -> Record | ModelRef:
        """Return a record by its id or a short form of it, or the reference of one that is not known.

        Raises:
            Problem: It is no id.
        """
        record = self._records.get(text)
        if record is not None:
            return record
        try:
            ref = parse_ref(full_id(text))
        except InvalidInput as error:
            raise Problem(404, "Not found", str(error)) from error
        return self._records.get(str(ref)) or ref

    def put(self, record: Record) -> Record:
        """Add a record, unless there is one of its id, and return the one that is there."""
        return self._records.setdefault(record.id, record)

    def remove(self, record: Record) -> None:
        """Forget a record."""
        self._records.pop(record.id, None)
        self._environs.pop(record.id, None)
        self._files.delete(record)
        self.changed(record)

    def save(self, record: Record) -> None:
        """Keep a record as it is now, and publish it; a disk that cannot be written is told."""
        try:
            self._files.put(record)
        except OSError as error:
            log.warning("the record of %s cannot be written: %s", record.id, error)
            self.notice(record, f"Its record cannot be written: {error}.")
        self.changed(record)

    def changed(self, record: Record) -> None:
        """Publish that a record has changed."""
        self._pubsub.publish(TOPIC, record.id)

    def notice(self, record: Record, text: str) -> None:
        """Tell people something of a model, once."""
        others = [notice for notice in record.notices if notice != text]
        record.notices = [*others, text][-_MAX_NOTICES:]

    def drop_notice(self, record: Record, text: str) -> None:
        """Take a notice back that no longer holds."""
        record.notices = [notice for notice in record.notices if notice != text]

    def touch(self, record: Record) -> None:
        """Note that a model was used."""
        record.used_at = rfc3339(time.time())
        self.save(record)

    def environ_of(self, record: Record) -> Environ:
        """Return the variables of whoever asked for a model last; after a restart, the engine's own with the record's hub."""
        if (given := self._environs.get(record.id)) is not None:
            return given
        own = self.environ
        if record.hub.get("HF_ENDPOINT", own.get("HF_ENDPOINT")) != own.get("HF_ENDPOINT"):
            own = {name: value for name, value in own.items() if name not in _TOKENS}
        return {**own, **record.hub}

    def take_environ(self, record: Record, environ: Environ | None) -> None:
        """Take over the variables of whoever asks for a model now."""
        if environ:
            self._environs[record.id] = given = dict(environ)
            record.hub = {k: given[k] for k in _KEPT_VARIABLES if k in given and "@" not in given[k]}


def new_record(ref: ModelRef) -> Record:
    """Make the record of a model that nobody has asked for before."""
    is_place = ref.source in ("file", "url")
    return Record(
        str(ref),
        os.path.basename(ref.name.rstrip("/")) if is_place else ref.name,
        rfc3339(time.time()),
        custom=ref.source in ("file", "custom", "training"),
    )


def one_line(error: BaseException) -> str:
    """Return an error's text in one line for people."""
    text = error.detail if isinstance(error, Problem) else str(error)
    return " ".join(text.split())[:500] or type(error).__name__


def missing(ref: ModelRef) -> Problem:
    """Make the problem for a model that is not known."""
    return Problem(404, "Not found", f"There is no model {str(ref)!r}; `%models` lists those there are.")


def checked_texts(name: str | None, description: str | None) -> tuple[str | None, str | None]:
    """Check what somebody says of a model; every list carries it.

    Returns:
        Name and description; the name in one line.

    Raises:
        InvalidInput: The name is empty, or a text is too long.
    """
    if name is not None:
        name = " ".join(name.split())
        if not name:
            raise InvalidInput("name: it is empty; give one, or leave it out.")
    for field, text, limit in (("name", name, MAX_NAME), ("description", description, MAX_DESCRIPTION)):
        if text is not None and len(text) > limit:
            raise InvalidInput(f"{field}: it has {len(text):,} characters, and {limit:,} are kept at most.")
    return name, description
