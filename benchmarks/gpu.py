"""Trainings, debug sessions and models on a GPU, beside plain processes that do the same. Without one, on the CPU as far as it goes.

`python -m benchmarks.gpu` needs a Python with torch and nothing else, no network, and some minutes: trainings are then forked by the
zygote itself. Where jupyter-ext's dependencies are installed too, sessions, models and readings of the GPU follow; otherwise those
rows say that they are left out.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks.support.rows import Row, at_least, at_most, median
from benchmarks.support.scale import scaled

ROOT = Path(__file__).parents[1]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
IS_GPU = DEVICE == "cuda"
STEPS = scaled(300, 5)
ROUNDS = scaled(5, 1)
NUM_FORKED = scaled(4, 2)
WIDTH = 2048 if IS_GPU else 128
NUM_LAYERS = scaled(64, 2)
FORK_WITHIN_S = 120.0
ENGINE_NEEDS = (
    "pydantic",
    "starlette",
    "uvicorn",
    "psutil",
    "httpx",
    "websockets",
    "ipykernel",
    "safetensors",
)

TRAINING = f"""
import time
import torch

def train(steps: int = {STEPS}):
    began = time.perf_counter()
    torch.zeros(1, device={DEVICE!r}) + 1
    first_s = time.perf_counter() - began
    torch.manual_seed(0)
    model = torch.nn.Sequential(*[torch.nn.Linear({WIDTH}, {WIDTH}) for _ in range(8)]).to({DEVICE!r})
    weights = list(model.parameters())  # no optimizer: each new process would import torch._dynamo with its first one
    x = torch.randn(256, {WIDTH}, device={DEVICE!r})
    for step in range(steps + 5):
        if step == 5:
            float(x.sum())
            began = time.perf_counter()
        loss = model(x).pow(2).mean()
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            torch._foreach_add_(weights, gradients, alpha=-1e-3)
    return {{"first_s": first_s, "loss": float(loss.detach()), "s": time.perf_counter() - began}}
"""


def run() -> Iterator[Row]:
    """Measure what this machine and this Python allow."""
    torch.set_num_threads(1)  # threads that wait for each other are not what is measured, here and below
    os.environ["OMP_NUM_THREADS"] = "1"
    yield from logging_rows()
    with tempfile.TemporaryDirectory(prefix="jxg-") as directory:
        yield from forked_rows(Path(directory))
    missing = [name for name in ENGINE_NEEDS if find_spec(name) is None]
    if missing:
        for name in ("debug session", "local model", "readings of the GPU"):
            yield Row.left_out(f"{name} on {DEVICE}", f"{', '.join(missing)} not installed")
        return
    yield from engine_rows()


# -- log() in a loop --------------------------------------------------------------------------------------------------


def logging_rows() -> Iterator[Row]:
    """Measure a step that logs its loss, a tensor of the device, beside the same step without and with a plain `item()`."""
    from jupyter_ext.worker.sdk.logging import Reporter, activate, log

    with tempfile.TemporaryDirectory() as directory:
        reporter = Reporter(Path(directory), "0")
        activate(reporter)
        uses: dict[str, Callable[[torch.Tensor], object]] = {
            "bare": lambda loss: None,
            "log": lambda loss: log({"loss": loss}),
            "item": lambda loss: loss.item(),
        }
        took: dict[str, list[float]] = {name: [] for name in uses}
        step = _step()
        for _ in range(ROUNDS + 1):
            for name, use in uses.items():
                took[name].append(_loop(step, use))
        reporter.close()
    bare, logged, item = (1000 * median(times[1:]) for times in took.values())
    name = f"a step on {DEVICE} that logs its loss"
    yield Row(name, logged, "ms", "the same without", bare, at_most(1.02) if IS_GPU else None)
    yield Row(name, logged, "ms", "with loss.item()", item)


def _step() -> Callable[[], torch.Tensor]:
    model = torch.nn.Sequential(*[torch.nn.Linear(WIDTH, WIDTH) for _ in range(4)]).to(DEVICE)
    x = torch.randn(256, WIDTH, device=DEVICE)

    def step() -> torch.Tensor:
        loss = model(x).pow(2).mean()
        loss.backward()
        return loss.detach()

    return step


def _loop(step: Callable[[], torch.Tensor], use: Callable[[torch.Tensor], object]) -> float:
    """Return the seconds of a step, with all work of the device done at the end."""
    _settle()
    began = time.perf_counter()
    for _ in range(STEPS):
        use(step())
    _settle()
    return (time.perf_counter() - began) / STEPS


def _settle() -> None:
    if IS_GPU:
        torch.cuda.synchronize()


# -- trainings, forked by the zygote without an engine -----------------------------------------------------------------


class Zygote:
    """The process that trainings are forked from, asked as the engine asks it."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        boot = ROOT / "jupyter_ext" / "worker" / "bootstrap.py"
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    str(boot),
                    str(ROOT / "jupyter_ext"),
                    "zygote",
                    str(theirs.fileno()),
                    "torch",
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._answers = self._channel.makefile("r")
        state = json.loads(self._answers.readline())
        if state["state"] != "warm":
            raise RuntimeError(f"the zygote cannot be forked: {state['detail']}")

    def fork(self, run_dir: Path) -> None:
        """Have a training forked."""
        spec = {
            "run_dir": str(run_dir),
            "control": str(run_dir / "control.sock"),
            "rank": "0",
            "cwd": str(run_dir),
            "role": "training",
        }
        self._channel.sendall(json.dumps({"op": "fork", "id": 1, "spec": spec}).encode() + b"\n")
        answer = json.loads(self._answers.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])

    def close(self) -> None:
        """End it."""
        self._answers.close()
        self._channel.close()
        self._process.wait(30)


