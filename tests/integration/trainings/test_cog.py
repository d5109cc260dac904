"""A Cog project folder trains here without Docker and without Cog."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from integration_tools import EngineUnderTest, holding

from jupyter_ext.bundles.cog_project import capture_folder
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.errors import InvalidInput, RequestRefused
from jupyter_ext.protocol.trainings import Training

SECRET = "hunter2-very-secret"

FUNCTION = """
import os, sys
from typing import Optional
from cog import BaseModel, Input, Path, Secret, current_scope
from lib.net import double
from jupyter_ext import log

class TrainingOutput(BaseModel):
    weights: Path
    told: dict

def train(
    data: Path,
    n: int = Input(default=3, ge=1, le=100),
    size: str = Input(default="small", choices=["small", "large"]),
    names: list[str] = Input(default=["a"]),
    maybe: Optional[int] = None,
    token: Secret = Input(description="Key", default=None),
) -> TrainingOutput:
    for i in range(n):
        current_scope().record_metric("loss", 1 / (i + 1), mode="append")
        current_scope().record_metric("test.accuracy", i)
        current_scope().record_metric("seen", 5, mode="incr")
    with open("weights.bin", "w") as file:
        file.write(data.read_text())
    key = token.get_secret_value() if token else None
    print("token", token, key, flush=True)
    print("err", key, file=sys.stderr)
    told = dict(n=double(n), size=size, names=names, maybe=maybe, key=key, known=key and len(key),
                cwd=os.getcwd(), config=open("settings.txt").read())
    return TrainingOutput(weights=Path("weights.bin"), told=told)
"""

CLASS = """
import asyncio
from cog import BasePredictor, Input
CHOICES = ["a", "b"]
class Trainer(BasePredictor):
    {prefix}def setup(self):
        self.setups = getattr(self, "setups", 0) + 1
    {prefix}def train(self, kind: str = Input(default="a", choices=CHOICES), factor: float = 2) -> list[float]:
        {pause}
        return [self.setups * factor, kind]
