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
from typing import TypeVar

from jupyter_ext.engine.api.decthings.events import SessionSubscriptions
from jupyter_ext.engine.api.decthings.locations import LOCAL_SPEC, Locations
from jupyter_ext.engine.api.decthings.output_layout import readable
from jupyter_ext.engine.api.decthings.rpc.calls import Answer, Call, Invalid, Refusal
from jupyter_ext.engine.api.decthings.rpc.dispatch import Method, Methods
from jupyter_ext.engine.api.decthings.runnable import check_runnable
from jupyter_ext.engine.api.decthings.sessions import SessionCalls, gone, milliseconds
from jupyter_ext.engine.api.decthings.training_status import (
    asked_metrics,
    show_in_list,
    show_metrics,
    show_status,
)
from jupyter_ext.engine.decthings.model_store import ModelNotFound, ModelStore, StoredModel
from jupyter_ext.engine.sessions.launch_request import SessionLaunch
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.ipc.payloads.session_messages import (
    DownloadAnswer,
    InstantiateAnswer,
    MetricsAnswer,
    SessionParams,
    StateAnswer,
    TrainAnswer,
    ValueAnswer,
)
from jupyter_ext.ipc.payloads.session_reports import SessionReport, TrainingReport
from jupyter_ext.protocol.decthings.answers import SessionItem
from jupyter_ext.protocol.decthings.definitions import ParameterDefinitions, parse_definitions
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.sessions import DebugSession, DebugTraining

log = logging.getLogger(__name__)

T = TypeVar("T")

