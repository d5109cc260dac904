"""Debug: all 15 methods, in both vocabularies.

"State" is the vocabulary of clients until 2025-03, "weights" the one since; a call is answered in the one it was asked in. One
name was kept by a client that expects the other one's answer, so `callCreateModelState` is answered in both.

Source: Decthings' API reference, "Debug", and the reference clients for Python 0.0.4, JavaScript and Rust.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable
from typing import Any

from jupyter_ext.engine.api.decthings.calls import Answer, Call, Invalid, Refusal
from jupyter_ext.engine.api.decthings.events import SessionSubscriptions
from jupyter_ext.engine.api.decthings.locations import LOCAL_SPEC, Locations
from jupyter_ext.engine.api.decthings.output_layout import layout_of, rewritten
from jupyter_ext.engine.api.decthings.rpc import Method, Methods
from jupyter_ext.engine.api.decthings.sessions import SessionCalls, details, gone, milliseconds
from jupyter_ext.engine.decthings.model_store import MAIN, ModelNotFound, ModelStore, StoredModel
from jupyter_ext.engine.sessions.launch_request import SessionOrder
from jupyter_ext.protocol.decthings.definitions import ParameterDefinitions, parse_definitions
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.sessions import DebugSession, DebugTraining

log = logging.getLogger(__name__)

DEFAULT_INACTIVE_S = 1800
_STATE, _WEIGHTS = "state", "weights"
_WEIGHT_ERRORS = {
    "state_data_not_found": "weight_data_not_found",
    "state_key_not_found": "weight_key_not_found",
}


class DebugRpc:
    """Methods of the API Debug."""

    def __init__(
        self, calls: SessionCalls, models: ModelStore, locations: Locations, events: SessionSubscriptions
    ) -> None:
        self._calls = calls
        self._models = models
        self._locations = locations
        self._events = events
        self._service = calls.service
        self._last_keys: dict[str, list[str]] = {}

    def methods(self) -> Methods:
        """List the methods."""
        return {
            "launchDebugSession": self.launch,
            "getDebugSessions": self.get,
            "terminateDebugSession": self.terminate,
            "callCreateModelState": self._create(_STATE, _WEIGHTS),
            "callInitializeWeights": self._create(_WEIGHTS),
            "callInstantiateModel": self.instantiate,
            "callTrain": self.train,
            "getTrainingStatus": self.training_status,
            "getTrainingMetrics": self.training_metrics,
            "cancelTrainingSession": self.cancel_training,
            "callEvaluate": self.evaluate,
            "callGetModelState": self._get_state(_STATE),
            "callGetWeights": self._get_state(_WEIGHTS),
            "downloadStateData": self._download(_STATE),
            "downloadWeightData": self._download(_WEIGHTS),
            "removeNeedsReviewEntries": self._download(
                _STATE
            ),  # what the official Python client 0.0.4 calls it
            "sendToRemoteInspector": self.inspect,
            "subscribeToEvents": self.subscribe,
            "unsubscribeFromEvents": self.unsubscribe,
        }

    async def launch(self, call: Call) -> Answer:
        """Launch a session and answer at once; calls to it wait until its code was loaded."""
        model = self._model(call)
        location = self._locations.of(call)
        options = Call(call.method, call.object("options"), [])
        inactive_s = options.integer("terminateAfterInactiveSeconds", DEFAULT_INACTIVE_S, at_least=1)
        inspector = _flag(options.params, "remoteInspector", True)
        subscribed = _flag(call.params, "subscribeToEvents", True)
        await asyncio.to_thread(check_runnable, model)
        order = SessionOrder(
            name=model.about["name"],
            python=model.about.get("python") or sys.executable,
            folder=str(model.files),
            inactive_s=inactive_s,
            keep_on_error=False,
            meta={
                "modelId": model.id,
                "executionLocation": location,
                "remoteInspector": inspector,
                "definitions": model.definitions.wire(),
            },
        )
        try:
            session = await self._service.launch(order)
        except Problem as problem:
            raise Refusal("server_overloaded" if problem.status == 503 else "unknown") from problem
        if subscribed and call.connection is not None:
            await self._events.subscribe(call, session.id)
        return {"debugSessionId": session.id}, ()

    async def get(self, call: Call) -> Answer:
        """List sessions that run, or those of some ids."""
        wanted = call.texts("debugSessionIds") if call.params.get("debugSessionIds") is not None else None
        found = [
            session
            for session in reversed(self._service.list(ended=False))
            if wanted is None or session.id in wanted
        ]
        shown = await asyncio.gather(*(self._show(session) for session in found))
        return {"debugSessions": shown}, ()

    async def terminate(self, call: Call) -> Answer:
        """End a session; the answer comes when it has ended."""
        session_id = self._session(call)
        if self._service.record(session_id).exit is not None:
            raise Refusal("debug_session_not_found")
        await self._service.terminate(session_id)
        return {}, ()

    def _create(self, *words: str) -> Method:
        async def create(call: Call) -> Answer:
            session_id = self._session(call)
            params, blobs = await self._calls.parameters(
                call.providers(), self._definitions(session_id).create_state
            )
            return await self._kept(session_id, "create_state", {"params": params}, blobs, words)

        return create

    def _get_state(self, word: str) -> Method:
        async def get_state(call: Call) -> Answer:
            session_id, model_id = self._session(call), call.text("instantiatedModelId")
            return await self._kept(session_id, "get_state", {"model_id": model_id}, [], (word,))

        return get_state

    async def instantiate(self, call: Call) -> Answer:
        """Make a model from a state that the session has, or from data."""
        session_id = self._session(call)
        word = _WEIGHTS if call.params.get("weights") is not None else _STATE
        name = "weights" if word == _WEIGHTS else "stateData"
        data = call.object(name)
        params: dict[str, Any]
        if data.get("type") == "dataId":
            if not isinstance(data.get("dataId"), str):
                raise Invalid(name, "has no dataId")
            params = {"state_id": data["dataId"]}
        elif data.get("type") == "data":
            params = {"keys": self._keys(call, name, data, session_id)}
        else:
            raise Invalid(name, 'must be {"type": "dataId", "dataId": …} or {"type": "data", …}')
        told, _ = await in_words(word, self._calls.call(session_id, "instantiate", params, call.blobs))
        return {"instantiatedModelId": told["model_id"]}, ()

    async def train(self, call: Call) -> Answer:
        """Begin a training; it runs on after the answer."""
        session_id, model_id = self._session(call), call.text("instantiatedModelId")
        params, blobs = await self._calls.parameters(call.providers(), self._definitions(session_id).train)
        told, _ = await self._calls.call(session_id, "train", {"model_id": model_id, "params": params}, blobs)
        return {"trainingSessionId": told["training_id"]}, ()

    async def training_status(self, call: Call) -> Answer:
        """Describe a training."""
        return show_status(await self._training(call)), ()

    async def training_metrics(self, call: Call) -> Answer:
        """Give entries of metrics: one blob each."""
        session_id, training_id = self._session(call), call.text("trainingSessionId")
        params = {"training_id": training_id, "metrics": asked_metrics(call)}
        told, blobs = await no_longer(self._calls.call(session_id, "training_metrics", params))
        return show_metrics(told), blobs

    async def cancel_training(self, call: Call) -> Answer:
        """Cancel a training: its callbacks, then an interrupt."""
        session_id, training_id = self._session(call), call.text("trainingSessionId")
        await no_longer(self._calls.call(session_id, "cancel_training", {"training_id": training_id}))
        return {}, ()

    async def evaluate(self, call: Call) -> Answer:
        """Evaluate a model."""
        session_id, model_id = self._session(call), call.text("instantiatedModelId")
        definitions = self._definitions(session_id).evaluate_input
        params, blobs = await self._calls.parameters(call.providers(), definitions)
        told, outputs = await self._calls.call(
            session_id, "evaluate", {"model_id": model_id, "params": params}, blobs
        )
        layout = layout_of(call.blobs)
        return {"output": told["value"]}, rewritten(outputs, layout, stacked=call.is_officials)

    def _download(self, word: str) -> Method:
        async def download(call: Call) -> Answer:
            session_id, data_id = self._session(call), call.text("dataId")
            params: dict[str, Any] = {"state_id": data_id}
            if call.params.get("keys") is not None:
                params["keys"] = call.texts("keys")
            told, blobs = await in_words(
                word, no_longer(self._calls.call(session_id, "download_state", params))
            )
            return {f"{word.removesuffix('s') if word == _WEIGHTS else word}KeyNames": told["keys"]}, blobs

        return download

    async def inspect(self, call: Call) -> Answer:
        """Send bytes to the session's debugger; what it says comes as events."""
        session_id = self._session(call)
        if len(call.blobs) != 1:
            raise Invalid("data", f"must be one blob, not {len(call.blobs)}")
        await self._events.inspect(session_id, call.blobs[0])
        return {}, ()

    async def subscribe(self, call: Call) -> Answer:
        """Send a session's events over this connection."""
        await self._events.subscribe(call, call.text("debugSessionId"))
        return {}, ()

    async def unsubscribe(self, call: Call) -> Answer:
        """Send them no longer."""
        session_id = call.text("debugSessionId")
        if call.connection is None or not call.connection.unsubscribe(session_id):
            raise Refusal("not_subscribed")
        return {}, ()

    async def _kept(
        self,
        session_id: str,
        op: str,
        params: dict[str, Any],
        blobs: list[memoryview],
        words: tuple[str, ...],
    ) -> Answer:
        told, _ = await self._calls.call(session_id, op, params, blobs)
        keys = [{"key": item["key"], "byteSize": item["bytes"]} for item in told["keys"]]
        self._last_keys[session_id] = [item["key"] for item in keys]
        return {"dataId": told["state_id"], **dict.fromkeys(words, keys)}, ()

    def _keys(self, call: Call, name: str, data: dict[str, Any], session_id: str) -> list[str]:
        """Give the names of the keys that came as blobs: clients put them in different places, one sends none."""
        for place in (data.get("stateKeyNames"), data.get("weightKeyNames")):
            if place is not None:
                call.params.setdefault("stateKeyNames", place)
        given = call.params.get("stateKeyNames", call.params.get("weightKeyNames"))
        if given is None:
            given = self._last_keys.get(session_id, [])
        if not isinstance(given, list) or not all(isinstance(key, str) for key in given):
            raise Invalid(name, "has key names that are no texts")
        if len(given) != len(call.blobs):
            raise Invalid(name, f"names {len(given)} keys, but the request carries {len(call.blobs)} blobs")
        return given

    async def _training(self, call: Call) -> dict[str, Any]:
        session_id, training_id = self._session(call), call.text("trainingSessionId")
        record = self._service.record(session_id)
        if record.exit is not None:
            for training in record.resource().trainings:
                if training.id == training_id:
                    return training.model_dump()
            raise Refusal("training_session_not_found")
        asked = {"training_id": training_id}
        told: dict[str, Any]
        told, _ = await no_longer(self._calls.call(session_id, "training_status", asked))
        return told

    def _session(self, call: Call) -> str:
        session_id = call.text("debugSessionId")
        try:
            return self._service.record(session_id).id
        except Problem as problem:
            raise gone(problem) from problem

    def _definitions(self, session_id: str) -> ParameterDefinitions:
        return parse_definitions(self._service.record(session_id).spec.get("meta", {}).get("definitions"))

    def _model(self, call: Call) -> StoredModel:
        try:
            return self._models.get(call.text("modelId"))
        except ModelNotFound:
            raise Refusal("model_not_found") from None

    async def _show(self, session: DebugSession) -> dict[str, Any]:
        trainings = session.trainings
        if session.status == "running":
            try:  # what the session told last may be a tenth of a second old
                told, _ = await self._calls.call(session.id, "status")
                trainings = [DebugTraining.model_validate(training) for training in told["trainings"]]
            except Refusal as refusal:
                log.info("session %s ends: %s", session.id, refusal)
        meta = self._service.record(session.id).spec.get("meta", {})
        return {
            "id": session.id,
            "startedAt": milliseconds(session.created_at),
            "modelId": meta.get("modelId", session.name),
            "parameterDefinitions": parse_definitions(meta.get("definitions")).wire(),
            "trainingSessions": [_show_training(training) for training in trainings],
            "executionLocation": meta.get(
                "executionLocation", {"type": "temporaryLauncher", "spec": LOCAL_SPEC}
            ),
        }


