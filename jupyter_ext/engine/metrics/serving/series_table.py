"""All series of a run, by stream and key, and what viewers ask of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_ext.engine.metrics.journal.columns import Columns
from jupyter_ext.engine.metrics.points.pyramid import Points
from jupyter_ext.engine.metrics.points.series import Axis, Overview, Point, Series
from jupyter_ext.engine.metrics.sealed.summary import SealedPart
from jupyter_ext.engine.metrics.serving.batch import BatchBlock
from jupyter_ext.engine.metrics.serving.run_files import RunFiles, SealedPoints
from jupyter_ext.protocol.metrics_codec import columns_to_fill
from jupyter_ext.protocol.trainings import SeriesInfo, metric_value


class SeriesTable:
    """Series get their number on the wire in the order in which they come."""

    def __init__(self, files: RunFiles) -> None:
        self._files = files
        self._series: dict[tuple[str, str], Series] = {}
        self._ordered: list[Series] = []
        self._by_stream: dict[str, list[Series]] = {}

    def index(self, stream: str, key: str) -> int:
        """Return a series' number on the wire."""
        return self._get(stream, key).index

    def append(self, stream: str, number: int, columns: Mapping[str, Columns]) -> list[BatchBlock]:
        """Add points by key that were read from journal `number` of a stream."""
        blocks = []
        for key, points in columns.items():
            series = self._get(stream, key)
            series.append(number, points)
            blocks.append(BatchBlock(series.index, points))
        return blocks

    def append_sealed(self, part: SealedPart) -> None:
        """Add the points of a part without reading them."""
        for key, held in part.series.items():
            source = SealedPoints(self._files, part.id, key)
            self._get(part.stream, key).append_sealed(part.number, source, held.summary)

    def seal(self, part: SealedPart) -> None:
        """Free the points of a journal; from now on they are read from the part it became."""
        for key in part.series:
            self._get(part.stream, key).seal(part.number, SealedPoints(self._files, part.id, key))

    def num_series(self, stream: str) -> int:
        """Count the series of a stream."""
        return len(self._by_stream.get(stream, ()))

    def num_points(self, stream: str) -> dict[str, int]:
        """Count the points of each series of a stream."""
        return {series.key: series.count for series in self._by_stream.get(stream, ())}

    def infos(self, first: int = 0) -> list[SeriesInfo]:
        """Name all series from index `first` on; `rank` is the stream: `0`, `1`, `0.4711` of a forked child, `system`."""
        return [
            SeriesInfo(index=series.index, key=series.key, rank=series.stream)
            for series in self._ordered[first:]
        ]

    def points(self, stream: str, key: str, start: int, stop: int) -> Points:
        """Return points of a series from number `start` to before `stop`.

        Raises:
            KeyError: There is no such series.
        """
        return self._series[stream, key].read(start, stop)

    def last_points(self, stream: str, limit: int | None = None) -> dict[str, Point]:
        """Return the newest point of each series of a stream, or of the first `limit` of them."""
        found = self._by_stream.get(stream, [])[:limit]
        return {series.key: series.last for series in found if series.last is not None}

    def extremes(self, stream: str, limit: int | None = None) -> dict[str, tuple[float, float]]:
        """Return the smallest and the largest finite value of each series of a stream, or of the first `limit`."""
        found = self._by_stream.get(stream, [])[:limit]
        return {series.key: series.extremes for series in found if series.extremes is not None}

    def columns(
        self,
        seq: int,
        keys: Sequence[str] | None,
        buckets: int | None,
        axis: Axis,
        lo: float | None,
        hi: float | None,
        checkpoints: Sequence[tuple[float, float]] = (),
    ) -> memoryview:
        """Encode series as columns, and step and Unix seconds of checkpoints; see `RunStore.columns`."""
        chosen = [series for series in self._series.values() if keys is None or series.key in keys]
        views = [series.overview(buckets, lo, hi, axis) for series in chosen]
        described = [_describe(series, view) for series, view in zip(chosen, views, strict=True)]
        header = {"seq": seq, "checkpoints": checkpoints, "series": described}
        answer, rooms = columns_to_fill(header, [view.num_points for view in views])
        for view, room in zip(views, rooms, strict=True):
            view.read_into(room)
        return answer

    def _get(self, stream: str, key: str) -> Series:
        series = self._series.get((stream, key))
        if series is None:
            series = self._series[stream, key] = Series(len(self._series), key, stream)
            self._ordered.append(series)
            self._by_stream.setdefault(stream, []).append(series)
        return series


def _describe(series: Series, overview: Overview) -> dict[str, Any]:
    step = series.first_nonfinite_step
    return {
        "index": series.index,
        "key": series.key,
        "rank": series.stream,
        "n": overview.num_points,
        "count": overview.num_in_range,
        "decimated": overview.decimated,
        "num_nonfinite": series.num_nonfinite,
        "first_nonfinite_step": None if step is None else metric_value(step),
    }