def _written(run_dir: Path) -> Path:
    """Write what a training is started with."""
    (run_dir / "code").mkdir(parents=True)
    (run_dir / "code" / "code.py").write_text(TRAINING)
    manifest = {
        "kind": "cell",
        "entry": "train",
        "name": "gpu",
        "label": "Cell gpu",
        "source": "code.py",
        "format": 1,
    }
    (run_dir / "code" / "manifest.json").write_text(json.dumps(manifest))
    (run_dir / "spec.json").write_text(json.dumps({"name": "gpu", "input": {}}))
    return run_dir


def _result(run_dir: Path) -> dict[str, float]:
    """Wait for a training's end, and return what it returned."""
    deadline = time.monotonic() + FORK_WITHIN_S
    while not (run_dir / "exit.json").exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"a forked training has not ended after {FORK_WITHIN_S:.0f} s")
        time.sleep(0.005)
    code = json.loads((run_dir / "exit.json").read_text())["code"]
    if code != 0:
        raise RuntimeError(
            f"a forked training ended with {code}: {(run_dir / 'logs.txt').read_text()[-2000:]}"
        )
    return dict(json.loads((run_dir / "output.json").read_text()))


def _plain() -> dict[str, float]:
    """Run the same in a new process."""
    code = f"{TRAINING}\nimport json; print(json.dumps(train()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def forked_rows(directory: Path) -> Iterator[Row]:
    """Measure trainings one after another, then some at once, beside a plain process."""
    zygote = Zygote()
    try:
        ours, plain = [], []
        for number in range(ROUNDS):
            run_dir = _written(directory / f"alone{number}")
            zygote.fork(run_dir)
            ours.append(_result(run_dir))
            plain.append(_plain())
        for name, key in ((f"{STEPS} steps on {DEVICE}", "s"), (f"first tensor on {DEVICE}", "first_s")):
            goal = at_most(1.05) if IS_GPU and key == "s" else None
            measured, peer = (1000 * median([one[key] for one in all_]) for all_ in (ours, plain))
            yield Row(f"forked training: {name}", measured, "ms", "a plain process", peer, goal)
        is_same = sum(abs(one["loss"] - plain[0]["loss"]) <= 1e-5 * abs(plain[0]["loss"]) for one in ours)
        yield Row(
            "forked trainings with the loss of a plain process", is_same, "", goal=at_least(len(ours), "")
        )
        dirs = [_written(directory / f"beside{number}") for number in range(NUM_FORKED)]
        for run_dir in dirs:
            zygote.fork(run_dir)
        ended = len([_result(run_dir) for run_dir in dirs])
        yield Row(f"forked at once, that computed on {DEVICE}", ended, "", goal=at_least(NUM_FORKED, ""))
    finally:
        zygote.close()


# -- what needs the engine --------------------------------------------------------------------------------------------


SESSION = f"""
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2).to({DEVICE!r})

    def evaluate(self, x):
        with torch.no_grad():
            return self.layer(x.to({DEVICE!r})).cpu()
"""


@contextmanager
def _engine() -> Iterator[Path]:
    from benchmarks.support.own_engine import own_engine

    with own_engine(smoke_preload="torch") as directory:
        yield directory


