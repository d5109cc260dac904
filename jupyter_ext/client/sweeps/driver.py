"""Drive a sweep: ask Optuna for inputs, start a training for each, tell Optuna what came of it.

It runs as a training of its own, in a process under a shim, and asks the engine as any client does: so the notebook's kernel and
the engine may end meanwhile. A trial is written down before its training is started, and a training names its sweep and trial: whoever
goes on after a kill finds each trial's training, or knows that there is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.event_stream import Event
from jupyter_ext.client.requests.place import Place, SweepRef, VersionRef
from jupyter_ext.client.sweeps.plan import PlanJSON, ResultJSON, TrialJSON
from jupyter_ext.client.sweeps.results import value_of, why_no_value
from jupyter_ext.client.sweeps.space import Dimension
from jupyter_ext.client.sweeps.study import (
    LOST,
    best_of,
    counts,
    driving,
    is_compared,
    open_study,
)
from jupyter_ext.errors import EngineError, JupyterExtError, RequestRefused, UnknownId
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.protocol.metrics_codec import FIRST_RANKS
from jupyter_ext.protocol.trainings import Training
from jupyter_ext.worker.sdk.logging import log, progress, should_stop

PRUNED = "pruned"
"""Tag of a training that was ended because others were better at the same step."""
T = TypeVar("T")
_LOOK_S = 0.1
_PAGE = 500
_MAX_FIRST_FAILURES, _MAX_LOST = 3, 10
_NOT_BY_ITSELF = ("lost", "start")
"""Causes of an end that are no fault of the trial's code."""
_PAUSE_S = 0.2


class SweepFailed(Exception):
    """The sweep cannot go on; the text says why."""


SweepFailed.__module__ = "builtins"  # its name alone is shown


def drive(plan: PlanJSON) -> ResultJSON:
    """Drive a sweep to its end.

    Raises:
        SweepFailed: No trial can succeed.
    """
    run_dir = Path(os.environ["JUPYTER_EXT_RUN_DIR"])
    sweep_id = str(read_json(run_dir / "spec.json")["sweep"]["id"])
    directory = run_dir.parent / sweep_id
    if not directory.is_dir():
        raise SweepFailed(f"The files of sweep {sweep_id} were deleted; start a new one.")
    with driving(directory) as journal:
        study = open_study(
            journal,
            plan["direction"],
            prune=plan["prune"],
            parallel=plan["parallel"],
            seed=plan["seed"],
        )
        return asyncio.run(_run(plan, sweep_id, study))


async def _run(plan: PlanJSON, sweep_id: str, study: optuna.Study) -> ResultJSON:
    async with AsyncClient() as client:
        driver = _Driver(client, plan, sweep_id, study)
        try:
            await driver.run()
        except BaseException as error:
            await driver.stop_all()
            if isinstance(error, JupyterExtError):
                raise SweepFailed(str(error)) from None
            raise
        return driver.result()


@dataclass
class _Curve:
    """How far the curve of a trial was reported to Optuna."""

    seen: set[int]


