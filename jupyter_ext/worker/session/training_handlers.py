"""Calls to a session that concern trainings in it; only the first of them waits for the main thread, and not for its end."""

from __future__ import annotations

import asyncio
import logging
import time
from array import array
from collections.abc import Sequence
from typing import Any

from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.decthings import codec
from jupyter_ext.ipc.payloads.session_messages import CancelAnswer, MetricPart, MetricRange
from jupyter_ext.worker.session.call_context import Answer, CallContext, SessionCall
from jupyter_ext.worker.session.runtime import arguments as session_arguments
from jupyter_ext.worker.session.runtime.main_thread import Interrupted, Scheduler, UserError
from jupyter_ext.worker.session.runtime.state import InstantiatedModel, SessionState
from jupyter_ext.worker.session.runtime.trainings import Training, TrainTracker, reporting
from jupyter_ext.worker.session.user_code_runner import UserCodeRunner

log = logging.getLogger(__name__)

FLAG_GRACE_S = 2.0
"""Code that looks for a cancel gets this long to finish its step."""
AGAIN_S = 3.0
"""One that swallowed an interrupt is interrupted again this much later."""


class TrainingHandlers:
    """Answers calls about trainings."""

    def __init__(self, state: SessionState, context: CallContext, user_code: UserCodeRunner) -> None:
        self._state = state
        self._context = context
        self._user_code = user_code
        self._background: set[asyncio.Task[None]] = set()

    async def op_train(self, call: SessionCall) -> Answer:
        """Begin to train; answers `training_id` at once. With `anomaly`, the operation that makes a NaN ends it."""
        made, arguments = self._context.model(call), self._context.arguments(call)
        training = Training(made.id, self._state.changed, self._state.session_dir / "trainings")
        await asyncio.to_thread(
            training.record
        )  # its id is known from here on, whatever happens to this process
        self._state.add_training(training)
        task = asyncio.ensure_future(self._train(training, made, arguments, bool(call.params.get("anomaly"))))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return {"training_id": training.id, **training.describe()}, ()

    async def op_training_status(self, call: SessionCall) -> Answer:
        """Describe a training; with `wait_s`, once it is over or that long has passed."""
        training = self._context.training(call)
        wait_s = call.params.get("wait_s")
        if wait_s and not training.is_over:
            waiting = asyncio.get_running_loop().run_in_executor(None, training.done.wait, float(wait_s))
            both: set[asyncio.Future[Any]] = {waiting, call.left}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return training.describe(), ()

    async def op_training_metrics(self, call: SessionCall) -> Answer:
        """Return points of `metrics`, a list of `{name, start, amount}`; answers the same with arrays or values."""
        training = self._context.training(call)
        if call.params.get("encoding") == "decthings":
            return _points_as_tensors(training, call.params["metrics"])
        payload: list[MetricPart] = []
        found: list[dict[str, object]] = []
        every: list[MetricRange] = [{"name": name} for name in list(training.series)]
        for asked in call.params.get("metrics") or every:
            start = max(0, int(asked.get("start", 0)))
            amount = asked.get("amount")
            points = training.points(
                str(asked["name"]), start, None if amount is None else max(0, int(amount))
            )
            payload.append({"name": asked["name"], "start": start, "count": len(points["times"])})
            found.append(
                {key: part.tobytes() if isinstance(part, array) else part for key, part in points.items()}
            )
        tree, blobs = self._context.encoded(found, "values", "training_metrics")
        return {"metrics": payload, "value": tree}, blobs

    async def op_cancel_training(self, call: SessionCall) -> Answer:
        """Cancel a training: the flag, then an interrupt; answers how far that has got within `wait_s`."""
        training = self._context.training(call)
        if training.is_over:
            message = f"training {training.id} is {training.state}; there is nothing to cancel"
            raise CallError({"code": "training_not_running", "message": message})
        return await cancel(self._state.scheduler, training, float(call.params.get("wait_s", 10.0))), ()

    async def _train(
        self,
        training: Training,
        made: InstantiatedModel,
        arguments: session_arguments.Arguments,
        anomaly: bool,
    ) -> None:
        made.num_calls += 1

        async def work() -> Any:
            training.started_at = time.time()
            self._state.changed()
            with reporting(training, self._state.session_dir):
                return await made.model.train(arguments, TrainTracker(training))

        try:
            training.result = await self._state.scheduler.take(
                training.job, self._user_code.watching_nans(made, work) if anomaly else work
            )
        except UserError as error:
            payload = self._user_code.failed(error, "train")
            if isinstance(error, Interrupted) and training.cancel_stage is not None:
                payload = {**payload, "code": "cancelled"}
            training.finish(payload)
        else:
            cancelled = training.cancel_stage is not None and training.progress < 1.0
            message = "it saw the cancel and returned"
            training.finish({"code": "cancelled", "message": message} if cancelled else None)
            self._state.forget_failure()
        finally:
            self._state.touch()
            self._state.changed()


def _points_as_tensors(training: Training, asked: Sequence[MetricRange]) -> Answer:
    payload: list[MetricPart] = []
    blobs: list[bytes] = []
    for one in asked:
        series = training.series.get(one["name"])
        points = training.points(one["name"], one["start"], one["amount"])
        payload.append({"name": one["name"], "start": one["start"], "times": list(points["times"])})
        found = points["numbers"] if "numbers" in points else points["values"]
        blobs += [
            codec.encode_metric(value, None if series is None else series.tensor_type) for value in found
        ]
    return {"metrics": payload}, blobs


async def cancel(scheduler: Scheduler, training: Training, wait_s: float) -> CancelAnswer:
    """Cancel a training; the session and its models live on.

    Args:
        scheduler: The main thread's.
        training: One that is not over.
        wait_s: Give up waiting after this many seconds; the interrupts go on in the meantime only.

    Returns:
        `ended`, `stage` (`flag` or `interrupt`), and `hint` where it does not react.
    """
    began, job = time.monotonic(), training.job
    for callback in training.begin_cancel():
        await asyncio.to_thread(_call, callback)
    if scheduler.current is not job and not job.done.is_set():
        scheduler.interrupt(job)  # it waits for the main thread, and now never gets it
    elif training.looks_for_stop:
        await _ended(training, min(FLAG_GRACE_S, wait_s))
    while not training.is_over and (left := wait_s - (time.monotonic() - began)) > 0:
        if not job.done.is_set():  # its code may be through, and only its end not yet written down
            training.cancel_stage = "interrupt"
            scheduler.interrupt(job)
        await _ended(training, min(AGAIN_S, left))
    payload: CancelAnswer = {"ended": training.is_over, "stage": training.cancel_stage}
    if training.is_over:
        return payload
    why = scheduler.why_not_interruptible() or (
        "its code swallows the interrupt, or is inside a native operation, after which the interrupt comes"
    )
    hint = (
        f"It has not reacted for {time.monotonic() - began:.0f} s: {why}. `stacks` shows where; `terminate` ends the session "
        "and loses the model."
    )
    return {**payload, "hint": hint}


async def _ended(training: Training, within_s: float) -> bool:
    return await asyncio.to_thread(training.done.wait, within_s)


def _call(callback: Any) -> None:
    try:
        callback()
    except Exception:  # the user's own callback; the interrupt comes all the same
        log.exception("a callback of on_cancel failed")
