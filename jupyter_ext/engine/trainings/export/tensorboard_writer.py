"""Metrics as an event file of TensorBoard, in a folder of the run's name, zipped: TensorBoard calls a run as its folder is called."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence

from jupyter_ext.engine.trainings.export.drained import Drained
from jupyter_ext.engine.trainings.export.points import Stretch
from jupyter_ext.protocol.event_file import first_event, scalar_events, tag_of

_LEVEL = 1


class TensorboardWriter:
    """Series follow each other in the file; of each, TensorBoard wants its own order only.

    Args:
        folder: What the run is called.
        run_id: The training's id, which the file's name ends with.
        started_at: When the run began, Unix s.
    """

    def __init__(self, folder: str, run_id: str, started_at: float) -> None:
        self._started_at = started_at
        self._sink = Drained()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
        name = f"{folder}/events.out.tfevents.{int(started_at)}.{run_id}"
        self._file = self._zip.open(name, "w", force_zip64=True)

    def begin(self) -> bytes:
        """Return the event that says which version the file has."""
        self._file.write(first_event(self._started_at))
        return self._sink.take()

    def add(self, piece: Sequence[Stretch]) -> bytes:
        """Take points; return what is compressed by now."""
        for part in piece:
            tag = tag_of(part.key, part.rank)
            if tag is not None:
                for events in scalar_events(tag, part.steps, part.values, part.times):
                    self._file.write(events)
        return self._sink.take()

    def end(self) -> bytes:
        """Return the rest, and the archive's directory."""
        self._file.close()
        self._zip.close()
        return self._sink.take()
