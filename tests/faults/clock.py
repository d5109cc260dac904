"""A clock of the campaign's own: processes started with it add to the time of day what a file says.

Only `time.time` of Python code is moved, so the machine's clock and everybody else's processes stay as they are.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

VARIABLE = "STEPPED_CLOCK"

_SITE = f"""
import mmap, os, struct, time
if os.path.exists(os.environ.get({VARIABLE!r}, "")):
    with open(os.environ[{VARIABLE!r}], "rb") as file:
        _view = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
    _time, _step = time.time, struct.Struct("d").unpack_from
    time.time = lambda: _time() + _step(_view)[0]
"""


class Clock:
    """The clock of the processes that are started with `environment`.

    Args:
        folder: Where its two files are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "clock"
        self._folder.mkdir()
        (self._folder / "sitecustomize.py").write_text(_SITE)
        (self._folder / "step").write_bytes(bytes(8))
        with open(self._folder / "step", "r+b") as file:
            self._view = mmap.mmap(file.fileno(), 8)

    @property
    def environment(self) -> dict[str, str]:
        """What makes a Python process use it."""
        path = os.pathsep.join(filter(None, [str(self._folder), os.environ.get("PYTHONPATH")]))
        return {"PYTHONPATH": path, VARIABLE: str(self._folder / "step")}

    @property
    def ahead_s(self) -> float:
        """By how much it is ahead of the machine's, seconds."""
        return float(struct.unpack_from("d", self._view)[0])

    def step(self, seconds: float) -> None:
        """Set it forward, or back."""
        struct.pack_into("d", self._view, 0, self.ahead_s + seconds)
