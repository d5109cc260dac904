"""A debug session on Decthings' service, as one on this machine: keyword parameters, live metrics, output under the cell.

Rule: parameters are checked against the model's definitions before a byte is sent; the error names the argument.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from jupyter_ext.client.decthings.events import RemoteOutput
from jupyter_ext.client.requests.decthings import Service, service
from jupyter_ext.errors import InvalidInput, SessionCallFailed, TrainingCanceled, UnknownId
from jupyter_ext.ipc.decthings_codec import as_value
from jupyter_ext.protocol.decthings.columns import column, encode_entry
from jupyter_ext.protocol.decthings.definitions import (
    DefinitionError,
    ParameterDefinition,
    ParameterDefinitions,
    check,
    parse_definitions,
)
from jupyter_ext.protocol.decthings.framing import MAX_BLOBS
from jupyter_ext.protocol.decthings.tensors import Header, Tensor, WireError, infer

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_SPEC: Mapping[str, Any] = {"cpus": 1, "memoryMebibytes": 1024}
_POLL_S = (0.05, 1.0)
_METRICS_AT_ONCE = 1000


_sessions: dict[str, RemoteSession] = {}
"""Sessions on services, by the name that this process calls them."""


class RemoteKey:
    """A key of a dataset that the service has: a parameter for `train` and `evaluate`."""

    def __init__(self, dataset_id: str, key: str) -> None:
        self.dataset_id = dataset_id
        self.key = key


class RemoteSession:
    """A debug session on a service. As a context manager it is terminated at the end."""

    def __init__(
        self, on: Service, session_id: str, definitions: ParameterDefinitions, name: str | None = None
    ) -> None:
        self._service = on
        self.id = session_id
        self.name = name or session_id
        self.definitions = definitions
        self.output = RemoteOutput(on, session_id)
        self.models: list[RemoteModel] = []
        _sessions[self.name] = self

    def __repr__(self) -> str:
        state = "runs" if self.output.exit is None else f"ended ({self.output.exit.get('code')})"
        return f"<RemoteSession {self.name} {self.id} on {self._service.base_url} {state}>"

    def __enter__(self) -> RemoteSession:
        """Begin to use it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Terminate it: an idle one would go on to cost."""
        self.terminate()

    def logs(self, tail: int | None = None, stream: str = "stdout") -> str:
        """Give what it has printed since it was launched here, or the last lines of that."""
        text = self.output.text(stream)
        return text if tail is None else "".join(text.splitlines(keepends=True)[-tail:])

    def called(self, method: str, params: Mapping[str, Any], model_id: str | None = None) -> Any:
        """Do what `%debug_call` asks.

        Raises:
            UnknownId: There is no such model, or nothing of this name can be called on a service.
        """
        if method in ("create_state", "instantiate"):
            return getattr(self, method)(**params)
        chosen = [one for one in self.models if model_id is None or one.id.startswith(model_id)]
        if not chosen:
            raise UnknownId(
                f"Session {self.name} has no such model: %debug_call {self.name}.instantiate makes one."
            )
        if method not in ("train", "evaluate", "get_state"):
            offered = "create_state, instantiate, train, evaluate, get_state"
            raise UnknownId(f"{method!r} cannot be called on a service; {offered} can.")
        return getattr(chosen[-1], method)(**params)

    def create_state(self, **params: Any) -> RemoteState:
        """Have the model make a first state."""
        result, _ = self.call("callCreateModelState", self.definitions.create_state, params)
        return RemoteState(self, result["dataId"], result.get("state") or result.get("weights") or [])

    def instantiate(self, state: RemoteState | Mapping[str, bytes] | None = None) -> RemoteModel:
        """Make a model: of a state of this session, of bytes by key, or of a state that it makes first."""
        given = self.create_state() if state is None else state
        if isinstance(given, RemoteState):
            data: dict[str, Any] = {"type": "dataId", "dataId": given.id}
            result, _ = self.ask("callInstantiateModel", {"stateData": data})
        else:
            keys = list(given)
            data = {"type": "data", "stateKeyNames": keys}
            result, _ = self.ask(
                "callInstantiateModel", {"stateData": data, "stateKeyNames": keys}, list(given.values())
            )
        self.models.append(RemoteModel(self, result["instantiatedModelId"]))
        return self.models[-1]

    def trainings(self) -> list[RemoteTraining]:
        """List the session's trainings, also those whose start's answer was lost."""
        result, _ = self._service.call("Debug/getDebugSessions", {"debugSessionIds": [self.id]})
        sessions = result["debugSessions"]
        found = sessions[0]["trainingSessions"] if sessions else []
        return [RemoteTraining(self, one["id"]) for one in found]

    def terminate(self) -> RemoteSession:
        """End it; one that has ended already stays so."""
        with contextlib.suppress(UnknownId):
            self.ask("terminateDebugSession", {})
        _sessions.pop(self.name, None)
        return self

    def call(
        self, method: str, definitions: Sequence[ParameterDefinition], params: Mapping[str, Any], **more: Any
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Call a method that takes parameters, checked first."""
        entries, blobs = encode_parameters(definitions, params)
        return self.ask(method, {**more, "params": entries}, blobs)

    def ask(
        self, method: str, params: Mapping[str, Any], blobs: Sequence[bytes] = ()
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Call a method of this session."""
        return self._service.call(f"Debug/{method}", {"debugSessionId": self.id, **params}, blobs)


class RemoteState:
    """A model's state in a session: bytes by key."""

    def __init__(self, session: RemoteSession, state_id: str, keys: Sequence[Mapping[str, Any]]) -> None:
        self._session = session
        self.id = state_id
        self.sizes = {str(item["key"]): int(item["byteSize"]) for item in keys}

    def __repr__(self) -> str:
        return (
            f"<RemoteState {self.id}: {', '.join(f'{key} {size:,} B' for key, size in self.sizes.items())}>"
        )

    def download(self, keys: Sequence[str] | None = None) -> dict[str, bytes]:
        """Give its bytes."""
        wanted = {} if keys is None else {"keys": list(keys)}
        result, blobs = self._session.ask("downloadStateData", {"dataId": self.id, **wanted})
        names = result.get("stateKeyNames") or result.get("weightKeyNames") or []
        return dict(zip(names, blobs, strict=True))

    def save(self, path: str | Path) -> None:
        """Write it to a .npz file, bytes as arrays of uint8."""
        import numpy

        arrays: Any = {key: numpy.frombuffer(data, "u1") for key, data in self.download().items()}
        numpy.savez(path, **arrays)


class RemoteModel:
    """An instantiated model in a session."""

    def __init__(self, session: RemoteSession, model_id: str) -> None:
        self._session = session
        self.id = model_id

    def train(self, **params: Any) -> RemoteTraining:
        """Begin to train; sent once, whatever happens to the answer."""
        result, _ = self._session.call(
            "callTrain", self._session.definitions.train, params, instantiatedModelId=self.id
        )
        return RemoteTraining(self._session, result["trainingSessionId"])

    def evaluate(self, **params: Any) -> dict[str, Any]:
        """Evaluate; gives a value by name, or a list where an output has several tensors."""
        result, blobs = self._session.call(
            "callEvaluate", self._session.definitions.evaluate_input, params, instantiatedModelId=self.id
        )
        outputs = {}
        for output, blob in zip(result["output"], blobs, strict=True):
            values = [as_value(tensor) for tensor in Tensor.decode_many(blob)]
            outputs[output["name"]] = values[0] if len(values) == 1 else values
        return outputs

    def get_state(self) -> RemoteState:
        """Take its state."""
        result, _ = self._session.ask("callGetModelState", {"instantiatedModelId": self.id})
        return RemoteState(
            self._session, result["dataId"], result.get("state") or result.get("weights") or []
        )


class RemoteTraining:
    """A training in a session."""

    def __init__(self, session: RemoteSession, training_id: str) -> None:
        self._session = session
        self.id = training_id
        self._points: dict[str, list[tuple[float, Any]]] = {}

    def status(self) -> dict[str, Any]:
        """Describe it as the service does: `state`, `progress`, `failReason` …"""
        return dict(self._told()["status"])

    def cancel(self) -> None:
        """Cancel it."""
        self._session.ask("cancelTrainingSession", {"trainingSessionId": self.id})

    def follow(self) -> Iterator[tuple[str, float, Any]]:
        """Yield `(name, Unix time, value)` of each metric as it comes, until the training is over."""
        pause_s = _POLL_S[0]
        while True:
            told, found = self._told(), False
            for name, at, value in self._new_points(told["metrics"]):
                found = True
                yield name, at, value
            if told["status"]["state"] not in ("running", "starting"):
                return
            pause_s = _POLL_S[0] if found else min(_POLL_S[1], pause_s * 1.5)
            time.sleep(pause_s)

    def wait(self) -> RemoteTraining:
        """Wait until it is over.

        Raises:
            SessionCallFailed: Its code raised.
            TrainingCanceled: It was canceled.
        """
        for _ in self.follow():
            continue
        status = self.status()
        reason = status.get("failReason") or {}
        if reason.get("code") == "cancelled":
            raise TrainingCanceled(f"Training {self.id} was canceled.")
        if status["state"] == "failed":
            raise SessionCallFailed(str(reason.get("exceptionDetails") or reason.get("code")).strip())
        return self

    def metrics(self) -> pd.DataFrame:
        """Give all points so far: `metric`, `time` (Unix seconds) and `value`, numbers where they are."""
        import pandas as pd

        list(self._new_points(self._told()["metrics"]))
        records = [(name, at, value) for name, points in self._points.items() for at, value in points]
        return pd.DataFrame(records, columns=["metric", "time", "value"])

    def _told(self) -> dict[str, Any]:
        return self._session.ask("getTrainingStatus", {"trainingSessionId": self.id})[0]

    def _new_points(self, metrics: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float, Any]]:
        for metric in metrics:
            points = self._points.setdefault(metric["name"], [])
            while len(points) < metric["amount"]:
                amount = min(_METRICS_AT_ONCE, metric["amount"] - len(points))
                one = {"name": metric["name"], "startIndex": len(points), "amount": amount}
                result, blobs = self._session.ask(
                    "getTrainingMetrics", {"trainingSessionId": self.id, "metrics": [one]}
                )
                entries = result["metrics"][0]["entries"]
                if not entries:
                    break
                for entry, blob in zip(entries, blobs, strict=True):
                    tensor, _ = Tensor.decode(blob)
                    value = tensor.item() if not tensor.shape else as_value(tensor)
                    points.append((entry["timestamp"] / 1000, value))
                    yield metric["name"], *points[-1]


