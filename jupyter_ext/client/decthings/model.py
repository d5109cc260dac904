"""Handles within a session on a service: models and states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never, Protocol, TypeVar

from jupyter_ext.client.decthings.training_source import Asking
from jupyter_ext.client.sessions.model import save_state
from jupyter_ext.client.sessions.training import DebugTraining
from jupyter_ext.errors import InvalidInput, UnknownId
from jupyter_ext.ipc.decthings.codec import as_value
from jupyter_ext.protocol.decthings.answers import (
    DownloadedAnswer,
    EvaluateAnswer,
    KeptAnswer,
    StateKeySize,
    TrainStarted,
)
from jupyter_ext.protocol.decthings.definitions import ParameterDefinition, ParameterDefinitions
from jupyter_ext.protocol.decthings.tensors import Tensor

if TYPE_CHECKING:
    import pandas as pd

A = TypeVar("A")
SESSION_METHODS = ("create_state", "instantiate", "logs", "terminate")
MODEL_METHODS = ("train", "evaluate", "get_state")


class RemoteCalls(Asking, Protocol):
    """The session that models are in."""

    definitions: ParameterDefinitions

    def call_with(
        self,
        method: str,
        definitions: Sequence[ParameterDefinition],
        params: Mapping[str, object],
        answer: type[A],
        **more: Any,
    ) -> tuple[A, list[bytes]]:
        """Call a method that takes parameters, checked first."""

    def training(self, training_id: str, model_id: str = "") -> DebugTraining:
        """Return a handle of a training."""


class RemoteState:
    """A model's state in a session: bytes by key. `keys` gives the bytes of each key."""

    def __init__(self, session: Asking, state_id: str, keys: Sequence[StateKeySize]) -> None:
        self._session = session
        self.id = state_id
        self.keys = {str(item["key"]): int(item["byteSize"]) for item in keys}

    def __repr__(self) -> str:
        sizes = ", ".join(f"{key} {size:,} B" for key, size in self.keys.items())
        return f"<RemoteState {self.id}: {sizes}>"

    def download(self, *keys: str) -> dict[str, bytes]:
        """Return its bytes by key, all or those named.

        Raises:
            UnknownId: It has no such key.
        """
        wanted = {"keys": list(keys)} if keys else {}
        result, blobs = self._session.ask(
            "downloadStateData", {"dataId": self.id, **wanted}, answer=DownloadedAnswer
        )
        names = result.get("stateKeyNames") or result.get("weightKeyNames") or []
        return dict(zip(names, blobs, strict=True))

    def save(self, path: str | Path) -> None:
        """Write it to a .npz file, bytes as arrays of uint8."""
        save_state(path, self.download())


class RemoteModel:
    """An instantiated model in a session."""

    def __init__(self, session: RemoteCalls, model_id: str) -> None:
        self._session = session
        self._id = model_id

    def __repr__(self) -> str:
        return f"<RemoteModel {self.id}: {', '.join(MODEL_METHODS)}>"

    @property
    def id(self) -> str:
        """Its id in the session."""
        return self._id

    @property
    def methods(self) -> list[str]:
        """What a service can call on it."""
        return list(MODEL_METHODS)

    def train(self, *args: Any, anomaly: bool = False, **params: Any) -> DebugTraining:
        """Begin to train; sent once, whatever happens to the answer."""
        only_names(self._session.name, "train", args, anomaly)
        result, _ = self._session.call_with(
            "callTrain", self._session.definitions.train, params, TrainStarted, instantiatedModelId=self.id
        )
        return self._session.training(result["trainingSessionId"], self.id)

    def evaluate(self, *args: Any, anomaly: bool = False, **params: Any) -> dict[str, object]:
        """Evaluate; returns a value by name, or a list where an output has several tensors."""
        only_names(self._session.name, "evaluate", args, anomaly)
        result, blobs = self._session.call_with(
            "callEvaluate",
            self._session.definitions.evaluate_input,
            params,
            EvaluateAnswer,
            instantiatedModelId=self.id,
        )
        outputs = {}
        for output, blob in zip(result["output"], blobs, strict=True):
            values = [as_value(tensor) for tensor in Tensor.decode_many(blob)]
            outputs[output["name"]] = values[0] if len(values) == 1 else values
        return outputs

    def __call__(self, *args: Any, **params: Any) -> dict[str, object]:
        """Evaluate it."""
        return self.evaluate(*args, **params)

    def call(self, method: str, /, *args: Any, anomaly: bool = False, **params: Any) -> Any:
        """Call `train`, `evaluate` or `get_state` by name.

        Raises:
            UnknownId: A service can call no other.
        """
        if method not in MODEL_METHODS:
            raise UnknownId(f"{method!r} cannot be called on a service; {', '.join(MODEL_METHODS)} can.")
        if method == "get_state":
            return self.get_state()
        return getattr(self, method)(*args, anomaly=anomaly, **params)

    def step(self, *args: Any, **params: Any) -> Never:
        """Refuse: a service runs no single steps."""
        raise refusal(self._session.name, "step")

    def parameters(self, *, histograms: bool = False) -> pd.DataFrame:
        """Refuse: a service shows no parameters."""
        raise refusal(self._session.name, "parameters")

    def get_state(self) -> RemoteState:
        """Have the session keep a copy of its state (weights)."""
        result, _ = self._session.ask(
            "callGetModelState", {"instantiatedModelId": self.id}, answer=KeptAnswer
        )
        return state_of(self._session, result)

    def dispose(self) -> None:
        """Refuse: a service disposes of models when their session ends."""
        raise refusal(self._session.name, "dispose")


def state_of(session: Asking, result: KeptAnswer) -> RemoteState:
    """Return the handle of a state that a service has just kept."""
    return RemoteState(session, result["dataId"], result.get("state") or result.get("weights") or [])


def refusal(session_name: str, what: str) -> InvalidInput:
    """Return the error for something that a service cannot do."""
    offered = ", ".join((*SESSION_METHODS, *MODEL_METHODS))
    return InvalidInput(
        f"{what}: {session_name} runs on a service, which cannot do that; it offers {offered}."
    )


def only_names(session_name: str, method: str, args: Sequence[Any], anomaly: bool = False) -> None:
    """Refuse what a call on a service cannot carry.

    Raises:
        InvalidInput: There are arguments by position, or NaN is to be looked for.
    """
    if args:
        raise InvalidInput(f"{method}: {session_name} runs on a service, which takes arguments by name only.")
    if anomaly:
        raise refusal(session_name, f"{method}(anomaly=True)")
