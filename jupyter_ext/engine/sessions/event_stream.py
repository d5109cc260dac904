"""One viewer's stream of one session: its state, what it prints, its end.

Rule: the viewer pulls. What a session prints is read from its files at the viewer's own pace, so a hundred megabytes that
nobody can read in time cost the engine nothing; what is left out is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jupyter_ext.engine.sessions.record import SessionRecord
from jupyter_ext.engine.sessions.service import DebugSessionService
from jupyter_ext.protocol.sessions import DebugSession, SessionExit

Stream = Literal["stdout", "stderr"]
FILES: dict[Stream, str] = {"stdout": "logs.txt", "stderr": "stderr.txt"}
CHUNK_BYTES = 64 << 10
MAX_BEHIND_BYTES = 1 << 20
LOOK_INTERVAL_S = 0.05


@dataclass(frozen=True)
class Printed:
    """A piece of what a session printed: bytes `offset` to `next_offset` of a stream, `skipped` left out before it."""

    stream: Stream
    offset: int
    next_offset: int
    skipped: int
    data: bytes


SessionEvent = DebugSession | Printed | SessionExit


@dataclass
class SessionEvents:
    """What happens to a session, from now on or from given offsets.

    Args:
        service: All sessions.
        session_id: Which one.
        offsets: Where to begin in each stream, bytes; by default at its end.
        max_behind_bytes: A viewer that is further behind loses what is in between; `None` for never.
    """

    service: DebugSessionService
    session_id: str
    offsets: dict[Stream, int] = field(default_factory=dict)
    max_behind_bytes: int | None = MAX_BEHIND_BYTES

    async def events(self) -> AsyncGenerator[SessionEvent]:
        """Yield the session first and whenever it changed, what it prints, and its exit last.

        Raises:
            Problem: There is no such session.
        """
        record = self.service.record(self.session_id)
        for stream, name in FILES.items():
            self.offsets.setdefault(stream, _size(record.session_dir / name))
        async with self.service.watch(self.session_id) as subscriber:
            shown = record.resource()
            yield shown
            while True:
                over = record.exit is not None
                for printed in self._printed(record):
                    yield printed
                    await asyncio.sleep(0)
                if subscriber.state_changed or over:
                    subscriber.state_changed = False
                    now = record.resource()
                    if now != shown:
                        shown = now
                        yield shown
                if over:
                    for stream in FILES:
                        while self.offsets[stream] < _size(record.session_dir / FILES[stream]):
                            for printed in self._printed(record):
                                yield printed
                    assert record.exit is not None
                    yield record.exit
                    return
                await subscriber.wait(LOOK_INTERVAL_S)

    def _printed(self, record: SessionRecord) -> list[Printed]:
        found = []
        for stream, name in FILES.items():
            path, offset = record.session_dir / name, self.offsets[stream]
            size, skipped = _size(path), 0
            if size <= offset:
                continue
            if self.max_behind_bytes is not None and size - offset > self.max_behind_bytes:
                skipped = size - CHUNK_BYTES - offset
                offset += skipped
            with open(path, "rb") as file:
                file.seek(offset)
                data = file.read(CHUNK_BYTES)
            self.offsets[stream] = offset + len(data)
            found.append(Printed(stream, offset, offset + len(data), skipped, data))
        return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
