"""Decthings' models and datasets in sessions of a notebook; plain code and a killed engine behind `/v0`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy
import psutil
import pytest
import torch
from conformance_tools import open_port
from decthings_tools import post
from integration_tools import EngineUnderTest, until

import jupyter_ext as jx
from jupyter_ext.client import debugging
from jupyter_ext.client.capture.capture import capture_model
from jupyter_ext.client.requests.process_client import reset_client
from jupyter_ext.config import locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.protocol.decthings.tensors import Tensor, infer

LINEAR = (Path(__file__).parents[2] / "conformance" / "decthings_models" / "linear" / "main.py").read_text()
SPEC = {"type": "temporaryLauncher", "spec": {"cpus": 1, "memoryMebibytes": 64}}


@pytest.fixture(autouse=True)
def engine(engine_home: Any) -> Iterator[EngineUnderTest]:
    """Return the engine that the notebook's names use."""
    reset_client()
    under_test = EngineUnderTest(locations())
    yield under_test
    for session in debugging.debug_sessions.list():
        session.terminate()
    reset_client()
    under_test.close()


@pytest.fixture
def http(engine: EngineUnderTest) -> Iterator[httpx.Client]:
    """Return the engine's opened port."""
    discovery.ensure(where=engine.where)
    url, key = open_port(engine)
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False) as client:
        yield client


def upload(http: httpx.Client, text: str) -> str:
    """Upload a model; give its id."""
    params = {"name": "m", "options": {"type": "upload", "format": "python"}}
    return str(post(http, "Model/createModel", params, [textwrap.dedent(text).encode()])[0]["modelId"])


