"""Cancel a training of a session: ask, then interrupt, and say honestly what it does about it. Standard library only."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from jupyter_ext.worker.session.runtime.main_thread import Turns
from jupyter_ext.worker.session.runtime.trainings import Training

log = logging.getLogger(__name__)

FLAG_GRACE_S = 2.0
"""Code that looks for a cancel gets this long to finish its step."""
AGAIN_S = 3.0
"""One that swallowed an interrupt is interrupted again this much later."""


async def cancel(turns: Turns, training: Training, wait_s: float) -> dict[str, Any]:
    """Cancel a training; the session and its models live on.

    Args:
        turns: The main thread's.
        training: One that is not over.
        wait_s: Give up waiting after this many seconds; the interrupts go on in the meantime only.

    Returns:
        `ended`, `stage` (`flag` or `interrupt`), and `hint` where it does not react.
    """
    began = time.monotonic()
    for callback in training.begin_cancel():
        await asyncio.to_thread(_call, callback)
    if turns.current is not training.turn:
        turns.interrupt(training.turn)  # it waits for the main thread, and now never gets it
    elif training.looks_for_stop:
        await _ended(training, min(FLAG_GRACE_S, wait_s))
    while not training.is_over and (left := wait_s - (time.monotonic() - began)) > 0:
        training.cancel_stage = "interrupt"
        turns.interrupt(training.turn)
        await _ended(training, min(AGAIN_S, left))
    told = {"ended": training.is_over, "stage": training.cancel_stage}
    if training.is_over:
        return told
    why = turns.deaf() or (
        "its code swallows the interrupt, or is inside a native operation, after which the interrupt comes"
    )
    hint = (
        f"It has not reacted for {time.monotonic() - began:.0f} s: {why}. `stacks` shows where; `terminate` ends the session "
        "and loses the model."
    )
    return {**told, "hint": hint}


async def _ended(training: Training, within_s: float) -> bool:
    return await asyncio.to_thread(training.done.wait, within_s)


def _call(callback: Any) -> None:
    try:
        callback()
    except Exception:  # the user's own callback; the interrupt comes all the same
        log.exception("a callback of on_cancel failed")