def engine_rows() -> Iterator[Row]:
    """Measure sessions, models and the readings of the GPU."""
    with _engine() as directory:
        yield from _session_rows()
        yield from _model_rows(directory)
        if not IS_GPU or find_spec("pynvml") is None:
            why = "pynvml not installed" if IS_GPU else "there is no GPU"
            yield Row.left_out("readings of the GPU", why)
        else:
            yield from _reading_rows()


def _session_rows() -> Iterator[Row]:
    from jupyter_ext.client.capture.capture import capture_model
    from jupyter_ext.client.debugging import launch

    session = launch("gpu", capture_model(SESSION, {}, "gpu"))
    try:
        model = session.instantiate()
        began = time.perf_counter()
        model.evaluate(x=torch.ones(1, 4))
        first = time.perf_counter() - began
        calls = []
        for _ in range(scaled(200, 2)):
            began = time.perf_counter()
            model.evaluate(x=torch.ones(1, 4))
            calls.append(time.perf_counter() - began)
    finally:
        session.terminate()
    local = torch.nn.Linear(4, 2).to(DEVICE)
    bare = []
    for _ in range(scaled(200, 2)):
        began = time.perf_counter()
        local(torch.ones(1, 4).to(DEVICE)).cpu()
        bare.append(time.perf_counter() - began)
    yield Row(
        f"debug session: a tiny tensor through {DEVICE}, p50",
        1000 * median(calls),
        "ms",
        "in process",
        1000 * median(bare),
    )
    yield Row(f"debug session: the first call on {DEVICE}", 1000 * first, "ms")


def _model_rows(directory: Path) -> Iterator[Row]:
    from safetensors.torch import load_file, save_file

    from benchmarks.models import _Engine
    from jupyter_ext.config import locations

    path = directory / "model.safetensors"
    size = WIDTH * WIDTH * 4 * NUM_LAYERS
    save_file({f"layers.{n}.weight": torch.randn(WIDTH, WIDTH) for n in range(NUM_LAYERS)}, path)
    engine = _Engine(locations())
    try:
        engine.unload(_load(engine, path).id)
        began = time.perf_counter()
        model = _load(engine, path)
        took = time.perf_counter() - began
        began = time.perf_counter()
        loaded = load_file(path, device=DEVICE)
        _settle()
        peer = time.perf_counter() - began
        del loaded
        yield Row(f"a model to {DEVICE}, request to answer", 1000 * took, "ms", "load_file here", 1000 * peer)
        free = _free()
        engine.unload(model.id)
        if IS_GPU:
            given = 100 * (_free() - free) / size
            yield Row("GPU memory given back by unload, of its weights", given, "%", goal=at_least(99, "%"))
        model = _load(engine, path, keep_alive_s=0.2)
        deadline = time.monotonic() + 30
        while engine.get(model.id).state == "loaded" and time.monotonic() < deadline:
            time.sleep(0.05)
        gone = float(engine.get(model.id).state != "loaded")
        yield Row("models unloaded by their own rule", gone, "", goal=at_least(1, ""))
    finally:
        engine.close()


def _load(engine, path: Path, **body):  # type: ignore[no-untyped-def]
    return engine.load(path, **({"device": "cuda:0"} if IS_GPU else {}), **{"options": {}, **body})


def _free() -> float:
    if not IS_GPU:
        return 0.0
    torch.cuda.empty_cache()
    return float(torch.cuda.mem_get_info()[0])


def _reading_rows() -> Iterator[Row]:
    import asyncio

    from jupyter_ext.client.capture.capture import capture_cell
    from jupyter_ext.client.requests.async_client import AsyncClient

    async def keys() -> set[str]:
        async with AsyncClient() as client:
            made = await client.create(capture_cell(TRAINING, {}, "gpu"), {"steps": 20 * STEPS})
            return set((await client.wait(made.id, 300)).last)

    found = sum("gpu" in key for key in asyncio.run(keys()))
    yield Row("readings of the GPU in a training", found, "", goal=at_least(2, ""))


def main() -> int:
    """Print each row when it comes; the exit code is 1 where a goal was missed."""
    from benchmarks.support import layout

    print(
        f"torch {torch.__version__}, {torch.cuda.get_device_name() if IS_GPU else 'no GPU: the CPU instead'}"
    )
    print(layout.head(compared=False))
    missed = 0
    for row in run():
        print(layout.line(row), flush=True)
        missed += row.met is False
    return int(missed > 0)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main())
