"""Rate limits, deadlines and reverse proxies, at an engine that has such settings."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conformance_tools import DIGITS, SLEEPS, Opened, connect
from integration_tools import EngineUnderTest, until

from jupyter_ext.config import locations

MANY = """
import time, replicate
began = time.monotonic()
for _ in range({number}):
    replicate.default_client.hardware.list()
print(time.monotonic() - began)
"""


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """Return an engine with small limits, behind a proxy that is called hub.example.org."""
    monkeypatch.setenv("JUPYTER_EXT_RATE_LIMITS", "5,60")
    monkeypatch.setenv("JUPYTER_EXT_FORWARDED_HOSTS", "hub.example.org")
    engine = EngineUnderTest(locations())
    found = connect(engine)
    yield found
    found.http.close()
    engine.close()


def create(opened: Opened, text: str, headers: dict[str, str], **inputs: Any) -> httpx.Response:
    model, _, version = opened.upload("limited", text).partition(":")
    path = f"/v1/models/{model}/versions/{version}/trainings"
    return opened.http.post(path, json={"input": inputs}, headers=headers)


def ended(opened: Opened, made: dict[str, Any]) -> Any:
    """Wait for a run's end, on the socket, which has no limit."""
    transport = httpx.HTTPTransport(uds=str(opened.engine.where.socket))
    with httpx.Client(transport=transport, base_url="http://engine") as client:
        return until(
            lambda: (now := client.get(f"/v1/trainings/{made['id']}").json())["completed_at"] and now,
            "the end",
            40,
        )


@pytest.mark.slow
def test_an_official_client_waits_as_long_as_it_is_told(
    limited: Opened, client_python: Callable[[str], Path]
) -> None:
    environment = {
        "REPLICATE_API_TOKEN": limited.token,
        "REPLICATE_BASE_URL": limited.url,
        "PATH": os.environ["PATH"],
    }
    command = [client_python("replicate"), "-W", "ignore", "-c", MANY.format(number=62)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answers = [limited.http.get("/v1/account") for _ in range(70)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused, "62 went through, though 60 may come at once: the client waited"
    assert int(refused[0].headers["retry-after"]) == refused[0].json()["retry_after"] >= 1


def test_the_users_own_socket_has_no_limit(limited: Opened) -> None:
    transport = httpx.HTTPTransport(uds=str(limited.engine.where.socket))
    with httpx.Client(transport=transport, base_url="http://engine") as client:
        answers = [client.get("/v1/account") for _ in range(70)]
    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit-remaining" not in answers[0].headers


def test_a_training_that_takes_too_long_is_canceled_and_says_why(limited: Opened) -> None:
    made = create(limited, SLEEPS, {"Cancel-After": "5s"}).json()
    assert made["deadline"] > made["created_at"]
    told = ended(limited, made)
    assert told["cause"]["message"] == "Canceled: it was not over 5 s after its creation (Cancel-After)."
    assert 5 <= told["metrics"]["total_time"] < 30


def test_a_deadline_outlives_the_engine(limited: Opened) -> None:
    made = create(limited, SLEEPS, {"Cancel-After": "6"}).json()
    until((limited.engine.where.runs_dir / made["id"] / "start.json").exists, "the start of the run")
    limited.engine.kill()
    after = connect(limited.engine)
    told = ended(after, made)
    after.http.close()
    assert "Cancel-After" in told["cause"]["message"]


def test_a_training_that_is_over_in_time_is_left_alone(limited: Opened) -> None:
    made = create(limited, DIGITS, {"Cancel-After": "1h"}, steps=1).json()
    told = ended(limited, made)
    assert (told["status"], told["cause"]) == ("succeeded", None)


def test_a_bad_duration_starts_nothing(limited: Opened) -> None:
    answer = create(limited, DIGITS, {"Cancel-After": "soon"})
    assert answer.status_code == 422
    assert "Cancel-After: soon" in answer.json()["detail"]
    assert limited.json("GET", "/v1/trainings")["results"] == []


def test_links_have_the_name_that_a_known_proxy_is_asked_by(limited: Opened) -> None:
    known = {"X-Forwarded-Host": "hub.example.org", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/jx"}
    made = create(limited, DIGITS, known, steps=1).json()
    assert made["urls"]["get"] == f"https://hub.example.org/jx/v1/trainings/{made['id']}"
    unknown = {"X-Forwarded-Host": "evil.example.org", "X-Forwarded-Proto": "https"}
    asked = limited.http.get(f"/v1/trainings/{made['id']}", headers=unknown).json()
    assert all(url.startswith(limited.url) for url in asked["urls"].values())
    ended(limited, made)
