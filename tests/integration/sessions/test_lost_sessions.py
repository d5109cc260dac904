"""A training id that was answered stays known, whichever processes are killed, and in which order."""

from __future__ import annotations

import itertools
import os
import signal
from typing import Any

import numpy as np
import psutil
import pytest
from integration_tools import EngineUnderTest, until
from session_tools import SessionUnderTest, launch, request

from jupyter_ext.client.sessions.session import Session
from jupyter_ext.engine_process import discovery
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.protocol.sessions import DebugSession

SLOW = """
import time
from jupyter_ext import log

class Slow:
    def train(self):
        for step in range(10**9):
            log({"loss": 1 / (step + 1)})
            time.sleep(0.002)
"""
ORDERS = list(itertools.permutations(["session", "shim", "engine"]))


def training_of(session: SessionUnderTest) -> str:
    """Begin a training; gives its id."""
    model = session.call("instantiate")["model_id"]
    return str(session.call("train", model_id=model)["training_id"])


def kill(engine: EngineUnderTest, session: SessionUnderTest, what: str, pids: dict[str, int]) -> None:
    """Kill a process with -9; one that went with another is gone already."""
    if what == "engine":
        engine.kill()
        return
    try:
        process = psutil.Process(pids[what])
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    except psutil.NoSuchProcess:
        return


def ended(engine: EngineUnderTest, session_id: str) -> DebugSession:
    """Return a session once it has ended."""

    def look() -> Any:
        found = DebugSession.model_validate(request(engine.where, "GET", f"/native/sessions/{session_id}"))
        return found.exit is not None and found

    found: DebugSession = until(look, "its end", 60)
    return found


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: " then ".join(order))
def test_its_numbers_can_be_read_whatever_was_killed(engine: EngineUnderTest, order: tuple[str, ...]) -> None:
    session = launch(engine.where, SLOW, "slow")
    training = training_of(session)

    def amount() -> int:
        metrics = session.call("training_status", training_id=training)["metrics"]
        return int(metrics[0]["amount"]) if metrics else 0

    heard = until(lambda: (found := amount()) > 5 and found, "some points")
    directory = engine.where.sessions_dir / session.id
    started = read_json(directory / "start.json")
    pids = {"session": started["worker"]["pid"], "shim": started["shim"]["pid"]}
    session.channel.close()
    for what in order:
        kill(engine, session, what, pids)
    discovery.ensure(where=engine.where)
    found = ended(engine, session.id)
    assert [one.id for one in found.trainings] == [training]
    assert found.trainings[0].state == "failed"
    assert found.trainings[0].fail is not None
    handle = Session(found).trainings
    assert [one.id for one in handle] == [training]
    body = {"op": "training_status", "params": {"training_id": training}}
    status = request(engine.where, "POST", f"/native/sessions/{session.id}/call", body)["result"]
    assert status["metrics"][0]["amount"] >= heard
    body = {
        "op": "training_metrics",
        "params": {
            "training_id": training,
            "encoding": "decthings",
            "metrics": [{"name": "loss", "start": 0, "amount": 5}],
        },
    }
    answer = request(engine.where, "POST", f"/native/sessions/{session.id}/call", body)
    assert len(answer["blobs"]) == len(answer["result"]["metrics"][0]["times"]) == 5


def test_one_that_died_before_anybody_heard_of_it_is_known(engine: EngineUnderTest) -> None:
    """It is killed by its own training's first line; the engine hears of neither."""
    text = """
import os, signal
class Gone:
    def train(self):
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
"""
    session = launch(engine.where, text, "gone")
    model = session.call("instantiate")["model_id"]
    engine.kill()
    training = str(session.call("train", model_id=model)["training_id"])
    session.channel.close()
    discovery.ensure(where=engine.where)
    found = ended(engine, session.id)
    assert [(one.id, one.state, one.metrics) for one in found.trainings] == [(training, "failed", [])]
    assert np.isclose(
        found.trainings[0].created_at, os.path.getmtime(engine.where.sessions_dir / session.id), atol=60
    )
