"""Our client of Replicate's API against a service that misbehaves in every way we know of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from jupyter_ext.engine.backends.replicate_http import ReplicateClient, ServiceUnreachable, asked_pause_s
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


class Service:
    """A server on loopback that gives the answers it was told to, in turn; the last one again and again."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.authorizations: list[str] = []
        self.answers: list[Answer | Callable[[str], Answer]] = []
        self.pauses: list[float] = []
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
    assert (await client.cancel("x"))["status"] == "canceled"
    assert service.requests == ["POST /v1/trainings/x/cancel"] * 3


async def test_a_create_is_sent_again_only_when_the_service_says_it_did_not_take_it(
    service: Service, client: ReplicateClient
) -> None:
    service.answers = [
        answer(429, '{"detail": "Your rate limit resets in ~7s."}'),
        answer(201, '{"id": "new"}'),
    ]
    assert (await client.create("o/n", "v", "o/d", {"a": 1}))["id"] == "new"
    assert len(service.requests) == 2
    assert service.pauses[0] >= 7


@pytest.mark.parametrize("fault", [None, answer(502)])
async def test_a_lost_answer_is_looked_up_before_anything_is_sent_again(
    service: Service, client: ReplicateClient, fault: Answer
) -> None:
    now = datetime.now(UTC).isoformat()
    item = f'{{"id": "made", "model": "o/n", "version": "v", "input": {{"a": 1}}, "created_at": "{now}"}}'
    service.answers = [fault, answer(200, f'{{"next": null, "results": [{item}]}}')]
    assert (await client.create("o/n", "v", "o/d", {"a": 1}))["id"] == "made"
    assert service.requests == ["POST /v1/models/o/n/versions/v/trainings", "GET /v1/trainings"]


async def test_a_lost_answer_that_started_nothing_is_sent_again(
    service: Service, client: ReplicateClient
) -> None:
    old = '{"id": "old", "model": "o/n", "version": "v", "input": {"a": 1}, "created_at": "2020-01-01T00:00:00.123456789Z"}'
    service.answers = [None, answer(200, f'{{"results": [{old}]}}'), answer(201, '{"id": "new"}')]
    assert (await client.create("o/n", "v", "o/d", {"a": 1}))["id"] == "new"


async def test_when_nobody_can_tell_it_is_not_sent_again(service: Service, client: ReplicateClient) -> None:
    service.answers = [None]
    with pytest.raises(ServiceUnreachable, match="look at its own list"):
        await client.create("o/n", "v", "o/d", {})
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
    here = f"http://127.0.0.1:{service.port}/v1/trainings?cursor=b%3D"
    service.answers = [
        answer(200, f'{{"next": "{here}", "results": [{{"id": "a"}}]}}'),
        answer(200, '{"next": "http://localhost:1/v1/trainings", "results": [{"id": "b"}]}'),
    ]
    seen: list[Any] = []

    async def read() -> None:
        async for page in client.pages():
            seen.extend(item["id"] for item in page)

    with pytest.raises(RequestRefused, match="another host"):
        await read()
    assert seen == ["a", "b"]
    assert service.requests == ["GET /v1/trainings", "GET /v1/trainings?cursor=b%3D"]


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
    ],
)
def test_how_long_to_wait(headers: dict[str, str], body: str, seconds: float) -> None:
    import httpx

    assert asked_pause_s(httpx.Response(429, headers=headers, text=body)) == seconds


@pytest.mark.parametrize("url", ["", "replicate", "ftp://x/v1", "http://"])
def test_a_bad_base_url_is_named(url: str) -> None:
    with pytest.raises(InvalidInput, match="is no base URL"):
        ReplicateClient(url, TOKEN)
