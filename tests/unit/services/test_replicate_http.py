"""Our client of Replicate's API against a service that misbehaves in every way we know of."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from jupyter_ext.engine.services.replicate.client import (
    CreateUnclear,
    ReplicateClient,
    ServiceUnreachable,
    Stopped,
)
from jupyter_ext.engine.services.replicate.clock import asked_pause_s, clock_ahead_s, parse_time
from jupyter_ext.engine.services.replicate.create_recovery import Wanted
from jupyter_ext.errors import InvalidInput, RequestRefused, UnknownId

TOKEN = "r8_secret"
Answer = bytes | None
"""Bytes to send, or None to break the connection off without an answer."""


def answer(status: int, body: str = "{}", *headers: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status} X",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, *headers, "", body]).encode()


def wanted() -> Wanted:
    return Wanted("o/n", "v", "o/d", {"a": 1}, time.time())


class Service:
    """A server on loopback that gives the answers it was told to, in turn; the last one again and again."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.authorizations: list[str] = []
        self.answers: list[Answer | Callable[[str], Answer]] = []
        self.pauses: list[float] = []
        self.holds = 0
        """So many answers are begun and never ended."""
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            (int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-l")), 0
        )
        await reader.readexactly(length)
        self.requests.append(" ".join(head.split()[:2]))
        self.authorizations += [
            line for line in head.splitlines() if line.lower().startswith("authorization")
        ]
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        data = given(self.requests[-1]) if callable(given) else given
        if data is not None:
            writer.write(data)
            await writer.drain()
        if self.holds:
            self.holds -= 1
            await reader.read()
        writer.close()

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def client(self) -> ReplicateClient:
        return ReplicateClient(f"http://127.0.0.1:{self.port}/v1", TOKEN, self.pause)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    await service.start()
    yield service
    await service.close()


@pytest.fixture
async def client(service: Service) -> AsyncIterator[ReplicateClient]:
    client = service.client()
    yield client
    await client.aclose()


@pytest.mark.parametrize(
    "fault", [answer(429), answer(500), answer(502, "<html>"), answer(503), answer(504), None]
)
async def test_a_get_is_retried(service: Service, client: ReplicateClient, fault: Answer) -> None:
    service.answers = [fault, fault, answer(200, '{"id": "x"}')]
    assert await client.get("x") == {"id": "x"}
    assert len(service.requests) == 3
    assert (
        service.authorizations == [f"authorization: Bearer {TOKEN}"] * 3 or len(service.authorizations) == 3
    )


async def test_a_cancel_is_retried(service: Service, client: ReplicateClient) -> None:
    service.answers = [None, answer(503), answer(200, '{"status": "canceled"}')]
    await client.cancel("x")
    assert service.requests == ["POST /v1/trainings/x/cancel"] * 3


async def test_a_create_is_sent_again_only_when_the_service_says_it_did_not_take_it(
    service: Service, client: ReplicateClient
) -> None:
    service.answers = [
        answer(429, '{"detail": "Your rate limit resets in ~7s."}'),
        answer(201, '{"id": "new"}'),
    ]
    assert await client.create(wanted()) == "new"
    assert len(service.requests) == 2
    assert service.pauses[0] >= 7


@pytest.mark.parametrize("fault", [None, answer(502)])
async def test_a_lost_answer_is_looked_up_before_anything_is_sent_again(
    service: Service, client: ReplicateClient, fault: Answer
) -> None:
    now = datetime.now(UTC).isoformat()
    item = f'{{"id": "made", "model": "o/n", "version": "v", "input": {{"a": 1}}, "created_at": "{now}"}}'
    service.answers = [fault, answer(200, f'{{"next": null, "results": [{item}]}}')]
    assert await client.create(wanted()) == "made"
    assert service.requests == ["POST /v1/models/o/n/versions/v/trainings", "GET /v1/trainings"]


async def test_a_lost_answer_that_started_nothing_is_sent_again(
    service: Service, client: ReplicateClient
) -> None:
    old = '{"id": "old", "model": "o/n", "version": "v", "input": {"a": 1}, "created_at": "2020-01-01T00:00:00.123456789Z"}'
    listed = answer(200, f'{{"results": [{old}]}}')
    service.answers = [None, listed, listed, answer(201, '{"id": "new"}')]
    assert await client.create(wanted()) == "new"


