"""Model: create, get, update, delete; its states, trainings and evaluations have modules of their own.

A model's code is uploaded as `options = {type: "upload", format: "python"}` with a zip archive or a `main.py` as its blob; the
service's own formats (tflite, onnx) and its file system are not here.

Source: Decthings' API reference, "Model", and the reference clients for Python 0.0.4 and JavaScript.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any, TypedDict

from jupyter_ext.engine.api.decthings.listing import LOCAL_OWNER, ListItem, page, tags_of
from jupyter_ext.engine.api.decthings.locations import LOCAL_SPEC, Locations
from jupyter_ext.engine.api.decthings.model_evaluations import ModelEvaluationRpc
from jupyter_ext.engine.api.decthings.model_lookup import ModelLookup
from jupyter_ext.engine.api.decthings.model_states import ModelStateRpc
from jupyter_ext.engine.api.decthings.model_trainings import ModelTrainingRpc
from jupyter_ext.engine.api.decthings.rpc.calls import Answer, Call, Invalid, Refusal
from jupyter_ext.engine.api.decthings.rpc.dispatch import Methods
from jupyter_ext.engine.api.decthings.sessions import SessionCalls, milliseconds
from jupyter_ext.engine.decthings.model_runs import ModelRuns
from jupyter_ext.engine.decthings.model_store import (
    MAIN,
    BadArchive,
    ModelAbout,
    ModelStore,
    StoredModel,
    StoredState,
    unpack,
)
from jupyter_ext.engine.decthings.places import LauncherSpec
from jupyter_ext.protocol.decthings.definitions import DefinitionError, DefinitionsJson, parse_definitions

_LANGUAGES = ("go", "javascript", "typescript", "python", "rust")
_COPIES = ("fromExisting", "basedOnModelSnapshot", "basedOnModel", "duplicateExisting")
_DURATIONS = {
    "codeStartup": "codeStartup",
    "instantiateModel": "instantiateModel",
    "createState": "createState",
    "initializeWeights": "createState",
    "train": "train",
    "evaluate": "evaluate",
}
"""Limits of time that a client may set, and what they are called here."""
EMPTY_MAIN = b"# Define `model = decthings_model.make_model(executor)` here.\n"


class Image(TypedDict):
    """What a model's code runs in."""

    domain: str
    repository: str
    reference: str


class ShownModel(ListItem, TypedDict):
    """A model as clients of both vocabularies read it; states and versions have entries of their own."""

    description: str
    publicAccess: bool
    owner: Mapping[str, str]
    access: str
    beingCreated: bool
    language: str
    wasm: bool
    image: Image
    parameterDefinitions: DefinitionsJson
    defaultLauncherSpecs: Mapping[str, LauncherSpec]
    maxDurationsSeconds: Mapping[str, int]
    filesystemSizeMebibytes: int
    ongoingTrainingSessions: list[str]
    trainingSessions: list[str]
    states: list[Mapping[str, object]]
    activeState: str | None
    snapshots: list[object]
    source: Mapping[str, object]
    versions: list[Mapping[str, object]]


