"""Model: states, which clients since 2025-03 call versions with weights.

Source: Decthings' API reference, "Model", and the reference clients for Python 0.0.4 and JavaScript.
"""

from __future__ import annotations

import asyncio

from jupyter_ext.engine.api.decthings.locations import LOCAL_SPEC, Locations
from jupyter_ext.engine.api.decthings.model_lookup import ModelLookup, durations_of, error_of, finished
from jupyter_ext.engine.api.decthings.rpc.calls import Answer, Call, Invalid, Refusal
from jupyter_ext.engine.api.decthings.rpc.dispatch import Methods
from jupyter_ext.engine.api.decthings.runnable import check_runnable
from jupyter_ext.engine.api.decthings.sessions import SessionCalls
from jupyter_ext.engine.decthings.model_store import StoredModel
from jupyter_ext.engine.decthings.places import Location
from jupyter_ext.engine.decthings.run import Run, Words


class ModelStateRpc:
    """Methods about states and versions."""

    def __init__(self, lookup: ModelLookup, calls: SessionCalls, locations: Locations) -> None:
        self._lookup = lookup
        self._calls = calls
        self._locations = locations

    def methods(self) -> Methods:
        """List the methods."""
        return {
            "createState": self.create_state,
            "uploadState": self.upload_state,
            "updateModelState": lambda call: self._update(call, "state"),
            "getModelState": lambda call: self._get(call, "state"),
            "deleteModelState": self.delete_state,
            "setActiveModelState": self.set_active,
            "setCurrentModelState": self.set_active,  # as the official Python client 0.0.4 calls it
            "createModelVersion": self.create_version,
            "createModelVersionUploadWeights": self.upload_version,
            "updateModelVersion": lambda call: self._update(call, "version"),
            "getWeights": lambda call: self._get(call, "version"),
            "deleteModelVersion": self.delete_version,
        }

    async def create_state(self, call: Call) -> Answer:
        """Have the model make a first state; blocks until it has."""
        model, name, location = self._lookup.model(call), call.text("name"), self._locations.of(call)
        run = await self._created(call, model, name, location, "state")
        durations = {"total": run.phases.total, **durations_of(run)}
        if run.error is not None:
            return {"failed": {"durations": durations, "error": error_of(run.error)}}, ()
        return {"success": {"durations": durations, "stateId": run.created_state}}, ()

    async def create_version(self, call: Call) -> Answer:
        """Have the model initialize the weights of a first version; blocks until it has."""
        model, name = self._lookup.model(call), call.text("versionName")
        here: Location = {"type": "temporaryLauncher", "spec": LOCAL_SPEC}
        location = self._locations.of(call) if call.params.get("executionLocation") is not None else here
        run = await self._created(call, model, name, location, "version")
        durations = {"total": run.phases.total, **durations_of(run)}
        if run.error is not None:
            raise Refusal("initialize_weights_failed", durations=durations, reason=error_of(run.error))
        return {"versionId": run.created_state, "initializeWeightsDurations": durations}, ()

    async def upload_state(self, call: Call) -> Answer:
        """Keep a state that the caller has."""
        model, name = self._lookup.model(call), call.text("name")
        unwanted = call.texts("deleteStates", [])
        for state_id in unwanted:
            self._lookup.state(model, state_id)
            if state_id == model.about["active_state"]:
                raise Refusal("state_is_active")
        state_id = await self._uploaded(call, model, name)
        for gone in unwanted:
            await asyncio.to_thread(model.delete_state, gone)
        return {"stateId": state_id}, ()

    async def upload_version(self, call: Call) -> Answer:
        """Keep weights that the caller has, as a version."""
        model, name = self._lookup.model(call), call.text("versionName")
        return {"versionId": await self._uploaded(call, model, name)}, ()

    async def delete_state(self, call: Call) -> Answer:
        """Delete a state that is not the active one."""
        model, state_id = self._lookup.model(call), call.text("stateId")
        self._lookup.state(model, state_id)
        if state_id == model.about["active_state"]:
            raise Refusal("state_is_active")
        await asyncio.to_thread(model.delete_state, state_id)
        return {}, ()

    async def delete_version(self, call: Call) -> Answer:
        """Delete a version; where it was the active one, the newest that is left becomes that."""
        model, version_id = self._lookup.model(call), call.text("versionId")
        self._lookup.state(model, version_id, "version")
        await asyncio.to_thread(model.delete_state, version_id)
        return {}, ()

    async def set_active(self, call: Call) -> Answer:
        """Choose the state that `evaluate` takes, and `train` by default."""
        model, state_id = self._lookup.model(call), call.text("stateId")
        self._lookup.state(model, state_id)
        await asyncio.to_thread(lambda: model.change(active_state=state_id))
        return {}, ()

    async def _created(
        self, call: Call, model: StoredModel, name: str, location: Location, words: Words
    ) -> Run:
        params, blobs = await self._calls.parameters(call.providers(), model.definitions.create_state)
        await asyncio.to_thread(check_runnable, model)
        run = self._lookup.runs.create_state(model, name, params, blobs, location, words)
        await finished(run)
        return run

    async def _uploaded(self, call: Call, model: StoredModel, name: str) -> str:
        keys = call.texts("stateKeyNames" if "stateKeyNames" in call.params else "weightKeyNames")
        if len(keys) != len(call.blobs) or len(set(keys)) != len(keys):
            raise Invalid("data", f"names {len(keys)} keys, but the request carries {len(call.blobs)} blobs")
        content = dict(zip(keys, call.blobs, strict=True))
        return await asyncio.to_thread(model.add_state, name, content)

    async def _update(self, call: Call, words: Words) -> Answer:
        model, state_id = self._lookup.model(call), call.text(f"{words}Id")
        self._lookup.state(model, state_id, words)
        name = Call(call.method, call.object("properties"), []).optional_text("name")
        if name is not None:
            await asyncio.to_thread(model.rename_state, state_id, name)
        return {}, ()

    async def _get(self, call: Call, words: Words) -> Answer:
        """Return a state's keys, and their bytes as blobs. Clients of both vocabularies read `stateKeyNames`."""
        model = self._lookup.model(call)
        state_id = call.optional_text("stateId") if words == "state" else call.text("versionId")
        self._lookup.state(model, state_id, words)
        content = await asyncio.to_thread(model.read_state, state_id)
        keys = call.texts("keys", list(content)) if call.params.get("keys") is not None else list(content)
        if any(key not in content for key in keys):
            raise Refusal("state_key_not_found" if words == "state" else "weight_key_not_found")
        return {"stateKeyNames": keys, "weightKeyNames": keys}, [content[key] for key in keys]
