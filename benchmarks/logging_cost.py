"""What the public `log()` costs a training loop, what a kill -9 takes, and how fast the points come back.

Each logger runs in a process of its own; rounds are interleaved, so that a noisy minute hits all of them. "limit" is
one `os.write` of the same bytes with the packing and the CRC that a frame cannot do without.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from benchmarks.support.rows import Row, at_least, at_most, median, percentile
from benchmarks.support.scale import scaled
from benchmarks.support.timing import in_turns

ROUNDS = scaled(3, 1)
NUM_CALLS = {
    "jupyter-ext": scaled(30_000, 100),
    "limit": scaled(30_000, 100),
    "trackio": scaled(5_000, 50),
    "tensorboard": scaled(4_000, 50),
    "wandb": scaled(2_000, 50),
    "mlflow": scaled(200, 10),
}
PEERS = (
    ("limit", "p50", at_most(2)),
    ("trackio", "p50", at_most(0.25)),
    ("tensorboard", "p50", at_most(0.25)),
    ("wandb", "p50", at_most(0.25)),
    ("mlflow", "p50", at_most(0.25)),
    ("trackio", "p99", None),
)
OPTIONAL = ("wandb", "mlflow")
STEPS = scaled(400, 5)
"""Steps of a millisecond each, in a row without logging, then as many with it."""
STEP_ROUNDS = scaled(5, 1)
BURST = scaled(5_000, 100)
MILLION = scaled(1_000_000, 20_000)
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "PYTHONWARNINGS": "ignore",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


class Log(Protocol):
    """What a user calls."""

    def __call__(self, values: dict[str, float], /, *, step: int) -> object: ...


def run() -> Iterator[Row]:
    """Measure everything: about a minute."""
    with tempfile.TemporaryDirectory(prefix="logging-cost-") as directory:
        root = Path(directory)
        for part in (_call_rows, _step_rows, _kill_rows, _size_rows, _read_rows):
            yield from part(root)


def _call_rows(root: Path) -> Iterator[Row]:
    costs: dict[tuple[str, int], list[dict[str, float]]] = {}
    for _ in range(ROUNDS):
        for name in _there():
            for num_keys in (1, 10):
                costs.setdefault((name, num_keys), []).append(_child(root, "cost", name, str(num_keys)))
    for num_keys in (1, 10):
        label = f"log() of {num_keys} scalar{'s' if num_keys > 1 else ''}"
        for name, share, bound in PEERS:
            if name not in _there():
                yield _left_out(f"{label}, {share}", name)
                continue
            ours, other = (
                median([cost[share] for cost in costs[of, num_keys]]) for of in ("jupyter-ext", name)
            )
            yield Row(f"{label}, {share}", ours, "us", name, other, bound)


def _step_rows(root: Path) -> Iterator[Row]:
    label = "10 scalars in a 1 ms step, what they add"
    added: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name in _there():
            added.setdefault(name, []).append(_child(root, "step", name, "10")["added"])
    ours = median(added.pop("jupyter-ext"))
    for name, others in added.items():
        goal = None if name == "limit" else at_most(0.25)
        yield Row(label, ours, "us", name, median(others), goal)
    for name in OPTIONAL:
        if name not in added:
            yield _left_out(label, name)


def _there() -> list[str]:
    """Return the loggers that are installed."""
    return [name for name in NUM_CALLS if name not in OPTIONAL or find_spec(name) is not None]


def _left_out(label: str, name: str) -> Row:
    return Row.left_out(f"{label}, beside {name}", f"{name} is not installed")


def _kill_rows(root: Path) -> Iterator[Row]:
    lost = {
        name: median([_child(root, "kill", name, "1")["lost"] for _ in range(3)])
        for name in NUM_CALLS
        if name not in ("limit", *OPTIONAL)
    }
    label, goal = f"lost of {BURST:,} points by kill -9", at_most(0, "points")
    for name in ("trackio", "tensorboard"):
        yield Row(label, lost["jupyter-ext"], "points", name, lost[name], goal)


def _size_rows(root: Path) -> Iterator[Row]:
    sizes = {name: _child(root, "size", name, "10")["bytes"] for name in ("trackio", "tensorboard")}
    ours = _child(root, "sizes", "jupyter-ext", "10")
    single = _child(root, "sizes", "jupyter-ext", "1")["live"]
    label, peer, goal = "bytes a point, live", "tensorboard", at_most(15, "B")
    yield Row(f"{label}, 10 scalars a call", ours["live"], "B", peer, sizes[peer], goal)
    yield Row(f"{label}, 1 scalar a call", single, "B", peer, sizes[peer], goal)
    yield Row("bytes a point, sealed", ours["sealed"], "B", "trackio", sizes["trackio"], at_most(6, "B"))


def _read_rows(root: Path) -> Iterator[Row]:
    got = _child(root, "read", "jupyter-ext", "1")
    rate, loop = 1e-6 * got["decode"], 1e-6 * got["decode_loop"]
    yield Row("journal decoded", rate, "M points/s", "struct in a loop", loop, at_least(5))
    peer, parquet = "1 M by pyarrow, parquet", got["parquet"]
    for name in ("live", "sealed"):
        yield Row(f"1 M points read back, {name}", got[name], "ms", peer, parquet, at_most(1.5))
    for number in ("1 M", "10 M"):
        first, zoom, worst = (got[f"{what} {number}"] for what in ("first", "zoom", "worst"))
        goal = at_most(7) if number == "1 M" else None
        yield Row(f"first overview of {number}, from opening", first, "ms", peer, parquet, goal)
        yield Row(f"zoom into {number}, p50", zoom, "ms", peer, parquet, at_most(3.5))
        yield Row(f"zoom into {number}, worst of 40", worst, "ms", peer, parquet)
    yield Row("first zoom of an engine, imports pyarrow", got["first zoom"], "ms", peer, parquet)


def _child(root: Path, *arguments: str) -> dict[str, float]:
    directory = Path(tempfile.mkdtemp(dir=root))
    environ = {**os.environ, **ENVIRONMENT, "TRACKIO_DIR": str(directory)}
    command = [sys.executable, "-m", "benchmarks.logging_cost", "--child", *arguments, str(directory)]
    done = subprocess.run(
        command, env=environ, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent
    )
    if arguments[0] == "kill":
        told = {"lost": float(BURST - _num_points(arguments[1], directory))}
    else:
        done.check_returncode()
        told = json.loads(done.stdout.splitlines()[-1])
    shutil.rmtree(directory)
    return told


# -- in the child ---------------------------------------------------------------------------------------------------


def _open_logger(name: str, directory: Path) -> tuple[Log, Callable[[], object]]:
    if name == "jupyter-ext":
        from jupyter_ext.worker.sdk.logging import Reporter, activate, log

        reporter = Reporter(directory, "0")
        activate(reporter)
        return log, reporter.close
    if name == "trackio":
        import trackio

        trackio.init("benchmark", embed=False, auto_log_gpu=False, auto_log_cpu=False)
        return trackio.log, trackio.finish
    if name == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter

        summary = SummaryWriter(str(directory))

        def add(values: dict[str, float], /, *, step: int) -> None:
            for key, value in values.items():
                summary.add_scalar(key, value, step)

        return add, summary.close
    if name == "wandb":
        import wandb

        run = wandb.init(mode="offline", dir=str(directory), settings=wandb.Settings(silent=True))
        return (lambda values, /, *, step: run.log(values, step=step)), run.finish
    if name == "mlflow":
        import mlflow

        mlflow.set_tracking_uri(directory.as_uri())
        mlflow.start_run()
        return (lambda values, /, *, step: mlflow.log_metrics(values, step=step)), mlflow.end_run
    fd = os.open(directory / "bytes", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    packs = {num_keys: struct.Struct("<Bdd" + "Hd" * num_keys).pack for num_keys in (1, 10)}
    head = struct.Struct("<II").pack
    rows = {num_keys: [2, 1.0, 2.0] + [1, 0.5] * num_keys for num_keys in packs}

    def write(values: dict[str, float], /, *, step: int) -> None:
        body = packs[len(values)](*rows[len(values)])
        os.write(fd, head(len(body), zlib.crc32(body)) + body)

    return write, lambda: os.close(fd)


def _cost(name: str, num_keys: int, directory: Path) -> dict[str, float]:
    log, close = _open_logger(name, directory)
    values = {f"key{number}": 0.5 + number for number in range(num_keys)}
    clock, took = time.perf_counter_ns, []
    for step in range(NUM_CALLS[name] // (num_keys if name == "tensorboard" else 1)):
        began = clock()
        log(values, step=step)
        took.append((clock() - began) / 1000)
    close()
    return {"p50": median(took), "p99": percentile(took, 0.99)}


def _step(name: str, num_keys: int, directory: Path) -> dict[str, float]:
    """Return the microseconds that logging adds to a step of about a millisecond, everything it does in the background included."""
    log, close = _open_logger(name, directory)
    values = {f"key{number}": 0.5 + number for number in range(num_keys)}
    table = bytes(1 << 19)

    def steps(use: Callable[[int], object], first: int) -> float:
        began = time.perf_counter()
        for step in range(first, first + STEPS):
            zlib.crc32(table)
            zlib.crc32(table)
            use(step)
        return (time.perf_counter() - began) / STEPS

    bare, logged = [], []
    for number in range(STEP_ROUNDS):
        bare.append(steps(lambda step: None, 0))
        logged.append(steps(lambda step: log(values, step=step), number * STEPS))
    close()
    return {"added": 1e6 * (median(logged) - median(bare))}


def _kill(name: str, directory: Path) -> None:
    log, _ = _open_logger(name, directory)
    for step in range(BURST):
        log({"loss": 0.5}, step=step)
    os.kill(os.getpid(), 9)


def _num_points(name: str, directory: Path) -> int:
    """Count what a killed logger left for a reader."""
    if name == "jupyter-ext":
        from jupyter_ext.engine.metrics.journal.journal_reader import JournalTail

        tail = JournalTail(directory / "metrics-0-0.jnl")
        while tail.read().more:
            pass
        tail.close()
        return tail.ordinal
    if name == "trackio":
        count = 0
        for path in directory.rglob("*.db"):
            connection = sqlite3.connect(path)
            tables = {
                row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
            if "metrics" in tables:
                count += connection.execute("SELECT count(*) FROM metrics").fetchone()[0]
            connection.close()
        return count
    from tensorboard.backend.event_processing.event_file_loader import (  # type: ignore[import-untyped]
        EventFileLoader,
    )

    return sum(
        len(event.summary.value)
        for path in directory.glob("events.*")
        for event in EventFileLoader(str(path)).Load()
    )


def _losses(n: int) -> Any:
    """Return losses as a training gives them: float32, noisy, falling."""
    import numpy as np

    rng = np.random.default_rng(0)
    return (2 * np.exp(-np.arange(n) / n * 3) + 0.1 * rng.standard_normal(n)).astype(np.float32).astype(float)


def _size(name: str, num_keys: int, directory: Path) -> dict[str, float]:
    n = 3000
    log, close = _open_logger(name, directory)
    losses = _losses(n * num_keys).reshape(n, num_keys).tolist()
    for step in range(n):
        log({f"key{number}": value for number, value in enumerate(losses[step])}, step=step)
    close()
    return {
        "bytes": sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) / n / num_keys
    }


def _sizes(num_keys: int, directory: Path) -> dict[str, float]:
    from jupyter_ext.engine.metrics.sealed.sealing import seal_run
    from jupyter_ext.worker.sdk.journal_writer import JournalWriter

    n = 30_000
    writer = JournalWriter(directory, "0")
    now = 1.7e9
    for step, values in enumerate(_losses(n * num_keys).reshape(n, num_keys).tolist()):
        now += random.gauss(0.01, 0.0001)
        writer.points({f"key{number}": value for number, value in enumerate(values)}, step, now)
    writer.close()
    live = (directory / "metrics-0-0.jnl").stat().st_size
    seal_run(directory, final=True)
    sealed = sum(path.stat().st_size for path in (directory / "segments").iterdir())
    return {"live": live / n / num_keys, "sealed": sealed / n / num_keys}


def _read(directory: Path) -> dict[str, float]:
    from jupyter_ext.engine.metrics.serving.run_store import RunStore
    from jupyter_ext.worker.sdk.journal_writer import JournalWriter

    told: dict[str, float] = {}
    for name, n in (("1 M", MILLION), ("10 M", 10 * MILLION)):
        run_dir = directory / name
        run_dir.mkdir()
        losses = _losses(n)
        writer = JournalWriter(run_dir, "0", rotate_bytes=1 << 40 if n == MILLION else 16 << 20)
        if n == MILLION:
            for step, value in enumerate(losses.tolist()):
                writer.points({"loss": value}, step)
        else:
            for start in range(0, n, MILLION // 10):
                part = losses[start : start + MILLION // 10]
                writer.many("loss", [float(step) for step in range(start, start + len(part))], part)
        writer.close()
        store = RunStore(run_dir)
        store.open()
        while store.ingest() is not None:
            pass
        if n == MILLION:
            told |= _decode(run_dir / "metrics-0-0.jnl")
            told["live"] = in_turns(store.columns, rounds=3)[0]
        store.close()
        command = [sys.executable, "-m", "jupyter_ext.engine.metrics.sealed.sealing", str(run_dir), "--final"]
        subprocess.run(command, check=True)
        store = RunStore(run_dir)
        began = time.perf_counter()
        store.open()
        store.columns(buckets=1000)
        told[f"first {name}"] = (time.perf_counter() - began) * 1000
        if n == MILLION:
            assert "pyarrow" not in sys.modules
            began = time.perf_counter()
            store.columns(buckets=1000, lo=1000, hi=2000)
            told["first zoom"] = (time.perf_counter() - began) * 1000
        zooms = []
        for _ in range(40):
            width = 10 ** random.uniform(2.5, 6)
            lo = random.uniform(0, n - width)
            began = time.perf_counter()
            store.columns(buckets=1000, lo=lo, hi=lo + width)
            zooms.append((time.perf_counter() - began) * 1000)
        told[f"zoom {name}"], told[f"worst {name}"] = median(zooms), max(zooms)
        if n == MILLION:
            import pyarrow.parquet as pq

            path = run_dir / "segments" / "all-1.parquet"
            told["sealed"], told["parquet"] = in_turns(
                store.columns,
                partial(pq.read_table, path, columns=["step", "value", "time"], use_threads=False),
                rounds=5,
            )
        store.close()
    return told


def _decode(path: Path) -> dict[str, float]:
    from jupyter_ext.engine.metrics.journal.journal_reader import JournalTail

    def ours() -> None:
        tail = JournalTail(path)
        while tail.read().more:
            pass
        tail.close()

    def loop() -> None:
        data, position = path.read_bytes(), 0
        unpack, points = struct.Struct("<IIBddHd").unpack_from, []
        head = struct.Struct("<IIB").unpack_from
        while position < len(data):
            length, crc, kind = head(data, position)
            if zlib.crc32(data[position + 8 : position + 8 + length]) != crc:
                break
            if kind == 2:
                points.append(unpack(data, position)[3:])
            position += 8 + length

    took, peer = in_turns(ours, loop, rounds=3)
    return {"decode": MILLION / took * 1000, "decode_loop": MILLION / peer * 1000}


def _main(arguments: list[str]) -> None:
    _, what, name, num_keys, directory = arguments
    work: dict[str, Callable[[], dict[str, float] | None]] = {
        "cost": lambda: _cost(name, int(num_keys), Path(directory)),
        "step": lambda: _step(name, int(num_keys), Path(directory)),
        "kill": lambda: _kill(name, Path(directory)),
        "size": lambda: _size(name, int(num_keys), Path(directory)),
        "sizes": lambda: _sizes(int(num_keys), Path(directory)),
        "read": lambda: _read(Path(directory)),
    }
    print(json.dumps(work[what]()))


if __name__ == "__main__":
    _main(sys.argv[1:])
