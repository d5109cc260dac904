"""What one reading of a run's news gave: the unit that gets sequence numbers and is published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jupyter_ext.engine.metrics.journal_reader import Columns
from jupyter_ext.engine.metrics.logs import LogPiece


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
    marks: list[dict[str, Any]] = field(default_factory=list)
    has_reports: bool = False

    @property
    def has_points(self) -> bool:
        """Whether there is something to encode."""
        return bool(self.blocks)
