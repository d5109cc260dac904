"""Seal what no longer grows: journals into Parquet, in a short process of low priority.

    python -m jupyter_ext.engine.metrics.sealed.sealing RUN_DIR... [--final]

A journal `metrics-<stream>-<n>.jnl` becomes `segments/metrics-<stream>-<n>.parquet`, sorted by key, then ordinal, and
beside it `.npz`: what is known of it without opening Parquet (`SealedPart`). `--final` merges all of a run's into
`segments/all-<k>.parquet` and `segments/pyramid.npz`.

Rule: every file appears under its name whole and fsynced, what describes it before it, and only then is what it
replaces unlinked. So a sealer may be killed at any moment, and the next one goes on.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from jupyter_ext.engine.common.atomic_write import new_file
from jupyter_ext.engine.metrics.journal.columns import Columns, join
from jupyter_ext.engine.metrics.journal.journal_reader import JournalTail
from jupyter_ext.engine.metrics.journal.marks import Mark
from jupyter_ext.engine.metrics.sealed.merging import merge
from jupyter_ext.engine.metrics.sealed.segment_file import write_segment
from jupyter_ext.engine.metrics.sealed.segments import load_parts, segments_dir
from jupyter_ext.engine.metrics.sealed.summary import (
    PartId,
    SealedPart,
    describe,
    sum_up,
    worth_keeping,
    write_summary,
)
from jupyter_ext.ipc.journal_format import journal_name, parse_journal_name

log = logging.getLogger(__name__)


def seal_run(run_dir: Path, *, final: bool = False) -> None:
    """Seal every journal that no longer grows.

    Args:
        run_dir: The run directory.
        final: The run is over: seal the newest journals too, and merge all.
    """
    directory = segments_dir(run_dir)
    directory.mkdir(mode=0o700, exist_ok=True)
    with _only_sealer(directory):
        for left_over in directory.glob(".*.tmp"):
            left_over.unlink()
        parts = load_parts(run_dir)
        for part_id in _journals(run_dir, final):
            journal = run_dir / journal_name(*part_id)
            if part_id not in parts:
                if part_id[1] and (part_id[0], part_id[1] - 1) not in parts:
                    continue  # one before it still grows, so its ordinals are not known
                part = _seal_journal(journal, part_id, parts)
                if part is None:
                    continue
                parts[part_id] = part
            _remove_journal(journal, parts[part_id])
        if final and parts:
            merge(directory, parts)


def _journals(run_dir: Path, final: bool) -> list[PartId]:
    """List journals in order; without the newest of each stream unless the run is over."""
    found = sorted(
        part_id for name in os.listdir(run_dir) if (part_id := parse_journal_name(name)) is not None
    )
    newest = dict(found)
    return found if final else [part_id for part_id in found if part_id[1] < newest[part_id[0]]]


def _seal_journal(journal: Path, part_id: PartId, parts: Mapping[PartId, SealedPart]) -> SealedPart | None:
    """Write one journal's segment and its summary; give `None` where its writer lives."""
    if not _is_free(journal):
        return None
    stream, number = part_id
    before = parts.get((stream, number - 1))
    first_ordinal = 0 if before is None else before.end_ordinal
    columns, marks, tail = _read_journal(journal, first_ordinal)
    path = segments_dir(journal.parent) / f"{journal.stem}.parquet"
    part = SealedPart(
        stream, number, first_ordinal, tail.ordinal, tail.offset, worth_keeping(marks), path, sum_up(columns)
    )
    with new_file(path) as parquet, new_file(path.with_suffix(".npz")) as summary:
        write_segment(parquet, describe([part]), ((stream, key, columns[key]) for key in part.series))
        write_summary(summary, [part])
    return part


def _read_journal(journal: Path, first_ordinal: int) -> tuple[dict[str, Columns], list[Mark], JournalTail]:
    """Read a journal to its end; the tail, which is closed, says how far that was."""
    tail = JournalTail(journal, ordinal=first_ordinal)
    columns: dict[str, list[Columns]] = {}
    marks: list[Mark] = []
    more = True
    while more:
        news = tail.read()
        more = news.more
        marks += news.marks
        for key, points in news.columns.items():
            columns.setdefault(key, []).append(points)
    tail.close()
    return {key: join(points) for key, points in columns.items()}, marks, tail


def _remove_journal(journal: Path, part: SealedPart) -> None:
    """Unlink a sealed journal. One with a torn or damaged end is put aside instead, for whoever wants to look."""
    if journal.stat().st_size > part.journal_bytes:
        os.replace(journal, segments_dir(journal.parent) / f"{journal.stem}.damaged")
    else:
        journal.unlink()


@contextmanager
def _only_sealer(directory: Path) -> Iterator[None]:
    """Wait for another sealer of this run to end."""
    fd = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        flock(fd, LOCK_EX)
        yield
    finally:
        os.close(fd)


def _is_free(journal: Path) -> bool:
    """Tell whether the journal's writer has left it."""
    fd = os.open(journal, os.O_RDWR | os.O_CLOEXEC)
    try:
        flock(fd, LOCK_EX | LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def main(arguments: list[str] | None = None) -> int:
    """Seal runs from the command line; the exit code is 1 where one of them could not be sealed.

    What is done with is told at once, one number a line, counted from 0: whoever started this knows it even if it is killed.
    """
    parser = argparse.ArgumentParser(
        prog="python -m jupyter_ext.engine.metrics.sealed.sealing", description=__doc__
    )
    parser.add_argument("run_dirs", type=Path, nargs="+")
    parser.add_argument("--final", action="store_true", help="the run is over: seal everything and merge it")
    given = parser.parse_args(arguments)
    os.nice(10)
    failed = False
    for number, run_dir in enumerate(given.run_dirs):
        try:
            seal_run(run_dir, final=given.final)
        except FileNotFoundError:
            if run_dir.is_dir():  # else it was deleted meanwhile
                log.exception("sealing %s failed", run_dir)
                failed = True
                continue
        except Exception:  # the edge: one run harms no other
            log.exception("sealing %s failed", run_dir)
            failed = True
            continue
        with suppress(OSError):  # whoever started this is gone; it goes on
            os.write(1, f"{number}\n".encode())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
