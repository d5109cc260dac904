"""Calls to a session that only look, or interrupt: answered at once, also while the main thread is busy or stuck."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from jupyter_ext.ipc.channel import CallError
from jupyter_ext.worker.runtime.redaction import Redactor
from jupyter_ext.worker.session.attach.endpoint import PortRefused
from jupyter_ext.worker.session.call_context import Answer, CallContext, SessionCall, invalid, text_of
from jupyter_ext.worker.session.inspection import debugger, torch_inspection, value_summary
from jupyter_ext.worker.session.inspection.post_mortem import describe_locals
from jupyter_ext.worker.session.runtime.state import SessionState


class InspectionHandlers:
    """Answers calls that look."""

    def __init__(self, state: SessionState, context: CallContext, redactor: Redactor) -> None:
        self._state = state
        self._context = context
        self._redactor = redactor

    async def op_status(self, call: SessionCall) -> Answer:
        """Describe the session."""
        return self._state.describe(), ()

    async def op_watch(self, call: SessionCall) -> Answer:
        """Send the session's state now and whenever it changed, until the caller leaves."""
        version = -1
        while not call.left.done():
            waiting = asyncio.ensure_future(self._state.news(version))
            both: set[asyncio.Future[Any]] = {waiting, call.left}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                waiting.cancel()
                break
            version = waiting.result()
            await call.send({"kind": "session", "session": self._state.describe()})
        return {}, ()

    async def op_touch(self, call: SessionCall) -> Answer:
        """Say that somebody is there."""
        return {"expires_at": self._state.expires_at()}, ()

    async def op_interrupt(self, call: SessionCall) -> Answer:
        """Interrupt what has the main thread; everything lives on."""
        job = self._state.scheduler.current
        if job is None:
            self._state.scheduler.interrupt_cell()
            runs = self._state.scheduler.cell_runs
            return {"op": "cell" if runs else None, "deaf": self._state.scheduler.why_not_interruptible()}, ()
        self._state.scheduler.interrupt(job)
        return {
            "op": job.op,
            "subject": job.subject,
            "deaf": self._state.scheduler.why_not_interruptible(),
        }, ()

    async def op_stacks(self, call: SessionCall) -> Answer:
        """Return where each thread stands now, as Python sees it, the user's frames only."""
        return {"threads": debugger.stacks(self._state.code.labels)}, ()

    async def op_frames(self, call: SessionCall) -> Answer:
        """Describe the last exception with the frames that are kept alive; with `select`, choose one of them."""
        failure = self._context.failure()
        if "select" in call.params:
            try:
                failure.select(int(call.params["select"]))
            except IndexError as error:
                raise invalid("select", str(error)) from error
            self._state.changed()
        frame = failure.describe_frame(failure.selected) if failure.num_frames else None
        payload = {key: failure.payload[key] for key in ("type", "message", "text", "frames")}
        return {
            **payload,
            "op": failure.op,
            "at": failure.at,
            "selected": failure.selected,
            "frame": frame,
        }, ()

    async def op_forget_failure(self, call: SessionCall) -> Answer:
        """Let go of the last exception and what its frames keep."""
        self._state.forget_failure()
        return {}, ()

    async def op_locals(self, call: SessionCall) -> Answer:
        """Describe names and values: of a frame of the last exception (`frame`), or of the session's namespace."""
        if (asked := call.params.get("frame")) is not None:
            failure = self._context.failure()
            number = int(asked)
            return {"locals": failure.describe_frame(number % max(1, failure.num_frames))["locals"]}, ()
        names = vars(sys.modules["__main__"])
        shown = {
            name: value
            for name, value in list(names.items())
            if not name.startswith("_") and name not in ("In", "Out", "get_ipython", "exit", "quit", "open")
        }
        return {"locals": await asyncio.to_thread(describe_locals, shown, self._redactor)}, ()

    async def op_value(self, call: SessionCall) -> Answer:
        """Return the value of an `expression` in the failing frame (or `frame`), or in the session's namespace.

        It is evaluated here at once, also while a training runs.
        """
        expression = text_of(call, "expression")
        failure = self._state.failure
        frame = call.params.get("frame")
        in_frame = failure is not None and failure.num_frames and frame != "none"
        namespace = (
            failure.namespace(None if frame is None else int(frame))
            if failure is not None and in_frame
            else vars(sys.modules["__main__"])
        )

        def look() -> Any:
            return eval(compile(expression, "<expression>", "eval", dont_inherit=True), namespace)

        try:
            value = await asyncio.to_thread(look)
        except BaseException as error:  # noqa: BLE001  the user's expression may raise anything
            message = f"{type(error).__name__}: {error}"
            raise CallError({"code": "exception", "message": self._redactor.text(message)}) from None
        summary = await asyncio.to_thread(torch_inspection.summary_of, expression, value, self._redactor)
        if call.params.get("picture"):
            summary["picture"] = await asyncio.to_thread(value_summary.picture, value)
        if not call.params.get("whole"):
            return {"summary": summary}, ()
        tree, blobs = self._context.encoded(value, "values", "value")
        return {"summary": summary, "value": tree}, blobs

    async def op_parameters(self, call: SessionCall) -> Answer:
        """Describe parameters and gradients of a model's module, also while it trains."""
        module = torch_inspection.module_of(self._context.model(call).model.thing)
        if module is None:
            raise CallError(
                {"code": "not_offered", "message": "this model holds no torch.nn.Module to look into"}
            )
        histograms = bool(call.params.get("histograms"))
        payload = await asyncio.to_thread(torch_inspection.parameters, module, histograms=histograms)
        return {"parameters": payload}, ()

    async def op_attach(self, call: SessionCall) -> Answer:
        """Have debugpy listen on a Unix socket, and with `port` on 127.0.0.1; answers `socket`, `adapter`, `host`, `port`.

        With `force` the port is opened also where other people use this machine.
        """
        endpoint = self._state.endpoint
        try:
            await asyncio.to_thread(endpoint.open)
            if call.params.get("port"):
                await endpoint.open_port(force=bool(call.params.get("force")))
        except ImportError as error:
            message = f"{error}; install debugpy in this session's Python ({sys.executable})"
            raise CallError({"code": "not_offered", "message": message}) from error
        except RuntimeError as error:  # debugpy listens once in a process
            message = (
                f"another debugger has this session already, JupyterLab's perhaps ({error}); use that one"
            )
            raise CallError({"code": "not_offered", "message": message}) from error
        except PortRefused as error:
            message = f"{error}; attach without a port, or with force"
            raise CallError({"code": "not_offered", "message": message}) from error
        if endpoint.port is not None:
            self._state.open_port_notice = f"A debugger's port is open: whoever gets to 127.0.0.1:{endpoint.port} as this user runs code here."
        self._state.changed()
        code_dir = str(self._state.session_dir / "code")
        return {**(endpoint.describe() or {}), "labels": self._state.code.labels, "code_dir": code_dir}, ()
