"""How a stream says why it ended, or was refused: by the code and the reason of its closing frame.

Rule: a page can read no status of a handshake that was refused, so whoever passes the engine's streams on to pages (the server
extension, the kernel's tunnel) opens the stream and closes it with what the engine said.
"""

from __future__ import annotations

import json

NOT_FOUND = 4404
UNAVAILABLE = 4503
"""No room for one more stream, or no engine; later there may be."""
_MAX_REASON_BYTES = 123
"""What a closing frame can carry (RFC 6455, 5.5)."""


def code_of(status: int) -> int:
    """Return the close code that stands for an HTTP status."""
    return 4000 + status


def reason_of(detail: str) -> str:
    """Shorten a line to what a closing frame can carry, in whole characters."""
    text = " ".join(detail.split()).encode("utf-8", "replace")
    if len(text) <= _MAX_REASON_BYTES:
        return text.decode()
    return text[: _MAX_REASON_BYTES - 3].decode("utf-8", "ignore") + "…"


def refusal_of(body: bytes) -> str:
    """Return what the body of a refused handshake says in one line, or nothing if it is no problem of the engine's."""
    try:
        detail = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return " ".join(detail.split()) if isinstance(detail, str) else ""
