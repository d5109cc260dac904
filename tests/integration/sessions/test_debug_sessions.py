"""Debug sessions through a real engine: called, trained, interrupted, mended, ended."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from integration_tools import EngineUnderTest, until
from session_tools import SessionUnderTest, launch, request

from jupyter_ext.ipc.channel import CallError, Connection

NET = """
import time
import torch
from jupyter_ext import log, progress

class Net(torch.nn.Module):
    def __init__(self, n: int = 4):
        super().__init__()
        self.layer = torch.nn.Linear(n, 2)

    def forward(self, x):
        return self.layer(x)

    def fit(self, x, steps=20, pause=0.01):
        for i in range(steps):
            log({"loss": 1.0 / (i + 1)}, step=10 * i)
            progress(i + 1, steps)
            time.sleep(pause)

    def forever(self):
        while True:
            pass

    def polite(self):
        from jupyter_ext import should_stop
        while not should_stop():
            time.sleep(0.01)

    def scale(self, x, by):
        doubled = x * by
        return check(doubled)

def check(value):
    if value.sum() > 100:
        raise ValueError(f"too large: {tuple(value.shape)}")
    return value
"""


@pytest.fixture(scope="module")
def session(engine: EngineUnderTest) -> Iterator[SessionUnderTest]:
    under_test = launch(engine.where, NET)
    yield under_test
    under_test.terminate()


@pytest.fixture(scope="module")
def model(session: SessionUnderTest) -> str:
    return str(session.call("instantiate", {"n": 4})["model_id"])


def test_what_goes_in_comes_back_in_its_kind(session: SessionUnderTest, model: str) -> None:
    x = np.ones((3, 4), np.float32)
    as_array = session.call("evaluate", {"x": x}, model_id=model)["value"]
    as_tensor = session.call("evaluate", {"x": torch.from_numpy(x)}, model_id=model)["value"]
    assert isinstance(as_array, np.ndarray)
    assert isinstance(as_tensor, torch.Tensor)
    assert np.array_equal(as_array, as_tensor.numpy())


def test_a_training_reports_while_it_runs_and_its_metrics_have_steps_and_times(
    session: SessionUnderTest, model: str
) -> None:
    before = time.time()
    training = session.call("train", {"x": 1, "steps": 200}, model_id=model)["training_id"]
    until(lambda: session.call("training_status", training_id=training)["metrics"], "a metric")
    status = session.call("training_status", training_id=training)
    assert status["state"] == "running"
    assert 0 < status["progress"] < 1
    status = session.call("training_status", training_id=training, wait_s=30)
    assert (status["state"], status["progress"]) == ("completed", 1.0)
    assert [(one["name"], one["amount"]) for one in status["metrics"]] == [("loss", 200)]
    asked = [{"name": "loss", "start": 197, "amount": 5}, {"name": "none", "start": 0, "amount": 1}]
    answer = session.call("training_metrics", training_id=training, metrics=asked)
    assert [(one["start"], one["count"]) for one in answer["metrics"]] == [(197, 3), (0, 0)]
    points = answer["value"][0]
    assert np.frombuffer(points["steps"]).tolist() == [1970.0, 1980.0, 1990.0]
    assert np.frombuffer(points["numbers"]).tolist() == [1 / 198, 1 / 199, 1 / 200]
    assert all(before < at < time.time() for at in np.frombuffer(points["times"]))


def test_an_exception_is_told_with_the_users_frames_and_their_locals(
    session: SessionUnderTest, model: str
) -> None:
    error = session.refused("call", {"x": np.full((2, 3), 50.0), "by": 2}, model_id=model, method="scale")
    assert (error["code"], error["message"]) == ("exception", "ValueError: too large: (2, 3)")
    frames = error["exception"]["frames"]
    assert [(one["function"], one["file"]) for one in frames] == [
        ("scale", "Cell net"),
        ("check", "Cell net"),
    ]
    shown = {one["name"]: one for one in frames[0]["locals"]}
    assert shown["doubled"]["shape"] == [2, 3]
    assert shown["doubled"]["max"] == 100.0
    assert session.call("value", expression="value.sum()", whole=True)["value"] == 600.0
    session.call("frames", select=0)
    assert session.call("value", expression="by", whole=True)["value"] == 2
    until(lambda: session.now().failure, "the failure being told")
    session.call("evaluate", {"x": np.ones((1, 4), "f4")}, model_id=model)
    assert session.refused("frames")["code"] == "no_failure"


def test_a_training_that_is_canceled_leaves_the_model_as_it_was(
    session: SessionUnderTest, model: str
) -> None:
    before = session.call("download_state", **_state(session, model))["value"]
    training = session.call("train", {"x": 1, "steps": 10**6, "pause": 10}, model_id=model)["training_id"]
    until(lambda: session.call("status")["busy"], "the training's turn")
    told = session.call("cancel_training", training_id=training)
    assert told["ended"]
    status = session.call("training_status", training_id=training)
    assert (status["state"], status["fail"]["code"]) == ("failed", "cancelled")
    after = session.call("download_state", **_state(session, model))["value"]
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert session.refused("cancel_training", training_id=training)["code"] == "training_not_running"


def _state(session: SessionUnderTest, model: str) -> dict[str, Any]:
    return {"state_id": session.call("get_state", model_id=model)["state_id"]}


def test_an_interrupt_ends_the_call_and_keeps_the_model_every_time(
    session: SessionUnderTest, model: str
) -> None:
    x = np.ones((1, 4), "f4")
    before = session.call("evaluate", {"x": x}, model_id=model)["value"]
    for _ in range(25):
        codes: list[str] = []

        def call() -> None:
            with Connection(session.resource.calls) as other:
                try:
                    other.call("call", {"model_id": model, "method": "forever"}, timeout_s=60)
                except CallError as error:
                    codes.append(error.error["code"])  # noqa: B023

        caller = threading.Thread(target=call)
        caller.start()
        until(lambda: session.call("status")["busy"], "the call's turn")
        session.call("interrupt")
        caller.join(30)
        assert codes == ["interrupted"]
    assert np.array_equal(session.call("evaluate", {"x": x}, model_id=model)["value"], before)


def test_a_caller_that_vanishes_frees_the_main_thread(session: SessionUnderTest, model: str) -> None:
    other = Connection(session.resource.calls)
    other._begin("call", {"model_id": model, "method": "forever"}, ())
    until(lambda: session.call("status")["busy"], "the call's turn")
    other.close()
    until(lambda: not session.call("status")["busy"], "the end of the call")


def test_a_killed_session_is_told_as_what_it_was(engine: EngineUnderTest) -> None:
    under_test = launch(engine.where, NET)
    under_test.channel.close()
    pid = until(lambda: under_test.now().pid, "its pid")
    os.kill(pid, signal.SIGKILL)
    ended = until(lambda: (now := under_test.now()).exit and now, "its end")
    assert (ended.status, ended.exit.code, ended.exit.signal) == ("ended", "exited", 9)
    assert not psutil.pid_exists(pid)


def test_a_session_outlives_its_engine_and_is_adopted(engine: EngineUnderTest) -> None:
    under_test = launch(engine.where, NET)
    model = under_test.call("instantiate", {"n": 4})["model_id"]
    engine.kill()
    assert under_test.call("evaluate", {"x": np.ones((1, 4), "f4")}, model_id=model)["value"].shape == (1, 2)
    now = until(lambda: (found := under_test.now()).models and found, "its adoption")
    assert [one.id for one in now.models] == [model]
    ended = under_test.terminate()
    assert ended.exit is not None
    assert (ended.status, ended.exit.code) == ("ended", "requested")
    assert under_test.id in [
        one["id"] for one in request(engine.where, "GET", "/native/sessions")["sessions"]
    ]
