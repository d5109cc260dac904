"""How many requests a client may send: a token bucket each for new predictions and for everything else under `/v1`.

A bucket holds a minute's worth, so that bursts pass, and fills steadily.

Source: Replicate's HTTP API reference, "rate limits"; the header names and the body of the refusal are its own, and
`Retry-After` (RFC 9110, section 10.2.3) is there for clients that know only that.
"""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jupyter_ext.config import RateLimits
from jupyter_ext.engine.api.http.problems import answer
from jupyter_ext.protocol.problems import Problem

_CREATES_PREDICTION = re.compile(r"(?:/v1){1,2}/(?:predictions|models/[^/]+/[^/]+/predictions)")
_NUM_BUCKETS = 1000


@dataclass
class Bucket:
    """Tokens of one client for one kind of request.

    Attributes:
        capacity: So many may be taken at once.
        per_s: So many come back each second.
        tokens: So many are there, at the time `at` (seconds of the caller's clock).
    """

    capacity: float
    per_s: float
    tokens: float
    at: float

    def take(self, now: float) -> float:
        """Take a token; give 0, or after how many seconds there will be one."""
        self.tokens = min(self.capacity, self.tokens + (now - self.at) * self.per_s)
        self.at = now
        if self.tokens < 1:
            return (1 - self.tokens) / self.per_s
        self.tokens -= 1
        return 0.0

    @property
    def full_in_s(self) -> float:
        """After how many seconds it will be full again."""
        return (self.capacity - self.tokens) / self.per_s

    def is_full(self, now: float) -> bool:
        """Tell whether nothing would be lost by forgetting it."""
        return now - self.at >= self.full_in_s


class RateLimited:
    """ASGI middleware behind the one that checks the token.

    Args:
        app: What answers.
        limits: How many requests a minute.
        clock: Seconds that only grow.
    """

    def __init__(self, app: ASGIApp, limits: RateLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._limits = limits
        self._clock = clock
        self._buckets: dict[tuple[str, bool], Bucket] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it and say when to come again."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        bucket = self._bucket(scope)
        wait_s = bucket.take(self._clock())
        headers = {
            "ratelimit-remaining": str(int(bucket.tokens)),
            "ratelimit-reset": str(math.ceil(wait_s or bucket.full_in_s)),
        }

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        if not wait_s:
            await self._app(scope, receive, send_with_headers)
            return
        seconds = math.ceil(wait_s)
        detail = (
            f"Request was throttled. {int(bucket.capacity)} requests a minute are allowed. Your rate limit resets in "
            f"~{seconds}s."
        )
        problem = Problem(429, "Too many requests", detail, retry_after_s=seconds)
        await answer(problem)(scope, receive, send_with_headers)

    def _bucket(self, scope: Scope) -> Bucket:
        creates = scope["method"] == "POST" and _CREATES_PREDICTION.fullmatch(scope["path"]) is not None
        key = (_client(scope), creates)
        now = self._clock()
        if key not in self._buckets:
            if len(self._buckets) >= _NUM_BUCKETS:
                self._buckets = {k: kept for k, kept in self._buckets.items() if not kept.is_full(now)}
            per_min = self._limits.predictions_per_min if creates else self._limits.others_per_min
            self._buckets[key] = Bucket(per_min, per_min / 60, per_min, now)
        return self._buckets[key]


def _client(scope: Scope) -> str:
    """Tell clients apart by the token that they show; those that come with a link share what there is for links."""
    shown = Headers(scope=scope).get("authorization", "").rpartition(" ")[2]
    return hashlib.sha256(shown.encode()).hexdigest()