DEFAULT_INACTIVE_S = 1800
EVALUATE_WAIT_S = 60.0
"""An evaluation waits this long for a training that has the session, and is then refused."""
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
        request = SessionLaunch(
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
            session = await self._service.launch(request)
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
        params: SessionParams
        if data.get("type") == "dataId":
            if not isinstance(data_id := data.get("dataId"), str):
                raise Invalid(name, "has no dataId")
            params = {"state_id": data_id}
        elif data.get("type") == "data":
            params = {"keys": self._keys(call, name, data, session_id)}
        else:
            raise Invalid(name, 'must be {"type": "dataId", "dataId": …} or {"type": "data", …}')
        answer, _ = await in_words(
            word, self._calls.call(session_id, "instantiate", params, call.blobs, answer=InstantiateAnswer)
        )
        return {"instantiatedModelId": answer["model_id"]}, ()

    async def train(self, call: Call) -> Answer:
        """Begin a training; it runs on after the answer."""
        session_id, model_id = self._session(call), call.text("instantiatedModelId")
        params, blobs = await self._calls.parameters(call.providers(), self._definitions(session_id).train)
        answer, _ = await self._calls.call(
            session_id, "train", {"model_id": model_id, "params": params}, blobs, answer=TrainAnswer
        )
        return {"trainingSessionId": answer["training_id"]}, ()

    async def training_status(self, call: Call) -> Answer:
        """Describe a training."""
        return show_status(await self._training(call)), ()

    async def training_metrics(self, call: Call) -> Answer:
        """Return entries of metrics: one blob each."""
        session_id, training_id = self._session(call), call.text("trainingSessionId")
        params = {"training_id": training_id, "metrics": asked_metrics(call)}
        answer, blobs = await no_longer(
            self._calls.call(session_id, "training_metrics", params, answer=MetricsAnswer, after_end=True)
        )
        return show_metrics(answer), readable(call, blobs)

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
        answer, outputs = await self._calls.call(
            session_id,
            "evaluate",
            {"model_id": model_id, "params": params, "wait_s": EVALUATE_WAIT_S},
            blobs,
            answer=ValueAnswer,
        )
        return {"output": answer["value"]}, readable(call, outputs, stacked=call.is_officials)

    def _download(self, word: str) -> Method:
        async def download(call: Call) -> Answer:
            session_id, data_id = self._session(call), call.text("dataId")
            params: SessionParams = {"state_id": data_id}
            if call.params.get("keys") is not None:
                params["keys"] = call.texts("keys")
            answer, blobs = await in_words(
                word, no_longer(self._calls.call(session_id, "download_state", params, answer=DownloadAnswer))
            )
            return {f"{word.removesuffix('s') if word == _WEIGHTS else word}KeyNames": answer["keys"]}, blobs

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
        params: SessionParams,
        blobs: list[memoryview],
        words: tuple[str, ...],
    ) -> Answer:
        answer, _ = await self._calls.call(session_id, op, params, blobs, answer=StateAnswer)
        keys = [{"key": item["key"], "byteSize": item["bytes"]} for item in answer["keys"]]
        self._last_keys[session_id] = [item["key"] for item in answer["keys"]]
        return {"dataId": answer["state_id"], **dict.fromkeys(words, keys)}, ()

    def _keys(self, call: Call, name: str, data: JsonObject, session_id: str) -> list[str]:
        """Return the names of the keys that came as blobs: clients put them in different places, one sends none."""
        for place in (data.get("stateKeyNames"), data.get("weightKeyNames")):
            if place is not None:
                call.params.setdefault("stateKeyNames", place)
        given = call.params.get("stateKeyNames", call.params.get("weightKeyNames"))
        if given is None:
            return self._matching(name, self._last_keys.get(session_id, []), call)
        if not isinstance(given, list) or not all(isinstance(key, str) for key in given):
            raise Invalid(name, "has key names that are no texts")
        return self._matching(name, [str(key) for key in given], call)

    @staticmethod
    def _matching(name: str, given: list[str], call: Call) -> list[str]:
        if len(given) != len(call.blobs):
            raise Invalid(name, f"names {len(given)} keys, but the request carries {len(call.blobs)} blobs")
        return given

    async def _training(self, call: Call) -> DebugTraining:
        session_id, training_id = self._session(call), call.text("trainingSessionId")
        asked = {"training_id": training_id}
        answer, _ = await no_longer(
            self._calls.call(session_id, "training_status", asked, answer=TrainingReport, after_end=True)
        )
        return DebugTraining.model_validate(answer)

    def _session(self, call: Call) -> str:
        session_id = call.text("debugSessionId")
        try:
            return self._service.record(session_id).id
        except Problem as problem:
            raise gone(problem) from problem

    def _definitions(self, session_id: str) -> ParameterDefinitions:
        return parse_definitions(self._service.record(session_id).meta.get("definitions"))

    def _model(self, call: Call) -> StoredModel:
        try:
            return self._models.get(call.text("modelId"))
        except ModelNotFound:
            raise Refusal("model_not_found") from None

    async def _show(self, session: DebugSession) -> SessionItem:
        trainings = session.trainings
        if session.status == "running":
            try:  # what the session told last may be a tenth of a second old
                answer, _ = await self._calls.call(session.id, "status", answer=SessionReport)
                trainings = [DebugTraining.model_validate(training) for training in answer["trainings"]]
            except Refusal as refusal:
                log.info("session %s ends: %s", session.id, refusal)
        meta = self._service.record(session.id).meta
        return {
            "id": session.id,
            "startedAt": milliseconds(session.created_at),
            "modelId": meta.get("modelId", session.name),
            "parameterDefinitions": parse_definitions(meta.get("definitions")).wire(),
            "trainingSessions": [show_in_list(training) for training in trainings],
            "executionLocation": meta.get(
                "executionLocation", {"type": "temporaryLauncher", "spec": LOCAL_SPEC}
            ),
        }


async def in_words(word: str, work: Awaitable[T]) -> T:
    """Await something, with its errors in the vocabulary that was asked in."""
    try:
        return await work
    except Refusal as refusal:
        code = refusal.error["code"]
        if word == _WEIGHTS and code in _WEIGHT_ERRORS:
            raise Refusal(_WEIGHT_ERRORS[code]) from refusal
        raise


async def no_longer(work: Awaitable[T]) -> T:
    """Await something of a method that has no word for a session that has ended."""
    try:
        return await work
    except Refusal as refusal:
        if refusal.error["code"] == "debug_session_terminated":
            raise Refusal("debug_session_not_found") from refusal
        raise


def _flag(params: JsonObject, name: str, default: bool) -> bool:
    value = params.get(name, default)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise Invalid(name, "must be true or false")
    return value
