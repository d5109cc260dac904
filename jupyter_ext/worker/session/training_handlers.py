"""Calls to a session that concern trainings in it; only the first of them waits for the main thread, and not for its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_ext.ipc import decthings_codec
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.channel_server import Call
from jupyter_ext.worker.session.call_context import Answer, CallContext
from jupyter_ext.worker.session.cancel_handlers import cancel
from jupyter_ext.worker.session.runtime import arguments as session_arguments
from jupyter_ext.worker.session.runtime.main_thread import Interrupted, UserError
from jupyter_ext.worker.session.runtime.state import InstantiatedModel, SessionState
from jupyter_ext.worker.session.runtime.trainings import Training, TrainTracker, reporting
from jupyter_ext.worker.session.user_code_runner import UserCode


class TrainingCalls:
    """Answers calls about trainings."""

    def __init__(self, state: SessionState, asked: CallContext, user_code: UserCode) -> None:
        self._state = state
        self._asked = asked
        self._user_code = user_code
        self._background: set[asyncio.Task[None]] = set()

    async def op_train(self, call: Call) -> Answer:
        """Begin to train; answers `training_id` at once. With `anomaly`, the operation that makes a NaN ends it."""
        made, arguments = self._asked.model(call), self._asked.arguments(call)
        training = Training(made.id, self._state.changed, self._state.session_dir / "trainings")
        self._state.add_training(training)
        task = asyncio.ensure_future(self._train(training, made, arguments, bool(call.params.get("anomaly"))))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return {"training_id": training.id, **training.describe()}, ()

    async def op_training_status(self, call: Call) -> Answer:
        """Describe a training; with `wait_s`, once it is over or that long has passed."""
        training = self._asked.training(call)
        wait_s = call.params.get("wait_s")
        if wait_s and not training.is_over:
            waiting = asyncio.get_running_loop().run_in_executor(None, training.done.wait, float(wait_s))
            gone = asyncio.ensure_future(call.canceled.wait())
            both: set[asyncio.Future[Any]] = {waiting, gone}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
        return training.describe(), ()

    async def op_training_metrics(self, call: Call) -> Answer:
        """Give points of `metrics`, a list of `{name, start, amount}`; answers the same with arrays or values."""
        training = self._asked.training(call)
        if call.params.get("encoding") == "decthings":
            return _points_as_tensors(training, call.params["metrics"])
        told: list[dict[str, Any]] = []
        found: list[dict[str, Any]] = []
        for asked in call.params.get("metrics") or [{"name": name} for name in list(training.series)]:
            start = max(0, int(asked.get("start", 0)))
            amount = asked.get("amount")
            points = training.points(
                str(asked["name"]), start, None if amount is None else max(0, int(amount))
            )
            told.append({"name": asked["name"], "start": start, "count": len(points["times"])})
            found.append(
                {key: bytes(part) if hasattr(part, "tobytes") else part for key, part in points.items()}
            )
        tree, blobs = self._asked.encoded(found, "values", "training_metrics")
        return {"metrics": told, "value": tree}, blobs

    async def op_cancel_training(self, call: Call) -> Answer:
        """Cancel a training: the flag, then an interrupt; answers how far that has got within `wait_s`."""
        training = self._asked.training(call)
        if training.is_over:
            message = f"training {training.id} is {training.state}; there is nothing to cancel"
            raise CallError({"code": "training_not_running", "message": message})
        return await cancel(self._state.turns, training, float(call.params.get("wait_s", 10.0))), ()

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
            training.result = await self._state.turns.take(
                training.turn, self._user_code.watching_nans(made, work) if anomaly else work
            )
        except UserError as error:
            told = self._user_code.failed(error, "train")
            if isinstance(error, Interrupted) and training.cancel_stage is not None:
                told = {**told, "code": "cancelled"}
            training.finish(told)
        else:
            cancelled = training.cancel_stage is not None and training.progress < 1.0
            message = "it saw the cancel and returned"
            training.finish({"code": "cancelled", "message": message} if cancelled else None)
            self._state.forget_failure()
        finally:
            self._state.touch()
            self._state.changed()


def _points_as_tensors(training: Training, asked: Sequence[Mapping[str, Any]]) -> Answer:
    told: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for one in asked:
        series = training.series.get(one["name"])
        points = training.points(one["name"], one["start"], one["amount"])
        told.append({"name": one["name"], "start": one["start"], "times": list(points["times"])})
        found = points["numbers"] if "numbers" in points else points["values"]
        blobs += [
            decthings_codec.encode_metric(value, None if series is None else series.tensor_type)
            for value in found
        ]
    return {"metrics": told}, blobs
