"""What can be asked of a debug session wherever it runs: in a process of this machine, or on a service.

Rule: both kinds of session offer every member. What a service cannot do it refuses by name, with what it can.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from jupyter_ext.ipc.payloads.session_messages import CodeChange, Failure
from jupyter_ext.ipc.payloads.value_summaries import LocalValue
from jupyter_ext.protocol import sessions as protocol

if TYPE_CHECKING:
    import pandas as pd

    from jupyter_ext.client.sessions.training import DebugTraining


class StateHandle(Protocol):
    """A state (weights) that a session keeps."""

    id: str
    keys: dict[str, int]

    def download(self, *keys: str) -> Mapping[str, object]:
        """Return its values by key, all or those named."""

    def save(self, path: str | Path) -> None:
        """Write it to a .npz file."""


class ModelHandle(Protocol):
    """A model in a session."""

    @property
    def id(self) -> str:
        """Its id in the session."""

    @property
    def methods(self) -> list[str]:
        """What can be called on it by name."""

    def train(self, *args: Any, anomaly: bool = False, **params: Any) -> DebugTraining:
        """Begin to train and return at once."""

    def evaluate(self, *args: Any, anomaly: bool = False, **params: Any) -> Any:
        """Evaluate it."""

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Evaluate it."""

    def call(self, method: str, /, *args: Any, anomaly: bool = False, **params: Any) -> Any:
        """Call any of its methods by name."""

    def step(
        self,
        *args: Any,
        method: str | None = None,
        modules: list[str] | None = None,
        histograms: bool = False,
        anomaly: bool = False,
        **params: Any,
    ) -> Any:
        """Run one step by hand and see what it did."""

    def parameters(self, *, histograms: bool = False) -> pd.DataFrame:
        """Return parameters and gradients as a table."""

    def get_state(self) -> StateHandle:
        """Have the session keep a copy of its state (weights)."""

    def dispose(self) -> None:
        """Let go of it."""


class SessionHandle(Protocol):
    """A debug session."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def name(self) -> str:
        """What the user called it."""

    @property
    def status(self) -> str:
        """One of `starting`, `running`, `ended`."""

    @property
    def ended(self) -> str | None:
        """How it ended; `None` until it has."""

    @property
    def models(self) -> Sequence[ModelHandle]:
        """The models in it, the oldest first."""

    @property
    def functions(self) -> list[str]:
        """Names of the functions of its code that can be called."""

    @property
    def trainings(self) -> list[DebugTraining]:
        """The trainings in it, the oldest first; also when it has ended."""

    def __enter__(self) -> Self:
        """Begin to use it."""

    def __exit__(self, *error: Any) -> None:
        """Terminate it."""

    def create_state(self, *args: Any, **params: Any) -> StateHandle:
        """Make a first state (weights), kept in the session."""

    def instantiate(self, *args: Any, state: Any = None, **params: Any) -> ModelHandle:
        """Make a model of the session's code, with a state where one is given."""

    def upload_state(self, values: Mapping[str, object]) -> StateHandle:
        """Have the session keep a state that is here."""

    def call(self, function: str, /, *args: Any, anomaly: bool = False, **params: Any) -> Any:
        """Call a function of the session's code by name."""

    def update(self, thing: Any) -> CodeChange:
        """Replace the session's code."""

    def value(self, expression: str, *, frame: int | None = None) -> Any:
        """Return the value of an expression."""

    def look(self, expression: str, *, frame: int | None = None) -> Any:
        """Describe the value of an expression without fetching it."""

    def locals(self, frame: int | None = None) -> list[LocalValue]:
        """Describe names and values of a frame."""

    def frames(self, select: int | None = None) -> Failure:
        """Describe the last failure and its frames."""

    def stacks(self) -> str:
        """Return where each of its threads stands now."""

    def interrupt(self) -> str | None:
        """Interrupt what it does; returns what that was."""

    def attach(self, *, port: bool = False, force: bool = False) -> protocol.Endpoint:
        """Open an endpoint for a debugger."""

    def logs(self, tail: int | None = None, stream: str = "stdout") -> str:
        """Return what it printed, or the last lines of it."""

    def terminate(self) -> Self:
        """End it, and all models in it."""

    def follow(self) -> Iterator[protocol.DebugSession]:
        """Yield it now and whenever it changed, until it has ended."""
