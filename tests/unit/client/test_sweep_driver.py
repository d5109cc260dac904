"""What a sweep's driver makes of the end of a trial, and of an engine that refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_ext.client.sweeps.results import value_of, why_no_value
from jupyter_ext.errors import EngineUnreachable, InvalidInput, RequestRefused, UnknownId
from jupyter_ext.protocol.trainings import Cause, Training

optuna = pytest.importorskip("optuna")
driver_module = pytest.importorskip("jupyter_ext.client.sweeps.driver")

PLAN = {
    "trials": 3,
    "parallel": 1,
    "metric": "val/loss",
    "direction": "minimize",
    "space": {"lr": {"kind": "uniform", "low": 0.0, "high": 1.0, "options": []}},
    "fixed": {},
    "model": "local/fit",
    "version": "0" * 64,
    "workers": 1,
    "prune": False,
    "seed": 1,
}


def ended(status: str = "succeeded", **more: Any) -> Training:
    """Return a training that is over."""
    logged = more.pop("logged", {})
    last = {key: {"step": 1, "value": value, "time": 1.0} for key, value in logged.items()}
    fields = {
        "id": "t" * 26,
        "name": "fit",
        "model": "local/fit",
        "version": "0" * 64,
        "status": status,
        "created_at": "2026-01-01T00:00:00.000Z",
        "started_at": "2026-01-01T00:00:01.000Z",
        "urls": {"get": "/", "cancel": "/"},
        "last": last,
    }
    return Training.model_validate({**fields, **more})


class Engine:
    """Ends every training as it is told."""

    def __init__(self, *ends: Training | Exception) -> None:
        self.ends = list(ends)
        self.made: list[Training] = []

    async def page(self, **_: object) -> Any:
        return SimpleNamespace(trainings=[], total=0)

    async def create_from(self, *_: object, **__: object) -> Training:
        found = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(found, Exception) and not isinstance(found, UnknownId):
            raise found
        number = len(self.made)
        made = ended() if isinstance(found, Exception) else found
        self.made.append(made.model_copy(update={"id": f"{number:026d}"}))
        self._gone = isinstance(found, Exception)
        return self.made[-1]

    async def follow(self, *_: object) -> Any:
        return
        yield

    async def get(self, id: str) -> Training:
        if self._gone:
            raise UnknownId("It was deleted.")
        return self.made[int(id)]

    async def cancel(self, id: str) -> None:
        return


def drive(engine: Engine, **plan: object) -> Any:
    """Drive a sweep against it; return the result."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    made = driver_module._Driver(cast("Any", engine), {**PLAN, **plan}, "s" * 26, study)
    asyncio.run(made.run())
    return made.result()


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    monkeypatch.setattr(driver_module, "log", lambda *_, **__: None)
    monkeypatch.setattr(driver_module, "progress", lambda *_: None)


@pytest.mark.parametrize("bad", ["NaN", "inf", float("-inf")])
def test_a_trial_that_diverges_fails_alone(bad: Any, capsys: pytest.CaptureFixture[str]) -> None:
    good = ended(logged={"val/loss": 0.5})
    result = drive(Engine(good, ended(logged={"val/loss": bad}), good))
    assert [trial["state"] for trial in result["trials"]] == ["complete", "fail", "complete"]
    assert result["best"]["value"] == 0.5
    assert "which cannot be compared" in capsys.readouterr().out


def test_three_that_diverge_first_end_the_sweep() -> None:
    with pytest.raises(driver_module.SweepFailed, match=r"first 3 trials all failed; .*val/loss is nan"):
        drive(Engine(ended(logged={"val/loss": "NaN"})), trials=20)


def test_a_metric_that_is_never_logged_ends_it_at_once_and_later_fails_one_trial() -> None:
    other = ended(logged={"loss": 1.0})
    with pytest.raises(driver_module.SweepFailed, match=r"Trial 0 logged no 'val/loss'.*it logged: loss"):
        drive(Engine(other))
    good = ended(logged={"val/loss": 0.5})
    result = drive(Engine(good, other, good))
    assert [trial["state"] for trial in result["trials"]] == ["complete", "fail", "complete"]


@pytest.mark.parametrize(("trials", "says"), [(1, "Its only trial failed"), (2, "All 2 trials failed")])
def test_a_sweep_without_a_success_is_none(trials: int, says: str) -> None:
    failed = ended("failed", error="ValueError: no", cause=Cause(kind="exception", message="no"))
    with pytest.raises(driver_module.SweepFailed, match=f"{says}; the last one said: ValueError: no"):
        drive(Engine(failed), trials=trials)


def test_where_none_can_be_started_three_are_enough() -> None:
    cause = Cause(kind="start", message="No Ray cluster answers")
    engine = Engine(ended("failed", error="No Ray cluster answers", cause=cause, started_at=None))
    with pytest.raises(driver_module.SweepFailed, match=r"3 trials were lost; .*No Ray cluster answers"):
        drive(engine, trials=20)
    assert len(engine.made) == 3


def test_a_training_that_is_deleted_is_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    good = ended(logged={"val/loss": 0.5})
    result = drive(Engine(good, UnknownId(""), good), trials=2)
    assert [trial["state"] for trial in result["trials"]] == ["complete", "complete"]
    assert "deleted, does not count" in capsys.readouterr().out


@pytest.mark.parametrize("refusal", [RequestRefused("It is 409."), InvalidInput("lr=2 is too much.")])
def test_what_is_refused_for_good_is_not_asked_forever(refusal: Exception) -> None:
    with pytest.raises(type(refusal), match=str(refusal)):
        drive(Engine(refusal))


def test_what_is_refused_for_now_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(driver_module, "_PAUSE_S", 0)
    answers = iter([EngineUnreachable(""), *[RequestRefused("Full.", is_temporary=True)] * 3, "made"])

    def ask() -> Awaitable[object]:
        answer = next(answers)
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
        return future

    async def go() -> object:
        return await driver_module._patiently(ask)

    assert asyncio.run(go()) == "made"
    assert capsys.readouterr().out.count("Waits, as the engine refuses: Full.") == 1


@pytest.mark.parametrize(
    ("output", "metric", "value"),
    [(0.5, "", 0.5), ({"acc": 2}, "acc", 2.0), ("0.5", "", 0.5), (float("nan"), "", None), ("inf", "", None)],
)
def test_only_finite_numbers_are_compared(output: object, metric: str, value: float | None) -> None:
    assert value_of(ended(output=output), metric) == value


@pytest.mark.parametrize("output", [True, None, [1], {"acc": "good"}, 10**400], ids=[*"abcde"])
def test_what_is_no_number_says_so(output: object) -> None:
    assert value_of(ended(output=output), "") is None
    why, is_number = why_no_value(ended(output=output), "")
    assert not is_number
    assert "which is no number to compare" in why
