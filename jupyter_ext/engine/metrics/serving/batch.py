"""What one reading of a run's news gave: the unit that gets sequence numbers and is published."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from jupyter_ext.engine.metrics.journal.columns import Columns
from jupyter_ext.engine.metrics.logs import LogPiece
from jupyter_ext.ipc.payloads.journal_marks import WireMark
from jupyter_ext.protocol import metrics_codec as wire
from jupyter_ext.protocol.trainings import Log


class BatchBlock(NamedTuple):
    """New points of one series; `series_index` is its number on the wire."""

    series_index: int
    columns: Columns


@dataclass(frozen=True)
class Batch:
    """What one `ingest` stored, or one stored record replayed.

    Attributes:
        seq: Newest sequence number in it; where there are only marks, that of the batch before.
        metrics_seq: Newest sequence number of its points, below `seq` where there is log too.
        blocks: New points by series.
        log: Offset, next offset (bytes of logs.txt) and text.
        marks: `{kind, time (Unix s), stream, …}`; never replayed.
        has_reports: Whether the worker itself, not just `system`, said something.
    """

    seq: int
    metrics_seq: int
    blocks: list[BatchBlock]
    log: LogPiece | None = None
    marks: list[WireMark] = field(default_factory=list)
    has_reports: bool = False

    @property
    def has_points(self) -> bool:
        """Whether there is something to encode."""
        return bool(self.blocks)

    @cached_property
    def encoded(self) -> bytes:
        """Its points (JXM1), encoded once for all viewers."""
        blocks = [
            wire.BatchBlock(index, points.steps, points.values, points.times) for index, points in self.blocks
        ]
        return wire.encode_batch(self.metrics_seq, blocks)

    @cached_property
    def log_message(self) -> str | None:
        """Its log as a message of a stream, made once for all viewers."""
        if self.log is None:
            return None
        offset, next_offset, text = self.log
        return Log(seq=self.seq, offset=offset, next_offset=next_offset, text=text).model_dump_json()
