"""Local models in memory: loading, calling, sharing and giving back, beside torch, safetensors and memcpy.

The checkpoint is made here: a decoder of bfloat16 linear layers, about 1.4 GB. Every engine is the real one.
"""

from __future__ import annotations

import itertools
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch

from benchmarks.support.decoder import LAYERS, WIDTH, Decoder
from benchmarks.support.peers import kernel_execute, plain_http
from benchmarks.support.rows import Goal, Row, at_least, at_most, median
from benchmarks.support.scale import scaled
from jupyter_ext.client.models.calls import ModelCalls
from jupyter_ext.client.models.module_factory import host_options, torch_module
from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.ipc.memory_usage import rollup
from jupyter_ext.protocol.models import LocalModel

ROUNDS = scaled(5, 1)
COLD_ROUNDS = scaled(3, 1)
TINY_CALLS = scaled(400, 2)
LARGE_BYTES = 100 << 20
_FILE = "model.safetensors"


def run() -> Iterator[Row]:
    """Measure everything with one checkpoint and one engine."""
    directory = Path(tempfile.mkdtemp(prefix="jx-bench-models-"))
    try:
        path = _checkpoint(directory)
        engine = _Engine(Locations(directory / "data", directory / "run"))
        try:
            yield from _loading(engine, path)
            yield from _calling(engine, path)
            yield from _sharing(engine, path)
        finally:
            engine.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class _Engine:
    """An engine of its own, and models in it."""

    def __init__(self, where: Locations) -> None:
        self.where = where
        discovery.ensure(where=self.where)
        self._options = host_options({"factory": Decoder})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        found = discovery.ensure(where=self.where)
        status, answer = discovery.request(found.socket_path, method, path, body, timeout_s=300.0)
        if status >= 400:
            raise RuntimeError(str(answer))
        return answer

    def load(self, path: Path, **body: Any) -> LocalModel:
        model_id = self.ask("POST", "/native/models", {"id": f"file:{path}"})["id"]
        loading = {
            "options": self._options,
            "keep_alive_s": -1.0,
            "worker": {"python": sys.executable},
            **body,
        }
        return LocalModel.model_validate(
            self.ask("POST", f"/native/models/{quote(model_id, safe='')}/load", loading)
        )

    def get(self, model_id: str) -> LocalModel:
        return LocalModel.model_validate(self.ask("GET", f"/native/models/{quote(model_id, safe='')}"))

    def unload(self, model_id: str) -> LocalModel:
        return LocalModel.model_validate(
            self.ask("POST", f"/native/models/{quote(model_id, safe='')}/unload", {})
        )

    def calls(self, model: LocalModel) -> ModelCalls:
        return ModelCalls(lambda: self.get(model.id), lambda: self.get(model.id))

    def close(self) -> None:
        for model in self.ask("GET", "/native/models")["models"]:
            if model["state"] == "loaded":
                self.unload(model["id"])
        found = discovery.find(self.where)
        if found is not None:
            discovery.request(found.socket_path, "POST", "/native/engine/stop", {"force": True})


def _checkpoint(directory: Path) -> Path:
    from safetensors.torch import save_file

    weight = torch.randn(WIDTH, WIDTH).to(torch.bfloat16)
    tensors = {}
    for index in range(LAYERS):
        tensors[f"layers.{index}.weight"] = weight.roll(index, 0).clone() / WIDTH**0.5
        tensors[f"layers.{index}.bias"] = torch.zeros(WIDTH, dtype=torch.bfloat16)
    save_file(tensors, directory / _FILE)
    torch.save(tensors, directory / "model.bin")
    return directory / _FILE


# -- loading ----------------------------------------------------------------------------------------------------------


def _loading(engine: _Engine, path: Path) -> Iterator[Row]:
    _settle(engine, path)
    took: dict[str, list[float]] = {
        name: [] for name in ("read", "host", "inside", "safetensors", "torch", "mmap")
    }
    for _ in range(ROUNDS):
        took["read"].append(_timed(lambda: _read(path)))
        began = time.perf_counter()
        model = engine.load(path)
        took["host"].append(time.perf_counter() - began)
        assert model.host is not None
        took["inside"].append(model.host.load_s or 0.0)
        engine.unload(model.id)
        took["safetensors"].append(_fresh(path, "safetensors"))
        took["mmap"].append(_fresh(path.with_suffix(".bin"), "mmap"))
        took["torch"].append(_fresh(path.with_suffix(".bin"), "torch"))
    base = median(took["read"])
    yield _row("model ready, warm: inside its process", took["inside"], base, at_most(0.15))
    yield _row("model ready, warm: request to answer", took["host"], base)
    yield _row("safetensors load_file, every page touched", took["safetensors"], base)
    yield _row("torch.load(mmap=True), every page touched", took["mmap"], base)
    yield _row("torch.load, every page touched", took["torch"], base)
    cold_read, cold_host = [], []
    for _ in range(COLD_ROUNDS):
        _drop(path)
        cold_read.append(_timed(lambda: _read(path)))
        _drop(path)
        began = time.perf_counter()
        model = engine.load(path)
        cold_host.append(time.perf_counter() - began)
        engine.unload(model.id)
    yield _row("model ready, file not in the page cache", cold_host, median(cold_read))


def _settle(engine: _Engine, path: Path) -> None:
    """Load once: the zygote is warm then, and the file in the page cache."""
    engine.unload(engine.load(path).id)


