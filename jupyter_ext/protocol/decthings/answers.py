"""Answers of Decthings' Debug API, for the engine that gives them and the notebook that reads a service's.

Times of day are milliseconds since 1970. Source: Decthings' API reference, "Debug".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NotRequired, TypedDict

from jupyter_ext.protocol.decthings.definitions import DefinitionsJson


class LaunchAnswer(TypedDict):
    """A session that is being launched."""

    debugSessionId: str


class StateKeySize(TypedDict):
    """A key of a state and its size."""

    key: str
    byteSize: int


class KeptAnswer(TypedDict):
    """A state that a session keeps, in either vocabulary."""

    dataId: str
    state: NotRequired[list[StateKeySize]]
    weights: NotRequired[list[StateKeySize]]


class DownloadedAnswer(TypedDict):
    """The keys whose bytes are the blobs, in either vocabulary."""

    stateKeyNames: NotRequired[list[str]]
    weightKeyNames: NotRequired[list[str]]


class InstantiatedAnswer(TypedDict):
    """A model that was made."""

    instantiatedModelId: str


class TrainStarted(TypedDict):
    """A training that begins."""

    trainingSessionId: str


class NamedOutput(TypedDict):
    """An output, whose tensors are a blob."""

    name: str


class EvaluateAnswer(TypedDict):
    """What a model gave."""

    output: list[NamedOutput]


class FailReason(TypedDict):
    """Why a training failed."""

    code: str
    exceptionDetails: NotRequired[str]


class TrainingState(TypedDict):
    """How a training stands; durations in milliseconds."""

    state: Literal["starting", "running", "completed", "failed"]
    progress: NotRequired[float]
    finishedAt: NotRequired[int]
    trainDuration: NotRequired[int]
    failReason: NotRequired[FailReason]


class MetricAmount(TypedDict):
    """A metric and how many points it has."""

    name: str
    amount: int


class TrainingStatus(TypedDict):
    """The answer of `getTrainingStatus`."""

    id: str
    createdAt: int
    metrics: list[MetricAmount]
    status: TrainingState


class MetricEntry(TypedDict):
    """When a point was reported; its tensor is a blob."""

    timestamp: int


class MetricEntries(TypedDict):
    """Some points of a metric."""

    name: str
    startIndex: int
    entries: list[MetricEntry]


class MetricsAnswer(TypedDict):
    """The answer of `getTrainingMetrics`."""

    metrics: list[MetricEntries]


class TrainingItem(TypedDict):
    """A training in a session's list."""

    id: str
    createdAt: int
    state: str


class SessionItem(TypedDict):
    """A session in the list of those that run."""

    id: str
    startedAt: int
    modelId: str
    parameterDefinitions: DefinitionsJson
    trainingSessions: list[TrainingItem]
    executionLocation: Mapping[str, object]


class SessionsAnswer(TypedDict):
    """The answer of `getDebugSessions`."""

    debugSessions: list[SessionItem]


class DatasetCreated(TypedDict):
    """The answer of `createDataset`."""

    datasetId: str
    datasetVersionId: str


class EntriesAdded(TypedDict):
    """The answer of `addEntries`."""

    newDatasetVersionId: str


class EntriesAnswer(TypedDict):
    """The answer of `getEntries`: the entries that there are, a blob for each key in this order."""

    keys: list[str]
    indexes: list[int]