def test_an_executor_of_a_cell_takes_a_notebooks_values_and_datasets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell imports `decthings_model`, which is not installed here."""
    monkeypatch.chdir(tmp_path)  # its dispose() leaves a file where it is
    session = debugging.launch("linear", capture_model(LINEAR, {}, "linear", "Cell 1", ""))
    model = session.instantiate(state={"weights": b"[1.0, 10.0]"})
    told = model.evaluate(x=numpy.float32([[1, 2], [0, 1]]))
    assert [float(y) for y in told["y"]] == [21, 10]
    rows = numpy.random.default_rng(0).normal(size=(40, 2)).astype("f4")
    dataset = jx.datasets.create("rows", x=rows, y=rows.sum(1))
    training = model.train(x=dataset["x"], y=dataset["y"]).wait()
    frame = training.metrics()
    assert len(frame) >= 3
    assert model.train(x=rows, y=rows.sum(1)).wait().status == "completed"


def test_plain_code_reads_a_dataset_lazily() -> None:
    class Plain:
        def train(self, x: Any, labels: Any) -> None:
            loader = torch.utils.data.DataLoader(x, batch_size=4)
            self.seen = (len(x), len(list(loader)), list(labels[:2]))

        def evaluate(self) -> Any:
            return self.seen

    dataset = jx.datasets.create("d", x=torch.zeros(10, 3), labels=[f"{n}" for n in range(10)])
    with debugging.debug(Plain) as session:
        model = session.instantiate()
        model.train(x=dataset["x"], labels=dataset["labels"]).wait()
        assert model.evaluate() == (10, 3, ["0", "1"])


def test_a_module_and_a_plain_class_over_the_wire(http: httpx.Client) -> None:
    main = """
        import torch
        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Linear(2, 1, bias=False)
            def forward(self, x):
                return self.layer(x)
            def fit(self, x, y, tracker):
                tracker.metrics({"loss": 0.5})
        model = Net
    """
    session, _ = post(
        http, "Debug/launchDebugSession", {"modelId": upload(http, main), "executionLocation": SPEC}
    )
    made, _ = post(http, "Debug/callCreateModelState", {**session, "params": []})
    assert [item["key"] for item in made["state"]] == ["layer.weight"]
    data = {"type": "data", "stateKeyNames": ["layer.weight"]}
    weights = infer(torch.tensor([[1.0, 10.0]])).encode()
    model, _ = post(http, "Debug/callInstantiateModel", {**session, "stateData": data}, [weights])
    asked = {**session, **model, "params": [{"name": "x"}]}
    result, blobs = post(http, "Debug/callEvaluate", asked, [infer(numpy.float32([[1, 2], [0, 1]])).encode()])
    assert result == {"output": [{"name": "output"}]}
    assert Tensor.decode(blobs[0])[0].numpy().tolist() == [[21], [10]]
    taken, _ = post(http, "Debug/callGetModelState", {**session, **model})
    _, blobs = post(http, "Debug/downloadStateData", {**session, "dataId": taken["dataId"]})
    assert blobs == [weights]
    params = {**session, **model, "params": [{"name": "x"}, {"name": "y"}]}
    training, _ = post(http, "Debug/callTrain", params, [weights, weights])
    asked = {**session, **training}
    until(
        lambda: post(http, "Debug/getTrainingStatus", asked)[0]["status"]["state"] == "completed", "the end"
    )
    wanted = {**asked, "metrics": [{"name": "loss", "startIndex": 0, "amount": 5}]}
    _, blobs = post(http, "Debug/getTrainingMetrics", wanted)
    assert [Tensor.decode(blob)[0].item() for blob in blobs] == [0.5]


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ('[{"name": "y", "data": [5]}]', "DecthingsTensor"),
        ("5", "list"),
        ('[{"name": "y", "data": 5}]', "data"),
    ],
)
def test_an_output_that_is_none_is_an_exception_and_the_session_lives(
    http: httpx.Client, returned: str, says: str
) -> None:
    main = f"""
        from decthings_model import make_model
        class Bad:
            def createModelState(self, options):
                options.state_provider.provide("k", b"1")
                options.state_provider.provide("l", b"")
            def instantiateModel(self, options):
                return {{"evaluate": lambda options: {returned}}}
        model = make_model(Bad())
    """
    session, _ = post(
        http, "Debug/launchDebugSession", {"modelId": upload(http, main), "executionLocation": SPEC}
    )
    state, _ = post(http, "Debug/callCreateModelState", {**session, "params": []})
    data = {"type": "dataId", "dataId": state["dataId"]}
    model, _ = post(http, "Debug/callInstantiateModel", {**session, "stateData": data})
    error, _ = post(http, "Debug/callEvaluate", {**session, **model, "params": []})
    assert error["code"] == "exception"
    assert says in error["exceptionDetails"]
    error, _ = post(http, "Debug/callTrain", {**session, **model, "params": []})
    failed = {**session, **error}
    ended = until(
        lambda: (
            (now := post(http, "Debug/getTrainingStatus", failed)[0]["status"])["state"] == "failed" and now
        ),
        "the failure",
    )
    assert '"train" was missing' in ended["failReason"]["exceptionDetails"]
    assert post(http, "Debug/callGetModelState", {**session, **model})[0]["code"] == "exception"


def test_sessions_outlive_a_killed_engine_and_those_of_model_trainings_are_ended(
    http: httpx.Client, engine: EngineUnderTest
) -> None:
    model = upload(http, LINEAR)
    wanted = {"modelId": model, "executionLocation": SPEC}
    session, _ = post(http, "Debug/launchDebugSession", wanted)
    made, _ = post(http, "Debug/callCreateModelState", {**session, "params": []})
    data = {"type": "dataId", "dataId": made["dataId"]}
    instance, _ = post(http, "Debug/callInstantiateModel", {**session, "stateData": data})
    post(http, "Model/createState", {**wanted, "name": "first", "params": []})
    rows = infer(numpy.float32([1, 2])).encode() * 4
    slow = infer("slow").encode()
    params = [{"name": name} for name in ("x", "y", "mode")]
    blobs = [rows, infer(numpy.float32(1)).encode() * 4, slow]
    post(http, "Model/train", {**wanted, "newStateName": "s", "params": params}, blobs)
    until(lambda: len(post(http, "Debug/getDebugSessions", {})[0]["debugSessions"]) == 2, "its session")
    pids = {
        path.parent.name: read_json(path)["worker"]["pid"]
        for path in engine.where.sessions_dir.glob("*/start.json")
        if not (path.parent / "exit.json").exists()
    }
    engine.kill()
    discovery.ensure(where=engine.where)
    ours = session["debugSessionId"]
    assert psutil.pid_exists(pids[ours])
    for other in set(pids) - {ours}:
        until(lambda other=other: not psutil.pid_exists(pids[other]), "the end of the run's session")
    url, key = open_port(engine)
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False) as again:
        asked = {**session, **instance, "params": [{"name": "x"}]}
        result, found = post(again, "Debug/callEvaluate", asked, [rows])
        assert result["output"][0] == {"name": "y"}, result
        assert len(Tensor.decode_many(found[0])) == 4
        listed, _ = post(again, "Model/getModels", {"filter": {"ids": [model]}})
        assert [state["name"] for state in listed["models"][0]["states"]] == ["first"]
        post(again, "Debug/terminateDebugSession", session)
