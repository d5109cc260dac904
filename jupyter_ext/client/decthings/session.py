"""A debug session on Decthings' service, as one on this machine: keyword parameters, live metrics, output under the cell.

Rule: what a service cannot do is refused by name; parameters are checked against the model's definitions before a byte is sent.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Never

from typing_extensions import TypeVar

from jupyter_ext.client.decthings.events import RemoteOutput
from jupyter_ext.client.decthings.model import RemoteModel, RemoteState, only_names, refusal, state_of
from jupyter_ext.client.decthings.parameters import encode_parameters
from jupyter_ext.client.decthings.training_source import ServiceTrainings
from jupyter_ext.client.requests.decthings import Service
from jupyter_ext.client.sessions.training import DebugTraining
from jupyter_ext.errors import InvalidInput, UnknownId
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.ipc.payloads.session_messages import CodeChange, Failure
from jupyter_ext.ipc.payloads.value_summaries import LocalValue
from jupyter_ext.protocol import sessions as protocol
from jupyter_ext.protocol.decthings.answers import InstantiatedAnswer, KeptAnswer, SessionsAnswer
from jupyter_ext.protocol.decthings.definitions import ParameterDefinition, ParameterDefinitions

open_sessions: dict[str, RemoteSession] = {}
"""Sessions on services, by the name that this process calls them."""


A = TypeVar("A", default=JsonObject)


class RemoteSession:
    """A debug session on a service. As a context manager it is terminated at the end."""

    id: str
    name: str

    def __init__(
        self, on: Service, session_id: str, definitions: ParameterDefinitions, name: str | None = None
    ) -> None:
        self._service = on
        self._trainings: dict[str, DebugTraining] = {}
        self._models: list[RemoteModel] = []
        self.id = session_id
        self.name = name or session_id
        self.definitions = definitions
        self.output = RemoteOutput(on, session_id)
        open_sessions[self.name] = self

    def __repr__(self) -> str:
        state = "runs" if self.output.exit is None else f"ended ({self.output.exit.get('code')})"
        return f"<RemoteSession {self.name} {self.id} on {self._service.base_url} {state}>"

    def __enter__(self) -> RemoteSession:
        """Begin to use it."""
        return self

    def __exit__(self, *error: object) -> None:
        """Terminate it: an idle one would go on to cost."""
        self.terminate()

    @property
    def status(self) -> str:
        """One of `starting`, `running`, `ended`."""
        if self.output.exit is not None:
            return "ended"
        return "running" if self.output.initialized.is_set() else "starting"

    @property
    def ended(self) -> str | None:
        """How it ended; `None` until it has."""
        exit = self.output.exit
        if exit is None:
            return None
        details = str(exit.get("exceptionDetails") or "").strip()
        return (
            details.splitlines()[-1]
            if details
            else str(exit.get("code", "unknown")).replace("_", " ").capitalize()
        )

    @property
    def models(self) -> list[RemoteModel]:
        """The models that were made through this handle, the oldest first; a service lists none."""
        return list(self._models)

    @property
    def functions(self) -> list[str]:
        """No names: a service calls models only."""
        return []

    @property
    def trainings(self) -> list[DebugTraining]:
        """The trainings in it, the oldest first, also those whose start's answer was lost; when it has ended, those known here."""
        result, _ = self._service.call(
            "Debug/getDebugSessions", {"debugSessionIds": [self.id]}, answer=SessionsAnswer
        )
        for session in result["debugSessions"]:
            for one in session["trainingSessions"]:
                if one["id"] not in self._trainings:
                    self.training(one["id"], created_at=one["createdAt"] / 1000)
        return list(self._trainings.values())

    def training(
        self, training_id: str, model_id: str = "", created_at: float | None = None
    ) -> DebugTraining:
        """Return a handle of a training that has been started, and keep it."""
        resource = protocol.DebugTraining(
            id=training_id,
            model_id=model_id,
            state="running",
            progress=0.0,
            created_at=time.time() if created_at is None else created_at,
        )
        self._trainings[training_id] = DebugTraining(ServiceTrainings(self), resource)
        return self._trainings[training_id]

    def logs(self, tail: int | None = None, stream: str = "stdout") -> str:
        """Return what it has printed since it was launched here, or the last lines of that."""
        text = self.output.text(stream)
        return text if tail is None else "".join(text.splitlines(keepends=True)[-tail:])

    def create_state(self, *args: Any, **params: Any) -> RemoteState:
        """Have the model make a first state."""
        only_names(self.name, "create_state", args)
        result, _ = self.call_with("callCreateModelState", self.definitions.create_state, params, KeptAnswer)
        return state_of(self, result)

    def instantiate(
        self, *args: Any, state: RemoteState | Mapping[str, bytes] | None = None, **params: Any
    ) -> RemoteModel:
        """Make a model.

        Args:
            *args: Refused: a service takes arguments by name.
            state: A state of this session, or bytes by key; without one, a first state is made.
            **params: What that first state is made with.
        """
        only_names(self.name, "instantiate", args)
        if state is not None and params:
            raise InvalidInput(
                f"instantiate: {next(iter(params))} is for a first state, but state= was given."
            )
        given = self.create_state(**params) if state is None else state
        asked: dict[str, object] = (
            {"stateData": {"type": "dataId", "dataId": given.id}}
            if isinstance(given, RemoteState)
            else {"stateData": {"type": "data", "stateKeyNames": list(given)}, "stateKeyNames": list(given)}
        )
        blobs = () if isinstance(given, RemoteState) else tuple(given.values())
        result, _ = self.ask("callInstantiateModel", asked, blobs, InstantiatedAnswer)
        self._models.append(RemoteModel(self, result["instantiatedModelId"]))
        return self._models[-1]

    def terminate(self) -> RemoteSession:
        """End it; one that has ended already stays so."""
        with contextlib.suppress(UnknownId):
            self.ask("terminateDebugSession", {})
        open_sessions.pop(self.name, None)
        return self

    def call_with(
        self,
        method: str,
        definitions: Sequence[ParameterDefinition],
        params: Mapping[str, object],
        answer: type[A],
        **more: Any,
    ) -> tuple[A, list[bytes]]:
        """Call a method that takes parameters, checked first."""
        entries, blobs = encode_parameters(definitions, params)
        return self.ask(method, {**more, "params": entries}, blobs, answer)

    def ask(
        self,
        method: str,
        params: Mapping[str, object],
        blobs: Sequence[bytes] = (),
        answer: type[A] | None = None,
    ) -> tuple[A, list[bytes]]:
        """Call a method of this session."""
        return self._service.call(f"Debug/{method}", {"debugSessionId": self.id, **params}, blobs, answer)

    # -- what a service cannot do ------------------------------------------------------------------------------------

    def call(self, function: str, /, *args: Any, anomaly: bool = False, **params: Any) -> Never:
        """Refuse: a service calls models only."""
        raise refusal(self.name, f"call({function!r})")

    def upload_state(self, values: Mapping[str, object]) -> Never:
        """Refuse: a service takes a state with `instantiate(state=…)`."""
        raise refusal(self.name, "upload_state")

    def update(self, thing: Any) -> CodeChange:
        """Refuse: a service has the model's code."""
        raise refusal(self.name, "update")

    def value(self, expression: str, *, frame: int | None = None) -> Never:
        """Refuse: a service evaluates no expressions."""
        raise refusal(self.name, "value")

    def look(self, expression: str, *, frame: int | None = None) -> Never:
        """Refuse: a service evaluates no expressions."""
        raise refusal(self.name, "look")

    def locals(self, frame: int | None = None) -> list[LocalValue]:
        """Refuse: a service keeps no frames."""
        raise refusal(self.name, "locals")

    def frames(self, select: int | None = None) -> Failure:
        """Refuse: a service keeps no frames."""
        raise refusal(self.name, "frames")

    def stacks(self) -> str:
        """Refuse: a service shows no stacks."""
        raise refusal(self.name, "stacks")

    def interrupt(self) -> str | None:
        """Refuse: a service interrupts nothing; trainings can be canceled."""
        raise refusal(self.name, "interrupt")

    def attach(self, *, port: bool = False, force: bool = False) -> protocol.Endpoint:
        """Refuse: a service opens no endpoint."""
        raise refusal(self.name, "attach")

    def follow(self) -> Iterator[protocol.DebugSession]:
        """Refuse: a service tells of output and its exit only; `output` has them."""
        raise refusal(self.name, "follow")
