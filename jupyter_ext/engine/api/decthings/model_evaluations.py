"""Model: evaluations, in both vocabularies.

The newest JavaScript client's types name the answer's fields as clients since 2025-03 do, while its code still reads `success`
and `evaluationSuccess`; an answer to it has both.

Source: Decthings' API reference, "Model", and the reference clients for Python 0.0.4 and JavaScript.
"""

from __future__ import annotations

import asyncio

from jupyter_ext.engine.api.decthings.locations import LOCAL_SPEC
from jupyter_ext.engine.api.decthings.model_lookup import ModelLookup, durations_of, error_of, finished
from jupyter_ext.engine.api.decthings.output_layout import client_layout, rewritten
from jupyter_ext.engine.api.decthings.rpc.calls import Answer, Call, Refusal
from jupyter_ext.engine.api.decthings.rpc.dispatch import Methods
from jupyter_ext.engine.api.decthings.runnable import check_runnable
from jupyter_ext.engine.api.decthings.sessions import SessionCalls, milliseconds
from jupyter_ext.engine.decthings.model_store import StoredModel
from jupyter_ext.engine.decthings.places import Location
from jupyter_ext.engine.decthings.run import Run, RunError, Words
from jupyter_ext.protocol.decthings.definitions import DefinitionError, check
from jupyter_ext.protocol.decthings.tensors import header, spans


class ModelEvaluationRpc:
    """Methods about evaluations."""

    def __init__(self, lookup: ModelLookup, calls: SessionCalls) -> None:
        self._lookup = lookup
        self._runs = lookup.runs
        self._calls = calls

    def methods(self) -> Methods:
        """List the methods."""
        return {
            "evaluate": self.evaluate,
            "getEvaluations": self.evaluations,
            "getFinishedEvaluationResult": self.evaluation_result,
            "cancelEvaluation": self.cancel_evaluation,
        }

    async def evaluate(self, call: Call) -> Answer:
        """Evaluate the active state, or a version; blocks until done."""
        model, version_id = self._lookup.model(call), call.optional_text("versionId")
        words: Words = "state" if version_id is None else "version"
        if call.params.get("snapshotId") is not None:
            raise Refusal("snapshot_not_found")
        self._lookup.state(model, version_id, words)
        params, blobs = await self._calls.parameters(call.providers(), model.definitions.evaluate_input)
        await asyncio.to_thread(check_runnable, model)
        location: Location = {"type": "temporaryLauncher", "spec": LOCAL_SPEC}
        run = self._runs.evaluate(model, params, blobs, location, version_id, words)
        run.layout = client_layout(call)
        await finished(run)
        return self._result(call, model, run)

    async def evaluations(self, call: Call) -> Answer:
        """List evaluations that run, and those of the last minutes."""
        model = self._lookup.model(call)
        found = [run for run in self._runs.evaluations.values() if run.model_id == model.id]

        def about(run: Run) -> dict[str, object]:
            return {"id": run.id, "versionId": run.from_state, "startedAt": milliseconds(run.created_at)}

        finished = [
            {**about(run), "finishedAt": milliseconds(run.finished_at), "success": run.error is None}
            for run in found
            if run.finished_at is not None
        ]
        return {"running": [about(run) for run in found if not run.is_over], "finished": finished}, ()

    async def evaluation_result(self, call: Call) -> Answer:
        """Return what an evaluation gave; waits for it."""
        model, run = self._lookup.model(call), self._lookup.evaluation(call)
        await finished(run)
        return self._result(call, model, run)

    async def cancel_evaluation(self, call: Call) -> Answer:
        """Cancel an evaluation."""
        run = self._lookup.evaluation(call)
        if run.is_over:
            raise Refusal("evaluation_not_found")
        await self._runs.cancel(run)
        return {}, ()

    def _result(self, call: Call, model: StoredModel, run: Run) -> Answer:
        error, (outputs, blobs) = run.error, run.result or ([], [])
        if error is None:
            error = _misfit(model, outputs, blobs)
        total = milliseconds((run.finished_at or run.created_at) - run.created_at)
        durations, where = durations_of(run), run.location
        if run.words == "version":
            about: dict[str, object] = {
                "durations": {"total": total, **durations},
                "executedOnLauncher": where,
            }
            if error is not None:
                raise Refusal("evaluate_failed", **about, reason=error_of(error))
            about["output"] = outputs
            answer: dict[str, object] = {**about, "success": about, "evaluationSuccess": about}
        else:
            about = {"totalDuration": total, "durations": durations, "executedOnLauncher": where}
            if error is not None:
                return {"failed": {**about, "error": error_of(error)}}, ()
            answer = {"success": {**about, "output": outputs}}
        found = rewritten([memoryview(blob) for blob in blobs], run.layout, stacked=call.is_officials)
        return answer, found


def _misfit(model: StoredModel, outputs: list[dict[str, str]], blobs: list[bytes]) -> RunError | None:
    """Return why outputs are not what the model's definitions say, or `None`."""
    given = {
        output["name"]: [header(blob, begin) for begin, _ in spans(blob)]
        for output, blob in zip(outputs, blobs, strict=True)
    }
    try:
        check(model.definitions.evaluate_output, given)
    except DefinitionError as error:
        reason = "not_applicable_to_parameter_definitions"
        return {"code": "invalid_output", "reason": reason, "details": str(error)}
    return None
