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

from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.common.paging import Cursor, Place, window
from jupyter_ext.ipc import json_values
from jupyter_ext.protocol.problems import InvalidField, Problem, invalid_input

PAGE_SIZE = 100
MIN_CANCEL_AFTER_S = 5
MAX_WHOLE_NUMBER = 1 << 53
_CALLERS = frozenset({"jupyter_ext", "worker", "environ", "cwd", "python", "sys_path"})
"""Names of what is no value but says where the caller is: paths and variables of a system may be any bytes."""
_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s?)?", re.ASCII)
T = TypeVar("T")


def answer(content: Any, status: int = 200) -> JSONResponse:
    """Answer with JSON."""
    return JSONResponse(content, status, {"Cache-Control": "no-store"})


def base_url(request: Request) -> str:
    """Return the origin that the client knows this engine by."""
    return str(request.base_url).rstrip("/")


async def json_object(request: Request) -> dict[str, Any]:
    """Read a body that must be a JSON object.

    Raises:
        Problem: It is none, or has a value that no resource can carry.
    """
    body = parse_json(await request.body())
    if not isinstance(body, dict):
        raise Problem(400, "Invalid JSON", f"The body must be a JSON object, not {json.dumps(body)[:60]}")
    return body


def parse_json(data: bytes) -> Any:
    """Parse a body.

    Raises:
        Problem: It is no JSON, or has a value that no resource can carry; the field is named.
    """
    try:
        body = json.loads(data)
    except RecursionError as error:
        raise Problem(400, "Invalid JSON", "The body is nested too deep to be read.") from error
    except ValueError as error:
        raise Problem(
            400, "Invalid JSON", f"The body is not JSON: {json_values.clean_text(str(error))}"
        ) from error
    shown = {name: body[name] for name in body if name not in _CALLERS} if isinstance(body, dict) else body
    wrong = json_values.fault(shown)
    if wrong is not None:
        field, reason = wrong
        raise invalid_input([InvalidField("invalid", field, f"{field or 'the body'}: {reason}")])
    return body


def input_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs in a body.

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


def as_whole_number(text: str) -> int | None:
    """Read a whole number from 0 to 2^53, or `None`: `isdigit` alone lets `²` and thousands of digits through, `int` neither."""
    if not text.isascii() or not text.isdigit() or len(text) > 16 or int(text) > MAX_WHOLE_NUMBER:
        return None
    return int(text)


def whole_number(text: str | None, name: str, default: int, at_least: int = 0) -> int:
    """Read a whole number up to 2^53 out of a query.

    Raises:
        Problem: It is none.
    """
    if text is None:
        return default
    number = as_whole_number(text)
    if number is None or number < at_least:
        raise Problem(
            422, "Invalid value", f"{name}={text[:40]!r} is not a whole number from {at_least} to 2^53."
        )
    return number


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
    """Read where a page goes on.

    Raises:
        Problem: The cursor is not one of ours.
    """
    text = request.query_params.get("cursor")
    if not text:
        return None
    try:
        match json.loads(base64.urlsafe_b64decode(text)):
            case [str() as time, str() as id]:
                return Cursor((time, id))
            case [str() as time, str() as id, "newer"]:
                return Cursor((time, id), newer=True)
    except (ValueError, RecursionError, binascii.Error):
        pass
    raise Problem(
        400, "Invalid cursor", f"cursor={text[:40]!r} is not one of ours; follow `next` or `previous`."
    )


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
    request: Request, found: Sequence[T], place: Callable[[T], Place], show: Callable[[T], Any]
) -> dict[str, Any]:
    """Make a page of a list that was asked for with one item more than a page has.

    Args:
        request: The request; `previous` and `next` are absolute, on its own origin.
        found: At most `PAGE_SIZE + 1` items, newest first; the one too many is on the side that the cursor goes to.
        place: Returns where an item stands.
        show: Returns an item's JSON.
    """
    cursor = cursor_of(request)
    goes_back = cursor is not None and cursor.newer
    has_more = len(found) > PAGE_SIZE
    if has_more:
        found = found[-PAGE_SIZE:] if goes_back else found[:PAGE_SIZE]
    first, last = (place(found[0]), place(found[-1])) if found else (None, None)
    if goes_back:
        previous, following = first if has_more else None, last
    else:
        previous, following = (first or cursor.place) if cursor else None, last if has_more else None
    return {
        "previous": previous and _page_url(request, Cursor(previous, newer=True)),
        "next": following and _page_url(request, Cursor(following)),
        "results": [show(item) for item in found],
    }


def _page_url(request: Request, cursor: Cursor) -> str:
    content = [*cursor.place, *(["newer"] if cursor.newer else [])]
    text = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
    return str(request.url.include_query_params(cursor=text))


def after(items: Sequence[T], place: Callable[[T], Place], cursor: Cursor | None) -> list[T]:
    """Return a page of a list (newest first) next to a cursor, and one item more."""
    return window(items, place, cursor, PAGE_SIZE + 1)
