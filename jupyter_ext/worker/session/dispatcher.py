"""What a session can be asked, by the name of the call. Standard library, and what the user's code brings.

Rule: the user's code runs in the main thread and nowhere else; whatever only looks is answered here at once, also while a
training has the main thread. Every refusal has a `code`:

    invalid_parameter · model_not_found · training_not_found · training_not_running · state_not_found ·
    state_key_not_found · not_offered · invalid_output · exception (with `exception`) · interrupted · busy · no_failure ·
    unknown_op
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from jupyter_ext.ipc.channel import CallError
from jupyter_ext.worker.runtime.redaction import Redactor
from jupyter_ext.worker.session.call_context import Answer, CallContext, SessionCall
from jupyter_ext.worker.session.inspection_handlers import InspectionHandlers
from jupyter_ext.worker.session.model_handlers import ModelHandlers
from jupyter_ext.worker.session.runtime.state import SessionState
from jupyter_ext.worker.session.training_handlers import TrainingHandlers
from jupyter_ext.worker.session.user_code_runner import UserCodeRunner

_PASSIVE = frozenset({"status", "watch", "training_status", "training_metrics", "stacks"})
"""Calls that only look on: they do not keep a session from ending when it is inactive."""


class SessionOps:
    """Answers calls.

    Args:
        state: The session's.
        redactor: Keeps secrets out of what is told.
        stop: Ends the session; called from the calls' thread.
    """

    def __init__(self, state: SessionState, redactor: Redactor, stop: Callable[[], None]) -> None:
        self._state = state
        self._stop = stop
        context = CallContext(state)
        self._user_code = UserCodeRunner(state, context, redactor)
        parts: tuple[Any, ...] = (
            ModelHandlers(state, context, self._user_code, redactor),
            TrainingHandlers(state, context, self._user_code),
            InspectionHandlers(state, context, redactor),
            self,
        )
        self._ops: dict[str, Callable[[SessionCall], Awaitable[Answer]]] = {
            name.removeprefix("op_"): method
            for part in parts
            for name, method in inspect.getmembers(part, inspect.ismethod)
            if name.startswith("op_")
        }

    async def handle(self, call: SessionCall) -> Answer:
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

    async def op_shutdown(self, call: SessionCall) -> Answer:
        """Let models tidy up, and end the process."""
        if not self._state.scheduler.is_busy:
            with contextlib.suppress(CallError, TimeoutError):
                async with asyncio.timeout(2.0):
                    for made in list(self._state.models.values()):
                        await self._user_code.take(call, "dispose", made.model.dispose, subject=made.id)
        asyncio.get_running_loop().call_later(0.02, self._stop)
        return {}, ()
