"""What all of Pieces' routes share: bodies that may be missing, and errors as plain text.

Rule: an unknown id is 410 everywhere; 2xx carries `application/json` only, everything else text.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from jupyter_ext.engine.api.http.requests import parse_json
from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.errors import InvalidInput, JupyterExtError
from jupyter_ext.ipc.json_values import clean_text
from jupyter_ext.protocol.problems import Problem

log = logging.getLogger(__name__)

NO_STORE = {"Cache-Control": "no-store"}
MAX_BODY_BYTES = 1 << 20
_ASKED_WRONGLY = frozenset({400, 401, 403, 413, 422})

Handler = Callable[[Request], Awaitable[Response]]


def answer(content: Any) -> JSONResponse:
    """Answer with JSON: 200."""
    return JSONResponse(content, headers=NO_STORE)


def nothing() -> Response:
    """Answer without content: 204."""
    return Response(status_code=204, headers=NO_STORE)


def plain(handler: Handler) -> Handler:
    """Have a route's errors answered as Pieces does."""

    async def handled(request: Request) -> Response:
        try:
            return await handler(request)
        except Problem as problem:
            return refusal(problem.status, problem.detail)
        except InvalidInput as error:
            return refusal(422, str(error))
        except JupyterExtError as error:
            return refusal(500, str(error))
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            return refusal(500, f"{request.method} {request.url.path} failed inside the engine; see its log.")

    return handled


def refusal(status: int, text: str) -> Response:
    """Answer with a reason, under the status that Pieces' clients expect for it."""
    if status == 404:
        status = 410
    elif status not in _ASKED_WRONGLY:
        status = 500
    return PlainTextResponse(clean_text(text), status, NO_STORE)


async def body_of(request: Request) -> dict[str, Any] | None:
    """Read a body that may be missing.

    Raises:
        Problem: It is too large, no JSON object, or has a value that no resource can carry.
    """
    if int(request.headers.get("content-length") or 0) > MAX_BODY_BYTES:
        raise Problem(413, "Too large", "A model is described in less than 1 MiB.")
    data = await request.body()
    if not data or data.strip() == b"null":
        return None
    body = parse_json(data)
    if not isinstance(body, dict):
        raise Problem(400, "Invalid JSON", "The body must be a JSON object.")
    return body