async def in_words(word: str, work: Awaitable[Any]) -> Any:
    """Await something, with its errors in the vocabulary that was asked in."""
    try:
        return await work
    except Refusal as refusal:
        code = refusal.error["code"]
        if word == _WEIGHTS and code in _WEIGHT_ERRORS:
            raise Refusal(_WEIGHT_ERRORS[code]) from refusal
        raise


async def no_longer(work: Awaitable[Any]) -> Any:
    """Await something of a method that has no word for a session that has ended."""
    try:
        return await work
    except Refusal as refusal:
        if refusal.error["code"] == "debug_session_terminated":
            raise Refusal("debug_session_not_found") from refusal
        raise


def check_runnable(model: StoredModel) -> None:
    """Make sure that a model can be launched here.

    Raises:
        Refusal: It is of another language, has no `main.py`, or that is no text.
    """
    if model.about.get("language") not in ("python", None):
        raise Refusal("invalid_executor_type")
    try:
        (model.files / MAIN).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Refusal("invalid_executable") from None
    except OSError:
        raise Refusal("read_executable_file_failed") from None


def asked_metrics(call: Call) -> list[dict[str, Any]]:
    """Read which entries of which metrics are asked for."""
    asked = []
    for item in call.array("metrics"):
        one = Call(call.method, item if isinstance(item, dict) else {}, [])
        asked.append(
            {"name": one.text("name"), "start": one.integer("startIndex", 0), "amount": one.integer("amount")}
        )
    return asked