def launch(
    model: str,
    *,
    on: str = "decthings",
    name: str | None = None,
    inactive_s: float = 1800.0,
    launcher: str | None = None,
    spec: Mapping[str, Any] = DEFAULT_SPEC,
) -> RemoteSession:
    """Launch a debug session of a model that a service has.

    Args:
        model: The model's id there.
        on: `decthings`, or a base URL.
        name: What to call it here; by default its id.
        inactive_s: The service ends it after this long without a call, seconds.
        launcher: Id of a persistent launcher.
        spec: What a temporary launcher is to have: `cpus`, `memoryMebibytes` …
    """
    there = service(on)
    location = (
        {"type": "temporaryLauncher", "spec": dict(spec)}
        if launcher is None
        else {"type": "persistentLauncher", "persistentLauncherId": launcher}
    )
    options = {"terminateAfterInactiveSeconds": int(inactive_s)}
    params = {"modelId": model, "executionLocation": location, "options": options}
    result, _ = there.call("Debug/launchDebugSession", params)
    return attach(result["debugSessionId"], on=on, name=name)


def launch_of(model: Any, on: str, name: str | None, inactive_s: float | None) -> RemoteSession:
    """Launch as `jx.debug(model, on=…)` does.

    Raises:
        InvalidInput: `model` is no id: a service debugs models that it has, not code of the notebook.
    """
    if not isinstance(model, str):
        raise InvalidInput(f"{on} debugs models that it has, not code of the notebook; give the id of one.")
    if inactive_s is None:
        raise InvalidInput("inactive_s=None: a service has no session that never ends; give seconds.")
    return launch(model, on=on, name=name, inactive_s=inactive_s)


