"""Times that a service tells: timestamps of its objects, its own clock, and how long it asks to wait."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

MAX_ASKED_PAUSE_S = 3600.0
"""A service that asks for more is taken to mean this."""

_RESETS_IN = re.compile(r"(?:resets? in|available in)\s*~?\s*(\d{1,9}(?:\.\d+)?)\s*s", re.IGNORECASE)
_CLOCKS_AGREE_S = 5.0
"""`Date` has whole seconds and an answer takes a while: smaller differences say nothing."""


def parse_time(text: Any) -> datetime | None:
    """Read a timestamp with any number of fractional digits, or give `None`; one without an offset is in UTC."""
    try:
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def clock_ahead_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return how far a service's clock is ahead of ours, seconds; `None` where its answer does not tell.

    Source: RFC 9110, section 6.6.1, "Date".
    """
    try:
        ahead_s = parsedate_to_datetime(headers["date"]).timestamp() - now
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    return 0.0 if abs(ahead_s) < _CLOCKS_AGREE_S else ahead_s


def asked_pause_s(headers: Mapping[str, str], body: bytes) -> float:
    """Return how long an answer asks to wait, seconds: header, body field, or the body's own words; 0 if it does not."""
    asked = [_retry_after_s(headers.get("retry-after", ""))]
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict):
        value = told.get("retry_after")
        if isinstance(value, int | float) and not isinstance(value, bool) and value == value:
            asked.append(float(value))
        if match := _RESETS_IN.search(str(told.get("detail", ""))):
            asked.append(float(match[1]))
    return min(MAX_ASKED_PAUSE_S, max(0.0, *asked))


def _retry_after_s(text: str) -> float:
    """Read a Retry-After header: seconds or an HTTP date."""
    if re.fullmatch(r"\s*\d{1,9}(\.\d+)?\s*", text):
        return float(text)
    try:
        return (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
