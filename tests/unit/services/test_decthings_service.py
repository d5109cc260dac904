"""The careful client of Decthings' service, against answers that are late, lost, cut, or none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from websockets.asyncio.server import ServerConnection, serve

from jupyter_ext.client.decthings.parameters import encode_parameters
from jupyter_ext.client.requests.decthings import error_of
from jupyter_ext.engine.services.decthings import AnswerLost, DecthingsService, ServiceUnreachable, is_read
from jupyter_ext.errors import InvalidInput, RequestRefused, SessionCallFailed, SessionEnded, UnknownId
from jupyter_ext.protocol.decthings.definitions import ParameterDefinition
from jupyter_ext.protocol.decthings.framing import (
    decode_call,
    decode_request,
    encode_event,
    encode_reply,
    encode_response,
)
from jupyter_ext.protocol.decthings.tensors import WireError, infer, spans

KEY = "the-key-that-nobody-may-see"
GOOD = encode_response({"result": {"x": 1}}, [b"blob"])
Answer = httpx.Response | Exception


def make(*answers: Answer) -> tuple[DecthingsService, list[httpx.Request], list[float]]:
    """Return a client whose service answers so, the last answer again and again, and what was asked and waited."""
    asked: list[httpx.Request] = []
    waited: list[float] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        answer = answers[min(len(asked), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    service = DecthingsService(
        "https://api.example.com/v0", SecretStr(KEY), pause, httpx.MockTransport(handle)
    )
    return service, asked, waited


def ok(body: bytes = GOOD, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, content=body, headers=headers)


async def test_a_call_and_its_answer() -> None:
    service, asked, _ = make(ok())
    message = await service.call("Debug", "callTrain", {"p": 1}, [b"tensor"])
    assert (message.content, [bytes(blob) for blob in message.blobs]) == ({"result": {"x": 1}}, [b"blob"])
    assert str(asked[0].url) == "https://api.example.com/v0/Debug/callTrain"
    assert asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert asked[0].headers["content-type"] == "application/octet-stream"
    sent = decode_request(asked[0].content)
    assert (sent.content, bytes(sent.blobs[0])) == ({"p": 1}, b"tensor")
    refused, _, _ = make(ok(encode_response({"error": {"code": "model_not_found"}})))
    assert (await refused.call("Debug", "callTrain", {})).content == {"error": {"code": "model_not_found"}}


LOST: list[Answer] = [
    httpx.ReadTimeout("late"),
    httpx.RemoteProtocolError("cut"),
    httpx.ReadError("reset"),
    ok(b"", 500),
    ok(b"", 503),
    ok(GOOD[:-2]),
    ok(b"<html>", 200),
]


@pytest.mark.parametrize("answer", LOST, ids=repr)
async def test_a_training_is_never_sent_twice(answer: Answer) -> None:
    service, asked, waited = make(answer, ok())
    with pytest.raises(AnswerLost, match="may have been carried out") as caught:
        await service.call("Debug", "callTrain", {})
    assert (len(asked), waited) == (1, [])
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("answer", LOST[:5], ids=repr)
async def test_a_read_is_asked_again(answer: Answer) -> None:
    service, asked, waited = make(answer, answer, ok())
    assert (await service.call("Debug", "getTrainingStatus", {})).content == {"result": {"x": 1}}
    assert len(asked) == 3
    assert waited[0] < waited[1]


@pytest.mark.parametrize("method", ["callTrain", "getTrainingStatus"])
@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("late"),
        ok(b"", 429),
        ok(encode_response({"error": {"code": "too_many_requests"}})),
    ],
    ids=repr,
)
async def test_what_was_not_carried_out_is_sent_again(answer: Answer, method: str) -> None:
    service, asked, _ = make(answer, ok())
    assert (await service.call("Debug", method, {})).content == {"result": {"x": 1}}
    assert len(asked) == 2
    never, asked, waited = make(answer)
    with pytest.raises(ServiceUnreachable, match="in 6 attempts"):
        await never.call("Debug", method, {})
    assert len(asked) == len(waited) == 6


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (ok(b"", 302, location="https://evil.example"), "status 302"),
        (ok(b"", 404), "404; it has no such method, or https://api.example.com/v0 is not its base URL"),
        (ok(b"", 401), "status 401"),
        (ok(b"<html></html>"), "something else than Decthings' answers"),
        (ok(b""), "something else"),
        (ok(GOOD[:-2]), "Blob 0 says it is 4 bytes long, but 2 are left"),
        (ok(encode_response({})), "neither a result nor an error"),
        (ok(encode_response([])), "neither"),
        (ok(encode_response({"result": None, "error": None})), "neither"),
        (ok(encode_response({"result": 5})), "neither"),
    ],
)
async def test_what_is_no_answer_is_named(answer: Answer, says: str) -> None:
    service, asked, _ = make(answer)
    with pytest.raises(RequestRefused, match=says) as caught:
        await service.call("Debug", "getDebugSessions", {})
    assert KEY not in f"{caught.value!r} {caught.value.__cause__!r} {service!r} {vars(service)}"
    assert {request.url.host for request in asked} == {"api.example.com"}


async def test_what_cannot_be_sent_is_refused_before() -> None:
    service, asked, _ = make(ok())
    with pytest.raises(WireError, match="at most 255"):
        await service.call("Dataset", "addEntries", {}, [b"x"] * 256)
    assert asked == []
    with pytest.raises(InvalidInput, match="is no base URL"):
        DecthingsService("api.example.com", None)


def test_which_methods_are_reads() -> None:
    reads = [
        "getTrainingStatus",
        "getDebugSessions",
        "downloadStateData",
        "terminateDebugSession",
        "getEntries",
    ]
    writes = [
        "callTrain",
        "callEvaluate",
        "callCreateModelState",
        "launchDebugSession",
        "addEntries",
        "createDataset",
        "train",
    ]
    assert all(map(is_read, reads))
    assert not any(map(is_read, writes))


@asynccontextmanager
async def events_server(
    handle: Callable[[ServerConnection, int], Any],
) -> AsyncIterator[tuple[DecthingsService, list[dict[str, Any]]]]:
    """Return a client of a WebSocket server that answers the n-th connection by `handle`, and the calls that came."""
    asked: list[dict[str, Any]] = []

    async def answer(socket: ServerConnection) -> None:
        frame = await socket.recv()
        assert isinstance(frame, bytes)
        call_id, message = decode_call(frame)
        asked.append(message.content)
        await handle(socket, call_id)

    async def pause(seconds: float) -> None:
        await asyncio.sleep(0)

    async with serve(answer, "127.0.0.1", 0, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        service = DecthingsService(f"http://127.0.0.1:{port}/v0", SecretStr(KEY), pause)
        yield service, asked
        await service.aclose()


ABOUT = {"debugSessionId": "s"}
EXIT = encode_event("Debug", "exit", {**ABOUT, "reason": {"code": "unknown"}})


async def test_events_are_subscribed_again_after_a_lost_socket() -> None:
    turn = 0

    async def handle(socket: ServerConnection, call_id: int) -> None:
        nonlocal turn
        turn += 1
        if turn == 2:
            await socket.close()
            return
        await socket.send(encode_event("Debug", "initialized", ABOUT))
        await socket.send(encode_reply(call_id, {"result": {}}))
        await socket.send(encode_event("Debug", "stdout", {"debugSessionId": "other"}, [b"no"]))
        await socket.send(encode_event("Debug", "stdout", ABOUT, [b"x" * (3 << 20) + str(turn).encode()]))
        if turn == 3:
            await socket.send(EXIT)

    async with events_server(handle) as (service, asked):
        seen = [event async for event in service.events("s")]
    names = [None if event is None else event.name for event in seen]
    assert names == ["initialized", "stdout", None, "initialized", "stdout", "exit"]
    assert [len(event.blobs[0]) for event in seen if event and event.blobs] == [(3 << 20) + 1] * 2
    assert [call["method"] for call in asked] == ["subscribeToEvents"] * 3
    assert {call["apiKey"] for call in asked} == {KEY}


async def test_a_refused_subscription_ends_it() -> None:
    async def handle(socket: ServerConnection, call_id: int) -> None:
        await socket.send(encode_reply(call_id, {"error": {"code": "debug_session_not_found"}}))

    async with events_server(handle) as (service, asked):
        with pytest.raises(RequestRefused, match="refuses the events of s: debug_session_not_found"):
            [event async for event in service.events("s")]
    assert len(asked) == 1


async def test_frames_that_lie_are_a_lost_socket_and_in_the_end_a_refusal() -> None:
    async def handle(socket: ServerConnection, call_id: int) -> None:
        await socket.send(b"\x00\x01")

    async with events_server(handle) as (service, asked):
        with pytest.raises(ServiceUnreachable, match="takes no WebSocket"):
            [event async for event in service.events("s")]
    assert len(asked) == 6


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        ({"code": "invalid_parameter", "parameterName": "x", "reason": "is bad"}, InvalidInput, "x: is bad"),
        (
            {"code": "exception", "exceptionDetails": "Traceback\nValueError: no"},
            SessionCallFailed,
            "ValueError: no",
        ),
        ({"code": "bad_credentials"}, RequestRefused, "DECTHINGS_API_KEY"),
        ({"code": "instantiated_model_not_found"}, UnknownId, "no such instantiated model"),
        (
            {"code": "dataset_key_not_found", "datasetId": "d", "datasetKey": "k"},
            UnknownId,
            "'d' has no key 'k'",
        ),
        ({"code": "debug_session_terminated"}, SessionEnded, "has ended"),
        ({"code": "payment_required"}, RequestRefused, "payment required"),
    ],
)
def test_an_error_is_one_of_ours(error: dict[str, Any], kind: type[Exception], says: str) -> None:
    found = error_of("Debug/callTrain", error)
    assert isinstance(found, kind)
    assert says in str(found)


X = ParameterDefinition.model_validate({"name": "x", "rules": {"shape": [2], "allowedTypes": ["f64"]}})
N = ParameterDefinition.model_validate(
    {"name": "n", "required": False, "rules": {"shape": [], "allowedTypes": ["i64"]}}
)


def test_a_value_is_one_tensor_or_its_rows_as_the_definition_says() -> None:
    import numpy

    for value, count in [
        (numpy.zeros(2), 1),
        (numpy.zeros((5, 2)), 5),
        ([numpy.zeros(2)] * 3, 3),
        ([1.0, 2.0], 1),
        ([[1.0, 2.0], [3.0, 4.0]], 2),
    ]:
        entries, blobs = encode_parameters([X, N], {"x": value, "n": 3})
        assert entries == [{"name": "x"}, {"name": "n"}]
        assert (len(spans(blobs[0])), len(spans(blobs[1]))) == (count, 1)
    _, blobs = encode_parameters([], {"x": numpy.zeros((5, 2)), "y": ["a", "b"]})
    assert (len(spans(blobs[0])), len(spans(blobs[1]))) == (1, 2)
    assert blobs[0] == infer(numpy.zeros((5, 2))).encode()


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, "x is missing; nothing was sent"),
        ({"x": [1, 2]}, "x is i64, but f64 is expected"),
        ({"x": [1.0, 2.0, 3.0]}, r"x has shape \[3\], but \[2\] is expected"),
        ({"x": [1.0, 2.0], "z": 1}, "z is unknown; the parameters are 'x', 'n'"),
        ({"x": [1.0, 2.0], "n": 1.5}, "n is f64, but i64 is expected"),
        ({"x": [None, 1.0]}, "x"),
    ],
)
def test_a_wrong_argument_is_named_before_a_byte_is_sent(params: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        encode_parameters([X, N], params)