def _row(name: str, took: list[float], base: float, goal: Goal | None = None) -> Row:
    return Row(name, 1e3 * median(took), "ms", "read() of the file", 1e3 * base, goal)


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _read(path: Path) -> None:
    buffer = bytearray(16 << 20)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


_PEER = """
import sys, time
import torch
path, how = sys.argv[1:]
if how == "safetensors":
    from safetensors.torch import load_file
began = time.perf_counter()
state = load_file(path) if how == "safetensors" else torch.load(path, weights_only=True, mmap=how == "mmap")
for tensor in state.values():
    tensor.reshape(-1).view(torch.uint8)[::4096].sum()
print(time.perf_counter() - began)
"""


def _fresh(path: Path, how: str) -> float:
    """Time a peer in a process of its own, imports left out."""
    done = subprocess.run(
        [sys.executable, "-c", _PEER, str(path), how], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def _drop(path: Path) -> None:
    """Have the kernel forget the file's pages."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# -- calling ----------------------------------------------------------------------------------------------------------


def _calling(engine: _Engine, path: Path) -> Iterator[Row]:
    model = engine.load(path)
    calls = engine.calls(model)
    tiny = torch.zeros(1, 4, dtype=torch.bfloat16)
    calls.call(tiny, through=False)
    round_trips = [_timed(lambda: calls.call(tiny, through=False)) for _ in range(TINY_CALLS)]
    local = Decoder()
    inside = [_timed(lambda: local(tiny, through=False)) for _ in range(TINY_CALLS)]
    large = torch.ones(LARGE_BYTES // 4, dtype=torch.float32)
    target = torch.empty_like(large)
    copies, both_ways = [], []
    for _ in range(7):
        copies.append(_timed(lambda: torch.empty_like(large).copy_(large)))
        both_ways.append(_timed(lambda: calls.call(large, through=False)))
    target.copy_(large)
    x = torch.zeros(1, WIDTH, dtype=torch.bfloat16)
    first = _first_call(engine, model, x)
    calls = engine.calls(engine.get(model.id))
    later = [_timed(lambda: calls.call(x)) for _ in range(5)]
    engine.unload(model.id)
    p50 = 1e3 * median(round_trips)
    name = "call with a tiny tensor, p50"
    yield Row(name, p50, "ms", "Jupyter execute", kernel_execute(100), at_most(0.2))
    yield Row(name, p50, "ms", "plain HTTP POST", plain_http("/", bytes(16), 300))
    yield Row(name, p50, "ms", "the same in process", 1e3 * median(inside))
    each_way, copy = 1e3 * median(both_ways) / 2, 1e3 * median(copies)
    yield Row("call with 100 MB, each way", each_way, "ms", "memcpy into fresh memory", copy, at_most(2.5))
    yield Row(
        "first call through all layers", 1e3 * first, "ms", "a later one", 1e3 * median(later), at_most(2.7)
    )


def _first_call(engine: _Engine, model: LocalModel, x: torch.Tensor) -> float:
    engine.unload(model.id)
    calls = engine.calls(engine.load(Path(model.path or "")))
    calls.tensors()  # connects
    return _timed(lambda: calls.call(x))


# -- sharing ----------------------------------------------------------------------------------------------------------


def _sharing(engine: _Engine, path: Path) -> Iterator[Row]:
    size = path.stat().st_size / 1e6
    model = engine.load(path)
    assert model.host is not None
    pids = [model.host.pid or 0]
    calls = engine.calls(model)
    calls.call(torch.zeros(1, WIDTH, dtype=torch.bfloat16))
    sums = [_pss(pids)]
    users = []
    for _ in range(2):
        user = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.support.model_user", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert user.stdout is not None
        if user.stdout.readline() != "ready\n":
            raise RuntimeError(f"a second user of the model ended with exit code {user.wait()}")
        users.append(user)
        pids.append(user.pid)
        sums.append(_pss(pids))
    for user in users:
        user.communicate("\n")
    module = torch_module(model, {"factory": Decoder})
    before = rollup()["private"]
    sum(float(layer.weight.detach()[0, 0]) for layer in module.layers)
    grown = (rollup()["private"] - before) / 1e6
    del module
    held = rollup(model.host.pid)["pss"]
    after = engine.unload(model.id)
    assert after.unloaded is not None
    left = rollup(model.host.pid)["pss"] if Path(f"/proc/{model.host.pid}/smaps_rollup").exists() else 0
    share = 100.0 * (held - left) / held
    gained = (after.unloaded.available_after_bytes - after.unloaded.available_before_bytes) / 1e6
    first, second, third = (1e-6 * (now - before) for before, now in itertools.pairwise([0.0, *sums]))
    copy = "a copy of the weights"
    yield Row("memory of the model's process, one user", first, "MB", "the file", size)
    yield Row("memory of a second user with its own process", second, "MB", copy, size)
    yield Row("memory of a third", third, "MB", copy, size)
    yield Row("private memory that m.torch() adds", grown, "MB", copy, size, at_most(160, "MB"))
    yield Row("memory of the process given back by unload", share, "%", goal=at_least(99.9, "%"))
    yield Row("available memory gained by unload", gained, "MB")
    yield Row("unload, until the process is gone", after.unloaded.took_s * 1e3, "ms")


def _pss(pids: list[int]) -> float:
    return float(sum(rollup(pid)["pss"] for pid in pids))


assert mmap.PAGESIZE == 4096, "the peers touch every page of 4096 bytes"
