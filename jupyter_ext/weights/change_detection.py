"""Whether the files below mapped weights are still what was loaded. Linux; needs no torch.

Rule: pages of a file that is written in place are the new file's, and those beyond a shorter end are a bus error, so
nothing is computed with them. A file that is deleted, or replaced by renaming, keeps its pages for whoever maps them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _Known:
    name: str
    descriptor: int
    bytes: int
    modified_ns: int


class MappedFiles:
    """Files that this process maps, as they were when this was made; they stay open until the process ends.

    Args:
        paths: The files; links are followed.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._known: list[_Known] = []
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            status = os.fstat(descriptor)
            self._known.append(_Known(path.name, descriptor, status.st_size, status.st_mtime_ns))

    def why_unusable(self) -> str | None:
        """Tell which file was written since, in one line, or `None`."""
        for known in self._known:
            status = os.fstat(known.descriptor)
            if (status.st_size, status.st_mtime_ns) != (known.bytes, known.modified_ns):
                return (
                    f"{known.name} was changed on the disk after it was loaded, and with it the weights in memory; "
                    "unload the model and load it again."
                )
        return None

    def notices(self) -> list[str]:
        """Tell what somebody should know about the files."""
        if (why := self.why_unusable()) is not None:
            return [why]
        gone = [known.name for known in self._known if not os.fstat(known.descriptor).st_nlink]
        if not gone:
            return []
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        return [f"{gone[0]}{more} was deleted or replaced on the disk; what is loaded stays as it was."]
