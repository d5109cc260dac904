"""`jx.debug(…, on=URL)`: this engine asks a second engine, which plays Decthings' service."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy
import psutil
import pytest
from conformance_tools import open_port
from decthings_tools import post
from integration_tools import EngineUnderTest, until
from IPython.core.interactiveshell import InteractiveShell

from jupyter_ext.client.capture.capture import capture_model
from jupyter_ext.client.debugging import debug, debug_sessions, launch
from jupyter_ext.client.decthings.datasets import upload_dataset
from jupyter_ext.client.decthings.launch import attach
from jupyter_ext.client.decthings.model import RemoteModel, RemoteState
from jupyter_ext.client.decthings.session import RemoteSession
from jupyter_ext.client.requests.process_client import reset_client
from jupyter_ext.client.sessions.interfaces import ModelHandle, SessionHandle, StateHandle
from jupyter_ext.client.sessions.model import Model, State
from jupyter_ext.client.sessions.session import Session
from jupyter_ext.config import Locations, locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.errors import InvalidInput, RequestRefused, SessionCallFailed, TrainingCanceled, UnknownId
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.magics.debugging import DebuggingMagics

LINEAR = (Path(__file__).parents[2] / "conformance" / "decthings_models" / "linear" / "main.py").read_bytes()
DEFINITIONS = {
    "train": [
        {"name": "x", "rules": {"shape": [2], "allowedTypes": ["f32"]}},
        {"name": "y", "rules": {"shape": [], "allowedTypes": ["f32"]}},
        {"name": "mode", "required": False, "rules": {"shape": [], "allowedTypes": ["string"]}},
    ],
    "evaluateInput": [{"name": "x", "rules": {"shape": [-1], "allowedTypes": ["f32"]}}],
}


@pytest.fixture(scope="module")
def service(session_engine_home: Any) -> Iterator[tuple[EngineUnderTest, str, str]]:
    """Return an engine that plays the service, its URL and key."""
    home = session_engine_home
    under_test = EngineUnderTest(Locations(Path(f"{home.data_dir}-d"), Path(f"{home.runtime_dir}-d")))
    discovery.ensure(where=under_test.where)
    url, key = open_port(under_test)
    yield under_test, url, key
    under_test.close()


@pytest.fixture
def model(service: Any) -> str:
    """Return a model that the service has."""
    _, url, key = service
    options = {"type": "upload", "format": "python", "parameterDefinitions": DEFINITIONS}
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False) as http:
        made, _ = post(http, "Model/createModel", {"name": "linear", "options": options}, [LINEAR])
    return str(made["modelId"])


@pytest.fixture
def on(service: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the service's base URL; the key is in the environment."""
    _, url, key = service
    monkeypatch.setenv("DECTHINGS_API_KEY", key)
    reset_client()
    yield f"{url}/v0"
    reset_client()
    EngineUnderTest(locations()).close()


ROWS = numpy.random.default_rng(0).normal(size=(8, 2)).astype("f4")


