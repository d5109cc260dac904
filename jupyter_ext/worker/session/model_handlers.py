"""Calls to a session that concern its code, its models and their states: the user's code answers them, in the main thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_ext.ipc import values
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.payloads.session_messages import StepResult
from jupyter_ext.worker.runtime.redaction import Redactor
from jupyter_ext.worker.session.call_context import Answer, CallContext, SessionCall, copied, invalid, text_of
from jupyter_ext.worker.session.inspection import torch_inspection
from jupyter_ext.worker.session.runtime import arguments as session_arguments
from jupyter_ext.worker.session.runtime.model_adapter import NotOffered
from jupyter_ext.worker.session.runtime.state import InstantiatedModel, SessionState
from jupyter_ext.worker.session.user_code_runner import UserCodeRunner

STEP_METHODS = ("step", "training_step", "train_step")


class ModelHandlers:
    """Answers calls about code, models and states."""

    def __init__(
        self, state: SessionState, context: CallContext, user_code: UserCodeRunner, redactor: Redactor
    ) -> None:
        self._state = state
        self._context = context
        self._user_code = user_code
        self._redactor = redactor

    async def op_load_code(self, call: SessionCall) -> Answer:
        """Load code from `directory`, a name below the session's `code`, or from `folder`, a model's own directory."""
        if folder := call.params.get("folder"):
            work = partial(self._state.code.load_folder, Path(folder))
        else:
            directory = self._state.session_dir / "code" / f"{int(text_of(call, 'directory'))}"
            work = partial(self._state.code.load, directory)
        return await self._user_code.take(call, "load_code", work, keep_failure=True), ()

    async def op_create_state(self, call: SessionCall) -> Answer:
        """Make a first state; answers `state_id` and `keys`."""
        source, arguments = self._context.source(), self._context.arguments(call)
        state = await self._user_code.take(call, "create_state", lambda: source.create_state(arguments))
        return self._context.keep_state(state), ()

    async def op_instantiate(self, call: SessionCall) -> Answer:
        """Make a model, of a state by `state_id`, of one in `state` (a tree), or of none; answers `model_id`."""
        source, arguments = self._context.source(), self._context.arguments(call)
        state = await self._context.given_state(call)
        model = await self._user_code.take(call, "instantiate", lambda: source.instantiate(state, arguments))
        made = InstantiatedModel(model)
        self._state.models[made.id] = made
        return {"model_id": made.id, **made.describe()}, ()

    async def op_evaluate(self, call: SessionCall) -> Answer:
        """Evaluate a model; answers `value`, a tree."""
        made, arguments = self._context.model(call), self._context.arguments(call)
        return await self._user_code.called(
            call, made, "evaluate", lambda: made.model.evaluate(arguments), arguments.encoding
        )

    async def op_call(self, call: SessionCall) -> Answer:
        """Call a method of a model (`model_id`, `method`), or a function of the session's code (`method`)."""
        method, arguments = text_of(call, "method"), self._context.arguments(call)
        if call.params.get("model_id") is None:
            function = self._state.code.function(method)
            if function is None:
                known = ", ".join(self._state.code.functions()) or "none"
                message = f"the session's code has no function {method!r}; it has {known}"
                raise CallError({"code": "not_offered", "message": message})
            work = partial(function, *arguments.places(), **arguments.keywords())
            return await self._user_code.called(call, None, method, work, arguments.encoding)
        made = self._context.model(call)
        return await self._user_code.called(
            call, made, method, lambda: made.model.call(method, arguments), arguments.encoding
        )

    async def op_step(self, call: SessionCall) -> Answer:
        """Run one step under observation; answers what it gave, activations, gradients and how far parameters went."""
        made, arguments = self._context.model(call), self._context.arguments(call)
        method = call.params.get("method")
        work = self._observed(
            made, arguments, method, call.params.get("modules"), bool(call.params.get("histograms"))
        )
        result, seen = await self._user_code.anomalous(call, made, "step", work)
        try:
            tree, blobs = values.encode(result)
        except values.CannotTravel:
            tree, blobs = self._redactor.text(repr(result)[:200]), []
        return {"value": tree, **seen}, blobs

    async def op_get_state(self, call: SessionCall) -> Answer:
        """Take a model's state; answers `state_id` and `keys`."""
        made = self._context.model(call)
        state = await self._user_code.take(call, "get_state", made.model.get_state, subject=made.id)
        return self._context.keep_state({key: copied(value) for key, value in state.items()}), ()

    async def op_download_state(self, call: SessionCall) -> Answer:
        """Return the values of a state by key (`state_id`, and `keys` or all); answers `keys` and `value`, a tree."""
        state = self._context.kept_state(call)
        keys = call.params.get("keys") or list(state)
        for key in keys:
            if key not in state:
                message = f"the state has no key {key!r}; it has {', '.join(state)}"
                raise CallError({"code": "state_key_not_found", "message": message, "key": key})
        chosen = {key: state[key] for key in keys}
        if call.params.get("encoding") == "decthings":
            return {"keys": keys}, list(self._context.as_bytes(chosen).values())
        tree, blobs = self._context.encoded(chosen, "values", "get_state")
        return {"keys": keys, "value": tree}, blobs

    async def op_upload_state(self, call: SessionCall) -> Answer:
        """Keep a state that the caller has (`state`, a tree); answers `state_id`."""
        state = values.decode(call.params.get("state"), call.blobs)
        if not isinstance(state, dict):
            raise invalid("state", "it is no mapping of keys to values")
        return self._context.keep_state({str(key): copied(value) for key, value in state.items()}), ()

    async def op_dispose(self, call: SessionCall) -> Answer:
        """Let go of a model."""
        made = self._context.model(call)
        await self._user_code.take(call, "dispose", made.model.dispose, subject=made.id)
        self._state.models.pop(made.id, None)
        return {}, ()

    async def op_forget_state(self, call: SessionCall) -> Answer:
        """Let go of a state."""
        self._context.kept_state(call)
        del self._state.states[call.params["state_id"]]
        return {}, ()

    def _observed(
        self,
        made: InstantiatedModel,
        arguments: session_arguments.Arguments,
        method: str | None,
        modules: list[str] | None,
        histograms: bool,
    ) -> Callable[[], Any]:
        module = torch_inspection.module_of(made.model.thing)
        if module is None:
            raise CallError(
                {"code": "not_offered", "message": "this model holds no torch.nn.Module to look into"}
            )
        name = method or next(
            (name for name in STEP_METHODS if callable(getattr(made.model.thing, name, None))), None
        )
        if name is None:
            known = ", ".join(STEP_METHODS)
            message = (
                f"{type(made.model.thing).__name__} has none of {known}; say which method is a step: method=…"
            )
            raise CallError({"code": "not_offered", "message": message})
        chosen = name

        async def work() -> tuple[Any, StepResult]:
            try:
                collecting = torch_inspection.activations(module, modules, histograms=histograms)
                before = torch_inspection.snapshot(module)
                with collecting as collected:
                    result = await made.model.call(chosen, arguments)
                    ran_backward = torch_inspection.backward_if_left(result, module)
            except KeyError as error:
                raise NotOffered(str(error.args[0])) from error
            seen: StepResult = {
                "method": chosen,
                "ran_backward": ran_backward,
                "activations": collected,
                "parameters": torch_inspection.parameters(module, histograms=histograms),
                "updates": torch_inspection.updates(module, before),
            }
            return result, seen

        return work
