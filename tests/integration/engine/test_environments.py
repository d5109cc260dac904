"""Interpreters: warm where forking is safe, fresh processes where it is not, and the notebook's own in any case."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration_tools import EngineUnderTest, finish, until

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import locations
from jupyter_ext.engine.processes.interpreters import Environments
from jupyter_ext.engine_process import discovery
from jupyter_ext.protocol.trainings import Environment, Training

STEP = """
import torch
def train():
    layer = torch.nn.Linear(256, 256)
    layer(torch.randn(512, 256)).sum().backward()
    return [torch.get_num_threads(), float(layer.weight.grad.abs().sum()) > 0]
"""


@pytest.fixture
def own_engine() -> Iterator[EngineUnderTest]:
    under_test = EngineUnderTest(locations())
    yield under_test
    under_test.close()


async def settled(client: AsyncClient) -> Environment:
    """Wait until the interpreter is warm or is known not to become so."""
    while True:
        for found in (await client.engine()).environments:
            if found.state != "starting":
                return found
        await asyncio.sleep(0.05)


def preload(monkeypatch: pytest.MonkeyPatch, directory: Path, text: str) -> None:
    """Have the zygote import a module with this text."""
    (directory / "preloaded.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(directory))
    monkeypatch.setenv("JUPYTER_EXT_PRELOAD", "torch,preloaded")


async def test_a_warm_interpreter_trains(own_engine: EngineUnderTest) -> None:
    async with AsyncClient(own_engine.where) as client:
        warm = await settled(client)
        assert (warm.state, warm.detail) == ("warm", None)
        assert warm.torch
        ended = await finish(client, STEP)
        assert ended.output[1] is True


async def test_runs_do_not_share_their_random_numbers(own_engine: EngineUnderTest) -> None:
    text = "import random, numpy, torch\ndef train():\n"
    text += "    return [random.random(), float(numpy.random.rand()), float(torch.rand(1))]"
    async with AsyncClient(own_engine.where) as client:
        await settled(client)
        one, two = (await finish(client, text)).output, (await finish(client, text)).output
        assert all(a != b for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize(
    ("text", "state", "says"),
    [
        ("raise ImportError('not here')", "cold", "cannot import preloaded: not here"),
        ("import threading, time\nfor _ in range(4): threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
         "warm", None),
    ],
)  # fmt: skip
async def test_where_forking_is_not_safe_runs_start_fresh(
    own_engine: EngineUnderTest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    text: str,
    state: str,
    says: str | None,
) -> None:
    preload(monkeypatch, tmp_path, text)
    async with AsyncClient(own_engine.where) as client:
        found = await settled(client)
        assert found.state == state
        assert says is None or says in (found.detail or "")
        assert (await finish(client, STEP)).output[1] is True


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("raise ImportError('not here')", "cannot import more: not here"),
        ("import threading, time\nfor _ in range(4): threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
         "forking is not safe"),
    ],
)  # fmt: skip
async def test_where_more_cannot_be_imported_the_plain_interpreter_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "more.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    spec = {"run_dir": str(run_dir), "control": str(tmp_path / "c.sock"), "role": "model_host",
            "calls": str(tmp_path / "calls.sock"), "path": str(tmp_path / "no-model")}  # fmt: skip
    environments = Environments(("torch",))
    try:
        more = environments.get(sys.executable, "more")
        await asyncio.to_thread(until, lambda: more.state != "starting", "the end of the imports", 60)
        await more.start(spec)
        await asyncio.to_thread(until, (run_dir / "exit.json").exists, "the end of what was started")
        assert (run_dir / "host.json").exists()
        assert more.state == "cold"
        assert says in (more.detail or "")
        assert "the plain interpreter is used" in (more.detail or "")
        assert environments.warmest(sys.executable, "more") is environments.get(sys.executable)
    finally:
        await environments.close()


@pytest.mark.slow
async def test_a_parent_that_has_computed_is_found_out(
    own_engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    preload(monkeypatch, tmp_path, "import torch\na = torch.randn(1500, 1500)\na @ a\n")
    async with AsyncClient(own_engine.where) as client:
        found = await settled(client)
        if found.state == "warm":
            pytest.skip("this build of torch survives it, or there is one core only")
        assert "hung" in (found.detail or "")
        assert (await finish(client, STEP)).output[1] is True


async def test_an_interpreter_without_any_of_our_packages_works(
    own_engine: EngineUnderTest, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    python = str(tmp_path / "bare" / "bin" / "python")
    text = "import sys\nfrom jupyter_ext import log, progress\ndef train(n: int):\n    log(x=n)\n    progress(1, 1)\n"
    text += "    return [sys.prefix, 'numpy' in sys.modules]"
    async with AsyncClient(own_engine.where) as client:
        model = await finish(client, text, n=1)
        socket_path = await client.transport.ensure_socket()
        body = {"input": {"n": 5}, "jupyter_ext": {"python": python, "cwd": str(tmp_path)}}
        path = f"/v1/models/{model.model}/versions/{model.version}/trainings"
        _, answer = await asyncio.to_thread(discovery.request, socket_path, "POST", path, body)
        ended = await client.wait(Training.model_validate(answer).id, 40)
        assert (ended.error, ended.output) == (None, [str(tmp_path / "bare"), False])
        assert ended.last["x"].value == 5


async def test_output_of_children_is_in_the_log(own_engine: EngineUnderTest) -> None:
    text = "import os, subprocess\ndef train():\n    print('mine')\n    subprocess.run(['echo', 'childs'])\n"
    text += "    os.write(2, b'native\\n')"
    async with AsyncClient(own_engine.where) as client:
        ended = await finish(client, text)
        assert await client.logs(ended.id) == "mine\nchilds\nnative\n"


async def test_loader_workers_and_compiled_code_work_in_a_forked_run(own_engine: EngineUnderTest) -> None:
    text = (
        "import torch\nfrom torch.utils.data import DataLoader, TensorDataset\nfrom jupyter_ext import log\n"
    )
    text += "def train():\n    data = TensorDataset(torch.arange(64.0))\n"
    text += "    total = sum(b[0].sum().item() for b in DataLoader(data, batch_size=8, num_workers=2))\n"
    text += "    log(total=total)\n    return total"
    async with AsyncClient(own_engine.where) as client:
        await settled(client)
        assert (await finish(client, text)).output == sum(range(64))


async def test_a_zygote_gives_its_memory_back_with_the_engine(own_engine: EngineUnderTest) -> None:
    async with AsyncClient(own_engine.where) as client:
        zygote = (await settled(client)).pid
        assert zygote is not None
    own_engine.close()
    until(lambda: not Path(f"/proc/{zygote}").exists(), "the zygote's end")
