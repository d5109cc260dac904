"""The tree from before the modules moved is replaced under what it has started: all of it goes on and answers.

The old tree comes out of git; without it there is nothing to test.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from integration_tools import EngineUnderTest, until
from model_tools import save, tiny_generator

import jupyter_ext as jx
from jupyter_ext import checkpoint, log
from jupyter_ext.client.requests.process_client import reset_client
from jupyter_ext.config import locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.errors import SessionCallFailed
from jupyter_ext.ipc.json_files import read_json

BEFORE = "c5d4f18"
TREE = Path(jx.__file__).parent

STARTED_BEFORE = """
import json, linecache, os, sys
import jupyter_ext as jx

folder, one, generator = sys.argv[1:]
assert jx.__file__.startswith(folder), jx.__file__
CELL = '''
import time, torch
from pathlib import Path
import numpy as np
from jupyter_ext import log, progress

def goes_on(flag: str):
    i = 0
    while not Path(flag).exists():
        log({"i": i}, step=i)
        progress(i)
        i += 1
        time.sleep(0.002)
    from jupyter_ext.integrations.tensorboard import SummaryWriter
    SummaryWriter().add_scalar("scalar", 1.5, i)
    from jupyter_ext import Input, checkpoint, should_stop
    checkpoint.save({"i": i}, step=i)
    for j in range(i, i + 50):
        log({"i": j}, step=j)
    return {"n": i + 50, "saved": checkpoint.latest().load()["i"], "stop": should_stop()}

def waits():
    while True:
        time.sleep(0.01)

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x):
        return self.layer(x)

    def fit(self, x, steps=5):
        for step in range(steps):
            log({"loss": 1 / (step + 1)}, step=step)
        return len(x)

    def save(self):
        from jupyter_ext import checkpoint
        from jupyter_ext.integrations.tensorboard import SummaryWriter
        return checkpoint.latest("."), SummaryWriter.__name__

    def boom(self, x):
        y = x + 1
        raise ValueError("as it was asked to")

class Counts(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(2, 3))

    def forward(self, x):
        return self.w.sum() + len(x)
'''
filename = "/tmp/ipykernel_1/1.py"
linecache.cache[filename] = (len(CELL), None, CELL.splitlines(keepends=True), filename)
names = {"__name__": "__main__"}
exec(compile(CELL, filename, "exec"), names)
session = jx.debug(names["Net"], name="net")
model = session.instantiate()
told = {
    "goes_on": jx.train(names["goes_on"], flag=f"{folder}/flag").id,
    "waits": jx.train(names["waits"]).id,
    "session": session.id,
    "weight": [[float(x) for x in row] for row in model.get_state().download()["layer.weight"]],
}
jx.models.get(one).load(factory=names["Counts"])
jx.models.get(generator).load()
print(json.dumps(told), flush=True)
os._exit(0)
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay the old tree out in a directory from which every process of this test imports it."""
    found = subprocess.run(
        ["git", "archive", BEFORE, "jupyter_ext"], cwd=TREE.parent, capture_output=True, check=False
    )
    if found.returncode:
        pytest.skip(f"the tree as it was before ({BEFORE}) is not in this repository")
    with tarfile.open(fileobj=BytesIO(found.stdout)) as archive:
        archive.extractall(tmp_path / "site", filter="data")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    return tmp_path / "site"


@pytest.fixture
def engine(engine_home: Any) -> Iterator[EngineUnderTest]:
    """Return the engine that the notebook's names use, of whichever tree lies in `site`."""
    reset_client()
    under_test = EngineUnderTest(locations())
    yield under_test
    reset_client()
    under_test.close()