def known(name: str) -> RemoteSession | None:
    """Give a session on a service that this process launched or attached to, by its name or id."""
    for session in _sessions.values():
        if name in (session.name, session.id):
            return session
    return None


def attach(session_id: str, *, on: str = "decthings", name: str | None = None) -> RemoteSession:
    """Give a session that runs on a service.

    Raises:
        InvalidInput: There is none of this id.
    """
    there = service(on)
    result, _ = there.call("Debug/getDebugSessions", {"debugSessionIds": [session_id]})
    if not result["debugSessions"]:
        raise InvalidInput(f"{there.base_url} has no debug session {session_id!r} that runs.")
    definitions = parse_definitions(result["debugSessions"][0].get("parameterDefinitions"))
    return RemoteSession(there, session_id, definitions, name)


def upload_dataset(
    name: str, *, on: str = "decthings", description: str = "", **columns: Any
) -> dict[str, RemoteKey]:
    """Make a dataset on a service, in as many requests as its 255 tensors each need; gives its keys.

    Raises:
        InvalidInput: The columns differ in length, or no tensor holds their values.
    """
    there = service(on)
    try:
        found = sorted((column(key, value) for key, value in columns.items()), key=lambda each: each.name)
    except WireError as error:
        raise InvalidInput(str(error)) from None
    counts = {each.name: len(each) for each in found}
    if len(set(counts.values())) != 1:
        raise InvalidInput(f"The columns differ in length: {counts}.")
    definitions = [each.definition() for each in found]
    made, _ = there.call(
        "Dataset/createDataset", {"name": name, "description": description, "keys": definitions}
    )
    version, step = made["datasetVersionId"], MAX_BLOBS // len(found)
    for begin in range(0, len(found[0]), step):
        rows = range(begin, min(len(found[0]), begin + step))
        blobs = [each.encode(row, row + 1) for row in rows for each in found]
        params = {
            "datasetId": made["datasetId"],
            "keys": [each.name for each in found],
            "datasetVersionId": version,
        }
        added, _ = there.call("Dataset/addEntries", params, blobs)
        version = added["newDatasetVersionId"]
    return {each.name: RemoteKey(made["datasetId"], each.name) for each in found}


