"""A call to a session whose main thread somebody else has: it says for what it waits, and not for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from integration_tools import EngineUnderTest, until
from session_tools import SessionUnderTest, launch

from jupyter_ext.client.sessions.session import Session
from jupyter_ext.errors import SessionCallFailed, SessionError

TEXT = """
import os, time

class Net:
    evaluate_beside_training = False

    def __init__(self):
        self.steps = 0

    def train(self, until_there):
        while not os.path.exists(until_there):
            self.steps += 1
            time.sleep(0.01)

    def hold(self, until_there):
        while not os.path.exists(until_there):
            time.sleep(0.01)

    def evaluate(self, fail=False):
        if fail:
            raise ValueError("no such thing")
        print("evaluated")
        return self.steps

class Beside(Net):
    evaluate_beside_training = True
"""


@pytest.fixture(scope="module")
def session(engine: EngineUnderTest) -> Iterator[SessionUnderTest]:
    under_test = launch(engine.where, TEXT, "busy")
    yield under_test
    under_test.terminate()


@pytest.fixture
def end(tmp_path: Path) -> Iterator[Path]:
    """Return the file that ends a training; after the test it is there, so that nothing keeps the session busy."""
    path = tmp_path / "end"
    yield path
    path.touch()


@pytest.fixture
def evaluates_beside(session: SessionUnderTest) -> Iterator[Callable[[bool], None]]:
    """Return a function that says whether the model is evaluated beside its training; after the test it is again."""

    def say(is_so: bool) -> None:
        session.channel.call("value", {"expression": f"setattr(Beside, 'evaluate_beside_training', {is_so})"})

    yield say
    say(True)


def test_a_call_that_waits_says_for_what_and_is_refused_after_its_time(
    session: SessionUnderTest,
    evaluates_beside: Callable[[bool], None],
    end: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = Session(session.now()).instantiate()
    training = model.train(until_there=str(end))
    evaluates_beside(False)
    model.wait_s = 0.2
    with pytest.raises(
        SessionError, match=rf"evaluate has waited \d+ s for train {training.id}, since \d+ s, which has"
    ):
        model.evaluate()
    model.wait_s = None
    results: list[int] = []
    waiting = threading.Thread(target=lambda: results.append(model.evaluate()))
    waiting.start()
    until(lambda: session.now().queued, "the call that waits")
    until(lambda: f"evaluate waits for train {training.id}" in capsys.readouterr().err, "what it says")
    end.touch()
    waiting.join(30)
    assert len(results) == 1
    assert training.wait().status == "completed"
    assert model.evaluate() == results[0]


def test_a_model_that_says_so_is_evaluated_beside_its_training(session: SessionUnderTest, end: Path) -> None:
    model = Session(session.now()).instantiate()
    training = model.train(until_there=str(end))
    first = until(model.evaluate, "a first step")
    assert until(lambda: (found := model.evaluate()) > first and found, "more steps while it trains")
    with pytest.raises(SessionCallFailed, match="no such thing"):
        model.evaluate(fail=True)
    assert training.status == "running"
    end.touch()
    assert training.wait().status == "completed"


def test_a_training_that_has_yet_to_begin_keeps_nobody_waiting(
    session: SessionUnderTest, end: Path, tmp_path: Path
) -> None:
    model = Session(session.now()).instantiate()
    release = tmp_path / "release"
    holding = threading.Thread(target=lambda: model.hold(until_there=str(release)))
    holding.start()
    try:
        until(lambda: session.now().busy is not None, "the call that has the main thread")
        training = model.train(until_there=str(end))
        assert model.evaluate() == 0
    finally:
        release.touch()
        holding.join(60)
    end.touch()
    assert training.wait().status == "completed"