def replace_tree(site: Path) -> None:
    """Replace the old tree's files by this one's, as an installation does."""
    shutil.rmtree(site / "jupyter_ext")
    shutil.copytree(TREE, site / "jupyter_ext", ignore=shutil.ignore_patterns("__pycache__", "labextension"))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_everything_that_was_started_before_goes_on(
    site: Path, engine: EngineUnderTest, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    one = save(tmp_path / "one.safetensors", {"w": torch.arange(6.0).reshape(2, 3)})
    generator = tiny_generator(tmp_path / "generator")
    (site / "driver.py").write_text(STARTED_BEFORE)
    answer = subprocess.run(
        [sys.executable, str(site / "driver.py"), str(site), str(one), str(generator)],
        stdout=subprocess.PIPE, check=True, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    told = json.loads(answer.stdout)
    goes_on, waits = jx.trainings.get(told["goes_on"]), jx.trainings.get(told["waits"])
    run_dir = engine.where.runs_dir / goes_on.id
    until(lambda: "i" in goes_on.resource.last and goes_on.resource.last["i"].step > 100, "a hundred steps")
    hosts = {
        path.parent.name: read_json(path)["worker"]["pid"]
        for path in engine.where.hosts_dir.glob("*/start.json")
    }
    pids = [read_json(path)["worker"]["pid"] for path in engine.where.data_dir.glob("*/*/start.json")]
    assert len(pids) == 5

    replace_tree(site)
    engine.kill()
    assert Path(discovery.ensure(where=engine.where).info["data_dir"]) == engine.where.data_dir
    assert all(psutil.pid_exists(pid) for pid in pids)

    _trainings_go_on(site, run_dir, goes_on, waits)
    _the_session_answers(told)
    _the_hosts_answer(one, generator, set(hosts.values()))
    assert jx.train(_new, n=3).wait(60).output == 3


def _new(n: int) -> int:
    log(n=n)
    return n


def _trainings_go_on(site: Path, run_dir: Path, goes_on: Any, waits: Any) -> None:
    assert (goes_on.status, waits.status) == ("processing", "processing")
    known = goes_on.resource.last["i"].step
    until(lambda: goes_on.resource.last["i"].step > known + 100, "another hundred steps")
    (site / "flag").touch()
    goes_on.wait(60)
    n = goes_on.output["n"]
    assert goes_on.output == {"n": n, "saved": n - 50, "stop": False}
    assert goes_on.resource.checkpoint.step == n - 50
    series = {one.key: one for one in goes_on.columns()}
    np.testing.assert_array_equal(series["i"].steps, np.arange(n))
    np.testing.assert_array_equal(series["i"].values, np.arange(n))
    assert series["scalar"].values.tolist() == [1.5]
    assert goes_on.resource.notices == []
    assert "ipykernel" in waits.stacks() or "waits" in waits.stacks()
    waits.cancel()
    until(lambda: waits.status == "canceled", "the end of the canceled training")


def _the_session_answers(told: dict[str, Any]) -> None:
    session = jx.debug_sessions.get("net")
    assert (session.id, session.status) == (told["session"], "running")
    (model,) = session.models
    weight = model.get_state().download()["layer.weight"]
    np.testing.assert_allclose(weight.tolist(), told["weight"])
    x = np.ones((3, 2), np.float32)
    assert tuple(model.evaluate(x=torch.ones(3, 2)).shape) == (3, 1)
    rows = jx.datasets.create("rows", x=x)
    assert model.fit(x=rows["x"]) == 3
    assert model.save() == (None, "SummaryWriter")
    assert len(model.parameters()) == 2
    with pytest.raises(SessionCallFailed, match="as it was asked to"):
        model.boom(x=torch.ones(2))
    assert [one["name"] for one in session.frames()["frame"]["locals"]] == ["self", "x", "y"]
    assert session.value("float(y.sum())") == 4.0
    assert "MainThread" in session.stacks() or "Thread" in session.stacks()
    cell: dict[str, Any] = {
        "__name__": "__main__",
        "torch": torch,
        "log": log,
        "checkpoint": checkpoint,
        "jx": jx,
    }
    exec(
        "class Net(torch.nn.Module):\n    def named(self):\n        log(named=1)\n        return checkpoint.save.__name__",
        cell,
    )
    assert session.update(cell["Net"])["instances"] == 1
    assert model.call("named") == "save"
    session.terminate()


def _the_hosts_answer(one: Path, generator: Path, pids: set[int]) -> None:
    plain, writes = jx.models.get(str(one)), jx.models.get(str(generator))
    assert {plain.info.host.pid, writes.info.host.pid} == pids
    assert (plain.state, writes.state) == ("loaded", "loaded")
    assert float(plain(jx.datasets.get("rows")["x"])) == 15.0 + 3
    made = writes.generate("the cat sat", max_new_tokens=4, do_sample=False)
    assert "".join(made) == made.text
    assert made.num_tokens == 4
    assert writes("the cat sat", max_new_tokens=4, do_sample=False) == made.text
    with pytest.raises(Exception, match="not_an_option"):
        writes.generate("x", not_an_option=1).text  # noqa: B018  made when it is asked for
    assert plain.unload() is not None
    writes.unload()
    assert not any(psutil.pid_exists(pid) for pid in pids)
