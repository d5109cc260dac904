"""What Jupyter's authorizer is asked to allow: one table for every route, whatever comes over it.

Rule: what is not in the table is `execute`. `read` shows and changes nothing; `write` changes what is there but runs no code that the
request or a stored version brings; a WebSocket is `execute` unless it is known to send only.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple
from urllib.parse import unquote

Action = Literal["read", "write", "execute"]


class Row(NamedTuple):
    """One line of the table; the first that matches counts.

    Attributes:
        action: What the user must be allowed to do.
        methods: HTTP methods, or `WEBSOCKET`.
        path: The engine's path.
    """

    action: Action
    methods: frozenset[str]
    path: re.Pattern[str]


def _row(action: Action, methods: str, path: str) -> Row:
    pattern = path.replace("ID", "[^/%]+").replace("MODEL", "[^/]+")
    return Row(action, frozenset(methods.split()), re.compile(pattern))


ANY = "GET HEAD POST PUT PATCH DELETE QUERY"
SAFE = "GET HEAD"

TABLE = (
    # Streams that send and never listen.
    _row("read", "WEBSOCKET", "/native/trainings/ID/stream"),
    _row("read", "WEBSOCKET", "/native/trainings/ID/logs/search"),
    _row("read", "WEBSOCKET", "/native/sessions/ID/stream"),
    _row("read", "WEBSOCKET", "/native/models/stream"),
    _row("read", "WEBSOCKET", "/native/lists/stream"),
    # A key with which webhooks and links could be forged.
    _row("execute", ANY, "/v1/webhooks/.*"),
    _row("read", SAFE, "/.*"),
    # Code of the request, of a stored version or of a model's files runs, or the engine's own state changes.
    _row("execute", "WEBSOCKET", "/v0/ws"),
    _row("execute", "WEBSOCKET", "/native/models/MODEL/generate"),
    _row("execute", "WEBSOCKET", "/native/decthings/events"),
    _row(
        "execute",
        "WEBSOCKET",
        "/(.well-known|model|models|user|conversations|assets|anchors|ranges|qgpt|workstream_pattern_engine)/.*",
    ),
    _row(
        "execute", "POST", "/native/(versions|forms|remote-trainings|session-code|sessions|environments|page)"
    ),
    _row("execute", "POST", "/native/trainings/ID/(again|resume)"),
    _row("execute", "POST", "/native/sessions/ID/(call|code)"),
    _row("execute", "POST", "/native/models/MODEL/(call|load)"),
    _row("execute", "POST", "/native/engine/(stop|drain|listen)"),
    _row("execute", "POST", "/v1/(models/[^/]+/[^/]+/(versions/[^/]+/trainings|predictions)|predictions)"),
    _row("execute", "POST", "/(v0|native/decthings)/[^/]+/[^/]+"),
    _row("execute", "POST", "/(connect|model/.*|models/.*)"),
    # Changed, removed, fetched or stopped, and nothing runs.
    _row("write", "PATCH DELETE", "/native/trainings/ID"),
    _row("write", "POST", "/native/trainings/ID/(weights|rules|promote)"),
    _row("write", "POST", "/native/imported-runs"),
    _row("write", "POST", "/v1/(trainings|predictions)/ID/cancel"),
    _row("write", "DELETE", "/native/sessions/ID"),
    _row("write", "POST", "/native/sessions/ID/terminate"),
    _row("write", "POST", "/native/datasets/ID/entries"),
    _row("write", "PATCH", "/native/(downloads|engine)"),
    _row("write", "DELETE", "/native/downloads/partials/ID"),
    _row("write", "POST", "/native/models(/services|/unload)?"),
    _row("write", "POST", "/native/models/MODEL/(download|cancel|update|unload|users)"),
    _row("write", "PATCH DELETE", "/native/models/MODEL"),
    _row("write", "DELETE", "/native/models/MODEL/(cache|users/MODEL)"),
    _row("write", "POST QUERY", "/v1/models"),
    _row("write", "PATCH DELETE", "/v1/models/[^/]+/[^/]+"),
    _row("write", "DELETE", "/v1/models/[^/]+/[^/]+/versions/[^/]+"),
    _row("write", "POST", "/v1/files"),
    _row("write", "DELETE", "/v1/files/ID"),
)

_VERSION_TWICE = re.compile(r"^(/v1)+/")


def row_of(method: str, path: str) -> Row | None:
    """Return the line of the table that a request falls under.

    Args:
        method: Of HTTP, or `WEBSOCKET`.
        path: The engine's path as it was sent, without its query.

    Returns:
        The line, or `None`: then it is `execute`.
    """
    plain = _VERSION_TWICE.sub("/v1/", unquote(path))
    for row in TABLE:
        if method in row.methods:
            # What allows less is matched as the engine will read it, what allows more as it was sent.
            text = plain if row.action == "execute" else path
            if row.path.fullmatch(text):
                return row
    return None


def action_of(method: str, path: str) -> Action:
    """Return what a user must be allowed to do to make a request; see `row_of`."""
    row = row_of(method, path)
    return "execute" if row is None else row.action