"""


def project(root: Path, text: str, entry: str = "train") -> Path:
    folder = root / "Faces"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "net.py").write_text("def double(x):\n    return 2 * x\n")
    (folder / "cog.yaml").write_text(f"build:\n  python_version: '3.12'\ntrain: train.py:{entry}\n")
    (folder / "settings.txt").write_text("as in the folder")
    (folder / "train.py").write_text(text)
    return folder


async def train(client: AsyncClient, folder: Path, **inputs: Any) -> Training:
    training = await client.create(capture_folder(folder), inputs)
    return await client.wait(training.id, 60)


async def test_a_function_with_all_kinds_of_inputs(
    client: AsyncClient, engine: EngineUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(tmp_path, FUNCTION)
    (tmp_path / "data.csv").write_text("1,2")
    monkeypatch.chdir(tmp_path)
    done = await train(client, folder, data="data.csv", n=4, size="large", names=["x", "y"], maybe=7)
    assert (done.status, done.error) == ("succeeded", None)
    assert (done.model, done.name) == ("local/faces", "Faces")
    work = engine.run_dir(done) / "work"
    assert done.output["weights"] == str(work / "weights.bin")
    assert (work / "weights.bin").read_text() == "1,2"
    told = done.output["told"]
    assert told | {"cwd": ""} == {
        "n": 8,
        "size": "large",
        "names": ["x", "y"],
        "maybe": 7,
        "key": None,
        "known": None,
        "cwd": "",
        "config": "as in the folder",
    }
    assert Path(told["cwd"]) == work
    (loss,) = await client.metrics(done.id, ["loss"])
    np.testing.assert_array_equal(loss.values, 1 / np.arange(1, 5))
    np.testing.assert_array_equal(loss.steps, np.arange(4))
    shown = json.loads((await client.transport.tunnel("GET", f"/v1/trainings/{done.id}", None))[2])
    assert shown["metrics"].keys() == {"total_time", "predict_time", "loss", "test", "seen"}
    assert shown["metrics"]["loss"] == [1.0, 1 / 2, 1 / 3, 1 / 4]
    assert (shown["metrics"]["test"], shown["metrics"]["seen"]) == ({"accuracy": 3.0}, 20.0)
    assert done.last["test/accuracy"].value == 3
    assert not (folder / "weights.bin").exists()
    assert not list(folder.rglob("__pycache__"))


async def test_a_data_uri_arrives_as_a_file(client: AsyncClient, tmp_path: Path) -> None:
    uri = "data:text/csv;base64," + base64.b64encode(b"7,8").decode()
    done = await train(client, project(tmp_path, FUNCTION), data=uri)
    assert done.status == "succeeded", done.error
    assert Path(done.output["weights"]).read_text() == "7,8"
    assert done.output["told"]["n"] == 6


async def test_a_secret_is_written_nowhere(
    client: AsyncClient, engine: EngineUnderTest, tmp_path: Path
) -> None:
    (tmp_path / "data.csv").write_text("1")
    done = await train(client, project(tmp_path, FUNCTION), data=tmp_path / "data.csv", token=SECRET)
    assert done.output["told"]["known"] == len(SECRET)
    assert done.output["told"]["key"] == "**********"
    assert done.input["token"] == "**********"
    assert await client.logs(done.id) == "token ********** **********\nerr **********\n"
    raising = FUNCTION.replace(
        "    key = token", "    raise ValueError(token.get_secret_value())\n    key = token"
    )
    failed = await train(client, project(tmp_path / "b", raising), data=tmp_path / "data.csv", token=SECRET)
    assert failed.error == "ValueError: **********"
    with pytest.raises(InvalidInput) as refused:
        await train(client, project(tmp_path / "c", FUNCTION), data="x", token=[SECRET])
    assert SECRET not in str(refused.value)
    assert not holding(SECRET, engine.where.data_dir, engine.where.runtime_dir)


@pytest.mark.parametrize("prefix", ["", "async "])
async def test_a_class_is_set_up_once_and_trained(client: AsyncClient, tmp_path: Path, prefix: str) -> None:
    pause = "await asyncio.sleep(0.01)" if prefix else "pass"
    folder = project(tmp_path, CLASS.format(prefix=prefix, pause=pause), "Trainer")
    assert (await train(client, folder)).output == [2, "a"]
    assert (await train(client, folder, factor=3, kind="b")).output == [3, "b"]
    with pytest.raises(InvalidInput, match="kind='c'"):
        await train(client, folder, kind="c")


async def test_the_same_content_is_the_same_version(
    client: AsyncClient, engine: EngineUnderTest, tmp_path: Path
) -> None:
    folder = project(
        tmp_path, "def train(k: int = 1) -> int:\n    open('settings.txt', 'w').write('spoilt')\n    return k"
    )
    same = project(tmp_path / "elsewhere", (folder / "train.py").read_text())
    first, second = await train(client, folder), await train(client, same)
    assert (first.version, second.output) == (second.version, 1)
    kept = engine.where.versions_dir / first.version / "folder" / "settings.txt"
    assert kept.read_text() == "as in the folder"


async def test_what_goes_wrong_names_the_users_own_file(client: AsyncClient, tmp_path: Path) -> None:
    folder = project(tmp_path, "def train(data: 'Path'):\n    import gone\n")
    failed = await train(client, folder, data="gone.csv")
    assert "input data: there is no file" in (failed.error or "")
    (tmp_path / "x.csv").touch()
    failed = await train(client, folder, data=tmp_path / "x.csv")
    assert failed.exception is not None
    assert [(frame.file, frame.line) for frame in failed.exception.frames] == [("train.py", 2)]


async def test_cancel_runs_the_trainers_own_cleanup(client: AsyncClient, tmp_path: Path) -> None:
    text = """
import time
from cog import CancelationException
def train():
    print("on")
    try:
        while True: time.sleep(0.01)
    except CancelationException:
        print("tidied")
        raise
"""
    training = await client.create(capture_folder(project(tmp_path, text)), {})
    while "on" not in await client.logs(training.id):
        await asyncio.sleep(0.02)
    await client.cancel(training.id)
    ended = await client.wait(training.id, 20)
    assert ended.status == "canceled"
    assert "tidied" in await client.logs(training.id)


async def test_it_resumes_and_asks_for_its_secret_again(
    client: AsyncClient, engine: EngineUnderTest, tmp_path: Path
) -> None:
    text = """
import time
from cog import Secret
from jupyter_ext import checkpoint, log
def train(token: Secret, hang: bool = True) -> list:
    found = checkpoint.latest()
    first = found.load() + 1 if found else 0
    for i in range(first, 6):
        log(x=i, step=i)
        checkpoint.save(i, step=i)
        while hang and i == 3: time.sleep(0.01)
    return [first, len(token.get_secret_value())]
"""
    training = await client.create(capture_folder(project(tmp_path, text)), {"token": SECRET})
    async with asyncio.timeout(40):
        while (known := (await client.get(training.id)).checkpoint) is None or known.step < 3:
            await asyncio.sleep(0.02)
    os.kill(engine.pids(training)[1], signal.SIGKILL)
    await client.wait(training.id, 30)
    with pytest.raises(RequestRefused, match=r"give it again: run\.resume\(token=…\)"):
        await client.resume(training.id, {"hang": False})
    resumed = await client.resume(training.id, {"hang": False, "token": SECRET})
    done = await client.wait(resumed.id, 30)
    assert done.output == [4, len(SECRET)]
    spec = json.loads((engine.run_dir(done) / "spec.json").read_text())
    assert spec["input"] == {"token": "**********", "hang": False}
