"""Turn problems and slips into `application/problem+json` answers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.common import descriptors
from jupyter_ext.engine.common.disk import describe, is_disk, report_disk
from jupyter_ext.errors import InvalidInput, JupyterExtError, RequestRefused, UnknownId
from jupyter_ext.protocol.problems import Problem

log = logging.getLogger(__name__)


def answer(problem: Problem) -> JSONResponse:
    """Return the answer for a problem. Clients that would send a request again are told where that cannot help."""
    headers = {"Cache-Control": "no-store"}
    if problem.status in (409, 500):
        headers["x-should-retry"] = "false"
    elif problem.status == 503 or problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s or 1)
    return JSONResponse(problem.body(), problem.status, headers, media_type="application/problem+json")


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer a refused request."""
    assert isinstance(error, Problem)
    return answer(error)


async def on_invalid_input(request: Request, error: Exception) -> Response:
    """Answer a request with a bad value."""
    return answer(Problem(422, "Invalid value", str(error)))


async def on_refusal(request: Request, error: Exception) -> Response:
    """Answer a request that something behind the engine refused: a service, or a model's process."""
    if isinstance(error, UnknownId):
        return answer(Problem(404, "Not found", str(error)))
    status, title = (502, "Refused by the service") if isinstance(error, RequestRefused) else (409, "Refused")
    return answer(Problem(status, title, str(error)))


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer a request that no route takes."""
    assert isinstance(error, HTTPException)
    detail = f"{request.method} {request.url.path}: {error.detail}"
    return answer(Problem(error.status_code, str(error.detail), detail))


async def on_slip(request: Request, error: Exception) -> Response:
    """Answer a request that hit a fault of ours; the traceback is in the engine's log only."""
    if isinstance(error, OSError) and is_disk(error):
        report_disk(error)
        return answer(Problem(507, "Disk takes nothing", describe(error)))
    if descriptors.are_used_up(error):
        return answer(Problem(503, "No descriptor left", descriptors.describe()))
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    detail = f"{request.method} {request.url.path} failed inside the engine; `%engine log` shows why."
    return answer(Problem(500, "Internal error", detail))


HANDLERS: Mapping[Any, ExceptionHandler] = {
    Problem: on_problem,
    InvalidInput: on_invalid_input,
    JupyterExtError: on_refusal,
    HTTPException: on_http_error,
    Exception: on_slip,
}
