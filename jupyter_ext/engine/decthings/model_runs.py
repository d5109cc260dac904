"""Trainings and evaluations of stored models: each in a session of its own that is launched for it and ended after it.

Rule: a run's outcome is kept with the model before its session ends, so that nothing is only in a process.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from jupyter_ext.engine.decthings.model_store import StoredModel
from jupyter_ext.engine.decthings.places import Location, Usage
from jupyter_ext.engine.decthings.run import Run, RunFailed, Words
from jupyter_ext.engine.sessions.launch_request import SessionLaunch
from jupyter_ext.engine.sessions.service import DebugSessionService
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.payloads.call_failures import CallFailure
from jupyter_ext.ipc.payloads.session_messages import (
    CancelAnswer,
    DownloadAnswer,
    InstantiateAnswer,
    MetricRange,
    MetricsAnswer,
    SessionParameter,
    SessionParams,
    StateAnswer,
    TrainAnswer,
    ValueAnswer,
)
from jupyter_ext.ipc.payloads.session_reports import TrainingReport
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.sessions import DebugTraining, SessionExit

T = TypeVar("T")
A = TypeVar("A")
KEEP_EVALUATIONS_S = 600.0
_METRICS_AT_ONCE = 1000
_CANCEL_WAIT_S = 3.0
_DECTHINGS = {"encoding": "decthings"}


class ModelRuns:
    """All runs that this engine has started.

    Args:
        service: Where their sessions run.
        measure: Gives what processes use now.
    """

    def __init__(self, service: DebugSessionService, measure: Callable[[list[int]], Usage]) -> None:
        self._service = service
        self._measure = measure
        self.trainings: dict[str, Run] = {}
        self.evaluations: dict[str, Run] = {}

    async def open(self) -> None:
        """End the sessions of runs that a killed engine followed: nobody would take their outcome."""
        for session in self._service.list(ended=False):
            if self._service.record(session.id).meta.get("run"):
                await self._service.terminate(session.id)

    async def close(self) -> None:
        """Stop following; sessions of runs are ended, as nobody would take their outcome."""
        tasks = [run.task for run in (*self.trainings.values(), *self.evaluations.values()) if run.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def train(
        self,
        model: StoredModel,
        state_id: str | None,
        new_name: str,
        params: list[SessionParameter],
        blobs: Sequence[Any],
        location: Location,
        words: Words = "state",
    ) -> Run:
        """Begin to train a model from a state; what comes out becomes a new state of this name."""
        run = Run(model.id, location, words, state_id, new_name)
        state = model.read_state(state_id)

        async def work() -> None:
            model_id = await self._instantiated(run, model, state)
            began = time.monotonic()
            run.state = "running"
            started, _ = await self._call(
                run, "train", {"model_id": model_id, "params": params}, TrainAnswer, blobs
            )
            measuring = asyncio.create_task(self._sample(run))
            try:
                async with _limit(model, "train", "train"):
                    await self._followed(run, started["training_id"])
            finally:
                measuring.cancel()
                run.phases.done["train"] = _ms(began)
                await self._take_metrics(run, started["training_id"])
            run.state = "gettingState"
            taken = await self._step(
                run, "getState", self._state_of(run, {"model_id": model_id}, "get_state")
            )
            operations = [*model.state(state_id)["operations"], run.id]
            run.created_state = await asyncio.to_thread(model.add_state, new_name, taken, operations)

        self.trainings[run.id] = run
        return self._begin(run, model, work)

    def evaluate(
        self,
        model: StoredModel,
        params: list[SessionParameter],
        blobs: Sequence[Any],
        location: Location,
        state_id: str | None = None,
        words: Words = "state",
    ) -> Run:
        """Begin to evaluate a state of a model, by default the active one."""
        run = Run(model.id, location, words, model.state(state_id)["id"])
        state = model.read_state(state_id)

        async def work() -> None:
            model_id = await self._instantiated(run, model, state)
            run.state = "running"
            asked: SessionParams = {"model_id": model_id, "params": params}
            async with _limit(model, "evaluate", "evaluate"):
                answer, found = await self._step(
                    run, "evaluate", self._call(run, "evaluate", asked, ValueAnswer, blobs, "evaluate")
                )
            run.result = answer["value"], [bytes(blob) for blob in found]

        self.evaluations[run.id] = run
        self._forget_evaluations()
        return self._begin(run, model, work)

    def create_state(
        self,
        model: StoredModel,
        name: str,
        params: list[SessionParameter],
        blobs: Sequence[Any],
        location: Location,
        words: Words = "state",
    ) -> Run:
        """Begin to make a first state."""
        run = Run(model.id, location, words)

        async def work() -> None:
            await self._launched(run, model)
            async with _limit(model, "createState", "createState"):
                making = self._state_of(run, {"params": params}, "create_state", blobs)
                taken = await self._step(run, "createState", making)
            run.created_state = await asyncio.to_thread(model.add_state, name, taken)

        return self._begin(run, model, work)

    async def cancel(self, run: Run) -> None:
        """End a run; it has ended when this returns. A training's code hears of it first."""
        run.canceled = True
        if run.state == "running" and run.session_id is not None and run.reported is not None:
            asked: SessionParams = {"training_id": run.reported.id, "wait_s": _CANCEL_WAIT_S}
            with contextlib.suppress(RunFailed):
                await self._call(run, "cancel_training", asked, CancelAnswer)
        if run.task is not None:
            run.task.cancel()
            await asyncio.gather(run.task, return_exceptions=True)

    # -- one run ----------------------------------------------------------------------------------------------------

    def _begin(self, run: Run, model: StoredModel, work: Callable[[], Awaitable[None]]) -> Run:
        run.task = asyncio.create_task(self._carry_out(run, work), name=f"run {run.id} of {model.id}")
        return run

    async def _carry_out(self, run: Run, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except RunFailed as error:
            run.error = error.error
        except (asyncio.CancelledError, TimeoutError):
            run.error = {"code": "cancelled" if run.canceled else "launcher_terminated"}
        finally:
            try:  # a cancel may come here too, when the training has just ended by itself
                if run.session_id is not None:
                    await asyncio.shield(self._service.terminate(run.session_id))
            finally:
                run.finished_at = time.time()
                run.state = "failed" if run.error is not None else "completed"

    async def _launched(self, run: Run, model: StoredModel) -> None:
        request = SessionLaunch(
            name=model.about["name"],
            python=model.about.get("python") or sys.executable,
            folder=str(model.files),
            inactive_s=None,
            keep_on_error=False,
            meta={"modelId": model.id, "executionLocation": run.location, "run": run.id},
        )
        launching = self._service.launch(request)
        session = await self._step(run, "createLauncher", launching)
        run.session_id = session.id
        async with _limit(model, "codeStartup", "codeStartup"):
            ready = await self._step(run, "codeStartup", self._service.wait_ready(session.id, 3600.0))
        if ready.exit is not None:
            raise _ended(ready.exit, "codeStartup")

    async def _instantiated(self, run: Run, model: StoredModel, state: Mapping[str, bytes]) -> str:
        await self._launched(run, model)
        params: SessionParams = {"keys": list(state)}
        async with _limit(model, "instantiateModel", "instantiateModel"):
            making = self._call(
                run, "instantiate", params, InstantiateAnswer, list(state.values()), "instantiateModel"
            )
            answer, _ = await self._step(run, "createInstantiatedModel", making)
        return answer["model_id"]

    async def _followed(self, run: Run, training_id: str) -> None:
        asked: SessionParams = {"training_id": training_id, "wait_s": 0.2}
        while True:
            answer, _ = await self._call(run, "training_status", asked, TrainingReport)
            run.reported = DebugTraining.model_validate(answer)
            if run.reported.state == "completed":
                return
            if run.reported.state == "failed":
                fail = cast("CallFailure", run.reported.fail or {"code": "unknown", "message": ""})
                if fail.get("code") == "exception":
                    raise RunFailed("exception", "train", exceptionDetails=_text(fail))
                raise RunFailed("cancelled" if fail.get("code") == "cancelled" else "unknown")

    async def _state_of(
        self, run: Run, params: SessionParams, op: str, blobs: Sequence[Any] = ()
    ) -> dict[str, bytes]:
        at = "createState" if op == "create_state" else "getState"
        kept, _ = await self._call(run, op, params, StateAnswer, blobs, at)
        wanted: SessionParams = {"state_id": kept["state_id"]}
        answer, found = await self._call(run, "download_state", wanted, DownloadAnswer, at=at)
        return dict(zip(answer["keys"], map(bytes, found), strict=True))

    async def _take_metrics(self, run: Run, training_id: str) -> None:
        """Keep all metrics with the run: its session is about to end."""
        try:
            status, _ = await self._call(run, "training_status", {"training_id": training_id}, TrainingReport)
            run.reported = DebugTraining.model_validate(status)
            for metric in run.reported.metrics:
                points = run.metrics.setdefault(metric.name, [])
                while len(points) < metric.amount:
                    one: MetricRange = {
                        "name": metric.name,
                        "start": len(points),
                        "amount": _METRICS_AT_ONCE,
                    }
                    points += await self._read(run, training_id, one)
        except RunFailed:
            return  # its session has ended, and told why

    async def points(self, run: Run, name: str, start: int, amount: int) -> list[tuple[float, bytes]]:
        """Return points of a metric, of a run that is under way or over."""
        if run.is_over or run.session_id is None or run.reported is None:
            return run.metrics.get(name, [])[start : start + amount]
        try:
            return await self._read(run, run.reported.id, {"name": name, "start": start, "amount": amount})
        except RunFailed:
            return run.metrics.get(name, [])[start : start + amount]

    async def _read(self, run: Run, training_id: str, wanted: MetricRange) -> list[tuple[float, bytes]]:
        asked: SessionParams = {"training_id": training_id, "metrics": [wanted]}
        answer, blobs = await self._call(run, "training_metrics", asked, MetricsAnswer)
        return list(zip(answer["metrics"][0]["times"], map(bytes, blobs), strict=True))

    async def _call(
        self,
        run: Run,
        op: str,
        params: SessionParams,
        answer: type[A],
        blobs: Sequence[Any] = (),
        at: str = "train",
    ) -> tuple[A, list[memoryview]]:
        assert run.session_id is not None
        try:
            return await self._service.call(
                run.session_id, op, {**_DECTHINGS, **params}, blobs, answer=answer
            )
        except CallError as error:
            if error.error.get("code") == "invalid_output":
                raise RunFailed("invalid_output", reason="invalid", details=str(error)) from error
            raise RunFailed("exception", at, exceptionDetails=_text(error.error)) from error
        except Problem as problem:
            exit = self._service.get(run.session_id).exit
            raise RunFailed("unknown") if exit is None else _ended(exit, at) from problem

    async def _step(self, run: Run, name: str, work: Awaitable[T]) -> T:
        began = time.monotonic()
        try:
            return await work
        finally:
            run.phases.done[name] = _ms(began)

    async def _sample(self, run: Run) -> None:
        while run.session_id is not None:
            pid = self._service.get(run.session_id).pid
            if pid is not None:
                run.samples.append(await asyncio.to_thread(self._measure, [pid]))
            await asyncio.sleep(1.0)

    def _forget_evaluations(self) -> None:
        now = time.time()
        for run in list(self.evaluations.values()):
            if run.finished_at is not None and now - run.finished_at > KEEP_EVALUATIONS_S:
                del self.evaluations[run.id]


class _limit:  # noqa: N801  reads like asyncio.timeout
    """Limit a step of a model to the time that the model allows it, and say where that ran out."""

    def __init__(self, model: StoredModel, name: str, at: str) -> None:
        seconds = (model.about.get("max_durations") or {}).get(name)
        self._timeout = asyncio.timeout(seconds)
        self._at = at

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        try:
            await self._timeout.__aexit__(*error)
        except TimeoutError:
            raise RunFailed("max_duration_exceeded", self._at) from None


def _ended(exit: SessionExit, at: str) -> RunFailed:
    if exit.code == "exception":
        text = exit.exception.text if exit.exception is not None else exit.message
        return RunFailed("exception", at, exceptionDetails=text)
    if exit.code == "exited":
        how = {"exitCode": exit.exit_code, "signal": None if exit.signal is None else str(exit.signal)}
        given = {name: value for name, value in how.items() if value is not None}
        return RunFailed("code_terminated", None, **given, oom=exit.oom)
    return RunFailed("launcher_terminated" if exit.code == "requested" else "unknown")


def _text(error: CallFailure) -> str:
    raised = error.get("exception")
    return (raised["text"] if raised is not None else "") or error["message"]


def _ms(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
