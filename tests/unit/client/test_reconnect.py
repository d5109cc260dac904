"""A follower stays through engines that die while they start, and is told why where none can be started."""

from __future__ import annotations

import pytest

from jupyter_ext.client.requests import reconnect
from jupyter_ext.errors import EngineStartError, ProtocolMismatch


class Socket:
    close_code = 1000

    async def __aenter__(self) -> Socket:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        yield "here"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(reconnect, "connect", lambda *_: Socket())


@pytest.mark.parametrize("num_failed", [1, 2, 3])
async def test_engines_that_die_while_they_start_are_waited_for(num_failed: int) -> None:
    failures = [EngineStartError("it ended while starting")] * num_failed

    async def find_socket() -> str:
        if failures:
            raise failures.pop()
        return "engine.sock"

    assert await anext(reconnect.messages(find_socket, lambda: "/x")) == "here"
    assert not failures


@pytest.mark.parametrize("error", [EngineStartError("the disk is full"), ProtocolMismatch("newer")])
async def test_an_engine_that_cannot_be_started_is_told(error: Exception) -> None:
    num_asked = 0

    async def find_socket() -> str:
        nonlocal num_asked
        num_asked += 1
        raise error

    with pytest.raises(type(error), match=str(error)):
        await anext(reconnect.messages(find_socket, lambda: "/x"))
    assert num_asked == (4 if isinstance(error, EngineStartError) else 1)
