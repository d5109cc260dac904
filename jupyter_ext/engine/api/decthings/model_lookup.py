"""What calls of the API Model name: models, their states or versions, trainings, evaluations; and the two vocabularies.

"State" is the vocabulary of clients until 2025-03, "weights" and "version" the one since. A call is answered in the one it was
asked in.
"""

from __future__ import annotations

import asyncio

from jupyter_ext.engine.api.decthings.rpc.calls import Call, Invalid, Refusal
from jupyter_ext.engine.api.decthings.sessions import details
from jupyter_ext.engine.decthings.model_runs import ModelRuns
from jupyter_ext.engine.decthings.model_store import (
    ModelNotFound,
    ModelStore,
    StateNotFound,
    StoredModel,
    StoredState,
)
from jupyter_ext.engine.decthings.run import Run, RunError, Words

_NOT_FOUND = {"state": "state_not_found", "version": "model_version_not_found"}
_VERSION_DURATIONS = {
    "createInstantiatedModel": "instantiateModel",
    "createState": "initializeWeights",
    "getState": "getWeights",
}


class ModelLookup:
    """Finds what calls name.

    Args:
        models: All models.
        runs: What trains and evaluates them.
    """

    def __init__(self, models: ModelStore, runs: ModelRuns) -> None:
        self.models = models
        self.runs = runs

    def model(self, call: Call) -> StoredModel:
        """Return the model that a call names.

        Raises:
            Refusal: There is none.
        """
        try:
            return self.models.get(call.text("modelId"))
        except ModelNotFound:
            raise Refusal("model_not_found") from None

    def state(self, model: StoredModel, state_id: str | None, words: Words = "state") -> StoredState:
        """Return a model's state, or the active one.

        Raises:
            Refusal: There is none.
        """
        try:
            return model.state(state_id)
        except StateNotFound:
            if state_id is None:
                raise Invalid("modelId", "has no active state; create or upload one first") from None
            raise Refusal(_NOT_FOUND[words]) from None

    def training(self, call: Call) -> Run:
        """Return the training that a call names.

        Raises:
            Refusal: There is none.
        """
        return self._run(call, self.runs.trainings, "trainingSessionId", "training_session_not_found")

    def evaluation(self, call: Call) -> Run:
        """Return the evaluation that a call names.

        Raises:
            Refusal: There is none.
        """
        return self._run(call, self.runs.evaluations, "evaluationId", "evaluation_not_found")

    def runs_of(self, model: StoredModel) -> list[Run]:
        """List what trains or evaluates a model, or has."""
        runs = (*self.runs.trainings.values(), *self.runs.evaluations.values())
        return [run for run in runs if run.model_id == model.id]

    def _run(self, call: Call, among: dict[str, Run], name: str, code: str) -> Run:
        model, run = self.model(call), among.get(call.text(name))
        if run is None or run.model_id != model.id:
            raise Refusal(code)
        return run


async def finished(run: Run) -> None:
    """Wait until a run has ended; a caller who leaves does not end it."""
    assert run.task is not None
    await asyncio.wait({run.task})


def durations_of(run: Run) -> dict[str, int]:
    """Return how long each step of a run took, milliseconds, by the names of its vocabulary."""
    if run.words == "state":
        return dict(run.phases.done)
    return {_VERSION_DURATIONS.get(name, name): took for name, took in run.phases.done.items()}


def error_of(error: RunError) -> RunError:
    """Return why a run failed, as the wire has it."""
    if "exceptionDetails" in error:
        return {
            **error,
            "exceptionDetails": details({"code": "exception", "message": error["exceptionDetails"]}),
        }
    return error.copy()