async def test_when_nobody_can_tell_it_is_not_sent_again(service: Service, client: ReplicateClient) -> None:
    service.answers = [None]
    with pytest.raises(CreateUnclear, match="look at its own list"):
        await client.create(wanted())
    assert sum(request.startswith("POST") for request in service.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (401, '{"title": "Unauthenticated", "detail": "no"}', RequestRefused, "REPLICATE_API_TOKEN"),
        (
            402,
            '{"title": "Insufficient credit", "detail": "Pay\\nfirst"}',
            RequestRefused,
            "answered 402: Pay first",
        ),
        (404, '{"detail": "The specified training destination does not exist"}', UnknownId, "does not exist"),
        (422, '{"detail": "- input: prompt is required\\n"}', InvalidInput, "prompt is required"),
        (400, "[]", InvalidInput, "answered 400"),
        (301, "", RequestRefused, "right base URL"),
        (200, "[1]", RequestRefused, "right base URL"),
        (200, "<html>", RequestRefused, "right base URL"),
    ],
)
async def test_a_refusal_is_one_line_without_the_token(
    service: Service, client: ReplicateClient, status: int, body: str, kind: type[Exception], says: str
) -> None:
    service.answers = [answer(status, body, "Location: http://127.0.0.1:1/elsewhere")]
    with pytest.raises(kind, match=says) as caught:
        await client.get("x")
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert len(service.requests) == 1


async def test_pages_are_followed_on_the_same_origin_only(service: Service, client: ReplicateClient) -> None:
    now = datetime.now(UTC).isoformat()
    other = f'{{"id": "a", "model": "other/one", "version": "v", "input": {{}}, "created_at": "{now}"}}'
    here = f"http://127.0.0.1:{service.port}/v1/trainings?cursor=b%3D"
    service.answers = [
        answer(200, f'{{"next": "{here}", "results": [{other}]}}'),
        answer(200, f'{{"next": "http://localhost:1/v1/trainings", "results": [{other}]}}'),
    ]
    with pytest.raises(RequestRefused, match="another host"):
        await client.find(wanted(), frozenset)
    assert service.requests == ["GET /v1/trainings", "GET /v1/trainings?cursor=b%3D"]


async def test_who_no_longer_wants_a_training_waits_for_nothing(
    service: Service, client: ReplicateClient
) -> None:
    stop = asyncio.Event()
    stop.set()
    service.answers = [answer(429, '{"retry_after": 3000}')]
    with pytest.raises(Stopped):
        await client.create(wanted(), stop=stop)
    assert (len(service.requests), service.pauses) == (1, [])


async def test_a_create_that_takes_too_long_is_looked_for_and_never_sent_again(service: Service) -> None:
    client = ReplicateClient(f"http://127.0.0.1:{service.port}/v1", TOKEN, service.pause, httpx.Timeout(0.3))
    service.answers = [b"HTTP/1.1 201 X\r\nContent-Length: 100\r\n\r\n{", answer(200, '{"results": []}')]
    service.holds = 1
    with pytest.raises(CreateUnclear, match="look at its own list"):
        await client.create(wanted())
    await client.aclose()
    assert sum(request.startswith("POST") for request in service.requests) == 1


