"""The user's code in a call: given the main thread, watched for NaN where that is asked, and told when it fails."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.channel_server import Call
from jupyter_ext.worker.runtime.redaction import Redactor
from jupyter_ext.worker.session.call_context import Answer, CallContext
from jupyter_ext.worker.session.inspection import torch_inspection
from jupyter_ext.worker.session.inspection.post_mortem import Failure
from jupyter_ext.worker.session.runtime.main_thread import Interrupted, Turn, UserError
from jupyter_ext.worker.session.runtime.model_adapter import NotOffered
from jupyter_ext.worker.session.runtime.state import InstantiatedModel, SessionState


class UserCode:
    """Runs the user's code for calls.

    Args:
        state: The session's.
        asked: Finds what calls name.
        redactor: Keeps secrets out of what is told.
    """

    def __init__(self, state: SessionState, asked: CallContext, redactor: Redactor) -> None:
        self._state = state
        self._asked = asked
        self._redactor = redactor

    async def take(
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
            raise CallError(self.failed(error, op)) from None
        finally:
            left.cancel()
        if not keep_failure:
            self._state.forget_failure()
        return result

    async def called(
        self,
        call: Call,
        made: InstantiatedModel | None,
        op: str,
        work: Callable[[], Any],
        encoding: str,
    ) -> Answer:
        """Run the user's code and encode what it gives."""
        if made is not None:
            made.num_calls += 1
        if call.params.get("anomaly"):
            result = await self.anomalous(call, made, op, work)
        else:
            result = await self.take(call, op, work, subject=None if made is None else made.id)
        tree, blobs = self._asked.encoded(result, encoding, op)
        return {"value": tree}, blobs

    async def anomalous(
        self, call: Call, made: InstantiatedModel | None, op: str, work: Callable[[], Any]
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

    def failed(self, error: UserError, op: str) -> dict[str, Any]:
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
