"""What all routes under `/v1` share: reading bodies, pages with cursors, answers that nobody may cache."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse

from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.protocol.problems import InvalidField, Problem, invalid_input

PAGE_SIZE = 100
MIN_CANCEL_AFTER_S = 5
_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s?)?", re.ASCII)
T = TypeVar("T")

Cursor = tuple[str, str]
"""The time and id of the last item of a page: ids settle the order of what was made in the same instant."""


def answer(content: Any, status: int = 200) -> JSONResponse:
    """Answer with JSON."""
    return JSONResponse(content, status, {"Cache-Control": "no-store"})


def base_url(request: Request) -> str:
    """Give the origin that the client knows this engine by."""
    return str(request.base_url).rstrip("/")


async def json_object(request: Request) -> dict[str, Any]:
    """Read a body that must be a JSON object.

    Raises:
        Problem: It is none.
    """
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise Problem(400, "Invalid JSON", f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Problem(400, "Invalid JSON", f"The body must be a JSON object, not {json.dumps(body)[:60]}")
    return body


def input_of(body: dict[str, Any]) -> dict[str, Any]:
    """Give the inputs in a body.

    Raises:
        Problem: They are no object.
    """
    given = body.get("input")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise invalid_input(
            [InvalidField("type", "input", f"must be an object, not {json.dumps(given)[:60]}")]
        )
    return given


def cancel_after_s(request: Request) -> float | None:
    """Read the header `Cancel-After`: how long after its creation a run is canceled, seconds; `None` where it is absent.

    Source: Replicate's HTTP API reference: `30`, `30s`, `5m`, `1h30m45s`; at least 5 seconds.

    Raises:
        Problem: It is not of that form.
    """
    text = request.headers.get("cancel-after", "").strip()
    if not text:
        return None
    found = _DURATION.fullmatch(text)
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    duration_s = 3600 * hours + 60 * minutes + seconds
    if duration_s < MIN_CANCEL_AFTER_S:
        says = (
            f"Cancel-After: {text[:40]} is not a duration from 5 seconds on, such as 30, 90s, 5m or 1h30m45s"
        )
        raise invalid_input([InvalidField("duration", "Cancel-After", says)])
    return float(duration_s)


def cursor_of(request: Request) -> Cursor | None:
    """Read where a page begins.

    Raises:
        Problem: The cursor is not one of ours.
    """
    text = request.query_params.get("cursor")
    if not text:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(text))
    except (ValueError, binascii.Error) as error:
        raise _bad_cursor(text) from error
    if not (isinstance(found, list) and len(found) == 2 and all(isinstance(part, str) for part in found)):
        raise _bad_cursor(text)
    return found[0], found[1]


def time_of(request: Request, name: str) -> str | None:
    """Read a time out of the query, as a text that sorts with ours.

    Raises:
        Problem: It is none.
    """
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Problem(
            422, "Invalid value", f"{name}={text[:40]!r} is not a time such as 2026-01-31T12:00:00Z."
        ) from None
    return rfc3339(found.replace(tzinfo=found.tzinfo or UTC).timestamp())


def page(
    request: Request, found: Sequence[T], place: Callable[[T], Cursor], show: Callable[[T], Any]
) -> dict[str, Any]:
    """Make a page of a list that was asked for with one item more than a page has.

    Args:
        request: The request; `next` is absolute, on its own origin.
        found: At most `PAGE_SIZE + 1` items.
        place: Gives where an item stands.
        show: Gives an item's JSON.
    """
    following = None
    if len(found) > PAGE_SIZE:
        found = found[:PAGE_SIZE]
        cursor = base64.urlsafe_b64encode(json.dumps(place(found[-1])).encode()).decode()
        following = str(request.url.include_query_params(cursor=cursor))
    return {"previous": None, "next": following, "results": [show(item) for item in found]}


def after(items: Sequence[T], place: Callable[[T], Cursor], cursor: Cursor | None) -> list[T]:
    """Give of a list, newest first, a page and one item more, from behind a cursor."""
    rest = [item for item in items if cursor is None or place(item) < cursor]
    return rest[: PAGE_SIZE + 1]


def _bad_cursor(text: str) -> Problem:
    return Problem(400, "Invalid cursor", f"cursor={text[:40]!r} is not one of ours; follow `next`.")
