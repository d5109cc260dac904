"""What the engine makes of a run while it runs: curves of printed lines, alerts, and stops by rules."""

from __future__ import annotations

from integration_tools import EngineUnderTest, finish, start

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.engine.logs.line_index import LineIndex
from jupyter_ext.engine.logs.streams import StderrSpans
from jupyter_ext.ipc.run_files import STDERR_MARKS

PRINTS = """
import time
def train(n: int = 300):
    for i in range(n):
        print(f"iter {i}: train loss {1 / (i + 1):.6f}, time {i}ms")
"""
TWO_STREAMS = """
import logging, os, subprocess, sys, warnings
def train():
    for i in range(200):
        print("out", i)
        print("err", i, file=sys.stderr)
    sys.stdout.flush()
    os.write(2, b"native err\\n")
    print("out after")
    warnings.warn("a warning")
    logging.error("a logged line")
    print("out before a child", flush=True)
    subprocess.run(["sh", "-c", "echo a child >&2"], check=True)
    print("out last")
    raise ValueError("the end")
"""
LOGS = """
import time
from jupyter_ext import log
def train(bad_at: int = -1):
    step = 0
    while True:
        log({"val/loss": float("nan") if step == bad_at else max(0.5, 1 - step / 10)}, step=step)
        step += 1
        time.sleep(0.005)
"""


async def test_a_script_that_only_prints_has_curves(client: AsyncClient) -> None:
    done = await finish(client, PRINTS)
    (series,) = [item for item in await client.metrics(done.id) if item.rank == "log"]
    assert series.key == "train loss"
    assert series.steps.tolist() == list(range(300))
    assert series.values.tolist() == [float(f"{1 / (i + 1):.6f}") for i in range(300)]
    assert done.last["train loss"].step == 299
    assert any("read from the lines" in text for text in done.notices)


async def test_stderr_is_told_from_stdout_in_the_order_of_both(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    training = await start(client, TWO_STREAMS)
    ended = await client.wait(training.id, 40)
    assert ended.status == "failed"
    run_dir = engine.run_dir(training)
    page = LineIndex(run_dir / "logs.txt").page(0, 2_000)
    lines = [line.text for line in page.lines]
    assert lines[:400] == [f"{name} {i}" for i in range(200) for name in ("out", "err")]
    streams = StderrSpans(run_dir / STDERR_MARKS).streams([line.offset for line in page.lines])
    printed = [line for line, of in zip(lines, streams, strict=True) if of == "stdout"]
    assert printed[200:] == ["out after", "out before a child", "out last"]
    warned = "\n".join(line for line, of in zip(lines, streams, strict=True) if of == "stderr")
    for text in ("native err", "UserWarning: a warning", "a logged line", "a child", "ValueError: the end"):
        assert text in warned


async def test_a_run_is_stopped_once_it_no_longer_improves(client: AsyncClient) -> None:
    training = await start(client, LOGS)
    told = await client.add_rule(
        training.id, {"kind": "threshold", "action": "tell", "metric": "val/loss", "op": "<", "value": 0.75}
    )
    assert len(told.rules) == 1
    await client.add_rule(
        training.id, {"kind": "patience", "action": "stop", "metric": "val/loss", "patience": 20}
    )
    done = await client.wait(training.id, 40)
    assert done.status == "canceled"
    assert done.cause is not None
    assert (
        done.cause.message == "Stopped: val/loss has not improved for 20 values; its best is 0.5 at step 5."
    )
    assert [(alert.step, alert.level) for alert in done.alerts] == [(3, "info"), (25, "warning")]
    assert all(rule.fired for rule in done.rules)


async def test_rules_outlive_the_engine(client: AsyncClient, engine: EngineUnderTest) -> None:
    training = await start(client, LOGS, bad_at=400)
    await client.add_rule(training.id, {"kind": "nan", "action": "stop"})
    engine.kill()
    async with AsyncClient(engine.where) as again:
        done = await again.wait(training.id, 40)
    assert done.status == "canceled"
    assert done.cause is not None
    assert done.cause.message == "Stopped: val/loss is nan at step 400."
