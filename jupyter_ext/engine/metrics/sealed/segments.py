"""Which sealed parts a run has.

Rule: where both are there, a segment wins over its journal, and `pyramid.npz` over the segments it names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from jupyter_ext.engine.metrics.sealed.summary import PartId, SealedPart, load_summary, recover_summary
from jupyter_ext.ipc.journal_format import parse_journal_name


def segments_dir(run_dir: Path) -> Path:
    """Name the directory of a run's segments."""
    return run_dir / "segments"


def generations(names: Iterable[str]) -> list[int]:
    """Return k of each file name `all-<k>.parquet`."""
    return [int(found[1]) for name in names if (found := re.fullmatch(r"all-(\d+)\.parquet", name))]


def load_parts(run_dir: Path, known: Mapping[PartId, SealedPart] | None = None) -> dict[PartId, SealedPart]:
    """Load what is known of all sealed points. Parquet is opened only where its summary was lost.

    Args:
        run_dir: The run directory.
        known: What an earlier call gave; parts whose file is still the same are not loaded again.
    """
    directory = segments_dir(run_dir)
    if not directory.is_dir():
        return {}
    by_file: dict[str, list[SealedPart]] = {}
    for part in (known or {}).values():
        by_file.setdefault(part.path.name, []).append(part)
    names = set(os.listdir(directory))
    newest = f"all-{max(generations(names), default=0)}.parquet"
    parts = {part.id: part for part in by_file.get(newest) or _load_merged(directory, names)}
    for name in sorted(names):
        part_id = _part_id(name)
        if part_id is None or part_id in parts:
            continue
        try:
            for part in by_file.get(name) or _load(directory / name):
                parts[part.id] = part
        except FileNotFoundError:  # merged in the meantime, so everything is to be found there
            return load_parts(run_dir)
    return parts


def _part_id(name: str) -> PartId | None:
    stem, dot, extension = name.rpartition(".")
    return parse_journal_name(f"{stem}.jnl") if dot and extension == "parquet" else None


def _load(segment: Path) -> list[SealedPart]:
    return load_summary(segment.with_suffix(".npz")) or recover_summary(segment)


def _load_merged(directory: Path, names: set[str]) -> list[SealedPart]:
    """Load what `pyramid.npz` says; made anew from Parquet where it was lost after the segments had been merged."""
    if "pyramid.npz" in names and (parts := load_summary(directory / "pyramid.npz")):
        return parts
    merged = generations(names)
    return recover_summary(directory / f"all-{max(merged)}.parquet") if merged else []
