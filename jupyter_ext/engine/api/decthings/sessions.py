"""Calls into debug sessions, with their refusals as Decthings names them, and parameters checked before a worker sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from typing_extensions import TypeVar

from jupyter_ext.engine.api.decthings.rpc.calls import Invalid, Provider, Refusal
from jupyter_ext.engine.datasets.service import Dataset, DatasetNotFound, Datasets
from jupyter_ext.engine.sessions.service import DebugSessionService
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.ipc.payloads.call_failures import CallFailure
from jupyter_ext.ipc.payloads.session_messages import SessionParameter
from jupyter_ext.protocol.decthings.definitions import DefinitionError, ParameterDefinition, check
from jupyter_ext.protocol.decthings.tensors import Header
from jupyter_ext.protocol.problems import Problem

A = TypeVar("A", default=JsonObject)
DECTHINGS = {"encoding": "decthings"}
MAX_DETAILS = 10_000
"""Characters of a traceback that go on the wire, as Decthings' runner cuts it."""


class SessionCalls:
    """Calls sessions for the wire."""

    def __init__(self, service: DebugSessionService, datasets: Datasets) -> None:
        self.service = service
        self._datasets = datasets

    async def call(
        self,
        session_id: str,
        op: str,
        params: Mapping[str, object] | None = None,
        blobs: Sequence[Any] = (),
        *,
        answer: type[A] | None = None,
        after_end: bool = False,
    ) -> tuple[A, list[memoryview]]:
        """Call a session; with `after_end`, what one that has ended left is answered from its files.

        Args:
            session_id: The session.
            op: What is asked.
            params: What with.
            blobs: Bytes that go along.
            answer: What the call answers.
            after_end: Also where it has ended.

        Raises:
            Refusal: It refused, its code failed, or it is not there.
        """
        try:
            return await self.service.call(
                session_id, op, {**DECTHINGS, **(params or {})}, blobs, answer=answer, after_end=after_end
            )
        except Problem as problem:
            raise gone(problem) from problem
        except CallError as error:
            raise refusal(error.error) from error

    async def parameters(
        self, providers: Iterable[Provider], definitions: Sequence[ParameterDefinition]
    ) -> tuple[list[SessionParameter], list[memoryview]]:
        """Return what a session's call needs: parameters, and the blobs of those with data. All were checked.

        Raises:
            Refusal: One is not what the model's function takes, or its dataset is not there.
        """
        providers = list(providers)
        known = {definition.name: definition for definition in definitions}
        params: list[SessionParameter] = []
        blobs: list[memoryview] = []
        headers: dict[str, Iterable[Header]] = {}
        for each in providers:
            if each.blob is not None:
                params.append({"name": each.name})
                blobs.append(each.blob)
                headers[each.name] = each.headers
            else:
                dataset = self._dataset(each)
                key = str(each.dataset_key)
                params.append({"name": each.name, "dataset": {"path": str(dataset.directory), "key": key}})
                headers[each.name] = dataset.unchecked(key, known.get(each.name))
        try:
            await asyncio.to_thread(check, definitions, headers)
        except DefinitionError as error:
            raise Invalid(error.parameter, error.reason) from error
        return params, blobs

    def _dataset(self, provider: Provider) -> Dataset:
        try:
            dataset = self._datasets.get(str(provider.dataset_id))
        except DatasetNotFound:
            raise Refusal("dataset_not_found", datasetId=provider.dataset_id) from None
        if provider.dataset_key not in {key.name for key in dataset.keys}:
            raise Refusal(
                "dataset_key_not_found", datasetId=provider.dataset_id, datasetKey=provider.dataset_key
            )
        return dataset


def gone(problem: Problem) -> Refusal:
    """Return the refusal of a call to a session that is not there, or no longer."""
    if problem.status == 404:
        return Refusal("debug_session_not_found")
    return Refusal("debug_session_terminated" if problem.status == 410 else "unknown")


_CODES = {
    "model_not_found": "instantiated_model_not_found",
    "training_not_found": "training_session_not_found",
    "training_not_running": "training_session_not_running",
    "state_not_found": "state_data_not_found",
    "state_key_not_found": "state_key_not_found",
}


def refusal(error: CallFailure) -> Refusal:
    """Return a worker's refusal as it goes on the wire."""
    code, message = str(error.get("code")), str(error.get("message", ""))
    if code in _CODES:
        return Refusal(_CODES[code])
    if code == "invalid_parameter":
        name = str(error.get("parameter", "params"))
        return Invalid(name, message.removeprefix(f"{name}: "))
    return Refusal("exception", exceptionDetails=details(error))


def details(error: CallFailure) -> str:
    """Return the traceback of a failure, or else its message."""
    raised = error.get("exception")
    text = str((raised is not None and raised["text"]) or error.get("message") or error.get("code"))
    return text if len(text) <= MAX_DETAILS else f"{text[:MAX_DETAILS]}… ({len(text)} characters in all)"


def milliseconds(time_s: float) -> int:
    """Return a time in milliseconds since the epoch, as the wire has it."""
    return int(time_s * 1000)
