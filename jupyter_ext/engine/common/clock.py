"""Times as they are written on the wire."""

from __future__ import annotations

from datetime import UTC, datetime

_LAST_S = 253_402_300_799.0
"""The end of the year 9999, beyond which RFC 3339 has no times."""


def rfc3339(unix_s: float) -> str:
    """Write a time as RFC 3339 in UTC with microseconds and `Z`; one that it has no text for becomes the nearest it has."""
    bounded_s = min(max(unix_s, 0.0), _LAST_S) if unix_s == unix_s else 0.0
    return datetime.fromtimestamp(bounded_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
