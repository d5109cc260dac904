"""What a page's one list stream carries: trainings, debug sessions and models, then each that changes.

Source: docs/architecture/02-wire.md, "Lists".
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jupyter_ext.protocol.models import LocalModel, ModelPage
from jupyter_ext.protocol.sessions import DebugSession
from jupyter_ext.protocol.trainings import Resource, Training

ListName = Literal["trainings", "sessions", "models"]
LIST_NAMES: tuple[ListName, ...] = ("trainings", "sessions", "models")


class TrainingsPage(Resource):
    """The newest trainings and all that are not over; `counts` is of all there are, by status."""

    trainings: list[Training]
    counts: dict[str, int]


class EngineSummary(Resource):
    """What an engine says of itself. Memory of its own, of the trainings that run and of the models that are loaded, MiB."""

    version: str
    memory_mib: float
    trainings_mib: float = 0
    models_mib: float = 0
    problems: list[str] = Field(default_factory=list)
    """What is worked around, one line each."""
    idle_set_s: float | None = None
    """How long it stays without work or viewers, as a person has set it, seconds; `None` for what its environment says."""


class ListsMessage(Resource):
    """First message of a stream, and again for a viewer that did not keep up. `None` is a list not asked for."""

    kind: Literal["lists"] = "lists"
    trainings: TrainingsPage | None = None
    sessions: list[DebugSession] | None = None
    models: ModelPage | None = None
    engine: EngineSummary


class TrainingChanged(Resource):
    """A training is new or has changed; `counts` comes with a change of its status."""

    kind: Literal["training"] = "training"
    training: Training
    counts: dict[str, int] | None = None


class SessionChanged(Resource):
    """A debug session is new or has changed."""

    kind: Literal["session"] = "session"
    session: DebugSession


class ModelChanged(Resource):
    """A model is new or has changed."""

    kind: Literal["model"] = "model"
    model: LocalModel


class Removed(Resource):
    """One is gone from its list; `counts` comes with a training."""

    kind: Literal["removed"] = "removed"
    list: ListName
    id: str
    counts: dict[str, int] | None = None


class EngineChanged(Resource):
    """The engine has changed."""

    kind: Literal["engine"] = "engine"
    engine: EngineSummary


ListsStreamMessage = ListsMessage | TrainingChanged | SessionChanged | ModelChanged | Removed | EngineChanged
