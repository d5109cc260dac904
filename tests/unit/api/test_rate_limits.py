"""Token buckets, and who a reverse proxy may say that a client knows this engine by."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from jupyter_ext.config import RateLimits, engine_settings
from jupyter_ext.engine.api.http.forwarded import Forwarded
from jupyter_ext.engine.api.http.rate_limits import Bucket, RateLimited
from jupyter_ext.engine.api.http.requests import base_url, cancel_after_s
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.problems import Problem

LIMITS = RateLimits(predictions_per_min=2, others_per_min=6)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def echo(request: Request) -> JSONResponse:
    return JSONResponse({"base": base_url(request), "url": str(request.url.include_query_params(cursor="c"))})


APP = Starlette(
    routes=[
        Route(path, echo, methods=["GET", "POST"])
        for path in ("/v1/trainings", "/v1/predictions", "/v1/models/o/n/predictions", "/native/engine")
    ]
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    app = RateLimited(APP, LIMITS, clock)
    headers = {"Authorization": "Bearer a"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:1", headers=headers
    ) as client:
        yield client


def test_a_bucket_lets_a_burst_pass_and_then_a_steady_stream() -> None:
    bucket = Bucket(capacity=3, per_s=0.5, tokens=3, at=0)
    assert [bucket.take(0) for _ in range(4)] == [0, 0, 0, 2.0]
    assert bucket.take(1) == 1.0
    assert bucket.take(2) == 0
    assert bucket.full_in_s == 6
    assert not bucket.is_full(7)
    assert bucket.is_full(8)
    assert [bucket.take(1000) for _ in range(4)] == [0, 0, 0, 2.0], "it does not grow beyond its capacity"


async def test_who_asks_too_often_is_told_when_to_come_again(client: httpx.AsyncClient, clock: Clock) -> None:
    answers = [await client.get("/v1/trainings") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers[:3]] == ["5", "4", "3"]
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"] == "10"
    body = refused.json()
    assert (body["status"], body["retry_after"]) == (429, 10)
    assert "Your rate limit resets in ~10s." in body["detail"]
    clock.now += 10
    assert (await client.get("/v1/trainings")).status_code == 200


async def test_kinds_and_clients_have_buckets_of_their_own(client: httpx.AsyncClient) -> None:
    paths = ["/v1/predictions", "/v1/models/o/n/predictions", "/v1/predictions"]
    assert [(await client.post(path)).status_code for path in paths] == [200, 200, 429]
    assert (await client.get("/v1/predictions")).status_code == 200, "asking is not making"
    other = {"Authorization": "Bearer b"}
    assert (await client.post("/v1/predictions", headers=other)).status_code == 200
    for _ in range(20):
        answer = await client.get("/native/engine")
        assert answer.status_code == 200
        assert "ratelimit-remaining" not in answer.headers


async def test_clients_that_have_rested_are_forgotten(clock: Clock) -> None:
    limited = RateLimited(APP, LIMITS, clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(limited), base_url="http://x") as client:
        for number in range(1001):
            await client.get("/v1/trainings", headers={"Authorization": f"Bearer {number}"})
            clock.now += 0.001
        clock.now += 60
        await client.get("/v1/trainings", headers={"Authorization": "Bearer last"})
    assert len(limited._buckets) < 10


@pytest.mark.parametrize(
    ("text", "expected"),
    [("off", None), ("600,3000", RateLimits(600, 3000)), (" 1 , 2 ", RateLimits(1, 2))],
)
def test_limits_are_read(monkeypatch: pytest.MonkeyPatch, text: str, expected: RateLimits | None) -> None:
    monkeypatch.setenv("JUPYTER_EXT_RATE_LIMITS", text)
    monkeypatch.setenv("JUPYTER_EXT_SOCKET_RATE_LIMITS", text)
    settings = engine_settings()
    assert settings.port_limits == settings.socket_limits == expected


@pytest.mark.parametrize("text", ["600", "0,1", "1,2,3", "many,few", "-1,5", "1.5,2", "²,2"])
def test_a_limit_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("JUPYTER_EXT_RATE_LIMITS", text)
    with pytest.raises(InvalidInput, match=r"JUPYTER_EXT_RATE_LIMITS is '.*600,3000"):
        engine_settings()


# -- behind a reverse proxy ------------------------------------------------------------------------------------------

HERE = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({}, HERE),
        ({"x-forwarded-host": "hub.example.org", "x-forwarded-proto": "https"}, "https://hub.example.org"),
        ({"x-forwarded-host": "HUB.example.org:8443, 10.0.0.1"}, "http://HUB.example.org:8443"),
        ({"x-forwarded-host": "hub.example.org", "x-forwarded-port": "8080"}, "http://hub.example.org:8080"),
        (
            {"x-forwarded-host": "hub.example.org", "x-forwarded-prefix": "/user/ada/"},
            "http://hub.example.org/user/ada",
        ),
        ({"x-forwarded-host": "evil.example.org", "x-forwarded-proto": "https"}, HERE),
        ({"x-forwarded-host": "hub.example.org.evil.org"}, HERE),
        ({"x-forwarded-host": "hub.example.org/path"}, HERE),
        ({"x-forwarded-host": "evil@hub.example.org"}, HERE),
        ({"x-forwarded-proto": "https"}, HERE),
        (
            {"x-forwarded-host": "hub.example.org", "x-forwarded-proto": "javascript"},
            "http://hub.example.org",
        ),
        ({"x-forwarded-host": "hub.example.org", "x-forwarded-prefix": "/a/../b"}, "http://hub.example.org"),
        (
            {"x-forwarded-host": "hub.example.org", "x-forwarded-prefix": "//evil.org"},
            "http://hub.example.org",
        ),
    ],
)
async def test_only_a_named_host_is_believed(headers: dict[str, str], base: str) -> None:
    app = Forwarded(APP, frozenset({"hub.example.org"}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE) as client:
        told = (await client.get("/v1/trainings", headers=headers)).json()
    assert told["base"].lower() == base.lower()
    assert told["url"].lower() == f"{base}/v1/trainings?cursor=c".lower()


async def test_without_a_named_host_nothing_is_believed() -> None:
    app = Forwarded(APP, frozenset())
    headers = {"x-forwarded-host": "127.0.0.1", "x-forwarded-proto": "https"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE) as client:
        assert (await client.get("/v1/trainings", headers=headers)).json()["base"] == HERE


# -- Cancel-After ----------------------------------------------------------------------------------------------------


def asks(text: str) -> Request:
    return Request({"type": "http", "headers": [(b"cancel-after", text.encode())]})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("30s", 30), ("5m", 300), ("1h30m45s", 5445), ("2h", 7200), (" 5 ", 5), ("", None)],
)
def test_how_long_a_run_may_take_is_read(text: str, seconds: float | None) -> None:
    assert cancel_after_s(asks(text)) == seconds


@pytest.mark.parametrize("text", ["4", "0", "-5", "1.5h", "5 m", "soon", "30s5m", "1d", "9" * 40])
def test_a_duration_that_is_none_is_named(text: str) -> None:
    with pytest.raises(Problem, match="Cancel-After") as caught:
        cancel_after_s(asks(text))
    assert caught.value.status == 422
    assert text[:40] in caught.value.detail
