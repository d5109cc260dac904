"""Bodies of requests about models: what they may say, and that what is wrong is named."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from starlette.requests import Request

from jupyter_ext.engine.api.native.model_requests import (
    AddBody,
    AttachBody,
    Body,
    ChangeBody,
    DownloadBody,
    LoadBody,
    UnloadBody,
    read,
)
from jupyter_ext.protocol.problems import Problem


def request(body: Any) -> Request:
    """Return a request with this body; bytes are sent as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data, "more_body": False}

    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)


async def test_a_load_says_how_and_for_whom() -> None:
    body = await read(
        request(
            {
                "device": "cpu",
                "dtype": None,
                "keep_alive_s": 5,
                "pin": True,
                "options": {"weights": "a.bin"},
                "environ": {"HF_TOKEN": "t", "HF_HOME": None, "PATH": "/bin"},
                "worker": {"python": "/venv/bin/python", "cwd": "/nb", "environ": {"A": 1}},
                "user": {"id": "x" * 1000, "pid": 7},
                "unknown": 1,
            }
        ),
        LoadBody,
    )
    options = body.load_options()
    assert (options.python, options.cwd, options.environ) == ("/venv/bin/python", "/nb", {"A": "1"})
    assert (options.keep_alive_s, options.pin, options.force) == (5.0, True, False)
    assert (options.hub_environ, options.extra) == ({"HF_TOKEN": "t"}, {"weights": "a.bin"})
    assert options.user is not None
    assert (len(options.user.id), options.user.pid) == (200, 7)


@pytest.mark.parametrize("kind", [LoadBody, UnloadBody, DownloadBody, ChangeBody])
@pytest.mark.parametrize("body", [b"", {}])
async def test_nothing_need_be_said(kind: type[Body], body: Any) -> None:
    assert (await read(request(body), kind)).model_fields_set == set()


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        (AddBody, {}, "id"),
        (AddBody, {"id": 5}, "id"),
        (AddBody, {"id": "a/b", "look": "yes"}, "look"),
        (AddBody, {"id": "a/b", "environ": ["x"]}, "environ"),
        (LoadBody, {"keep_alive_s": "long"}, "keep_alive_s"),
        (LoadBody, {"keep_alive_s": True}, "keep_alive_s"),
        (LoadBody, {"keep_alive_s": 1e300}, "keep_alive_s"),
        (LoadBody, {"keep_alive_s": 10**400}, "keep_alive_s"),
        (LoadBody, {"keep_alive_s": math.inf}, "keep_alive_s"),
        (LoadBody, {"keep_alive_s": math.nan}, "keep_alive_s"),
        (LoadBody, {"worker": 3}, "worker"),
        (LoadBody, {"worker": {"environ": 3}}, "worker.environ"),
        (LoadBody, {"options": []}, "options"),
        (LoadBody, {"user": {"id": 1}}, "user.id"),
        (LoadBody, {"user": {"id": "x", "pid": "7"}}, "user.pid"),
        (LoadBody, {"pin": 1}, "pin"),
        (DownloadBody, {"weights": "x"}, "weights"),
        (DownloadBody, {"weights": [1]}, "weights.0"),
        (AttachBody, {}, "user"),
        (ChangeBody, {"state": "loaded"}, "state"),
        (ChangeBody, {"name": "half \ud800"}, "name"),
        (ChangeBody, {"description": 3}, "description"),
        (UnloadBody, {"wait": "no"}, "wait"),
    ],
)
async def test_what_is_wrong_is_named_in_one_line(kind: type[Body], body: Any, field: str) -> None:
    with pytest.raises(Problem) as raised:
        await read(request(body), kind)
    assert raised.value.status == 422
    assert field in raised.value.detail
    assert len(raised.value.detail) < 300
    assert "\n" not in raised.value.detail


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"[" * 100_000, b"\xff"])
async def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Problem) as raised:
        await read(request(body), LoadBody)
    assert raised.value.status == 400