def test_a_session_on_the_service(on: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECTHINGS_BASE_URL", on)
    with debug(model, on="decthings", name="far") as session:
        assert isinstance(session, RemoteSession)
        assert debug_sessions.get("far") is session
        state = session.create_state()
        assert state.download() == {"weights": b"[0.0, 0.0]"}
        net = session.instantiate(state={"weights": b"[1.0, 10.0]"})
        told = net.evaluate(x=numpy.float32([1, 2]))
        assert (told["y"], told["n"].tolist()) == (21.0, ["x"])
        assert [float(y) for y in net.evaluate(x=[numpy.float32([1, 2]), numpy.float32([0, 1])])["y"]] == [
            21,
            10,
        ]
        training = session.instantiate(state=state).train(x=ROWS, y=ROWS.sum(1)).wait()
        points = training.metrics()
        assert points.groupby("key", observed=True).size().to_dict() == {"loss": 3, "weights": 3}
        assert training.status == "completed"
        until(lambda: "loaded" in session.logs() and "trained" in session.logs(stream="stderr"), "its output")
        keys = upload_dataset("rows", on=on, x=numpy.tile(ROWS, (64, 1)), y=numpy.tile(ROWS.sum(1), 64))
        assert session.models[-1].train(x=keys["x"], y=keys["y"]).wait().status == "completed"
        shell = InteractiveShell()
        shell.user_ns["x"] = numpy.float32([2, 1])
        magics = DebuggingMagics(shell)
        assert magics.debug_call("far.evaluate -p x=x+1 --model " + net.id)["y"] == 23.0
        assert magics.debug_session("far show") is session
        with pytest.raises(InvalidInput, match="frames: far runs on a service"):
            magics.debug_session("far frames")
        slow = net.train(x=ROWS, y=ROWS.sum(1), mode="slow")
        following = slow.follow()
        assert next(following).name == "loss"
        slow.cancel()
        with pytest.raises(TrainingCanceled):
            slow.wait()
        with pytest.raises(SessionCallFailed, match="ValueError: the data is bad"):
            net.train(x=ROWS, y=ROWS.sum(1), mode="raise").wait()
        with pytest.raises(SessionCallFailed, match="nothing to evaluate") as caught:
            net.evaluate(x=numpy.empty(0, "f4"))
        assert "main.py" in "\n".join(caught.value._render_traceback_())
        assert len(session.trainings) == 4
        assert attach(session.id, on=on).definitions == session.definitions
        assert sorted(net.get_state().keys) == ["weights"]
    until(lambda: session.output.exit is not None, "its exit")
    assert session.output.exit == {"code": "terminated_on_request"}
    session.terminate()


def test_mistakes_are_named(on: str, model: str) -> None:
    with pytest.raises(UnknownId, match="no such model"):
        debug("none", on=on)
    with pytest.raises(InvalidInput, match="not code of the notebook"):
        debug(dict, on=on)
    with pytest.raises(InvalidInput, match="is none of local, decthings, or a base URL"):
        debug(model, on="nowhere")
    with pytest.raises(RequestRefused, match="is not its base URL"):
        debug(model, on=f"{on}/nothing-here")
    with debug(model, on=on) as session:
        net = session.instantiate()
        for params, says in [
            ({"x": ROWS}, "y is missing; nothing was sent"),
            ({"x": ROWS.astype("f8"), "y": ROWS.sum(1)}, "x is f64, but f32 is expected"),
            ({"x": ROWS[:, :1], "y": ROWS.sum(1)}, r"x has shape \[1\]"),
            ({"x": ROWS, "y": ROWS.sum(1), "z": 1}, "z is unknown"),
        ]:
            with pytest.raises(InvalidInput, match=says):
                net.train(**params)
        assert session.trainings == []
        with pytest.raises(UnknownId, match="'fit' cannot be called on a service"):
            net.call("fit")


def test_a_wrong_key_is_refused_and_the_key_is_nowhere(
    on: str, model: str, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = service[2]
    with debug(model, on=on) as session:
        session.instantiate()
        assert secret not in f"{session!r} {vars(session)}"
    where = locations()
    for directory in (where.data_dir, where.runtime_dir):
        assert not [
            path for path in directory.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
        ]
    monkeypatch.setenv("DECTHINGS_API_KEY", "wrong-key-of-somebody")
    with pytest.raises(RequestRefused, match="refuses the key; set DECTHINGS_API_KEY") as caught:
        debug(model, on=on)
    assert "wrong-key" not in str(caught.value)


@pytest.fixture(params=["here", "on the service"])
def either(request: pytest.FixtureRequest, on: str, model: str, tmp_path: Path) -> Iterator[SessionHandle]:
    """Return a session of the linear model, on this machine or on the service."""
    if request.param == "here":
        session: SessionHandle = launch("either", capture_model(LINEAR.decode(), {}, "either", "Cell 1", ""))
    else:
        session = debug(model, on=on, name="either")
    with session:
        yield session


def test_the_same_calls_do_the_same_here_and_on_a_service(either: SessionHandle, tmp_path: Path) -> None:
    session = either
    assert (session.name, session.ended) == ("either", None)
    assert "evaluate" not in session.functions
    state = session.create_state()
    assert state.download() == state.download("weights") == {"weights": b"[0.0, 0.0]"}
    state.save(tmp_path / "state.npz")
    assert state.keys == {"weights": 10}
    with pytest.raises(UnknownId):
        state.download("nothing")
    net = session.instantiate(state={"weights": b"[1.0, 10.0]"})
    assert [one.id for one in session.models] == [net.id]
    assert {"train", "evaluate"} <= set(net.methods)
    one, two = numpy.float32([[1, 2]]), numpy.float32([[1, 2], [0, 1]])
    assert float(net.evaluate(x=one)["y"]) == float(net(x=one)["y"]) == 21
    assert [float(y) for y in net.call("evaluate", x=two)["y"]] == [21, 10]
    training = net.train(x=ROWS, y=ROWS.sum(1))
    assert training.wait() is training
    assert (training.status, training.progress) == ("completed", 1.0)
    table = training.metrics()
    assert list(table.columns) == ["key", "step", "value", "time"]
    assert table.groupby("key", observed=True).size().to_dict() == {"loss": 3, "weights": 3}
    assert training.points("loss", 1, 1).steps == [1.0]
    assert [(found.name, len(found.times)) for found in training.follow()] == [("loss", 3), ("weights", 3)]
    assert [column.key for column in training.columns()] == ["loss"]
    assert training.picture().startswith("<svg")
    slow = net.train(x=ROWS, y=ROWS.sum(1), mode="slow")
    assert next(slow.follow()).name == "loss"
    assert slow.cancel() is slow
    with pytest.raises(TrainingCanceled):
        slow.wait()
    with pytest.raises(SessionCallFailed, match="ValueError: the data is bad"):
        net.train(x=ROWS, y=ROWS.sum(1), mode="raise").wait()
    assert [one.status for one in session.trainings] == ["completed", "failed", "failed"]
    assert sorted(net.get_state().keys) == ["weights"]
    until(lambda: "loaded" in session.logs() and "trained" in session.logs(stream="stderr"), "its output")
    assert session.terminate() is session
    assert until(lambda: session.ended, "its end")
    assert session.status == "ended"
    assert [one.id for one in session.trainings][:1] == [training.id]


def test_both_kinds_of_session_offer_the_same_members() -> None:
    for interface, kinds in (
        (SessionHandle, (Session, RemoteSession)),
        (ModelHandle, (Model, RemoteModel)),
        (StateHandle, (State, RemoteState)),
    ):
        names = {name for name in vars(interface) if not name.startswith("_")}
        for kind in kinds:
            assert names <= {*dir(kind), *kind.__annotations__}, kind
        for name in names:
            signatures = [
                inspect.signature(getattr(kind, name))
                for kind in kinds
                if callable(getattr(kind, name, None))
            ]
            assert len({tuple(one.parameters) for one in signatures}) <= 1 or name == "step", name


def test_what_a_service_cannot_do_is_refused_by_its_name(on: str, model: str) -> None:
    with debug(model, on=on, name="far") as session:
        net = session.instantiate()
        for name, ask in {
            "call('f')": lambda: session.call("f"),
            "upload_state": lambda: session.upload_state({}),
            "update": lambda: session.update(dict),
            "value": lambda: session.value("1"),
            "look": lambda: session.look("1"),
            "locals": session.locals,
            "frames": session.frames,
            "stacks": session.stacks,
            "interrupt": session.interrupt,
            "attach": session.attach,
            "follow": session.follow,
            "step": net.step,
            "parameters": net.parameters,
            "dispose": net.dispose,
            "evaluate(anomaly=True)": lambda: net.evaluate(x=ROWS, anomaly=True),
        }.items():
            with pytest.raises(InvalidInput, match=re.escape(f"{name}: far runs on a service")):
                ask()
        with pytest.raises(InvalidInput, match="by name only"):
            net.evaluate(ROWS)


def test_a_killed_service_is_told(on: str, model: str, service: Any) -> None:
    session = debug(model, on=on)
    net = session.instantiate()
    where = service[0].where
    pid = read_json(where.sessions_dir / session.id / "start.json")["worker"]["pid"]
    service[0].kill()
    try:
        with pytest.raises(RequestRefused):
            net.train(x=ROWS, y=ROWS.sum(1))
    finally:
        psutil.Process(pid).kill()
