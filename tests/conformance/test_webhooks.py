"""Webhooks of a running engine, verified by the official client, received well and badly."""

from __future__ import annotations

import itertools
import json
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance_tools import FAILS, Opened, connect
from integration_tools import EngineUnderTest, until
from receiver import Receiver

from jupyter_ext.config import locations

TALKS = """
import time

def train(lines: int = 20, pause: float = 0.1, width: int = 1):
    for line in range(lines):
        print("x" * width, line, flush=True)
        time.sleep(pause)
    return {"lines": lines}
"""


@pytest.fixture
def receivers() -> Iterator[Callable[..., Receiver]]:
    """Return a function that makes receivers."""
    made: list[Receiver] = []

    def make(*arguments: Any, **words: Any) -> Receiver:
        made.append(Receiver(*arguments, **words))
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()


def train(
    opened: Opened, reference: str, webhook: str, events: list[str] | None = None, **inputs: Any
) -> str:
    """Start a training with a webhook; give its id."""
    model, _, version = reference.partition(":")
    body = {"input": inputs, "webhook": webhook} | ({"webhook_events_filter": events} if events else {})
    return str(opened.json("POST", f"/v1/models/{model}/versions/{version}/trainings", json=body)["id"])


def status(opened: Opened, id: str) -> str:
    return str(opened.json("GET", f"/v1/trainings/{id}")["status"])


@pytest.mark.slow
def test_the_official_client_verifies_every_message(
    opened: Opened, run_script: Callable[..., Any], receivers: Callable[..., Receiver], tmp_path: Path
) -> None:
    receiver = receivers()
    id = train(opened, opened.upload("talks", TALKS), receiver.url)
    until(lambda: "succeeded" in receiver.statuses, "the terminal message")
    time.sleep(0.7)
    assert receiver.statuses[-1] == "succeeded"
    assert set(receiver.statuses[:-1]) == {"processing"}
    assert 3 <= len(receiver.messages) <= 7  # start, 2 s of log at most twice a second, the end
    middle = [message["at"] for message in receiver.messages[1:-1]]
    assert all(later - earlier > 0.3 for earlier, later in itertools.pairwise(middle))
    last = receiver.bodies[-1]
    now = opened.json("GET", f"/v1/trainings/{id}")
    assert last == now | {"silent_s": last["silent_s"]}
    assert len({message["headers"]["webhook-id"] for message in receiver.messages}) == len(receiver.messages)
    (tmp_path / "messages.json").write_text(json.dumps(receiver.messages))
    told = run_script("replicate", "replicate_webhooks.py", str(tmp_path / "messages.json"))
    assert told["verdicts"] == ["verified"] * len(receiver.messages)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (["start"], ["processing"]),
        (["completed"], ["failed"]),
        (["start", "completed"], ["processing", "failed"]),
    ],
)
def test_only_the_events_that_were_asked_for(
    opened: Opened, receivers: Callable[..., Receiver], events: list[str], expected: list[str]
) -> None:
    receiver = receivers()
    id = train(opened, opened.upload("fails", FAILS), receiver.url, events)
    until(lambda: status(opened, id) == "failed", "the end")
    until(lambda: len(receiver.messages) >= len(expected), "the messages")
    time.sleep(0.3)
    assert receiver.statuses == expected


def test_the_terminal_message_is_sent_again_the_same_and_no_other(
    opened: Opened, receivers: Callable[..., Receiver]
) -> None:
    receiver = receivers(lambda number: 500 if number < 2 else 200)
    train(opened, opened.upload("fails", FAILS), receiver.url, ["completed"])
    until(lambda: len(receiver.messages) == 3, "the third attempt")
    assert len({message["headers"]["webhook-id"] for message in receiver.messages}) == 1
    assert len({message["body"] for message in receiver.messages}) == 1
    assert receiver.messages[2]["at"] - receiver.messages[0]["at"] > 2.5
    time.sleep(0.5)
    assert len(receiver.messages) == 3


def test_a_redirect_is_not_followed(opened: Opened, receivers: Callable[..., Receiver]) -> None:
    other = receivers()
    receiver = receivers(lambda number: 307 if number == 0 else 200, {"Location": other.url})
    train(opened, opened.upload("fails", FAILS), receiver.url, ["completed"])
    until(lambda: len(receiver.messages) == 2, "the second attempt")
    assert other.messages == []


def test_a_stuck_receiver_costs_the_run_nothing(opened: Opened, receivers: Callable[..., Receiver]) -> None:
    go_on = threading.Event()
    receiver = receivers(lambda number: 200 if go_on.wait(60) else 500)
    try:
        id = train(opened, opened.upload("talks", TALKS), receiver.url, lines=10, pause=0.05)
        until(lambda: status(opened, id) == "succeeded", "the end")
        assert "succeeded" not in receiver.statuses
    finally:
        go_on.set()


def test_a_receiver_that_is_not_there_costs_the_run_nothing(opened: Opened) -> None:
    id = train(opened, opened.upload("fails", FAILS), "http://127.0.0.1:9/none", ["start", "logs"])
    until(lambda: status(opened, id) == "failed", "the end")


def test_long_logs_are_cut_in_messages(opened: Opened, receivers: Callable[..., Receiver]) -> None:
    receiver = receivers()
    id = train(
        opened, opened.upload("talks", TALKS), receiver.url, ["completed"], lines=300, pause=0.0, width=1000
    )
    until(lambda: receiver.messages, "the message")
    assert len(receiver.messages[0]["body"]) < 100_000
    assert receiver.bodies[0]["logs"].endswith(" 299\n")
    assert "are not shown" in receiver.bodies[0]["logs"].splitlines()[0]
    assert len(opened.json("GET", f"/v1/trainings/{id}")["logs"]) > 300_000


def test_what_is_owed_outlives_the_engine(receivers: Callable[..., Receiver]) -> None:
    engine = EngineUnderTest(locations())
    up = False
    receiver = receivers(lambda number: 200 if up else 503)
    try:
        engine.pid()
        opened = connect(engine)
        key = opened.json("GET", "/v1/webhooks/default/secret")["key"]
        train(
            opened, opened.upload("talks", TALKS), receiver.url, ["start", "completed"], lines=20, pause=0.1
        )
        until(lambda: receiver.messages, "the start")
        opened.http.close()
        engine.kill()
        until(lambda: list(engine.where.runs_dir.glob("*/exit.json")), "the run's end")
        up = True
        engine.pid()
        until(lambda: "succeeded" in receiver.statuses, "the terminal message")
        assert receiver.statuses == ["processing", "succeeded"]
        again = connect(engine)
        assert again.json("GET", "/v1/webhooks/default/secret")["key"] == key
        again.http.close()
        assert stat.S_IMODE(engine.where.webhook_secret.stat().st_mode) == 0o600
        until(lambda: not list(engine.where.webhooks_dir.iterdir()), "nothing owed")
    finally:
        engine.close()
