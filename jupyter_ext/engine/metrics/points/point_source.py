"""Where the points of a block are, and those that are in memory.

Rule: a source copies to where it is told, so that what is asked for is copied once, into the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from jupyter_ext.engine.metrics.journal.columns import Floats, Room
from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import numpy as np
else:
    np = late("numpy")


class PointSource(Protocol):
    """Where a block's points are."""

    @property
    def is_in_memory(self) -> bool:
        """Whether reading opens no file."""
        ...

    def read(self, start: int, stop: int, room: Room) -> None:
        """Copy the points from number `start` to before `stop` of this source into `room`, which is as long."""
        ...


class GrowingPoints:
    """Points in memory."""

    is_in_memory = True

    def __init__(self) -> None:
        self._room = np.empty((3, 16))
        self._length = 0

    def append(self, steps: Floats, values: Floats, times: Floats) -> None:
        """Add n points."""
        length = self._length + len(values)
        if length > self._room.shape[1]:
            room = np.empty((3, max(length, self._room.shape[1] * 3 // 2)))
            room[:, : self._length] = self._room[:, : self._length]
            self._room = room
        new = slice(self._length, length)
        self._room[0, new], self._room[1, new], self._room[2, new] = steps, values, times
        self._length = length

    def trim(self) -> None:
        """Free the room that is not used."""
        self._room = self._room[:, : self._length].copy()

    def read(self, start: int, stop: int, room: Room) -> None:
        """Copy points."""
        room[:] = self._room[:, start:stop]