class ModelRpc:
    """Methods of the API Model."""

    def __init__(
        self, models: ModelStore, runs: ModelRuns, calls: SessionCalls, locations: Locations
    ) -> None:
        self._models = models
        self._runs = runs
        self._lookup = ModelLookup(models, runs)
        self._states = ModelStateRpc(self._lookup, calls, locations)
        self._trainings = ModelTrainingRpc(self._lookup, calls, locations)
        self._evaluations = ModelEvaluationRpc(self._lookup, calls)

    def methods(self) -> Methods:
        """List the methods."""
        return {
            "createModel": self.create,
            "waitForModelToBeCreated": self.wait_created,
            "getModels": self.get,
            "updateModel": self.update,
            "deleteModel": self.delete,
            **self._states.methods(),
            **self._trainings.methods(),
            **self._evaluations.methods(),
        }

    async def create(self, call: Call) -> Answer:
        """Make a model; it is there when this answers."""
        options = Call(call.method, call.object("options"), call.blobs)
        kind = options.text("type")
        about: ModelAbout = {
            "name": call.text("name"),
            "description": call.optional_text("description") or "",
            "tags": tags_of(options.params.get("tags") or call.params.get("tags")),
            "definitions": _definitions(options.params.get("parameterDefinitions")),
            "language": "python",
            "python": sys.executable,
        }
        files, based_on = None, None
        if kind == "code":
            about["language"] = options.optional_text("language") or "python"
            if about["language"] not in _LANGUAGES:
                raise Invalid("options.language", f"must be one of {', '.join(_LANGUAGES)}")
            files = {MAIN: EMPTY_MAIN} if about["language"] == "python" else {}
        elif kind == "upload":
            files = await asyncio.to_thread(_files, options)
        elif kind in _COPIES:
            based_on = self._lookup.model(options)
            if options.params.get("snapshotId") is not None:
                raise Refusal("snapshot_not_found")
            if (version_id := options.optional_text("versionId")) is not None:
                self._lookup.state(based_on, version_id, "version")
            given = options.params.get("parameterDefinitions")
            about["definitions"] = about["definitions"] if given else based_on.about["definitions"]
            about["language"] = based_on.about["language"]
        else:
            raise Invalid("options.type", f"is {kind!r}, but must be code, upload or {' or '.join(_COPIES)}")
        model = await asyncio.to_thread(self._models.create, about, files, based_on)
        return {"modelId": model.id, "isNowCreating": False}, ()

    async def wait_created(self, call: Call) -> Answer:
        """Wait for a model that is there already."""
        self._lookup.model(call)
        raise Refusal("model_already_created")

    async def get(self, call: Call) -> Answer:
        """List models."""
        return page(call, self._models.all(), self._show, "models"), ()

    async def update(self, call: Call) -> Answer:
        """Change name, description, tags, definitions or limits of time."""
        model, properties = self._lookup.model(call), Call(call.method, call.object("properties"), [])
        changes: dict[str, object] = {}
        for name in ("name", "description"):
            if (text := properties.optional_text(name)) is not None:
                changes[name] = text
        if properties.params.get("tags") is not None:
            changes["tags"] = tags_of(properties.params["tags"])
        if properties.params.get("parameterDefinitions") is not None:
            changes["definitions"] = _definitions(properties.params["parameterDefinitions"])
        if properties.params.get("maxDurationsSeconds") is not None:
            limits = Call(call.method, properties.object("maxDurationsSeconds"), [])
            changes["max_durations"] = {
                ours: limits.integer(name, at_least=1)
                for name, ours in _DURATIONS.items()
                if name in limits.params
            }
        await asyncio.to_thread(lambda: model.change(**changes))
        return {}, ()

    async def delete(self, call: Call) -> Answer:
        """Delete a model, and end what trains it."""
        model = self._lookup.model(call)
        for run in self._lookup.runs_of(model):
            if not run.is_over:
                await self._runs.cancel(run)
        await asyncio.to_thread(self._models.delete, model.id)
        return {}, ()

    def _show(self, model: StoredModel) -> ShownModel:
        """Describe a model for clients of both vocabularies."""
        about = model.about
        trainings = [run for run in self._runs.trainings.values() if run.model_id == model.id]
        return {
            "id": model.id,
            "name": about["name"],
            "description": about["description"],
            "createdAt": milliseconds(about["created_at"]),
            "tags": about["tags"],
            "publicAccess": False,
            "owner": {"type": "user", "userId": LOCAL_OWNER["userId"], "username": LOCAL_OWNER["username"]},
            "access": "readwrite",
            "beingCreated": False,
            "language": about["language"],
            "wasm": False,
            "image": _image(model),
            "parameterDefinitions": model.definitions.wire(),
            "defaultLauncherSpecs": {"createState": LOCAL_SPEC, "evaluate": LOCAL_SPEC},
            "maxDurationsSeconds": about.get("max_durations") or {},
            "filesystemSizeMebibytes": 0,
            "ongoingTrainingSessions": [run.id for run in trainings if not run.is_over],
            "trainingSessions": [run.id for run in trainings],
            "states": [_show_state(state) for state in about["states"]],
            "activeState": about["active_state"],
            "snapshots": [],
            "source": {"type": "code", **dict.fromkeys(_FILESYSTEM, 0)},
            "versions": [_show_version(model, state) for state in about["states"]],
        }


_FILESYSTEM = (
    "filesystemSizeMebibytes",
    "blockSize",
    "totalBlocks",
    "freeBlocks",
    "totalInodes",
    "freeInodes",
)


def _files(options: Call) -> dict[str, bytes]:
    if options.optional_text("format") not in ("python", "zip", None):
        raise Invalid("options.format", "must be python: a zip archive with a main.py, or a main.py alone")
    if len(options.blobs) != 1:
        raise Invalid("options.data", f"must be one blob, not {len(options.blobs)}")
    try:
        return unpack(bytes(options.blobs[0]))
    except BadArchive as error:
        raise Invalid("options.data", str(error)) from error


def _definitions(content: Any) -> DefinitionsJson:
    try:
        return parse_definitions(content).wire()
    except DefinitionError as error:
        raise Invalid("parameterDefinitions", str(error)) from error


def _image(model: StoredModel) -> Image:
    return {"domain": "local", "repository": "python", "reference": model.about["python"]}


def _show_state(state: StoredState) -> Mapping[str, object]:
    return {
        "id": state["id"],
        "name": state["name"],
        "trainingOperations": state["operations"],
        "createdAt": milliseconds(state["created_at"]),
        "beingDeleted": False,
        "state": state["keys"],
        "mountedModels": [],
    }


def _show_version(model: StoredModel, state: StoredState) -> Mapping[str, object]:
    limits = model.about.get("max_durations") or {}
    return {
        "id": state["id"],
        "name": state["name"],
        "createdAt": milliseconds(state["created_at"]),
        "filesystemSizeMebibytes": 0,
        "config": {
            "parameterDefinitions": model.definitions.wire(),
            "defaultLauncherSpecs": {"initializeWeights": LOCAL_SPEC, "evaluate": LOCAL_SPEC},
            "maxDurationsSeconds": {
                name: limits[ours]
                for name, ours in _DURATIONS.items()
                if ours in limits and name != "createState"
            },
            "image": {**_image(model), "digest": ""},
        },
        "mountedModels": [],
        "trainingOperations": state["operations"],
        "status": {"state": "created", "weights": state["keys"]},
    }
