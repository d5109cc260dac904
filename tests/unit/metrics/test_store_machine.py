"""The store against a model: whatever is logged, torn, sealed and reopened, in whatever order, each point is there once."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.engine.metrics.sealed.sealing import seal_run
from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.protocol.metrics_codec import decode_columns
from jupyter_ext.worker.sdk.journal_writer import JournalWriter

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import strategies as st  # noqa: E402
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule  # noqa: E402

STREAMS = st.sampled_from(["0", "1", "system"])
KEYS = st.sampled_from(["a", "b", "č", ""])
NUMBERS = st.floats(allow_nan=False, width=64)
CODES = st.sampled_from([errno.EIO, errno.EMFILE, errno.ENOSPC, errno.EDQUOT, errno.ESTALE])
STEPS = st.floats(min_value=-1e12, max_value=1e12)


class Store(RuleBasedStateMachine):
    """A worker's writers on one side, the engine's store on the other, and what both must agree on."""

    def __init__(self) -> None:
        super().__init__()
        self.dir = Path(tempfile.mkdtemp(prefix="jx-store-"))
        self.written: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        self.live: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        self.writers: dict[str, JournalWriter] = {}
        self.clock = 1_700_000_000.0
        self.store = RunStore(self.dir)
        self.store.open()

    @rule(stream=STREAMS, values=st.dictionaries(KEYS, NUMBERS, min_size=1), step=STEPS)
    def log(self, stream: str, values: dict[str, float], step: float) -> None:
        """Log one call."""
        self.clock += 0.25
        self._writer(stream).points(values, step, self.clock)
        for key, value in values.items():
            self.written[stream, key].append((step, value))

    @rule(stream=STREAMS)
    def kill_writer(self, stream: str) -> None:
        """End a process that writes; the next one begins a file of its own."""
        if stream in self.writers:
            self.writers.pop(stream).close()

    @rule(stream=STREAMS, torn=st.binary(min_size=1, max_size=20))
    def tear(self, stream: str, torn: bytes) -> None:
        """Kill a writer within a write: a part of a frame is at the end of its file."""
        self.kill_writer(stream)
        journals = sorted(
            self.dir.glob(f"metrics-{stream}-*.jnl"), key=lambda path: int(path.stem.rpartition("-")[2])
        )
        if journals:
            with open(journals[-1], "ab") as file:
                file.write((100).to_bytes(4, "little") + torn)
            self._writer(stream)  # whoever comes next begins another file

    @rule()
    def ingest(self) -> None:
        """Take in what is there, and hear of it as a viewer does."""
        infos = None
        while (batch := self.store.ingest()) is not None:
            infos = {info.index: (info.rank, info.key) for info in self.store.series_infos()}
            for index, columns in batch.blocks:
                self.live[infos[index]] += zip(columns[0].tolist(), columns[1].tolist(), strict=True)

    @rule(
        stream=STREAMS,
        is_open=st.booleans(),
        name=st.sampled_from(["open", "pread", "write", "listdir"]),
        nth=st.integers(0, 3),
        code=CODES,
    )
    def ingest_from_a_failing_disk(self, stream: str, is_open: bool, name: str, nth: int, code: int) -> None:
        """Take in what is there, when a call to the system fails: what was read until then is read again."""
        if is_open:
            self.ingest()
        self.log(stream, {"a": 1.0}, 1.0)
        working, calls = getattr(os, name), iter(range(nth + 1))

        def failing(*arguments: Any, **options: Any) -> Any:
            if next(calls, None) == nth:
                raise OSError(code, os.strerror(code))
            return working(*arguments, **options)

        setattr(os, name, failing)
        try:
            self.ingest()
        except OSError as error:
            assert error.errno == code  # noqa: PT017  whether it comes depends on what there is to read
        finally:
            setattr(os, name, working)

    @rule()
    def seal(self) -> None:
        """Seal what no longer grows."""
        seal_run(self.dir)

    @rule()
    def restart(self) -> None:
        """Begin another engine."""
        self.ingest()
        self.store.close()
        self.store = RunStore(self.dir)
        self.store.open()

    @invariant()
    def nothing_is_told_twice_or_out_of_order(self) -> None:
        """What a viewer heard is the beginning of what was logged."""
        for series, heard in self.live.items():
            assert self.written[series][: len(heard)] == heard, series

    def teardown(self) -> None:
        """Compare all of it at the end."""
        try:
            self.ingest()
            assert {key: points for key, points in self.live.items() if points} == dict(self.written)
            _, series = decode_columns(self.store.columns())
            kept = {
                (one.rank, one.key): list(zip(one.steps.tolist(), one.values.tolist(), strict=True))
                for one in series
            }
            assert kept == dict(self.written)
        finally:
            for writer in self.writers.values():
                writer.close()
            self.store.close()
            shutil.rmtree(self.dir)

    def _writer(self, stream: str) -> JournalWriter:
        if stream not in self.writers:
            self.writers[stream] = JournalWriter(self.dir, stream, rotate_bytes=400)
        return self.writers[stream]


TestStore = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")(Store.TestCase)
TestStore.settings = hypothesis.settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