def encode_parameters(
    definitions: Sequence[ParameterDefinition], params: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Give the parameters of a call and their blobs.

    A value is one tensor; where the definition has one dimension less than it, each of its rows is one. A list is a tensor per
    item, unless the definition says that it is one.

    Raises:
        InvalidInput: An argument is missing, unknown, or is not what the definition says; the text names it.
    """
    known = {definition.name: definition for definition in definitions}
    entries: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    headers: dict[str, list[Header] | None] = {}
    for name, value in params.items():
        if isinstance(value, RemoteKey):
            data = {"type": "dataset", "datasetId": value.dataset_id, "datasetKey": value.key}
            entries.append({"name": name, "data": data})
            headers[name] = None
            continue
        try:
            tensors = _tensors(name, value, known.get(name))
        except WireError as error:
            raise InvalidInput(str(error)) from None
        headers[name] = [Header(tensor.type, tensor.shape, 0, 0) for tensor in tensors]
        entries.append({"name": name})
        blobs.append(b"".join(encode_entry(tensor) for tensor in tensors))
    try:
        check(definitions, headers)
    except DefinitionError as error:
        raise InvalidInput(f"{error.parameter} {error.reason}; nothing was sent.") from None
    return entries, blobs


def _tensors(name: str, value: Any, definition: ParameterDefinition | None) -> list[Tensor]:
    dims = None if definition is None else len(definition.rules.shape)
    if isinstance(value, list | tuple):
        whole = _depth(value) == dims
        if not whole:
            return [infer(item, f"{name}, tensor {n}") for n, item in enumerate(value)]
    tensor = infer(value, name)
    if dims is not None and len(tensor.shape) == dims + 1:
        rows = tensor.numpy()
        return [infer(rows[n], name) for n in range(len(rows))]
    return [tensor]


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list | tuple):
        depth += 1
        value = value[0] if value else None
    return depth + len(getattr(value, "shape", ()))
