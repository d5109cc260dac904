"""Sweeps: many trainings of one function with inputs that Optuna chooses, driven by a process of its own."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from integration_tools import EngineUnderTest, until

from jupyter_ext.client.requests import process_client
from jupyter_ext.client.sweeps.api import sweep
from jupyter_ext.client.sweeps.handle import Sweep
from jupyter_ext.client.sweeps.space import loguniform
from jupyter_ext.client.trainings.api import trainings
from jupyter_ext.errors import InvalidInput, RequestRefused, TrainingFailed

pytest.importorskip("optuna")


@pytest.fixture(autouse=True)
def own_client(engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the notebook's side, and what drives a sweep, talk to the module's engine."""
    monkeypatch.setenv("JUPYTER_EXT_DATA_DIR", str(engine.where.data_dir))
    monkeypatch.setenv("JUPYTER_EXT_RUNTIME_DIR", str(engine.where.runtime_dir))
    process_client.reset_client()
    yield
    process_client.reset_client()


def quick(lr: float, width: int = 1) -> float:
    return (lr - 0.01) ** 2 * width


def slow(lr: float, pause: float = 0.02) -> float:
    import time

    from jupyter_ext import log

    for step in range(4):
        log({"val/loss": lr / (step + 1)})
        time.sleep(pause)
    return lr


def worse(lr: float) -> float:
    import time

    from jupyter_ext import log

    for _ in range(100 if lr > 0.5 else 10):
        log({"val/loss": lr})
        time.sleep(0.02 if lr > 0.5 else 0)
    return lr


def waits(lr: float) -> float:
    import time

    while True:
        time.sleep(0.01)


def breaks(lr: float) -> float:
    raise ValueError(f"no such file: {lr:.1f}.csv")


def num_done(made: Sweep) -> int:
    """Count the trials that are over."""
    return sum(run.known.status == "succeeded" or "pruned" in run.known.tags for run in made.trials)


def kill_driver(engine: EngineUnderTest, made: Sweep) -> None:
    """Kill the process that drives a sweep, and wait for its end."""
    driver = made.driver
    os.kill(engine.pids(driver.known)[1], signal.SIGKILL)
    until(lambda: driver.status == "failed", "the driver's end", 60)


def test_a_sweep_killed_twice_keeps_every_trial_and_runs_none_twice(engine: EngineUnderTest) -> None:
    made = sweep(slow, {"lr": loguniform(1e-4, 1e-1)}, trials=20, parallel=2, metric="val/loss")
    until(lambda: num_done(made) >= 3, "the first trials", 120)
    kill_driver(engine, made)
    kept = {run.id: run.known.input for run in made.trials if run.known.status == "succeeded"}
    assert kept
    num_then = num_done(made)
    made.resume()
    until(lambda: num_done(made) >= num_then + 3, "further trials", 120)
    engine.kill()
    made.wait(100)
    table = made.dataframe()
    numbers = Counter(table["trial"])
    assert numbers == dict.fromkeys(range(20), 1)
    assert set(table["state"]) <= {"succeeded", "pruned"}
    assert {run.id: run.known.input for run in made.trials if run.id in kept} == kept
    result = made.driver.output
    assert [trial["trial"] for trial in result["trials"]] == list(range(20))
    values = table["value"][table["state"] == "succeeded"]
    assert result["best"]["value"] == pytest.approx(values.min())
    best = made.best
    assert best is not None
    assert best.id == result["best"]["training"]
    assert {one.key for one in made.driver.columns()} >= {"value", "best"}


def test_trials_are_found_with_their_sweep_and_are_not_among_the_trainings() -> None:
    made = sweep(quick, {"lr": [0.1, 0.01], "width": "choice(1, 2)"}, trials=3, name="tune")
    made.wait(60)
    assert [run.name for run in made.trials] == ["tune #0", "tune #1", "tune #2"]
    listed = {run.id for run in trainings.list(limit=1000)}
    assert made.id in listed
    assert not listed & {run.id for run in made.trials}
    trial = made.trials[0]
    trial.label(tags=["mine"])
    assert trial.id in {run.id for run in made.trials}, "its labels do not take it out of its sweep"
    assert trainings.get(trial.id[:12]).id == trial.id
    made.extend(2).wait(60)
    assert len(made.trials) == 5
    assert made.driver.id != made.id
    made.delete()
    assert not {made.id, trial.id} & {run.id for run in trainings.list(limit=1000, q=made.id)}


def test_a_trial_that_is_worse_than_the_others_is_ended_early() -> None:
    made = sweep(worse, {"lr": [0.1, 0.2, 0.9]}, trials=10, metric="val/loss", seed=3)
    made.wait(120)
    states = Counter(made.dataframe()["state"])
    assert states["pruned"] >= 1, made.driver.logs()
    assert "pruned  lr=0.9" in made.driver.logs()


def test_a_stop_cancels_what_runs_and_a_resume_goes_on(engine: EngineUnderTest) -> None:
    made = sweep(waits, {"lr": loguniform(0.1, 1)}, trials=4, parallel=2)
    until(lambda: sum(run.known.status == "processing" for run in made.trials) == 2, "two trials", 40)
    with pytest.raises(RequestRefused, match="stop it first"):
        made.extend(1)
    made.stop()
    until(lambda: made.status == "canceled", "the end of the sweep", 30)
    until(lambda: all(run.known.status == "canceled" for run in made.trials), "the end of its trials", 30)


def test_what_cannot_succeed_is_said_at_once() -> None:
    with pytest.raises(TrainingFailed, match=r"logged no 'val/los', .* it logged: val/loss"):
        sweep(slow, {"lr": [1.0]}, {"pause": 0}, metric="val/los").wait(60)
    with pytest.raises(
        TrainingFailed, match="The first 3 trials all failed; the last one said: ValueError: no such"
    ):
        sweep(breaks, {"lr": [1.0, 2.0]}).wait(60)
    with pytest.raises(InvalidInput, match="quick\\(\\) has no input 'rate'"):
        sweep(quick, {"rate": [1.0]})
    with pytest.raises(InvalidInput, match="trials=0 is no number"):
        sweep(quick, {"lr": [1.0]}, trials=0)


def test_the_best_becomes_a_version_of_a_model(tmp_path: Any) -> None:
    def saves(lr: float, folder: str) -> dict[str, Any]:
        import torch
        from safetensors.torch import save_file

        path = f"{folder}/{lr}.safetensors"
        save_file({"w": torch.tensor([lr])}, path)
        return {"weights": path, "loss": lr}

    made = sweep(saves, {"lr": [3.0, 1.0, 2.0]}, {"folder": str(tmp_path)}, trials=4, metric="loss", seed=1)
    made.wait(60)
    best = made.best
    assert best is not None
    version = made.promote("me/swept")
    assert version.startswith("me/swept:")
    assert made.promote("me/swept") == version
    smallest = min(run.output["loss"] for run in made.trials)
    assert best.output["loss"] == smallest
