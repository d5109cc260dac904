"""Read what a request's body says."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from jupyter_ext.engine.trainings.service import Origin
from jupyter_ext.protocol.problems import Problem


async def json_object(request: Request) -> dict[str, Any]:
    """Read a body that must be a JSON object; none at all is an empty one.

    Raises:
        Problem: It is something else.
    """
    data = await request.body()
    try:
        body = json.loads(data) if data else {}
    except ValueError as error:
        raise Problem(400, "Invalid JSON", f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Problem(400, "Invalid JSON", f"The body must be a JSON object, not {json.dumps(body)[:60]}")
    return body


def origin_of(told: Any) -> Origin | None:
    """Read from where a notebook asks: its import path and its variables, which are never stored."""
    if not isinstance(told, dict):
        return None
    paths, environ = told.get("sys_path"), told.get("environ")
    return Origin(
        python=str(told.get("python") or ""),
        cwd=str(told.get("cwd") or ""),
        sys_path=tuple(map(str, paths)) if isinstance(paths, list) else None,
        environ={str(k): str(v) for k, v in environ.items()} if isinstance(environ, dict) else None,
    )
