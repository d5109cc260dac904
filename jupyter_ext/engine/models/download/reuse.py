"""Files that are on this machine already, taken by their hash instead of being fetched once more.

A blob of another model in the same cache is linked: blobs never change. A file in a folder that the user names is copied,
because that one is theirs to change (where the file system can, the copy shares its blocks). What huggingface_hub left of a
broken download is a beginning, which the hash decides on at the end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from jupyter_ext.engine.models.cache.checksums import Checksums
from jupyter_ext.engine.models.download.block_map import BLOCK_BYTES, WRITTEN, FileBlocks
from jupyter_ext.engine.models.download.resume_journal import Journal
from jupyter_ext.engine.models.sources.manifest import ManifestFile

_COPY_BYTES = 16 * 1024 * 1024
_MAX_LOOKED_AT = 100_000
OnBytes = Callable[[int], None]


def digest_of(file: ManifestFile) -> tuple[str, str | None]:
    """Return the algorithm that a file is checked with, and what must come out; `None` if nobody knows."""
    if file.sha256 is None and file.git_sha1 is not None:
        return "git", file.git_sha1
    return "sha256", file.sha256


def link(file: ManifestFile, blob: Path, verified: Checksums, on_bytes: OnBytes) -> bool:
    """Take a file from another model of the same cache; `True` if it is there now.

    Args:
        file: What is wanted; only a file with a known sha256 is looked for.
        blob: Where it must be.
        verified: Known hashes; what is not known is read.
        on_bytes: Told of bytes that were read; raises to stop.
    """
    if file.sha256 is None:
        return False
    for other in blob.parents[2].glob(f"*--*/blobs/{file.sha256}"):
        if other == blob or not _is_same(other, file, verified, on_bytes):
            continue
        temporary = blob.with_name(f"{blob.name}.{os.getpid()}.linked")
        try:
            blob.parent.mkdir(parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)
            # A blob may be a link into a store that models share; its content is what is wanted.
            os.link(other.resolve(), temporary)
            os.replace(temporary, blob)
        except OSError:
            return False
        return True
    return False


def copy(
    file: ManifestFile, journal: Journal, folders: Sequence[Path], verified: Checksums, on_bytes: OnBytes
) -> bool:
    """Copy a file from a folder that the user named into its partial, whole; `True` if it was found.

    The copy is hashed again like anything that was fetched, so a file that changes meanwhile does no harm.
    """
    if file.sha256 is None or file.bytes == 0:
        return False
    for candidate in _same_size(folders, file.bytes):
        if _is_same(candidate, file, verified, on_bytes) and _copy_bytes(
            candidate, journal, file.bytes, on_bytes
        ):
            _mark(journal, journal.blocks.num_blocks)
            return True
    return False


def begin_from_left_over(journal: Journal, blob: Path, on_bytes: OnBytes) -> int:
    """Take the beginning of a file from what huggingface_hub left of a broken download of it, and return its bytes."""
    best: tuple[int, Path] | None = None
    for left in blob.parent.glob(f"{blob.name}*.incomplete"):
        try:
            status = left.stat()
        except OSError:
            continue
        is_whole_so_far = status.st_blocks * 512 >= status.st_size
        if (
            is_whole_so_far
            and status.st_size <= journal.info.num_bytes
            and (best is None or status.st_size > best[0])
        ):
            best = (status.st_size, left)
    num_blocks = best[0] // BLOCK_BYTES if best else 0
    if (
        best is None
        or not num_blocks
        or not _copy_bytes(best[1], journal, num_blocks * BLOCK_BYTES, on_bytes)
    ):
        return 0
    _mark(journal, num_blocks)
    return num_blocks * BLOCK_BYTES


def _mark(journal: Journal, num_blocks: int) -> None:
    marks = journal.blocks.marks
    marks[:num_blocks] = bytes([WRITTEN]) * num_blocks
    journal.blocks = FileBlocks(journal.info.num_bytes, marks)
    journal.mark(range(num_blocks))


def _is_same(path: Path, file: ManifestFile, verified: Checksums, on_bytes: OnBytes) -> bool:
    try:
        return path.stat().st_size == file.bytes and verified.digest(path, "sha256", on_bytes) == file.sha256
    except OSError:
        return False


def _same_size(folders: Sequence[Path], num_bytes: int) -> Iterator[Path]:
    looked_at = 0
    for folder in folders:
        for directory, _, names in os.walk(folder):
            for name in names:
                looked_at += 1
                if looked_at > _MAX_LOOKED_AT:
                    return
                path = Path(directory) / name
                try:
                    if path.is_file() and path.stat().st_size == num_bytes:
                        yield path
                except OSError:
                    continue


def _copy_bytes(source: Path, journal: Journal, num_bytes: int, on_bytes: OnBytes) -> bool:
    """Copy a file's first bytes into a partial; `False` if it ends earlier or cannot be read."""
    try:
        source_fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        position = 0
        while position < num_bytes:
            wanted = min(_COPY_BYTES, num_bytes - position)
            num_copied = _copy_piece(source_fd, journal.data_fd, wanted, position)
            if not num_copied:
                return False
            position += num_copied
            on_bytes(num_copied)
        return True
    finally:
        os.close(source_fd)


def _copy_piece(source_fd: int, target_fd: int, num_bytes: int, position: int) -> int:
    try:
        return os.copy_file_range(source_fd, target_fd, num_bytes, position, position)
    except OSError:
        # Not between these file systems: through memory then, which also tells a full disk from anything else.
        piece = os.pread(source_fd, num_bytes, position)
        return os.pwrite(target_fd, piece, position) if piece else 0
