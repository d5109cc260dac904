"""Times as they are written on the wire."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(unix_s: float) -> str:
    """Write a time as RFC 3339 in UTC with microseconds and `Z`."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
