"""Model: trainings, in both vocabularies.

Source: Decthings' API reference, "Model", and the reference clients for Python 0.0.4 and JavaScript.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from jupyter_ext.engine.api.decthings.locations import Locations
from jupyter_ext.engine.api.decthings.model_lookup import ModelLookup, durations_of, error_of
from jupyter_ext.engine.api.decthings.output_layout import readable
from jupyter_ext.engine.api.decthings.rpc.calls import Answer, Call, Refusal
from jupyter_ext.engine.api.decthings.rpc.dispatch import Methods
from jupyter_ext.engine.api.decthings.runnable import check_runnable
from jupyter_ext.engine.api.decthings.sessions import SessionCalls, milliseconds
from jupyter_ext.engine.api.decthings.training_status import asked_metrics
from jupyter_ext.engine.decthings.run import Run, Words

_START = ("createLauncher", "codeStartup", "createInstantiatedModel", "instantiateModel")


class ModelTrainingRpc:
    """Methods about trainings."""

    def __init__(self, lookup: ModelLookup, calls: SessionCalls, locations: Locations) -> None:
        self._lookup = lookup
        self._runs = lookup.runs
        self._calls = calls
        self._locations = locations

    def methods(self) -> Methods:
        """List the methods."""
        return {
            "train": self.train,
            "getTrainingStatus": self.training_status,
            "getTrainingMetrics": self.training_metrics,
            "getTrainingSysinfo": self.training_sysinfo,
            "cancelTrainingSession": self.cancel_training,
            "clearPreviousTrainingSession": self.clear_training,
        }

    async def train(self, call: Call) -> Answer:
        """Begin to train; the result becomes a new state, or version."""
        words: Words = "version" if call.params.get("newVersionName") is not None else "state"
        model, location = self._lookup.model(call), self._locations.of(call)
        state_id = call.optional_text("stateId", "versionId")
        name = call.text("newStateName", "newVersionName")
        self._lookup.state(model, state_id, words)
        params, blobs = await self._calls.parameters(call.providers(), model.definitions.train)
        await asyncio.to_thread(check_runnable, model)
        run = self._runs.train(model, state_id, name, params, blobs, location, words)
        return {"trainingSessionId": run.id}, ()

    async def training_status(self, call: Call) -> Answer:
        """Describe a training, in the vocabulary that it was begun in."""
        run = self._lookup.training(call)
        metrics = run.reported.metrics if run.reported is not None else []
        named = {"newStateName": run.new_name}
        if run.words == "version":
            named = {"newVersionName": run.new_name, "versionId": run.from_state}
        return {
            "id": run.id,
            "modelId": run.model_id,
            **named,
            "createdAt": milliseconds(run.created_at),
            "metrics": [{"name": item.name, "amount": item.amount} for item in metrics],
            "executionLocation": run.location,
            "status": _status(run),
        }, ()

    async def training_metrics(self, call: Call) -> Answer:
        """Return entries of metrics: one blob each."""
        run = self._lookup.training(call)
        metrics, blobs = [], list[bytes]()
        for asked in asked_metrics(call):
            points = await self._runs.points(run, asked["name"], asked["start"], asked["amount"])
            entries = [{"timestamp": milliseconds(at)} for at, _ in points]
            metrics.append({"name": asked["name"], "startIndex": asked["start"], "entries": entries})
            blobs += [blob for _, blob in points]
        return {"metrics": metrics}, readable(call, blobs)

    async def training_sysinfo(self, call: Call) -> Answer:
        """Return what the training's process used, second by second."""
        run, begin = self._lookup.training(call), call.integer("fromTimestamp", 0)
        return {"sysinfo": [sample for sample in run.samples if sample["timestamp"] >= begin]}, ()

    async def cancel_training(self, call: Call) -> Answer:
        """Cancel a training."""
        run = self._lookup.training(call)
        if run.is_over:
            raise Refusal("training_session_not_running")
        await self._runs.cancel(run)
        return {}, ()

    async def clear_training(self, call: Call) -> Answer:
        """Forget a training that is over."""
        run = self._lookup.training(call)
        if not run.is_over:
            raise Refusal("training_session_running")
        del self._runs.trainings[run.id]
        return {}, ()


def _status(run: Run) -> Mapping[str, object]:
    of_state = run.words == "state"
    done = durations_of(run)
    start = {"startDurations": {name: done[name] for name in _START if name in done}}
    if run.state == "starting":
        return {"state": "starting"}
    if run.state == "running":
        return {
            "state": "running",
            **start,
            "progress": 0.0 if run.reported is None else run.reported.progress,
        }
    if run.state == "gettingState":
        state = "gettingState" if of_state else "gettingWeights"
        return {"state": state, **start, "trainDuration": done["train"]}
    over: dict[str, object] = {**start, "finishedAt": milliseconds(run.finished_at or run.created_at)}
    for name in ("train", "getState", "getWeights"):
        if name in done:
            over[f"{name}Duration"] = done[name]
    if run.state == "completed":
        return {
            "state": "completed",
            **over,
            "createdStateId" if of_state else "createdVersionId": run.created_state,
        }
    return {"state": "failed", **over, "failReason": error_of(run.error or {"code": "unknown"})}
