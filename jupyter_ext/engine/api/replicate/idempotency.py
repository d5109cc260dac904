"""One run for one wish: clients send a create again when its answer was lost, and there is no idempotency key.

A second identical request within `WINDOW_S` gets the first one's run if it says that it is a retry
(`x-stainless-retry-count` above 0), or if the first one's client was gone before its answer could be sent. Otherwise it
is a wish of its own: running the same cell twice makes two trainings.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request

from jupyter_ext.engine.api.http.requests import as_whole_number
from jupyter_ext.protocol.trainings import Training

WINDOW_S = 300.0
"""The clients' longest wait for an answer is 60 s, and they try three times."""
_NUM_KEPT = 1000


@dataclass
class _Made:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    maker: Request | None = None
    id: str | None = None
    at: float = 0.0
    delivered: bool = True


class DuplicateGuard:
    """Remembers what was made lately."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._made: dict[str, _Made] = {}

    async def once(
        self,
        request: Request,
        make: Callable[[], Awaitable[Training]],
        find: Callable[[str], Awaitable[Training]],
    ) -> Training:
        """Return what a create makes, or what an earlier one made that this repeats."""
        self._forget_old()
        who = request.headers.get("authorization", "")
        body = await request.body()
        key = hashlib.sha256(f"{who}\n{request.url.path}\n".encode() + body).hexdigest()
        made = self._made.setdefault(key, _Made())
        if made.lock.locked() and not _is_retry(request) and await _is_waited_for(made.maker):
            return await make()  # somebody who wants two, and whose first is on its way
        async with made.lock:
            made.maker = request
            if made.id is not None and (_is_retry(request) or not made.delivered):
                made.delivered = not await request.is_disconnected()
                return await find(made.id)
            training = await make()
            made.id, made.at = training.id, self._clock()
            made.delivered = not await request.is_disconnected()
            return training

    def _forget_old(self) -> None:
        limit = self._clock() - WINDOW_S
        for key, made in list(self._made.items()):
            if (made.at < limit or len(self._made) > _NUM_KEPT) and not made.lock.locked():
                del self._made[key]


async def _is_waited_for(request: Request | None) -> bool:
    """Tell whether the client of a request that is being answered is still there."""
    return request is not None and not await request.is_disconnected()


def _is_retry(request: Request) -> bool:
    return (as_whole_number(request.headers.get("x-stainless-retry-count", "0")) or 0) > 0
