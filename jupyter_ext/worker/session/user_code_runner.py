"""The user's code in a call: given the main thread, watched for NaN where that is asked, and told when it fails."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.payloads.call_failures import CallFailure
from jupyter_ext.worker.runtime.redaction import Redactor
from jupyter_ext.worker.session.call_context import Answer, CallContext, SessionCall
from jupyter_ext.worker.session.inspection import torch_inspection
from jupyter_ext.worker.session.inspection.post_mortem import PostMortem
from jupyter_ext.worker.session.runtime.kernel import in_call
from jupyter_ext.worker.session.runtime.main_thread import Interrupted, Job, UserError
from jupyter_ext.worker.session.runtime.model_adapter import NotOffered
from jupyter_ext.worker.session.runtime.state import InstantiatedModel, SessionState

TELL_AFTER_S = 1.0
"""Somebody who waits this long for the main thread is told what has it."""


class UserCodeRunner:
    """Runs the user's code for calls.

    Args:
        state: The session's.
        context: Finds what calls name.
        redactor: Keeps secrets out of what is told.
    """

    def __init__(self, state: SessionState, context: CallContext, redactor: Redactor) -> None:
        self._state = state
        self._context = context
        self._redactor = redactor

    async def take(
        self,
        call: SessionCall,
        op: str,
        work: Callable[[], Any],
        *,
        subject: str | None = None,
        keep_failure: bool = False,
    ) -> Any:
        """Run some of the user's code in the main thread; the caller's leaving interrupts it.

        A caller who waits for the main thread is told for what, and with `wait_s` is refused once that took so long.
        """
        job = Job(op, subject)
        taking = self._state.scheduler.take(job, work)
        try:
            await self._begun(call, job, taking)
            if not (taking.done() or call.left.done()):
                await asyncio.wait({taking, call.left}, return_when=asyncio.FIRST_COMPLETED)
            if not taking.done():
                self._state.scheduler.interrupt(job)
            result = await taking
        except UserError as error:
            raise CallError(self.failed(error, op)) from None
        if not keep_failure:
            self._state.forget_failure()
        return result

    async def _begun(self, call: SessionCall, job: Job, taking: asyncio.Future[Any]) -> None:
        """Wait until a job has the main thread, or nobody wants it any longer."""
        wait_s = call.params.get("wait_s")
        began, is_told = time.monotonic(), False
        while True:
            waited_s = time.monotonic() - began
            pause_s = (
                TELL_AFTER_S if wait_s is None else max(0.0, min(TELL_AFTER_S, float(wait_s) - waited_s))
            )
            await asyncio.wait({taking, call.left}, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
            if taking.done() or call.left.done() or job.started_at is not None:
                return
            busy = self._state.scheduler.describe_busy()
            if wait_s is not None and time.monotonic() - began >= float(wait_s):
                self._state.scheduler.interrupt(job)  # it never begins
                taking.add_done_callback(lambda done: done.cancelled() or done.exception())
                message = (
                    f"{job.op} has waited {float(wait_s):.0f} s for {busy}, which has the session's main thread; "
                    "wait for it, cancel it, or ask again later"
                )
                raise CallError({"code": "busy", "message": message})
            if not is_told:
                is_told = True
                await call.send({"kind": "waiting", "op": job.op, "busy": busy})

    async def beside(
        self, call: SessionCall, made: InstantiatedModel, op: str, work: Callable[[], Any]
    ) -> Any:
        """Run some of the user's code in a thread of its own, beside what has the main thread; nothing interrupts it."""

        def run() -> Any:
            in_call.set(True)
            return asyncio.run(work())

        try:
            return await asyncio.to_thread(run)
        except BaseException as error:  # noqa: BLE001  the edge to the user's code: all of it is theirs to see
            raise CallError(self.failed(UserError(error), op)) from None

    async def called(
        self,
        call: SessionCall,
        made: InstantiatedModel | None,
        op: str,
        work: Callable[[], Any],
        encoding: str,
    ) -> Answer:
        """Run the user's code and encode what it gives."""
        if made is not None:
            made.num_calls += 1
        if op == "evaluate" and made is not None and made.model.evaluates_beside and self._state.is_training:
            result = await self.beside(call, made, op, work)
        elif call.params.get("anomaly"):
            result = await self.anomalous(call, made, op, work)
        else:
            result = await self.take(call, op, work, subject=None if made is None else made.id)
        tree, blobs = self._context.encoded(result, encoding, op)
        return {"value": tree}, blobs

    async def anomalous(
        self, call: SessionCall, made: InstantiatedModel | None, op: str, work: Callable[[], Any]
    ) -> Any:
        """Run the user's code, with a look at every operation where the call asks for that."""
        if not call.params.get("anomaly"):
            return await self.take(call, op, work, subject=None if made is None else made.id)
        return await self.take(
            call, op, self.watching_nans(made, work), subject=None if made is None else made.id
        )

    def watching_nans(self, made: InstantiatedModel | None, work: Callable[[], Any]) -> Callable[[], Any]:
        """Have the operation that makes a NaN raise."""
        labels = self._state.code.labels
        module = None if made is None else torch_inspection.module_of(made.model.thing)

        async def watched() -> Any:
            with torch_inspection.anomalies(module, labels):
                return await work()

        return watched

    def failed(self, error: UserError, op: str) -> CallFailure:
        """Keep an exception of the user's code, and tell it."""
        raised = error.error
        if isinstance(raised, NotOffered):
            return {"code": "not_offered", "message": str(raised)}
        failure = PostMortem(raised, self._state.code.labels, Path(os.getcwd()), self._redactor, op)
        if isinstance(error, Interrupted):
            if failure.num_frames:
                self._state.fail(failure)
            message = f"{op} was interrupted; the session lives on"
            return {"code": "interrupted", "message": message, "exception": failure.payload, "op": op}
        self._state.fail(failure)
        kind, message = failure.payload["type"], failure.payload["message"]
        line = f"{kind}: {message}" if message else kind
        return {"code": "exception", "message": line, "exception": failure.payload, "op": op}
