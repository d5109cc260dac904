"""What the engine makes of a run's news while it runs: curves of printed lines, and what rules find.

Rule: it writes into journals of its own in the run's directory, which are read as the worker's are. So it survives whatever they
survive, and viewers need know nothing of it.
"""

from __future__ import annotations

import asyncio

from jupyter_ext.engine.metrics.serving.batch import Batch
from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.engine.trainings.monitoring import log_curves
from jupyter_ext.engine.trainings.monitoring.log_curves import LogCurves
from jupyter_ext.engine.trainings.monitoring.rule_watch import RuleWatch
from jupyter_ext.engine.trainings.record import Record
from jupyter_ext.engine.trainings.rules import write_rules
from jupyter_ext.protocol.metrics_codec import decode_columns
from jupyter_ext.protocol.trainings import Rule

_NOT_THE_CODES = frozenset({"system", log_curves.STREAM})
NOTICE = "The curves are read from the lines that the code prints; log() would record them exactly."


class Derived:
    """One run's.

    Args:
        record: The run.
        store: What it has written.
        reads_log: Whether its lines are read for curves.
    """

    def __init__(self, record: Record, store: RunStore, *, reads_log: bool) -> None:
        self._record = record
        self._store = store
        self._watch = RuleWatch(record.run_dir, record.rules)
        self._curves: LogCurves | None = None
        self._reads_log = reads_log
        self._own_names: set[str] = set()
        self._num_seen = 0
        self._names: list[tuple[str, str]] = []
        for rule in list(record.rules):
            self._look_back(rule)

    def add(self, rule: Rule) -> None:
        """Hold one more rule against all points, those there are first."""
        self._record.rules.append(rule)
        write_rules(self._record.run_dir, self._record.rules)
        self._look_back(rule)

    def take(self, batch: Batch) -> None:
        """Hold the rules against new points."""
        if not batch.blocks or all(rule.fired is not None for rule in self._record.rules):
            return
        self._look()
        for block in batch.blocks:
            key, stream = self._names[block.series_index]
            if stream != "system":
                self._watch.take(self._record.rules, key, stream, block.columns.steps, block.columns.values)

    async def write(self, *, final: bool) -> bool:
        """Read what was printed; tell whether that has made points that are to be read now."""
        if not self._reads_log:
            return False
        if self._curves is None:
            self._curves = LogCurves(self._record.run_dir, self._store.num_points(log_curves.STREAM))
        curves = self._curves
        if curves.is_off or (curves.offset >= self._store.log_offset and not final):
            return False
        self._look()
        more = await asyncio.to_thread(curves.read, self._own_names, final=final)
        if curves.has_any:
            self._record.notice(NOTICE)
        return more

    @property
    def stops(self) -> str | None:
        """Why the run is to be stopped, or `None`."""
        return next((rule.fired for rule in self._record.rules if rule.fired and rule.action == "stop"), None)

    def close(self) -> None:
        """Close the journals."""
        self._watch.close()
        if self._curves is not None:
            self._curves.close()

    def _look(self) -> None:
        """Take note of series that are new."""
        for info in self._store.series_infos(self._num_seen):
            self._num_seen += 1
            self._names.append((info.key, info.rank))
            if info.rank not in _NOT_THE_CODES:
                self._own_names.add(info.key)

    def _look_back(self, rule: Rule) -> None:
        if rule.fired is not None:
            return
        keys = None if rule.metric is None else [rule.metric]
        for series in decode_columns(self._store.columns(keys))[1]:
            if series.rank != "system" and rule.fired is None:
                self._watch.take([rule], series.key, series.rank, series.steps, series.values)
