"""Model: create, get, update, delete, states, train, evaluate, in both vocabularies.

A model's code is uploaded as `options = {type: "upload", format: "python"}` with a zip archive or a `main.py` as its blob; the
service's own formats (tflite, onnx) and its file system are not here.

Source: Decthings' API reference, "Model", and the reference clients for Python 0.0.4 and JavaScript 0.5.6.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from jupyter_ext.engine.api.decthings.calls import Answer, Call, Invalid, Refusal
from jupyter_ext.engine.api.decthings.debug import asked_metrics, check_runnable
from jupyter_ext.engine.api.decthings.listing import LOCAL_OWNER, page, tags_of
from jupyter_ext.engine.api.decthings.locations import LOCAL_SPEC, Locations
from jupyter_ext.engine.api.decthings.output_layout import layout_of, rewritten
from jupyter_ext.engine.api.decthings.rpc import Methods
from jupyter_ext.engine.api.decthings.sessions import SessionCalls, details, milliseconds
from jupyter_ext.engine.decthings.model_runs import ModelRuns, Run
from jupyter_ext.engine.decthings.model_store import (
    MAIN,
    BadArchive,
    ModelNotFound,
    ModelStore,
    StateNotFound,
    StoredModel,
    unpack,
)
from jupyter_ext.protocol.decthings.definitions import DefinitionError, parse_definitions

_LANGUAGES = ("go", "javascript", "typescript", "python", "rust")
_DURATIONS = ("codeStartup", "instantiateModel", "createState", "train", "evaluate")
EMPTY_MAIN = b"# Define `model = decthings_model.make_model(executor)` here.\n"


class ModelRpc:
    """Methods of the API Model."""

    def __init__(
        self, models: ModelStore, runs: ModelRuns, calls: SessionCalls, locations: Locations
    ) -> None:
        self._models = models
        self._runs = runs
        self._calls = calls
        self._locations = locations

    def methods(self) -> Methods:
        """List the methods."""
        return {
            "createModel": self.create,
            "waitForModelToBeCreated": self.wait_created,
            "getModels": self.get,
            "updateModel": self.update,
            "deleteModel": self.delete,
            "createState": self.create_state,
            "createWeights": self.create_state,
            "uploadState": self.upload_state,
            "uploadWeights": self.upload_state,
            "getModelState": self.get_state,
            "getModelVersionWeights": self.get_state,
            "deleteModelState": self.delete_state,
            "setActiveModelState": self.set_active,
            "setCurrentModelState": self.set_active,  # as the official Python client 0.0.4 calls it
            "train": self.train,
            "getTrainingStatus": self.training_status,
            "getTrainingMetrics": self.training_metrics,
            "getTrainingSysinfo": self.training_sysinfo,
            "cancelTrainingSession": self.cancel_training,
            "clearPreviousTrainingSession": self.clear_training,
            "evaluate": self.evaluate,
            "getEvaluations": self.evaluations,
            "getFinishedEvaluationResult": self.evaluation_result,
            "cancelEvaluation": self.cancel_evaluation,
        }

    # -- models -----------------------------------------------------------------------------------------------------

    async def create(self, call: Call) -> Answer:
        """Make a model; it is there when this answers."""
        options = Call(call.method, call.object("options"), call.blobs)
        kind = options.text("type")
        about: dict[str, Any] = {
            "name": call.text("name"),
            "description": call.optional_text("description") or "",
            "tags": tags_of(options.params.get("tags")),
            "definitions": _definitions(options.params.get("parameterDefinitions")),
            "language": "python",
            "python": sys.executable,
        }
        files, based_on = None, None
        if kind == "code":
            about["language"] = options.optional_text("language") or "python"
            if about["language"] not in _LANGUAGES:
                raise Invalid("options.language", f"must be one of {', '.join(_LANGUAGES)}")
            files = {MAIN: EMPTY_MAIN} if about["language"] == "python" else {}
        elif kind == "upload":
            files = await asyncio.to_thread(_files, options)
        elif kind in ("fromExisting", "basedOnModelSnapshot"):
            based_on = self._model(options)
            if options.params.get("snapshotId") is not None:
                raise Refusal("snapshot_not_found")
            given = options.params.get("parameterDefinitions")
            about["definitions"] = about["definitions"] if given else based_on.about["definitions"]
            about["language"] = based_on.about["language"]
        else:
            raise Invalid("options.type", f"is {kind!r}, but must be code, upload or fromExisting")
        model = await asyncio.to_thread(self._models.create, about, files, based_on)
        return {"modelId": model.id, "isNowCreating": False}, ()

    async def wait_created(self, call: Call) -> Answer:
        """Wait for a model that is there already."""
        self._model(call)
        raise Refusal("model_already_created")

    async def get(self, call: Call) -> Answer:
        """List models."""
        return page(call, self._models.all(), self._show, "models"), ()

    async def update(self, call: Call) -> Answer:
        """Change name, description, tags, definitions or limits of time."""
        model, properties = self._model(call), Call(call.method, call.object("properties"), [])
        changes: dict[str, Any] = {}
        for name in ("name", "description"):
            if (text := properties.optional_text(name)) is not None:
                changes[name] = text
        if properties.params.get("tags") is not None:
            changes["tags"] = tags_of(properties.params["tags"])
        if properties.params.get("parameterDefinitions") is not None:
            changes["definitions"] = _definitions(properties.params["parameterDefinitions"])
        if properties.params.get("maxDurationsSeconds") is not None:
            limits = Call(call.method, properties.object("maxDurationsSeconds"), [])
            changes["max_durations"] = {
                name: limits.integer(name, at_least=1) for name in _DURATIONS if name in limits.params
            }
        await asyncio.to_thread(lambda: model.change(**changes))
        return {}, ()

    async def delete(self, call: Call) -> Answer:
        """Delete a model, and end what trains it."""
        model = self._model(call)
        for run in self._runs_of(model):
            if not run.is_over:
                await self._runs.cancel(run)
        await asyncio.to_thread(self._models.delete, model.id)
        return {}, ()

    # -- states -----------------------------------------------------------------------------------------------------

    async def create_state(self, call: Call) -> Answer:
        """Have the model make a first state; blocks until it has."""
        model, name, location = self._model(call), call.text("name"), self._locations.of(call)
        params, blobs = await self._calls.parameters(call.providers(), model.definitions.create_state)
        await asyncio.to_thread(check_runnable, model)
        run = self._runs.create_state(model, name, params, blobs, location)
        await _over(run)
        durations = {"total": run.phases.total, **run.phases.done}
        if run.error is not None:
            return {"failed": {"durations": durations, "error": _told(run.error)}}, ()
        words = {"stateId": run.created_state, "weightsId": run.created_state}
        return {"success": {"durations": durations, **words}}, ()

    async def upload_state(self, call: Call) -> Answer:
        """Keep a state that the caller has."""
        model, name = self._model(call), call.text("name")
        keys = call.texts("stateKeyNames" if "stateKeyNames" in call.params else "weightKeyNames")
        if len(keys) != len(call.blobs) or len(set(keys)) != len(keys):
            raise Invalid("data", f"names {len(keys)} keys, but the request carries {len(call.blobs)} blobs")
        unwanted = call.texts("deleteStates", [])
        for state_id in unwanted:
            self._state(model, state_id)
            if state_id == model.about["active_state"]:
                raise Refusal("state_is_active")
        content = dict(zip(keys, call.blobs, strict=True))
        state_id = await asyncio.to_thread(model.add_state, name, content)
        for gone in unwanted:
            await asyncio.to_thread(model.delete_state, gone)
        return {"stateId": state_id}, ()

    async def get_state(self, call: Call) -> Answer:
        """Give a state's keys."""
        model, state_id = self._model(call), call.optional_text("stateId", "versionId")
        self._state(model, state_id)
        content = await asyncio.to_thread(model.read_state, state_id)
        keys = call.texts("keys", list(content))
        if any(key not in content for key in keys):
            raise Refusal("state_key_not_found")
        return {"stateKeyNames": keys, "weightKeyNames": keys}, [content[key] for key in keys]

    async def delete_state(self, call: Call) -> Answer:
        """Delete a state that is not the active one."""
        model, state_id = self._model(call), call.text("stateId")
        self._state(model, state_id)
        if state_id == model.about["active_state"]:
            raise Refusal("state_is_active")
        await asyncio.to_thread(model.delete_state, state_id)
        return {}, ()

    async def set_active(self, call: Call) -> Answer:
        """Choose the state that `evaluate` takes, and `train` by default."""
        model, state_id = self._model(call), call.text("stateId")
        self._state(model, state_id)
        await asyncio.to_thread(lambda: model.change(active_state=state_id))
        return {}, ()

    # -- trainings --------------------------------------------------------------------------------------------------

    async def train(self, call: Call) -> Answer:
        """Begin to train; the result becomes a new state."""
        model, location = self._model(call), self._locations.of(call)
        state_id = call.optional_text("stateId", "versionId")
        name = call.text("newStateName", "newVersionName")
        self._state(model, state_id)
        params, blobs = await self._calls.parameters(call.providers(), model.definitions.train)
        await asyncio.to_thread(check_runnable, model)
        run = self._runs.train(model, state_id, name, params, blobs, location)
        return {"trainingSessionId": run.id}, ()

    async def training_status(self, call: Call) -> Answer:
        """Describe a training."""
        run = self._training(call)
        metrics = [{"name": item["name"], "amount": item["amount"]} for item in run.told.get("metrics", [])]
        name = run.about["newStateName"]
        return {
            "id": run.id,
            "modelId": run.model_id,
            "newStateName": name,
            "newVersionName": name,
            "createdAt": milliseconds(run.created_at),
            "metrics": metrics,
            "executionLocation": run.location,
            "status": _status(run),
        }, ()

    async def training_metrics(self, call: Call) -> Answer:
        """Give entries of metrics: one blob each."""
        run = self._training(call)
        metrics, blobs = [], list[bytes]()
        for asked in asked_metrics(call):
            points = await self._runs.points(run, asked["name"], asked["start"], asked["amount"])
            entries = [{"timestamp": milliseconds(at)} for at, _ in points]
            metrics.append({"name": asked["name"], "startIndex": asked["start"], "entries": entries})
            blobs += [blob for _, blob in points]
        return {"metrics": metrics}, blobs

    async def training_sysinfo(self, call: Call) -> Answer:
        """Give what the training's process used, second by second."""
        run, begin = self._training(call), call.integer("fromTimestamp", 0)
        return {"sysinfo": [sample for sample in run.samples if sample["timestamp"] >= begin]}, ()

    async def cancel_training(self, call: Call) -> Answer:
        """Cancel a training."""
        run = self._training(call)
        if run.is_over:
            raise Refusal("training_session_not_running")
        await self._runs.cancel(run)
        return {}, ()

    async def clear_training(self, call: Call) -> Answer:
        """Forget a training that is over."""
        run = self._training(call)
        if not run.is_over:
            raise Refusal("training_session_running")
        del self._runs.trainings[run.id]
        return {}, ()

    # -- evaluations ------------------------------------------------------------------------------------------------

    async def evaluate(self, call: Call) -> Answer:
        """Evaluate the active state; blocks until done."""
        model = self._model(call)
        if call.params.get("snapshotId") is not None:
            raise Refusal("snapshot_not_found")
        self._state(model, None)
        params, blobs = await self._calls.parameters(call.providers(), model.definitions.evaluate_input)
        await asyncio.to_thread(check_runnable, model)
        location = {"type": "temporaryLauncher", "spec": LOCAL_SPEC}
        run = self._runs.evaluate(model, params, blobs, location)
        run.about["layout"] = layout_of(call.blobs)
        await _over(run)
        return self._result(call, model, run)

    async def evaluations(self, call: Call) -> Answer:
        """List evaluations that run, and those of the last minutes."""
        model = self._model(call)
        found = [run for run in self._runs.evaluations.values() if run.model_id == model.id]
        running = [run for run in found if not run.is_over]
        finished = [run for run in found if run.finished_at is not None]
        return {
            "running": [{"id": run.id, "startedAt": milliseconds(run.created_at)} for run in running],
            "finished": [
                {
                    "id": run.id,
                    "startedAt": milliseconds(run.created_at),
                    "finishedAt": milliseconds(run.finished_at or 0),
                    "success": run.error is None,
                }
                for run in finished
            ],
        }, ()

    async def evaluation_result(self, call: Call) -> Answer:
        """Give what an evaluation gave; waits for it."""
        model, run = self._model(call), self._evaluation(call)
        await _over(run)
        return self._result(call, model, run)

    async def cancel_evaluation(self, call: Call) -> Answer:
        """Cancel an evaluation."""
        run = self._evaluation(call)
        if run.is_over:
            raise Refusal("evaluation_not_found")
        await self._runs.cancel(run)
        return {}, ()

    # -- inside -----------------------------------------------------------------------------------------------------

    def _result(self, call: Call, model: StoredModel, run: Run) -> Answer:
        about = {
            "totalDuration": milliseconds((run.finished_at or run.created_at) - run.created_at),
            "durations": run.phases.done,
            "executedOnLauncher": run.location,
        }
        error, outputs, blobs = run.error, *(run.result or ([], []))
        if error is None:
            error = _misfit(model, outputs, blobs)
        if error is not None:
            return {"failed": {**about, "error": _told(error)}}, ()
        found = rewritten(
            [memoryview(blob) for blob in blobs], run.about.get("layout", "old"), stacked=call.is_officials
        )
        return {"success": {**about, "output": outputs}}, found

    def _model(self, call: Call) -> StoredModel:
        try:
            return self._models.get(call.text("modelId"))
        except ModelNotFound:
            raise Refusal("model_not_found") from None

    def _state(self, model: StoredModel, state_id: str | None) -> dict[str, Any]:
        try:
            return model.state(state_id)
        except StateNotFound:
            if state_id is None:
                raise Invalid("modelId", "has no active state; create or upload one first") from None
            raise Refusal("state_not_found") from None

    def _training(self, call: Call) -> Run:
        model, run = self._model(call), self._runs.trainings.get(call.text("trainingSessionId"))
        if run is None or run.model_id != model.id:
            raise Refusal("training_session_not_found")
        return run

    def _evaluation(self, call: Call) -> Run:
        model, run = self._model(call), self._runs.evaluations.get(call.text("evaluationId"))
        if run is None or run.model_id != model.id:
            raise Refusal("evaluation_not_found")
        return run

    def _runs_of(self, model: StoredModel) -> list[Run]:
        runs = (*self._runs.trainings.values(), *self._runs.evaluations.values())
        return [run for run in runs if run.model_id == model.id]

    def _show(self, model: StoredModel) -> dict[str, Any]:
        about = model.about
        trainings = [run for run in self._runs.trainings.values() if run.model_id == model.id]
        return {
            "id": model.id,
            "name": about["name"],
            "description": about["description"],
            "createdAt": milliseconds(about["created_at"]),
            "tags": about["tags"],
            "owner": LOCAL_OWNER,
            "access": "readwrite",
            "beingCreated": False,
            "language": about["language"],
            "wasm": False,
            "image": {"domain": "local", "repository": "python", "reference": about["python"]},
            "parameterDefinitions": model.definitions.wire(),
            "defaultLauncherSpecs": {"createState": LOCAL_SPEC, "evaluate": LOCAL_SPEC},
            "maxDurationsSeconds": about.get("max_durations") or {},
            "filesystemSizeMebibytes": 0,
            "ongoingTrainingSessions": [run.id for run in trainings if not run.is_over],
            "trainingSessions": [run.id for run in trainings],
            "states": [_show_state(state) for state in about["states"]],
            "activeState": about["active_state"],
            "snapshots": [],
        }