def show_metrics(told: dict[str, Any]) -> dict[str, Any]:
    """Give entries of metrics as the wire has them."""
    return {
        "metrics": [
            {
                "name": metric["name"],
                "startIndex": metric["start"],
                "entries": [{"timestamp": milliseconds(at)} for at in metric["times"]],
            }
            for metric in told["metrics"]
        ]
    }


def show_status(training: dict[str, Any]) -> dict[str, Any]:
    """Give a training's status as the wire has it."""
    return {
        "id": training["id"],
        "createdAt": milliseconds(training["created_at"]),
        "metrics": [{"name": metric["name"], "amount": metric["amount"]} for metric in training["metrics"]],
        "status": _status(training),
    }


def _status(training: dict[str, Any]) -> dict[str, Any]:
    if training["state"] == "running":
        return {"state": "running", "progress": training["progress"]}
    finished = {"finishedAt": milliseconds(training["finished_at"])}
    if training.get("duration_s") is not None:
        finished["trainDuration"] = milliseconds(training["duration_s"])
    if training["state"] == "completed":
        return {"state": "completed", **finished}
    return {"state": "failed", **finished, "failReason": fail_reason(training.get("fail") or {})}


def fail_reason(fail: dict[str, Any]) -> dict[str, Any]:
    """Give why a training failed as the wire has it."""
    code = fail.get("code")
    if code in ("exception", "not_offered"):
        return {"code": "exception", "exceptionDetails": details(fail)}
    return {"code": "cancelled" if code in ("cancelled", "interrupted") else "unknown"}


def _show_training(training: DebugTraining) -> dict[str, Any]:
    state = "starting" if training.state == "running" and training.started_at is None else training.state
    return {"id": training.id, "createdAt": milliseconds(training.created_at), "state": state}


def _flag(params: dict[str, Any], name: str, default: bool) -> bool:
    value = params.get(name, default)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise Invalid(name, "must be true or false")
    return value
