"""What a view behind a kernel is told of a stream that it cannot have."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from jupyter_ext.client.requests import comm_bridge
from jupyter_ext.errors import EngineStartError


def refusal(status: int, body: bytes) -> InvalidStatus:
    return InvalidStatus(Response(status, "", Headers(), body))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            refusal(503, json.dumps({"detail": "It has 6 streams open."}).encode()),
            (4503, "It has 6 streams open."),
        ),
        (refusal(403, b"no JSON"), (4403, "")),
        (EngineStartError("The disk is full."), (4503, "The disk is full.")),
        (ConnectionResetError(), (1006, "")),
    ],
)
async def test_a_view_hears_why_its_stream_was_refused(
    monkeypatch: pytest.MonkeyPatch, error: Exception, told: tuple[int, str]
) -> None:
    async def ensure_socket() -> str:
        raise error

    ends: list[tuple[int, str]] = []
    monkeypatch.setattr(
        comm_bridge, "client", lambda: SimpleNamespace(transport=SimpleNamespace(ensure_socket=ensure_socket))
    )
    await comm_bridge._pass_on("/native/lists/stream", lambda _: None, lambda *end: ends.append(end))
    assert ends == [told]
