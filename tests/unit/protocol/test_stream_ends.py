"""Why a stream ended has to fit into a closing frame, whatever its text."""

from __future__ import annotations

import pytest

from jupyter_ext.engine.common import descriptors
from jupyter_ext.protocol.stream_ends import reason_of, refusal_of


@pytest.mark.parametrize(
    "detail", ["short", "x" * 500, "ü" * 500, "a\nb\tc" * 50, "\ud800" * 100, "🦄" * 31, ""]
)
def test_a_reason_fits_into_a_closing_frame(detail: str) -> None:
    reason = reason_of(detail)
    assert len(reason.encode()) <= 123
    assert "\n" not in reason
    assert bool(reason) == bool(detail)


def test_what_is_said_of_too_many_streams_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "limit", lambda: 16_384)
    assert reason_of(descriptors.describe_viewers()) == descriptors.describe_viewers()


@pytest.mark.parametrize(
    "body", [b"", b"nothing", b"[]", b"3", b"{}", b'{"detail": [1]}', b"\xff", b"[" * 10**5]
)
def test_a_body_that_is_no_problem_says_nothing(body: bytes) -> None:
    assert refusal_of(body) == ""
    assert refusal_of(b'{"detail": "Close\\n views."}') == "Close views."
