"""Calls into debug sessions, with their refusals as Decthings names them, and parameters checked before a worker sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from jupyter_ext.engine.api.decthings.calls import Invalid, Provider, Refusal
from jupyter_ext.engine.datasets.service import DatasetNotFound, Datasets
from jupyter_ext.engine.sessions.service import DebugSessionService
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.protocol.decthings.definitions import DefinitionError, ParameterDefinition, check
from jupyter_ext.protocol.decthings.tensors import header, spans
from jupyter_ext.protocol.problems import Problem

DECTHINGS = {"encoding": "decthings"}
MAX_DETAILS = 10_000
"""Characters of a traceback that go on the wire, as Decthings' runner cuts it."""


class SessionCalls:
    """Calls sessions for the wire."""

    def __init__(self, service: DebugSessionService, datasets: Datasets) -> None:
        self.service = service
        self._datasets = datasets

    async def call(
        self, session_id: str, op: str, params: dict[str, Any] | None = None, blobs: Sequence[Any] = ()
    ) -> tuple[dict[str, Any], list[memoryview]]:
        """Call a session.

        Raises:
            Refusal: It refused, its code failed, or it is not there.
        """
        try:
            return await self.service.call(session_id, op, {**DECTHINGS, **(params or {})}, blobs)
        except Problem as problem:
            raise gone(problem) from problem
        except CallError as error:
            raise refusal(error.error) from error

    async def parameters(
        self, providers: Iterable[Provider], definitions: Sequence[ParameterDefinition]
    ) -> tuple[list[dict[str, Any]], list[memoryview]]:
        """Give what a session's call needs: parameters, and the blobs of those with data.

        Raises:
            Refusal: One is not what the model's function takes, or its dataset is not there.
        """
        providers = list(providers)
        try:
            await asyncio.to_thread(check, definitions, {each.name: _headers(each) for each in providers})
        except DefinitionError as error:
            raise Invalid("params", str(error)) from error
        params: list[dict[str, Any]] = []
        blobs: list[memoryview] = []
        for each in providers:
            if each.blob is not None:
                params.append({"name": each.name})
                blobs.append(each.blob)
            else:
                params.append({"name": each.name, "dataset": self._dataset(each)})
        return params, blobs

    def _dataset(self, provider: Provider) -> dict[str, str]:
        assert provider.dataset_id is not None
        assert provider.dataset_key is not None
        try:
            dataset = self._datasets.get(provider.dataset_id)
        except DatasetNotFound:
            raise Refusal("dataset_not_found", datasetId=provider.dataset_id) from None
        if provider.dataset_key not in {key.name for key in dataset.keys}:
            raise Refusal(
                "dataset_key_not_found", datasetId=provider.dataset_id, datasetKey=provider.dataset_key
            )
        return {"path": str(dataset.directory), "key": provider.dataset_key}


def gone(problem: Problem) -> Refusal:
    """Tell that a session is not there, or no longer."""
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


def refusal(error: dict[str, Any]) -> Refusal:
    """Give a worker's refusal as it goes on the wire."""
    code, message = str(error.get("code")), str(error.get("message", ""))
    if code in _CODES:
        return Refusal(_CODES[code])
    if code == "invalid_parameter":
        return Invalid("params", message)
    return Refusal("exception", exceptionDetails=details(error))


def details(error: dict[str, Any]) -> str:
    """Give the traceback of a failure, or else its message."""
    told = error.get("exception") or {}
    text = str(told.get("text") or error.get("message") or error.get("code"))
    return text if len(text) <= MAX_DETAILS else f"{text[:MAX_DETAILS]}… ({len(text)} characters in all)"


def milliseconds(time_s: float) -> int:
    """Give a time in milliseconds since the epoch, as the wire has it."""
    return int(time_s * 1000)


def _headers(provider: Provider) -> list[Any] | None:
    if provider.blob is None:
        return None
    return [header(provider.blob, begin) for begin, _ in spans(provider.blob)]
