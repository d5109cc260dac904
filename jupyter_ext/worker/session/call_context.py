"""What a call to a session asks about: its arguments, and the models, states and trainings that it names.

Rule: what is not there is refused by its name, with what is. Standard library, and what the values bring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_ext.ipc import values
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.channel_server import Call
from jupyter_ext.ipc.decthings import codec
from jupyter_ext.ipc.payloads.session_messages import SessionParams, StateAnswer, StateKey
from jupyter_ext.worker.session.inspection.post_mortem import PostMortem
from jupyter_ext.worker.session.runtime import arguments as session_arguments
from jupyter_ext.worker.session.runtime.state import InstantiatedModel, SessionState
from jupyter_ext.worker.session.runtime.trainings import Training, new_id

Answer = tuple[Mapping[str, object], Sequence[Any]]
SessionCall = Call[SessionParams]


class CallContext:
    """Finds what calls name.

    Args:
        state: The session's.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state

    def arguments(self, call: SessionCall) -> session_arguments.Arguments:
        """Decode the arguments of a call."""
        try:
            return session_arguments.decode(call.params, call.blobs)
        except (ValueError, TypeError, ImportError) as error:
            raise invalid("args", str(error)) from error

    def as_bytes(self, state: Mapping[str, object]) -> dict[str, bytes]:
        """Return a state as Decthings' bytes by key."""
        try:
            return codec.encode_state(state)
        except TypeError as error:
            raise CallError({"code": "not_offered", "message": str(error)}) from error

    def encoded(self, value: Any, encoding: str, op: str) -> tuple[Any, Sequence[Any]]:
        """Encode what a call gives."""
        try:
            return session_arguments.ENCODERS[encoding](value)
        except TypeError as error:
            code = "invalid_output" if encoding == "decthings" else "not_offered"
            raise CallError({"code": code, "message": f"what {op} gave cannot be sent: {error}"}) from error

    def source(self) -> Any:
        """Return what models are made from."""
        if self._state.code.source is None:
            message = (
                "the session's code defines no class and no variable `model`; define one, or call functions"
            )
            raise CallError({"code": "not_offered", "message": message})
        return self._state.code.source

    def model(self, call: SessionCall) -> InstantiatedModel:
        """Return the model that a call names, or the only one."""
        model_id = call.params.get("model_id")
        if model_id is None and len(self._state.models) == 1:
            return next(iter(self._state.models.values()))
        found = self._state.models.get(str(model_id))
        if found is None:
            known = ", ".join(self._state.models) or "none; instantiate one first"
            message = f"there is no instantiated model {model_id!r}; there are: {known}"
            raise CallError({"code": "model_not_found", "message": message})
        return found

    def training(self, call: SessionCall) -> Training:
        """Return the training that a call names."""
        training_id = call.params.get("training_id")
        found = self._state.trainings.get(str(training_id))
        if found is None:
            message = f"there is no training {training_id!r} in this session"
            raise CallError({"code": "training_not_found", "message": message})
        return found

    def failure(self) -> PostMortem:
        """Return the last exception."""
        if self._state.failure is None:
            raise CallError(
                {
                    "code": "no_failure",
                    "message": "no call of this session has failed since the last good one",
                }
            )
        return self._state.failure

    async def given_state(self, call: SessionCall) -> Mapping[str, object] | None:
        """Return the state that a call names or brings, or `None`."""
        if call.params.get("state_id") is not None:
            return self.kept_state(call)
        if call.params.get("keys") is not None:
            given = dict(zip(call.params["keys"], map(bytes, call.blobs), strict=True))
            return given if self.source().kind == "executor" else codec.decode_state(given)
        if call.params.get("state") is None:
            return None
        try:
            state = values.decode(call.params["state"], call.blobs)
        except ValueError as error:
            raise invalid("state", str(error)) from error
        if not isinstance(state, dict):
            raise invalid("state", "it is no mapping of keys to values")
        return state

    def keep_state(self, state: Mapping[str, object]) -> StateAnswer:
        """Keep a state; returns its id and the bytes of its keys."""
        state_id = new_id()
        self._state.states[state_id] = dict(state)
        keys: list[StateKey] = [{"key": key, "bytes": size_of(value)} for key, value in state.items()]
        return {"state_id": state_id, "keys": keys}

    def kept_state(self, call: SessionCall) -> Mapping[str, object]:
        """Return the state that a call names."""
        state_id = call.params.get("state_id")
        found = self._state.states.get(str(state_id))
        if found is None:
            message = f"there is no state {state_id!r} in this session"
            raise CallError({"code": "state_not_found", "message": message})
        return found


def text_of(call: SessionCall, name: str) -> str:
    """Return a parameter that must be a text."""
    found = call.params.get(name)
    if found is None or not isinstance(found, str | int) or found == "":
        raise invalid(name, "it must be given")
    return str(found)


def invalid(name: str, reason: str) -> CallError:
    """Make the refusal of a parameter."""
    return CallError({"code": "invalid_parameter", "message": f"{name}: {reason}", "parameter": name})


def copied(value: Any) -> Any:
    """Copy what a model may write into later."""
    if hasattr(value, "detach"):
        return value.detach().clone()
    return value.copy() if hasattr(value, "dtype") and hasattr(value, "copy") else value


def size_of(value: Any) -> int:
    """Return the bytes of a value of a state."""
    size = getattr(value, "nbytes", None)
    return int(size) if size is not None else len(value) if isinstance(value, bytes | str) else 0
