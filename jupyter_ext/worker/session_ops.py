"""What a session can be asked, by the name of the call. Standard library, and what the user's code brings.

Rule: the user's code runs in the main thread and nowhere else; whatever only looks runs here at once, also while a training
has the main thread. Every refusal has a `code`:

    invalid_parameter · model_not_found · training_not_found · training_not_running · state_not_found ·
    state_key_not_found · not_offered · exception (with `exception`) · interrupted · no_failure · unknown_op
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_ext.worker import (
    decthings_calls,
    session_arguments,
    session_attach,
    session_picture,
    session_torch,
    values,
)
from jupyter_ext.worker.channel import CallError
from jupyter_ext.worker.channel_server import Call
from jupyter_ext.worker.redaction import Redactor
from jupyter_ext.worker.session_cancel import cancel
from jupyter_ext.worker.session_failure import Failure, describe_locals
from jupyter_ext.worker.session_model import NotOffered
from jupyter_ext.worker.session_state import InstantiatedModel, SessionState
from jupyter_ext.worker.session_trainings import Training, TrainTracker, new_id, reporting
from jupyter_ext.worker.session_turns import Interrupted, Turn, UserError

Answer = tuple[Mapping[str, Any], Sequence[Any]]

_PASSIVE = frozenset({"status", "watch", "training_status", "training_metrics", "stacks"})
"""Calls that only look on: they do not keep a session from ending when it is inactive."""
STEP_METHODS = ("step", "training_step", "train_step")


class SessionOps:
    """Answers calls.

    Args:
        state: The session's.
        redactor: Keeps secrets out of what is told.
        stop: Ends the session; called from the calls' thread.
    """

    def __init__(self, state: SessionState, redactor: Redactor, stop: Callable[[], None]) -> None:
        self._state = state
        self._redactor = redactor
        self._stop = stop
        self._background: set[asyncio.Task[None]] = set()
        self._ops: dict[str, Callable[[Call], Awaitable[Answer]]] = {
            name.removeprefix("op_"): method
            for name, method in inspect.getmembers(self, inspect.ismethod)
            if name.startswith("op_")
        }

    async def handle(self, call: Call) -> Answer:
        """Answer a call.

        Raises:
            CallError: It is refused, or failed.
        """
        answer = self._ops.get(call.op)
        if answer is None:
            raise CallError({"code": "unknown_op", "message": f"a session cannot {call.op!r}"})
        if call.op in _PASSIVE:
            return await answer(call)
        self._state.touch()
        self._state.in_flight += 1
        self._state.num_calls += 1
        try:
            return await answer(call)
        finally:
            self._state.in_flight -= 1
            self._state.touch()
            self._state.changed()

    # -- the user's code ------------------------------------------------------------------------------------------

    async def op_load_code(self, call: Call) -> Answer:
        """Load code from `directory`, a name below the session's `code`, or from `folder`, a model's own directory."""
        if folder := call.params.get("folder"):
            work = partial(self._state.code.load_folder, Path(folder))
        else:
            directory = self._state.session_dir / "code" / f"{int(_text(call, 'directory'))}"
            work = partial(self._state.code.load, directory)
        return await self._take(call, "load_code", work, keep_failure=True), ()

    async def op_create_state(self, call: Call) -> Answer:
        """Make a first state; answers `state_id` and `keys`."""
        source, arguments = self._source(), self._arguments(call)
        state = await self._take(call, "create_state", lambda: source.create_state(arguments))
        return self._keep_state(state), ()

    async def op_instantiate(self, call: Call) -> Answer:
        """Make a model, of a state by `state_id`, of one in `state` (a tree), or of none; answers `model_id`."""
        source, arguments = self._source(), self._arguments(call)
        state = await self._given_state(call)
        model = await self._take(call, "instantiate", lambda: source.instantiate(state, arguments))
        made = InstantiatedModel(model)
        self._state.models[made.id] = made
        return {"model_id": made.id, **made.describe()}, ()

    async def op_train(self, call: Call) -> Answer:
        """Begin to train; answers `training_id` at once. With `anomaly`, the operation that makes a NaN ends it."""
        made, arguments = self._model(call), self._arguments(call)
        training = Training(made.id, self._state.changed)
        self._state.add_training(training)
        task = asyncio.ensure_future(self._train(training, made, arguments, bool(call.params.get("anomaly"))))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return {"training_id": training.id, **training.describe()}, ()

    async def op_evaluate(self, call: Call) -> Answer:
        """Evaluate a model; answers `value`, a tree."""
        made, arguments = self._model(call), self._arguments(call)
        return await self._called(
            call, made, "evaluate", lambda: made.model.evaluate(arguments), arguments.encoding
        )

    async def op_call(self, call: Call) -> Answer:
        """Call a method of a model (`model_id`, `method`), or a function of the session's code (`method`)."""
        method, arguments = _text(call, "method"), self._arguments(call)
        if call.params.get("model_id") is None:
            function = self._state.code.function(method)
            if function is None:
                known = ", ".join(self._state.code.functions()) or "none"
                message = f"the session's code has no function {method!r}; it has {known}"
                raise CallError({"code": "not_offered", "message": message})
            work = partial(function, *arguments.places(), **arguments.keywords())
            return await self._called(call, None, method, work, arguments.encoding)
        made = self._model(call)
        return await self._called(
            call, made, method, lambda: made.model.call(method, arguments), arguments.encoding
        )

    async def op_step(self, call: Call) -> Answer:
        """Run one step under observation; answers what it gave, activations, gradients and how far parameters went."""
        made, arguments = self._model(call), self._arguments(call)
        method = call.params.get("method")
        work = self._observed(
            made, arguments, method, call.params.get("modules"), bool(call.params.get("histograms"))
        )
        told = await self._anomalous(call, made, "step", work)
        result = told.pop("result")
        try:
            tree, blobs = values.encode(result)
        except values.CannotTravel:
            tree, blobs = self._redactor.text(repr(result)[:200]), []
        return {"value": tree, **told}, blobs

    async def op_get_state(self, call: Call) -> Answer:
        """Take a model's state; answers `state_id` and `keys`."""
        made = self._model(call)
        state = await self._take(call, "get_state", made.model.get_state, subject=made.id)
        return self._keep_state({key: _copied(value) for key, value in state.items()}), ()

    async def op_download_state(self, call: Call) -> Answer:
        """Give the values of a state by key (`state_id`, and `keys` or all); answers `keys` and `value`, a tree."""
        state = self._kept_state(call)
        keys = call.params.get("keys") or list(state)
        for key in keys:
            if key not in state:
                message = f"the state has no key {key!r}; it has {', '.join(state)}"
                raise CallError({"code": "state_key_not_found", "message": message, "key": key})
        chosen = {key: state[key] for key in keys}
        if call.params.get("encoding") == "decthings":
            return {"keys": keys}, list(self._as_bytes(chosen).values())
        tree, blobs = self._encoded(chosen, "values", "get_state")
        return {"keys": keys, "value": tree}, blobs

    async def op_upload_state(self, call: Call) -> Answer:
        """Keep a state that the caller has (`state`, a tree); answers `state_id`."""
        state = values.decode(call.params.get("state"), call.blobs)
        if not isinstance(state, dict):
            raise _invalid("state", "it is no mapping of keys to values")
        return self._keep_state({str(key): _copied(value) for key, value in state.items()}), ()

    async def op_dispose(self, call: Call) -> Answer:
        """Let go of a model."""
        made = self._model(call)
        await self._take(call, "dispose", made.model.dispose, subject=made.id)
        self._state.models.pop(made.id, None)
        return {}, ()

    async def op_forget_state(self, call: Call) -> Answer:
        """Let go of a state."""
        self._kept_state(call)
        del self._state.states[call.params["state_id"]]
        return {}, ()

    # -- trainings ------------------------------------------------------------------------------------------------

    async def op_training_status(self, call: Call) -> Answer:
        """Describe a training; with `wait_s`, once it is over or that long has passed."""
        training = self._training(call)
        wait_s = call.params.get("wait_s")
        if wait_s and not training.is_over:
            waiting = asyncio.get_running_loop().run_in_executor(None, training.done.wait, float(wait_s))
            gone = asyncio.ensure_future(call.canceled.wait())
            both: set[asyncio.Future[Any]] = {waiting, gone}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
        return training.describe(), ()

    async def op_training_metrics(self, call: Call) -> Answer:
        """Give points of `metrics`, a list of `{name, start, amount}`; answers the same with arrays or values."""
        training = self._training(call)
        if call.params.get("encoding") == "decthings":
            return _points_as_tensors(training, call.params["metrics"])
        told: list[dict[str, Any]] = []
        found: list[dict[str, Any]] = []
        for asked in call.params.get("metrics") or [{"name": name} for name in list(training.series)]:
            start = max(0, int(asked.get("start", 0)))
            amount = asked.get("amount")
            points = training.points(
                str(asked["name"]), start, None if amount is None else max(0, int(amount))
            )
            told.append({"name": asked["name"], "start": start, "count": len(points["times"])})
            found.append(
                {key: bytes(part) if hasattr(part, "tobytes") else part for key, part in points.items()}
            )
        tree, blobs = self._encoded(found, "values", "training_metrics")
        return {"metrics": told, "value": tree}, blobs

    async def op_cancel_training(self, call: Call) -> Answer:
        """Cancel a training: the flag, then an interrupt; answers how far that has got within `wait_s`."""
        training = self._training(call)
        if training.is_over:
            message = f"training {training.id} is {training.state}; there is nothing to cancel"
            raise CallError({"code": "training_not_running", "message": message})
        return await cancel(self._state.turns, training, float(call.params.get("wait_s", 10.0))), ()

    # -- looking on -----------------------------------------------------------------------------------------------

    async def op_status(self, call: Call) -> Answer:
        """Describe the session."""
        return self._state.describe(), ()

    async def op_watch(self, call: Call) -> Answer:
        """Send the session's state now and whenever it changed, until the caller leaves."""
        version = -1
        left = asyncio.ensure_future(call.canceled.wait())
        try:
            while not left.done():
                waiting = asyncio.ensure_future(self._state.news(version))
                await asyncio.wait({waiting, left}, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    waiting.cancel()
                    break
                version = waiting.result()
                await call.send({"kind": "session", "session": self._state.describe()})
        finally:
            left.cancel()
        return {}, ()

    async def op_touch(self, call: Call) -> Answer:
        """Say that somebody is there."""
        return {"expires_at": self._state.expires_at()}, ()

    async def op_interrupt(self, call: Call) -> Answer:
        """Interrupt what has the main thread; everything lives on."""
        turn = self._state.turns.current
        if turn is None:
            self._state.turns.interrupt_cell()
            return {"op": "cell" if self._state.turns.cell_runs else None}, ()
        self._state.turns.interrupt(turn)
        return {"op": turn.op, "subject": turn.subject}, ()

    async def op_stacks(self, call: Call) -> Answer:
        """Tell where each thread stands now, as Python sees it, the user's frames only."""
        return {"threads": session_attach.stacks(self._state.code.labels)}, ()

    async def op_frames(self, call: Call) -> Answer:
        """Describe the last exception with the frames that are kept alive; with `select`, choose one of them."""
        failure = self._failure()
        if "select" in call.params:
            try:
                failure.select(int(call.params["select"]))
            except IndexError as error:
                raise _invalid("select", str(error)) from error
            self._state.changed()
        frame = failure.describe_frame(failure.selected) if failure.num_frames else None
        told = {key: failure.told[key] for key in ("type", "message", "text", "frames")}
        return {**told, "op": failure.op, "at": failure.at, "selected": failure.selected, "frame": frame}, ()

    async def op_forget_failure(self, call: Call) -> Answer:
        """Let go of the last exception and what its frames keep."""
        self._state.forget_failure()
        return {}, ()

    async def op_locals(self, call: Call) -> Answer:
        """Describe names and values: of a frame of the last exception (`frame`), or of the session's namespace."""
        if call.params.get("frame") is not None:
            failure = self._failure()
            number = int(call.params["frame"])
            return {"locals": failure.describe_frame(number % max(1, failure.num_frames))["locals"]}, ()
        names = vars(sys.modules["__main__"])
        shown = {
            name: value
            for name, value in list(names.items())
            if not name.startswith("_") and name not in ("In", "Out", "get_ipython", "exit", "quit", "open")
        }
        return {"locals": await asyncio.to_thread(describe_locals, shown, self._redactor)}, ()

    async def op_value(self, call: Call) -> Answer:
        """Give the value of an `expression` in the failing frame (or `frame`), or in the session's namespace.

        It is evaluated here at once, also while a training runs.
        """
        expression = _text(call, "expression")
        failure = self._state.failure
        frame = call.params.get("frame")
        in_frame = failure is not None and failure.num_frames and frame != "none"
        namespace = (
            failure.namespace(frame) if failure is not None and in_frame else vars(sys.modules["__main__"])
        )

        def look() -> Any:
            return eval(compile(expression, "<expression>", "eval"), namespace)

        try:
            value = await asyncio.to_thread(look)
        except BaseException as error:  # noqa: BLE001  the user's expression may raise anything
            message = f"{type(error).__name__}: {error}"
            raise CallError({"code": "exception", "message": self._redactor.text(message)}) from None
        summary = await asyncio.to_thread(session_torch.summary_of, expression, value, self._redactor)
        if call.params.get("picture"):
            summary["picture"] = await asyncio.to_thread(session_picture.picture, value)
        if not call.params.get("whole"):
            return {"summary": summary}, ()
        tree, blobs = self._encoded(value, "values", "value")
        return {"summary": summary, "value": tree}, blobs

    async def op_parameters(self, call: Call) -> Answer:
        """Describe parameters and gradients of a model's module, also while it trains."""
        module = session_torch.module_of(self._model(call).model.thing)
        if module is None:
            raise CallError(
                {"code": "not_offered", "message": "this model holds no torch.nn.Module to look into"}
            )
        histograms = bool(call.params.get("histograms"))
        told = await asyncio.to_thread(session_torch.parameters, module, histograms=histograms)
        return {"parameters": told}, ()

    async def op_attach(self, call: Call) -> Answer:
        """Open a DAP endpoint of debugpy on 127.0.0.1; answers `host` and `port`."""
        if self._state.attached is None:
            try:
                self._state.attached = await asyncio.to_thread(session_attach.listen)
            except ImportError as error:
                message = f"{error}; install debugpy in this session's Python ({sys.executable})"
                raise CallError({"code": "not_offered", "message": message}) from error
            self._state.changed()
        code_dir = str(self._state.session_dir / "code")
        return {**self._state.attached, "labels": self._state.code.labels, "code_dir": code_dir}, ()

    async def op_shutdown(self, call: Call) -> Answer:
        """Let models tidy up, and end the process."""
        if not self._state.turns.is_busy:
            with contextlib.suppress(CallError, TimeoutError):
                async with asyncio.timeout(2.0):
                    for made in list(self._state.models.values()):
                        await self._take(call, "dispose", made.model.dispose, subject=made.id)
        asyncio.get_running_loop().call_later(0.02, self._stop)
        return {}, ()

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _take(
        self,
        call: Call,
        op: str,
        work: Callable[[], Any],
        *,
        subject: str | None = None,
        keep_failure: bool = False,
    ) -> Any:
        """Run some of the user's code in the main thread; the caller's leaving interrupts it."""
        turn = Turn(op, subject)
        taking = asyncio.ensure_future(self._state.turns.take(turn, work))
        left = asyncio.ensure_future(call.canceled.wait())
        try:
            await asyncio.wait({taking, left}, return_when=asyncio.FIRST_COMPLETED)
            if not taking.done():
                self._state.turns.interrupt(turn)
            result = await taking
        except UserError as error:
            raise CallError(self._failed(error, op)) from None
        finally:
            left.cancel()
        if not keep_failure:
            self._state.forget_failure()
        return result

    async def _called(
        self,
        call: Call,
        made: InstantiatedModel | None,
        op: str,
        work: Callable[[], Any],
        encoding: str,
    ) -> Answer:
        if made is not None:
            made.num_calls += 1
        if call.params.get("anomaly"):
            result = await self._anomalous(call, made, op, work)
        else:
            result = await self._take(call, op, work, subject=None if made is None else made.id)
        tree, blobs = self._encoded(result, encoding, op)
        return {"value": tree}, blobs

    async def _anomalous(
        self, call: Call, made: InstantiatedModel | None, op: str, work: Callable[[], Any]
    ) -> Any:
        if not call.params.get("anomaly"):
            return await self._take(call, op, work, subject=None if made is None else made.id)
        return await self._take(
            call, op, self._watching_nans(made, work), subject=None if made is None else made.id
        )

    def _watching_nans(self, made: InstantiatedModel | None, work: Callable[[], Any]) -> Callable[[], Any]:
        labels = self._state.code.labels
        module = None if made is None else session_torch.module_of(made.model.thing)

        async def watched() -> Any:
            with session_torch.anomalies(module, labels):
                return await work()

        return watched

    async def _train(
        self,
        training: Training,
        made: InstantiatedModel,
        arguments: session_arguments.Arguments,
        anomaly: bool,
    ) -> None:
        made.num_calls += 1

        async def work() -> Any:
            training.started_at = time.time()
            self._state.changed()
            with reporting(training, self._state.session_dir):
                return await made.model.train(arguments, TrainTracker(training))

        try:
            training.result = await self._state.turns.take(
                training.turn, self._watching_nans(made, work) if anomaly else work
            )
        except UserError as error:
            told = self._failed(error, "train")
            if isinstance(error, Interrupted) and training.cancel_stage is not None:
                told = {**told, "code": "cancelled"}
            training.finish(told)
        else:
            cancelled = training.cancel_stage is not None and training.progress < 1.0
            message = "it saw the cancel and returned"
            training.finish({"code": "cancelled", "message": message} if cancelled else None)
            self._state.forget_failure()
        finally:
            self._state.touch()
            self._state.changed()

    def _observed(
        self,
        made: InstantiatedModel,
        arguments: session_arguments.Arguments,
        method: str | None,
        modules: list[str] | None,
        histograms: bool,
    ) -> Callable[[], Any]:
        module = session_torch.module_of(made.model.thing)
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

        async def work() -> dict[str, Any]:
            try:
                collecting = session_torch.activations(module, modules, histograms=histograms)
                before = session_torch.snapshot(module)
                with collecting as collected:
                    result = await made.model.call(chosen, arguments)
                    ran_backward = session_torch.backward_if_left(result, module)
            except KeyError as error:
                raise NotOffered(str(error.args[0])) from error
            return {
                "method": chosen,
                "result": result,
                "ran_backward": ran_backward,
                "activations": collected,
                "parameters": session_torch.parameters(module, histograms=histograms),
                "updates": session_torch.updates(module, before),
            }

        return work

    def _failed(self, error: UserError, op: str) -> dict[str, Any]:
        """Keep an exception of the user's code, and tell it."""
        raised = error.error
        if isinstance(raised, NotOffered):
            return {"code": "not_offered", "message": str(raised)}
        failure = Failure(raised, self._state.code.labels, Path(os.getcwd()), self._redactor, op)
        told: dict[str, Any] = {"exception": failure.told, "op": op}
        if isinstance(error, Interrupted):
            if failure.num_frames:
                self._state.fail(failure)
            return {**told, "code": "interrupted", "message": f"{op} was interrupted; the session lives on"}
        self._state.fail(failure)
        kind, message = failure.told["type"], failure.told["message"]
        return {**told, "code": "exception", "message": f"{kind}: {message}" if message else kind}

    def _arguments(self, call: Call) -> session_arguments.Arguments:
        try:
            return session_arguments.decode(call.params, call.blobs)
        except (ValueError, TypeError, ImportError) as error:
            raise _invalid("args", str(error)) from error

    def _as_bytes(self, state: Mapping[str, Any]) -> dict[str, bytes]:
        try:
            return decthings_calls.encode_state(state)
        except TypeError as error:
            raise CallError({"code": "not_offered", "message": str(error)}) from error

    def _encoded(self, value: Any, encoding: str, op: str) -> tuple[Any, Sequence[Any]]:
        try:
            return session_arguments.ENCODERS[encoding](value)
        except TypeError as error:
            code = "invalid_output" if encoding == "decthings" else "not_offered"
            raise CallError({"code": code, "message": f"what {op} gave cannot be sent: {error}"}) from error

    def _source(self) -> Any:
        if self._state.code.source is None:
            message = (
                "the session's code defines no class and no variable `model`; define one, or call functions"
            )
            raise CallError({"code": "not_offered", "message": message})
        return self._state.code.source

    def _model(self, call: Call) -> InstantiatedModel:
        model_id = call.params.get("model_id")
        if model_id is None and len(self._state.models) == 1:
            return next(iter(self._state.models.values()))
        found = self._state.models.get(str(model_id))
        if found is None:
            known = ", ".join(self._state.models) or "none; instantiate one first"
            message = f"there is no instantiated model {model_id!r}; there are: {known}"
            raise CallError({"code": "model_not_found", "message": message})
        return found

    def _training(self, call: Call) -> Training:
        training_id = call.params.get("training_id")
        found = self._state.trainings.get(str(training_id))
        if found is None:
            message = f"there is no training {training_id!r} in this session"
            raise CallError({"code": "training_not_found", "message": message})
        return found

    def _failure(self) -> Failure:
        if self._state.failure is None:
            raise CallError(
                {
                    "code": "no_failure",
                    "message": "no call of this session has failed since the last good one",
                }
            )
        return self._state.failure

    async def _given_state(self, call: Call) -> Mapping[str, Any] | None:
        if call.params.get("state_id") is not None:
            return self._kept_state(call)
        if call.params.get("keys") is not None:
            given = dict(zip(call.params["keys"], map(bytes, call.blobs), strict=True))
            return given if self._source().kind == "executor" else decthings_calls.decode_state(given)
        if call.params.get("state") is None:
            return None
        try:
            state = values.decode(call.params["state"], call.blobs)
        except ValueError as error:
            raise _invalid("state", str(error)) from error
        if not isinstance(state, dict):
            raise _invalid("state", "it is no mapping of keys to values")
        return state

    def _keep_state(self, state: Mapping[str, Any]) -> dict[str, Any]:
        state_id = new_id()
        self._state.states[state_id] = dict(state)
        keys = [{"key": key, "bytes": _size(value)} for key, value in state.items()]
        return {"state_id": state_id, "keys": keys}

    def _kept_state(self, call: Call) -> dict[str, Any]:
        state_id = call.params.get("state_id")
        found = self._state.states.get(str(state_id))
        if found is None:
            message = f"there is no state {state_id!r} in this session"
            raise CallError({"code": "state_not_found", "message": message})
        return found


def _text(call: Call, name: str) -> str:
    found = call.params.get(name)
    if found is None or not isinstance(found, str | int) or found == "":
        raise _invalid(name, "it must be given")
    return str(found)


def _points_as_tensors(training: Training, asked: Sequence[Mapping[str, Any]]) -> Answer:
    told: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for one in asked:
        series = training.series.get(one["name"])
        points = training.points(one["name"], one["start"], one["amount"])
        told.append({"name": one["name"], "start": one["start"], "times": list(points["times"])})
        found = points["numbers"] if "numbers" in points else points["values"]
        blobs += [
            decthings_calls.encode_metric(value, None if series is None else series.tensor_type)
            for value in found
        ]
    return {"metrics": told}, blobs


def _invalid(name: str, reason: str) -> CallError:
    return CallError({"code": "invalid_parameter", "message": f"{name}: {reason}", "parameter": name})


def _copied(value: Any) -> Any:
    """Copy what a model may write into later."""
    if hasattr(value, "detach"):
        return value.detach().clone()
    return value.copy() if hasattr(value, "dtype") and hasattr(value, "copy") else value


def _size(value: Any) -> int:
    size = getattr(value, "nbytes", None)
    return int(size) if size is not None else len(value) if isinstance(value, bytes | str) else 0
