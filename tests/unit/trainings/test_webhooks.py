"""Webhooks: signature, order, throttle, retries, and what is owed."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.engine.trainings.delivery import webhooks
from jupyter_ext.engine.trainings.delivery.webhook_signature import new_secret, signature_headers
from jupyter_ext.engine.trainings.delivery.webhooks import Webhooks, webhook_of
from jupyter_ext.protocol.problems import Problem

RUN = "0123456789abcdefghijklmnop"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiving:
    """A run and a receiver of what is told about it."""

    def __init__(self, directory: Path, fail: int = 0, takes_s: float = 0.0) -> None:
        self.status = "processing"
        self.logs = 0
        self.got: list[tuple[float, dict[str, Any], Mapping[str, str]]] = []
        self._fail = fail
        self._takes_s = takes_s
        self.webhooks = Webhooks(directory, lambda: SECRET, self._payload, self._send)

    async def _payload(self, run_id: str, base_url: str) -> dict[str, Any]:
        return {"id": run_id, "status": self.status, "logs": self.logs, "base": base_url}

    async def _send(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        self.got.append((asyncio.get_running_loop().time(), json.loads(body), headers))
        await asyncio.sleep(self._takes_s)
        if self._fail:
            self._fail -= 1
            raise OSError("refused")
        return 200

    def add(self, *events: str) -> None:
        body = {"webhook": "http://127.0.0.1:9/", "webhook_events_filter": list(events)}
        told = webhook_of(body, "http://127.0.0.1:1")
        assert told is not None
        self.webhooks.add(RUN, told)

    async def over(self) -> None:
        async with asyncio.timeout(60):
            while self.webhooks.num_pending:
                await asyncio.sleep(0.005)

    @property
    def statuses(self) -> list[str]:
        return [body["status"] for _, body, _ in self.got]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "THROTTLE_S", 0.05)
    monkeypatch.setattr(webhooks, "RETRY_PAUSES_S", (0.01, 0.02, 0.03))


def test_the_public_test_vector() -> None:
    headers = signature_headers(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_has_one_underscore() -> None:
    assert all(new_secret().count("_") == 1 for _ in range(50))


@pytest.mark.parametrize("url", ["ftp://x/", "nothing", 3, "http://", ["http://x"]])
def test_a_url_that_cannot_be_posted_to_is_refused(url: Any) -> None:
    with pytest.raises(Problem) as caught:
        webhook_of({"webhook": url}, "")
    assert caught.value.invalid_fields[0].field == "webhook"


def test_no_filter_is_all_events() -> None:
    assert webhook_of({}, "") is None
    one = webhook_of({"webhook": "https://x/", "webhook_events_filter": "completed"}, "b") or {}
    assert one["events"] == ["completed"]
    assert (webhook_of({"webhook": "https://x/"}, "b") or {})["events"] == [
        "start",
        "output",
        "logs",
        "completed",
        "alert",
    ]


async def test_messages_are_throttled_in_order_and_end_with_the_end(tmp_path: Path, quick: None) -> None:
    run = Receiving(tmp_path)
    run.add()
    run.webhooks.notify(RUN, "start")
    for number in range(40):
        run.logs = number
        run.webhooks.notify(RUN, "logs")
        await asyncio.sleep(0.01)
    run.status = "succeeded"
    run.webhooks.notify(RUN, "completed")
    await run.over()
    run.webhooks.notify(RUN, "logs")
    await asyncio.sleep(0.1)
    assert run.statuses[-1] == "succeeded"
    assert run.statuses.count("succeeded") == 1
    assert (
        4 <= len(run.got) < 40
    )  # how many is a matter of how long the forty took; the pauses between them are not
    times = [at for at, _, _ in run.got[1:-1]]
    assert all(later - earlier >= 0.049 for earlier, later in itertools.pairwise(times))
    assert [body["logs"] for _, body, _ in run.got] == sorted(body["logs"] for _, body, _ in run.got)


async def test_a_run_that_is_over_at_once_still_has_a_start_and_one_end(tmp_path: Path, quick: None) -> None:
    run = Receiving(tmp_path)
    run.add()
    run.status = "failed"
    for event in ("start", "logs", "completed"):
        run.webhooks.notify(RUN, event)
    await run.over()
    assert run.statuses == ["processing", "failed"]


async def test_the_end_overtakes_what_waits_behind_a_slow_receiver(tmp_path: Path, quick: None) -> None:
    run = Receiving(tmp_path, takes_s=0.2)
    run.add()
    run.webhooks.notify(RUN, "start")
    await asyncio.sleep(0.02)
    for _ in range(1000):
        run.webhooks.notify(RUN, "logs")
    run.status = "canceled"
    run.webhooks.notify(RUN, "completed")
    await run.over()
    assert run.statuses == ["processing", "canceled"]


async def test_only_the_end_is_tried_again_and_not_for_ever(tmp_path: Path, quick: None) -> None:
    run = Receiving(tmp_path, fail=99)
    run.add()
    run.webhooks.notify(RUN, "start")
    await asyncio.sleep(0.05)
    run.status = "succeeded"
    run.webhooks.notify(RUN, "completed")
    await run.over()
    assert run.statuses == ["processing"] + ["succeeded"] * 4
    assert len({headers["webhook-id"] for _, _, headers in run.got}) == 2
    assert not list(tmp_path.iterdir())


async def test_what_is_not_asked_for_is_not_sent(tmp_path: Path, quick: None) -> None:
    run = Receiving(tmp_path)
    run.add("output")
    for event in ("start", "logs"):
        run.webhooks.notify(RUN, event)
    run.status = "succeeded"
    run.webhooks.notify(RUN, "output")
    run.webhooks.notify(RUN, "completed")
    await run.over()
    assert run.statuses == ["succeeded"]


async def test_another_engine_goes_on_with_what_is_owed(tmp_path: Path, quick: None) -> None:
    first = Receiving(tmp_path)
    first.add()
    first.webhooks.notify(RUN, "start")
    await asyncio.sleep(0.05)
    await first.webhooks.close()
    second = Receiving(tmp_path)
    second.status = "succeeded"

    async def is_over(run_id: str) -> bool | None:
        return {RUN: True}.get(run_id)

    (tmp_path / "unknown.json").write_text("{}")
    await second.webhooks.open(is_over)
    second.webhooks.notify(RUN, "start")
    await second.over()
    assert (first.statuses, second.statuses) == (["processing"], ["succeeded"])
    assert os.listdir(tmp_path) == ["unknown.json"]  # not ours, so it is left alone