class _Driver:
    """One process's work on a sweep."""

    def __init__(self, client: AsyncClient, plan: PlanJSON, sweep_id: str, study: optuna.Study) -> None:
        self._client = client
        self._plan = plan
        self._id = sweep_id
        self._study = study
        self._space = {name: Dimension.from_json(stored) for name, stored in plan["space"].items()}
        self._trainings: dict[int, str] = {}
        self._running: dict[int, str] = {}
        self._asked: set[int] = set()
        """Trials for whose training the engine was asked."""
        self._num_lost = 0
        self._last_failure = "its log says why"
        self._stopping = False

    async def run(self) -> None:
        """Go on until there are as many trials as were asked for, or a stop is."""
        for training in await _patiently(self._known):
            assert training.sweep is not None
            assert training.sweep.trial is not None
            self._trainings[training.sweep.trial] = training.id
        tasks: set[asyncio.Task[None]] = set()
        for running in self._of_state(TrialState.RUNNING):
            tasks.add(self._begin(self._one(running.number)))
        self._tell_progress()
        while True:
            self._stopping = self._stopping or should_stop()
            while not self._stopping and len(tasks) < self._plan["parallel"] and self._num_missing() > 0:
                trial = self._study.ask({name: one.distribution() for name, one in self._space.items()})
                tasks.add(self._begin(self._one(trial.number)))
            if self._stopping:
                await self.stop_all()
            if not tasks:
                self._check_end()
                return
            done, tasks = await asyncio.wait(tasks, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    async def stop_all(self) -> None:
        """Cancel the trainings that run."""
        running, self._running = dict(self._running), {}
        self._stopping = True
        await asyncio.gather(*(self._client.cancel(id) for id in running.values()), return_exceptions=True)

    def result(self) -> ResultJSON:
        """Return what came of it."""
        best = best_of(self._study)
        trials = self._study.get_trials(deepcopy=False)
        return {
            "best": None if best is None else self._as_json(best),
            "trials": [self._as_json(trial) for trial in trials if counts(trial)],
        }

    # -- one trial ----------------------------------------------------------------------------------------------------

    async def _one(self, number: int) -> None:
        """Run one trial to its end, or go on with it."""
        trial = Trial(self._study, self._frozen(number)._trial_id)
        training = await self._training_of(trial)
        self._running[number] = training.id
        curve = _Curve(set(self._frozen(number).intermediate_values))
        try:
            is_pruned = await _patiently(lambda: self._follow(trial, training.id, curve))
            ended = await _patiently(lambda: self._client.get(training.id))
        except UnknownId:
            self._running.pop(number, None)
            self._trainings.pop(number, None)
            self._tell_lost(trial, "deleted")
            return
        self._running.pop(number, None)
        self._tell(trial, ended, is_pruned=is_pruned or PRUNED in ended.tags)
        self._tell_progress()

    async def _training_of(self, trial: Trial) -> Training:
        """Return the training of a trial: the one that there is, or a new one."""
        id = self._trainings.get(trial.number)
        if id is not None:
            return await _patiently(lambda: self._client.get(id))
        made = await _patiently(lambda: self._create(trial))
        self._trainings[trial.number] = made.id
        return made

    async def _create(self, trial: Trial) -> Training:
        """Start the training of a trial, unless an engine that went away before it answered has made it."""
        if trial.number in self._asked:
            made = [one for one in await self._known() if one.sweep and one.sweep.trial == trial.number]
            if made:
                return made[0]
        self._asked.add(trial.number)
        plan = self._plan
        return await self._client.create_from(
            VersionRef(plan["model"], plan["version"]),
            {**plan["fixed"], **trial.params},
            place=Place.of(plan["workers"], plan.get("ray")),
            sweep=SweepRef(self._id, trial.number),
        )

    async def _follow(self, trial: Trial, id: str, curve: _Curve) -> bool:
        """Follow a training to its end; cancel it where its curve is worse than others. Tell whether it was."""
        is_pruned = False
        async with contextlib.aclosing(self._client.follow(id, 0)) as events:
            async for event in events:
                if event.kind == "end":
                    break
                if not is_pruned and self._report(trial, curve, event) and trial.should_prune():
                    is_pruned = True
                    await _patiently(lambda: self._client.label(id, tags=[PRUNED]))
                    await _patiently(lambda: self._client.cancel(id))
        return is_pruned

    def _report(self, trial: Trial, curve: _Curve, event: Event) -> bool:
        """Tell Optuna the new steps of a curve; return whether there were any."""
        news = False
        for points in event.points:
            if points.key != self._plan["metric"] or points.rank not in FIRST_RANKS:
                continue
            for step, value in zip(points.steps, points.values, strict=True):
                at = int(step)
                if at == step and is_compared(at) and at not in curve.seen and math.isfinite(value):
                    curve.seen.add(at)
                    trial.report(value, at)
                    news = True
        return news

    def _tell(self, trial: Trial, ended: Training, *, is_pruned: bool) -> None:
        """Tell Optuna how a trial ended."""
        if is_pruned and ended.status == "canceled":
            self._study.tell(trial, state=TrialState.PRUNED)
            print(f"trial {trial.number}: pruned  {_shown(trial.params)}")
        elif ended.status == "succeeded":
            value = value_of(ended, self._plan["metric"])
            if value is None:
                self._tell_no_value(trial, ended)
            else:
                self._tell_value(trial, value)
        elif ended.status == "canceled" or (ended.cause is not None and ended.cause.kind in _NOT_BY_ITSELF):
            self._num_lost += ended.status == "failed"
            is_none_begun = not self._of_state(TrialState.COMPLETE, TrialState.PRUNED)
            most = _MAX_FIRST_FAILURES if is_none_begun and ended.started_at is None else _MAX_LOST
            if self._num_lost >= most:
                self._study.tell(trial, state=TrialState.FAIL)
                raise SweepFailed(f"{self._num_lost} trials were lost; the last one: {ended.error}")
            self._tell_lost(trial, ended.status)
        else:
            self._tell_failure(trial, str(ended.error))

    def _tell_value(self, trial: Trial, value: float) -> None:
        self._study.tell(trial, value)
        best = best_of(self._study)
        is_best = best is not None and best.number == trial.number
        log({"value": value, "best": value if best is None else best.value}, step=trial.number)
        name, mark = self._plan["metric"] or "result", "  best so far" if is_best else ""
        print(f"trial {trial.number}: {name} {value:.5g}  {_shown(trial.params)}{mark}")

    def _tell_no_value(self, trial: Trial, ended: Training) -> None:
        """Count a trial without a value as failed; end the sweep where none can be expected to have one."""
        why, is_number = why_no_value(ended, self._plan["metric"])
        if not is_number and not self._of_state(TrialState.COMPLETE):
            self._study.tell(trial, state=TrialState.FAIL)
            raise SweepFailed(f"Trial {trial.number} {why}.")
        self._tell_failure(trial, why)

    def _tell_failure(self, trial: Trial, why: str) -> None:
        self._study.tell(trial, state=TrialState.FAIL)
        self._last_failure = why
        print(f"trial {trial.number}: failed, {why}  {_shown(trial.params)}")
        failed = self._failed()
        if len(failed) >= _MAX_FIRST_FAILURES and not self._of_state(TrialState.COMPLETE, TrialState.PRUNED):
            raise SweepFailed(f"The first {len(failed)} trials all failed; the last one said: {why}")

    def _tell_lost(self, trial: Trial, how: str) -> None:
        """Have the inputs of a trial tried again, that did not end by itself."""
        trial.set_user_attr(LOST, True)
        self._study.tell(trial, state=TrialState.FAIL)
        self._study.enqueue_trial(dict(trial.params))
        print(f"trial {trial.number}: {how}, does not count  {_shown(trial.params)}")

    def _check_end(self) -> None:
        """Refuse to call it a success where every trial has failed."""
        failed = self._failed()
        if not self._stopping and failed and not self._of_state(TrialState.COMPLETE, TrialState.PRUNED):
            many = "Its only trial" if len(failed) == 1 else f"All {len(failed)} trials"
            raise SweepFailed(f"{many} failed; the last one said: {self._last_failure}")

    def _failed(self) -> list[FrozenTrial]:
        return [trial for trial in self._of_state(TrialState.FAIL) if counts(trial)]

    # -- what there is ------------------------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        return asyncio.create_task(work)

    async def _known(self) -> list[Training]:
        """List the trainings of this sweep's trials."""
        found: list[Training] = []
        while True:
            page = await self._client.page(limit=_PAGE, q=self._id, offset=len(found))
            found += page.trainings
            if not page.trainings or len(found) >= page.total:
                break
        return [
            one for one in found if one.sweep and one.sweep.id == self._id and one.sweep.trial is not None
        ]

    def _of_state(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states)

    def _frozen(self, number: int) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[number]

    def _num_missing(self) -> int:
        trials = self._study.get_trials(deepcopy=False)
        running = sum(trial.state == TrialState.RUNNING for trial in trials)
        return self._plan["trials"] - running - sum(counts(trial) for trial in trials)

    def _tell_progress(self) -> None:
        done = sum(counts(trial) for trial in self._study.get_trials(deepcopy=False))
        progress(done, self._plan["trials"])

    def _as_json(self, trial: FrozenTrial) -> TrialJSON:
        value = trial.values[0] if trial.values else None
        return {
            "trial": trial.number,
            "training": self._trainings.get(trial.number),
            "state": trial.state.name.lower(),
            "value": value,
            "input": dict(trial.params),
        }


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask the engine; where it went away, ask again once somebody has started another, however long that takes.

    Raises:
        JupyterExtError: It refuses, and would again.
    """
    told = ""
    while True:
        try:
            return await ask()
        except EngineError as error:
            is_final = isinstance(error, RequestRefused) and not error.is_temporary
            if is_final or should_stop():
                raise
            if isinstance(error, RequestRefused) and told != str(error):
                told = str(error)
                print(f"Waits, as the engine refuses: {told}")
            await asyncio.sleep(_PAUSE_S)


def _shown(params: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in params.items()
    )
