"""Metrics as Parquet: columns `metric`, `rank`, `step`, `time` (us, UTC) and `value`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jupyter_ext.engine.metrics.sealed.arrow_arrays import microseconds_of, numbers_of, words_of
from jupyter_ext.engine.metrics.sealed.segment_file import ROW_GROUP_POINTS
from jupyter_ext.engine.trainings.export.drained import Drained
from jupyter_ext.engine.trainings.export.points import Stretch
from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import numpy as np
else:
    np = late("numpy")


class ParquetWriter:
    """Writes a row group whenever there are enough points for one.

    Raises:
        ImportError: pyarrow cannot be imported.
    """

    def __init__(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        text = pa.dictionary(pa.int32(), pa.string())
        self._schema = pa.schema(
            [
                ("metric", text),
                ("rank", text),
                ("step", pa.float64()),
                ("time", pa.timestamp("us", tz="UTC")),
                ("value", pa.float64()),
            ]
        )
        self._sink = Drained()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._waiting: list[Stretch] = []
        self._num_waiting = 0

    def begin(self) -> bytes:
        """Return the format's sign."""
        return self._sink.take()

    def add(self, piece: Sequence[Stretch]) -> bytes:
        """Take points; return a row group where there are enough."""
        self._waiting += piece
        self._num_waiting += sum(len(part.values) for part in piece)
        if self._num_waiting >= ROW_GROUP_POINTS:
            self._write_group()
        return self._sink.take()

    def end(self) -> bytes:
        """Return the last row group and what the file has."""
        if self._waiting:
            self._write_group()
        self._writer.close()
        return self._sink.take()

    def _write_group(self) -> None:
        import pyarrow as pa

        group, self._waiting, self._num_waiting = self._waiting, [], 0
        sizes = [len(part.values) for part in group]
        steps, values, times = (np.concatenate([part[column] for part in group]) for column in (2, 3, 4))
        columns = [
            words_of([part.key for part in group], sizes),
            words_of([part.rank for part in group], sizes),
            numbers_of(steps, pa.float64()),
            microseconds_of(times),
            numbers_of(values, pa.float64()),
        ]
        table = pa.Table.from_arrays(columns, schema=self._schema)
        self._writer.write_table(table, row_group_size=len(table))
