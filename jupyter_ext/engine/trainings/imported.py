"""Runs that another tool has recorded: a directory like that of a run which has ended here."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.engine.processes.outcome import Outcome
from jupyter_ext.engine.trainings.labels import Labels
from jupyter_ext.engine.trainings.record import Record
from jupyter_ext.engine.trainings.resource import resource_of
from jupyter_ext.engine.trainings.run_spec import FILE_NAME, RunSpec
from jupyter_ext.ids import new_training_id
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.ipc.json_values import clean, clean_text
from jupyter_ext.protocol.metrics_codec import SeriesColumns, decode_columns
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.trainings import Resource, Training
from jupyter_ext.worker.sdk.journal_writer import JournalWriter
from jupyter_ext.worker.sdk.media.stored import suffix_of

MAX_BYTES = 1 << 30
_MAX_NAME = 200


class ImportedPicture(Resource):
    """A picture; its bytes follow the columns, in the order of the pictures."""

    key: str
    step: float
    time: float
    bytes: int


class ImportedHistogram(Resource):
    """Counts, and one more edge than there are of them."""

    counts: list[Annotated[float, Field(allow_inf_nan=False)]]
    edges: list[Annotated[float, Field(allow_inf_nan=False)]]


class ImportedItem(Resource):
    """A text or a histogram."""

    key: str
    step: float
    time: float
    kind: Literal["text", "histogram"]
    data: str | ImportedHistogram


class ImportedHead(Resource):
    """What precedes the columns of an imported run, of which there are `columns` bytes."""

    name: str
    source: str
    input: dict[str, object]
    columns: int
    pictures: list[ImportedPicture]
    items: list[ImportedItem] = Field(default_factory=list)


def decode(body: bytes) -> tuple[ImportedHead, list[SeriesColumns], list[bytes]]:
    """Read the body of a request.

    Raises:
        Problem: It is none.
    """
    try:
        size = struct.unpack_from("<I", body)[0]
        head = ImportedHead.model_validate(json.loads(body[4 : 4 + size]))
        at = 4 + size + head.columns
        _, series = decode_columns(body[4 + size : at])
        pictures = []
        for picture in head.pictures:
            if picture.bytes < 0 or at + picture.bytes > len(body):
                raise ValueError("a picture is cut short")
            pictures.append(body[at : at + picture.bytes])
            at += picture.bytes
    except (ValueError, struct.error, ValidationError) as error:
        raise Problem(422, "Invalid value", f"This is no run to import: {str(error)[:200]}") from None
    return head, series, pictures


def write(runs_dir: Path, body: bytes) -> Training:
    """Make the directory of an imported run; where that fails, nothing is left.

    Returns:
        The training, which has ended.

    Raises:
        Problem: The body is none.
    """
    head, series, pictures = decode(body)
    shown = [picture.time for picture in head.pictures] + [item.time for item in head.items]
    times = [float(item.times.min()) for item in series if len(item.times)] + shown
    ends = [float(item.times.max()) for item in series if len(item.times)] + shown
    now = time.time()
    began, ended = (_known(min(times, default=now), now), _known(max(ends, default=now), now))
    run_id = new_training_id()
    name = clean_text(head.name)[:_MAX_NAME] or head.source
    spec: RunSpec = {
        "id": run_id, "kind": "training", "name": name, "model": f"imported/{head.source}", "version": "",
        "input": clean(head.input), "created_at": rfc3339(began), "created_unix": began, "python": "", "cwd": "",
        "backend": "imported",
    }  # fmt: skip
    run_dir = runs_dir / run_id
    run_dir.mkdir(mode=0o700, parents=True)
    try:
        write_json(run_dir / FILE_NAME, spec)
        _write_points(run_dir, series)
        _write_media(run_dir, head, pictures)
        Labels(("imported",)).write(run_dir)
        record = Record(run_id, run_dir, spec, started_at=began)
        store = RunStore(run_dir)
        store.open()
        while (batch := store.ingest()) is not None:
            for mark in batch.marks:
                record.take_mark(mark)
        record.curves = store
        record.finish(Outcome("succeeded", max(began, ended)))
        training = resource_of(record)
        store.close()
        write_json(run_dir / "training.json", training.model_dump(mode="json", exclude_none=True))
    except BaseException:
        shutil.rmtree(run_dir, ignore_errors=True)
        raise
    return training


def _known(at: float, now: float) -> float:
    """Return a time that a calendar has, and that is not to come."""
    return min(at, now) if math.isfinite(at) and at > 0 else now


def _write_points(run_dir: Path, series: Sequence[SeriesColumns]) -> None:
    journal = JournalWriter(run_dir, "0")
    for item in series:
        for step, value, at in zip(
            item.steps.tolist(), item.values.tolist(), item.times.tolist(), strict=True
        ):
            if math.isfinite(step) and math.isfinite(at):
                journal.points({item.key: value}, step, at)
    journal.close()


def _write_media(run_dir: Path, head: ImportedHead, pictures: Sequence[bytes]) -> None:
    folder, lines, num_bytes = run_dir / "media", [], 0
    for item, data in zip(head.pictures, pictures, strict=True):
        suffix = suffix_of(data)
        if suffix not in ("png", "jpg", "gif", "webp"):
            continue
        folder.mkdir(mode=0o700, exist_ok=True)
        name = f"{hashlib.sha256(data).hexdigest()[:32]}.{suffix}"
        (folder / name).write_bytes(data)
        line = {
            "key": item.key,
            "kind": "image",
            "step": item.step,
            "time": item.time,
            "rank": "0",
            "file": name,
        }
        lines.append(json.dumps({**line, "bytes": len(data)}))
        num_bytes += len(data)
    for told in head.items:
        lines.append(json.dumps({**told.model_dump(), "rank": "0"}))
        num_bytes += len(lines[-1])
    if lines:
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "items.jsonl").write_text("\n".join(lines) + "\n")
        journal = JournalWriter(run_dir, "0")
        journal.mark("media", count=len(lines), bytes=num_bytes)
        journal.close()