async def _over(run: Run) -> None:
    """Wait until a run has ended; a caller who leaves does not end it."""
    assert run.task is not None
    await asyncio.wait({run.task})


def _files(options: Call) -> dict[str, bytes]:
    if options.optional_text("format") not in ("python", "zip", None):
        raise Invalid("options.format", "must be python: a zip archive with a main.py, or a main.py alone")
    if len(options.blobs) != 1:
        raise Invalid("options.data", f"must be one blob, not {len(options.blobs)}")
    try:
        return unpack(bytes(options.blobs[0]))
    except BadArchive as error:
        raise Invalid("options.data", str(error)) from error


def _definitions(content: Any) -> dict[str, Any]:
    try:
        return parse_definitions(content).wire()
    except DefinitionError as error:
        raise Invalid("parameterDefinitions", str(error)) from error


def _misfit(model: StoredModel, outputs: list[dict[str, str]], blobs: list[bytes]) -> dict[str, Any] | None:
    """Tell why outputs are not what the model's definitions say, or `None`."""
    from jupyter_ext.protocol.decthings.definitions import check
    from jupyter_ext.protocol.decthings.tensors import header, spans

    given = {
        output["name"]: [header(blob, begin) for begin, _ in spans(blob)]
        for output, blob in zip(outputs, blobs, strict=True)
    }
    try:
        check(model.definitions.evaluate_output, given)
    except DefinitionError as error:
        reason = "not_applicable_to_parameter_definitions"
        return {"code": "invalid_output", "reason": reason, "details": str(error)}
    return None


