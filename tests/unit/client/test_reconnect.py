"""A follower stays through engines that die while they start, and is told why where none can be started."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from jupyter_ext.client.requests import reconnect
from jupyter_ext.client.requests.event_stream import follow
from jupyter_ext.client.requests.reconnect import within
from jupyter_ext.errors import EngineStartError, InvalidInput, NotOver, ProtocolMismatch


class Socket:
    close_code = 1000
    close_reason = ""
    num_open = 0

    def __init__(self, *messages: str) -> None:
        self.messages = messages

    async def __aenter__(self) -> Socket:
        Socket.num_open += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        Socket.num_open -= 1

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        for message in self.messages:
            yield message


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(reconnect, "connect", lambda *_: Socket("here"))
    monkeypatch.setattr(reconnect._Waiting, "_said", {})


@pytest.mark.parametrize("num_failed", [1, 2, 3])
async def test_engines_that_die_while_they_start_are_waited_for(num_failed: int) -> None:
    failures = [EngineStartError("it ended while starting")] * num_failed

    async def find_socket() -> str:
        if failures:
            raise failures.pop()
        return "engine.sock"

    async with contextlib.aclosing(reconnect.messages(find_socket, lambda: "/x")) as messages:
        assert await anext(messages) == "here"
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


async def test_the_connection_is_closed_when_the_last_event_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    async def find_socket() -> str:
        return "engine.sock"

    end = '{"kind": "end", "seq": 3}'
    monkeypatch.setattr(reconnect, "connect", lambda *_: Socket(end, "never read"))
    before = Socket.num_open
    async with contextlib.aclosing(follow(find_socket, "id", 0)) as events:
        assert [event.kind async for event in events] == ["end"]
    assert Socket.num_open == before


def overloaded() -> InvalidStatus:
    body = json.dumps(
        {"title": "Too many streams", "detail": "It has 6 streams open, its limit.", "status": 503}
    )
    return InvalidStatus(Response(503, "Service Unavailable", Headers(), body.encode()))


def closed(code: int, reason: str) -> Socket:
    socket = Socket()
    socket.close_code, socket.close_reason = code, reason
    return socket


async def first_message(monkeypatch: pytest.MonkeyPatch, outcomes: list[Exception | Socket]) -> str | bytes:
    def connect(*_: object) -> Socket:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def find_socket() -> str:
        return "engine.sock"

    monkeypatch.setattr(reconnect, "connect", connect)
    async with contextlib.aclosing(reconnect.messages(find_socket, lambda: "/x")) as messages:
        return await anext(messages)


@pytest.mark.parametrize("refusal", [overloaded, lambda: closed(4503, "It has 6 streams open, its limit.")])
async def test_why_a_stream_is_refused_is_said_once_and_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    refusal: Callable[[], Exception | Socket],
) -> None:
    for _ in range(2):  # streams that wait for the same thing say it together
        assert await first_message(monkeypatch, [refusal(), refusal(), Socket("here")]) == "here"
    assert capsys.readouterr().err == "It has 6 streams open, its limit. Trying again.\n"


async def test_an_engine_that_is_away_for_a_moment_is_not_worth_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = ConnectionRefusedError(111, "Connection refused")
    assert await first_message(monkeypatch, [gone, gone, gone, Socket("here")]) == "here"
    assert capsys.readouterr().err == ""
    out_of_files = OSError(24, "Too many open files")
    assert await first_message(monkeypatch, [*[out_of_files] * 5, Socket("here")]) == "here"
    assert capsys.readouterr().err.count("Too many open files") == 1


async def test_a_wait_that_gives_up_says_what_goes_on() -> None:
    with pytest.raises(NotOver, match=r"Training x is not over after 0.01 s; it goes on\."):
        async with within(0.01, "Training x"):
            await asyncio.Event().wait()
    with pytest.raises(TimeoutError, match="of somebody else"):
        async with within(60, "Training x"):
            raise TimeoutError("of somebody else")
    with pytest.raises(InvalidInput, match="timeout_s='5' is no number of seconds"):
        async with within("5", "Training x"):
            raise AssertionError("never begun")
    async with within(None, "Training x"):
        await asyncio.sleep(0)
