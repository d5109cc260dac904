"""What was begun and not finished: listed, and removed when nobody wants it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jupyter_ext.engine.models.download import resume_journal
from jupyter_ext.engine.models.download.block_map import FileBlocks


@dataclass(frozen=True)
class Partial:
    """One file that is partly here.

    Attributes:
        key: Its name for `remove`; 32 hexadecimal characters.
        model: The reference it was fetched for, as text.
        revision: Of the model.
        file: Its name inside the model.
        kept_bytes: What is here of it.
        total_bytes: What it has.
        path: Where.
        started_at: When it was begun, ISO 8601.
        changed_at: When something came last, seconds since 1970.
    """

    key: str
    model: str
    revision: str
    file: str
    kept_bytes: int
    total_bytes: int
    path: Path
    started_at: str
    changed_at: float


def listed(directory: Path) -> list[Partial]:
    """Return all partials whose journals are in a directory, newest first; a journal without its file is removed."""
    found = []
    for path in directory.glob(f"*{resume_journal.SUFFIX}") if directory.is_dir() else ():
        content = resume_journal.read(path)
        if content is None:
            continue
        info, marks = content
        data = Path(info.data)
        try:
            changed_at = data.stat().st_mtime
        except FileNotFoundError:
            path.unlink(missing_ok=True)
            continue
        kept = FileBlocks(info.num_bytes, marks).kept_bytes
        found.append(
            Partial(
                path.name.removesuffix(resume_journal.SUFFIX), info.model, info.revision, info.name, kept, info.num_bytes,
                data, info.created_at, changed_at,
            )
        )  # fmt: skip
    return sorted(found, key=lambda partial: partial.changed_at, reverse=True)


def remove(directory: Path, key: str) -> int:
    """Remove a partial and its journal, and return the bytes of disk that were freed, 0 if there was none."""
    for partial in listed(directory):
        if partial.key == key:
            (directory / f"{partial.key}{resume_journal.SUFFIX}").unlink(missing_ok=True)
            try:
                freed = partial.path.stat().st_blocks * 512
                partial.path.unlink()
            except FileNotFoundError:
                return 0
            return freed
    return 0
