"""A training that writes down what was acknowledged, outside of our files, and what must be true of it afterwards.

A record counts as acknowledged once `log()` has returned.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.protocol.trainings import Training
from tests.faults.report import Report

NUM_STEPS = 80

LOOP = """
import os, time
from jupyter_ext import checkpoint, log
def train(acks: str, n: int = 80):
    import torch
    found = checkpoint.latest()
    first = found.step + 1 if found else 0
    told = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for i in range(first, n):
        log({"x": 3 * i + 1}, step=i)
        os.write(told, b"%d\\n" % i)
        if i % 10 == 9:
            checkpoint.save({"i": torch.tensor(i)}, step=i)
        time.sleep(0.005)
    return n
"""


@dataclass
class Run:
    """One training of a round, and what was done to it."""

    training: Training
    acks: Path
    killed: bool = False
    canceled: bool = False
    engine_killed: bool = False
    resumed: bool = False
    restarted: bool = False

    @property
    def acknowledged(self) -> list[int]:
        """The steps whose `log()` returned."""
        return [int(line) for line in self.acks.read_text().split()] if self.acks.exists() else []


async def check_records(client: AsyncClient, report: Report, run: Run) -> Training:
    """Hold a training's records and state against what happened to it."""
    known = await client.get(run.training.id)
    report.trainings += 1
    report.states[known.status] += 1
    told = run.acknowledged
    report.acknowledged += len(told)
    columns = await client.metrics(known.id, ["x"], chain=False)
    steps = [int(step) for series in columns for step in series.steps.tolist()]
    values = [value for series in columns for value in series.values.tolist()]
    if steps[: len(told)] != told or len(steps) > len(told) + 1:
        lost = sorted(set(told) - set(steps))[:5]
        report.violations.append(f"{known.id}: {len(told)} acknowledged, {len(steps)} kept; lost {lost}")
    report.check(
        values == [3 * step + 1 for step in steps], f"{known.id}: values are not those that were logged"
    )
    if not _is_true(known, run, told):
        report.violations.append(
            f"{known.id}: is {known.status} ({known.error}) with output {known.output}, {len(told)} acknowledged, "
            f"{run.killed=}, {run.canceled=}, {run.engine_killed=}, {run.resumed=}, {run.restarted=}"
        )
    return known


def _is_true(known: Training, run: Run, told: list[int]) -> bool:
    # one that goes on from a checkpoint of the last step has nothing left to log
    is_whole = told[-1] == NUM_STEPS - 1 if told else run.resumed
    truths = {
        "succeeded": is_whole and known.output == NUM_STEPS,
        "failed": (run.killed or run.restarted) and known.error is not None,
        "canceled": run.canceled,
    }
    return truths.get(known.status, False)