def _told(error: dict[str, Any]) -> dict[str, Any]:
    if "exceptionDetails" in error:
        return {**error, "exceptionDetails": details({"message": error["exceptionDetails"]})}
    return error


def _status(run: Run) -> dict[str, Any]:
    done = run.phases.done
    starts = ("createLauncher", "codeStartup", "createInstantiatedModel")
    start = {"startDurations": {name: done[name] for name in starts if name in done}}
    if run.state == "starting":
        return {"state": "starting"}
    if run.state == "running":
        return {"state": "running", **start, "progress": run.told.get("progress", 0.0)}
    if run.state == "gettingState":
        return {"state": "gettingState", **start, "trainDuration": done["train"]}
    over = {**start, "finishedAt": milliseconds(run.finished_at or run.created_at)}
    for name, key in (("train", "trainDuration"), ("getState", "getStateDuration")):
        if name in done:
            over[key] = done[name]
    if run.state == "completed":
        return {"state": "completed", **over, "createdStateId": run.created_state}
    return {"state": "failed", **over, "failReason": _told(run.error or {"code": "unknown"})}


def _show_state(state: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": state["id"],
        "name": state["name"],
        "trainingOperations": state["operations"],
        "createdAt": milliseconds(state["created_at"]),
        "beingDeleted": False,
        "state": state["keys"],
        "mountedModels": [],
    }