@pytest.mark.parametrize("token", ["a b", "a\nb", "tökén", "a\x00"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(InvalidInput, match="no token has") as caught:
        ReplicateClient("http://127.0.0.1/v1", token)
    assert token not in str(caught.value)


def test_a_base_url_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInput, match="holds a password") as caught:
        ReplicateClient("https://user:hunter2@example.org/v1", TOKEN)
    assert "hunter2" not in str(caught.value)


# -- which training is ours ------------------------------------------------------------------------------------------

ASKED = datetime(2026, 5, 1, 12, tzinfo=UTC)
OURS = {
    "id": "x",
    "model": "o/n",
    "version": "v",
    "input": {"a": 1, "key": "secret", "data": "https://here/f"},
    "created_at": "2026-05-01T12:00:01Z",
}


@pytest.mark.parametrize(
    ("change", "ahead_s", "judgement"),
    [
        ({}, 0.0, "ours"),
        ({"input": {**OURS["input"], "epochs": 3}}, 0.0, "ours"),
        ({"input": {**OURS["input"], "key": "**********"}}, 0.0, "ours"),
        ({"input": {**OURS["input"], "a": 2}}, 0.0, "other"),
        ({"input": {**OURS["input"], "data": "https://there/f"}}, 0.0, "unclear"),
        ({"input": {}}, 0.0, "unclear"),
        ({"input": None}, 0.0, "unclear"),
        ({"model": "o/m"}, 0.0, "other"),
        ({"model": None}, 0.0, "unclear"),
        ({"version": "w"}, 0.0, "other"),
        ({"id": "taken"}, 0.0, "other"),
        ({"created_at": "2026-05-01T11:00:01Z"}, 0.0, "other"),
        ({"created_at": "2026-05-01T11:00:01Z"}, -3600.0, "ours"),
        ({"created_at": "2026-05-01T11:00:01Z"}, None, "unclear"),
        ({"created_at": "2026-04-01T11:00:01Z"}, None, "other"),
        ({"created_at": "2026-05-01T12:00:01"}, 0.0, "ours"),
        ({"created_at": "yesterday"}, 0.0, "unclear"),
        ({"created_at": None}, 0.0, "unclear"),
    ],
)
def test_which_training_of_a_list_is_ours(change: Any, ahead_s: float | None, judgement: str) -> None:
    asked = Wanted("o/n", "v", None, OURS["input"], ASKED.timestamp())
    assert asked.judge({**OURS, **change}, ahead_s, {"taken"}) == judgement


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-01T12:00:00.123456789Z", "2026-05-01T12:00:00.123456+00:00"),
        ("2026-05-01T14:00:00+02:00", "2026-05-01T12:00:00+00:00"),
        ("2026-05-01T12:00:00", "2026-05-01T12:00:00+00:00"),
        ("0001-01-01T00:00:00+14:00", None),
        ("soon", None),
        (12, None),
        (None, None),
    ],
)
def test_times_are_read(text: Any, expected: str | None) -> None:
    found = parse_time(text)
    assert (found and found.isoformat()) == expected


def test_the_services_clock_is_read() -> None:
    at = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()
    assert clock_ahead_s({"date": "Fri, 01 May 2026 12:00:02 GMT"}, at) == 0
    assert clock_ahead_s({"date": "Fri, 01 May 2026 11:00:00 GMT"}, at) == -3600
    assert clock_ahead_s({"date": "long ago"}, at) is clock_ahead_s({}, at) is None


async def test_a_service_that_is_down_is_given_up_in_one_line(
    client: ReplicateClient, service: Service
) -> None:
    await service.close()
    with pytest.raises(ServiceUnreachable, match="did not answer /v1/trainings/x in 8 attempts"):
        await client.get("x")
    assert service.pauses == sorted(service.pauses)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "3"}, "{}", 3),
        ({"retry-after": "1"}, '{"retry_after": 7}', 7),
        ({}, '{"detail": "Expected available in 2 seconds."}', 2),
        ({"retry-after": "soon"}, "no json", 0),
        ({"retry-after": "Wed, 01 Jan 2020 00:00:00 GMT"}, "[]", 0),
        ({"retry-after": "-3"}, '{"retry_after": NaN}', 0),
        ({"retry-after": "99999999999"}, '{"retry_after": true}', 0),
        ({"retry-after": "86400"}, "{}", 3600),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], body: str, seconds: float) -> None:
    assert asked_pause_s(headers, body.encode()) == seconds


@pytest.mark.parametrize("url", ["", "replicate", "ftp://x/v1", "http://", "http://x:y"])
def test_a_bad_base_url_is_named(url: str) -> None:
    with pytest.raises(InvalidInput, match="is no base URL"):
        ReplicateClient(url, TOKEN)
