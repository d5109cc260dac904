"""All that a session holds: models, states, trainings, the last failure; and who watches it. Standard library only.

Rule: only the session changes it; whoever watches gets the whole state again when something changed, at most ten times a
second, so that a viewer is never behind by more than a tenth of a second and never has to catch up.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_ext.ipc.payloads.session_reports import ModelReport, SessionReport
from jupyter_ext.worker.session.attach.endpoint import DebugEndpoint
from jupyter_ext.worker.session.inspection.post_mortem import KEEP_S, PostMortem
from jupyter_ext.worker.session.runtime.code_loader import SessionCode
from jupyter_ext.worker.session.runtime.inactivity import Inactivity
from jupyter_ext.worker.session.runtime.main_thread import Scheduler
from jupyter_ext.worker.session.runtime.model_adapter import Model
from jupyter_ext.worker.session.runtime.trainings import Training, new_id

NEWS_INTERVAL_S = 0.1
MAX_ENDED_TRAININGS = 100
"""Trainings that are over and still known; the oldest are forgotten first."""


@dataclass
class InstantiatedModel:
    """A model that lives in the session."""

    model: Model
    id: str = field(default_factory=new_id)
    created_at: float = field(default_factory=time.time)
    num_calls: int = 0

    def describe(self) -> ModelReport:
        """Describe it for clients."""
        return {
            "id": self.id,
            "type": type(self.model.thing).__name__,
            "created_at": self.created_at,
            "num_calls": self.num_calls,
            "methods": self.model.methods(),
        }


class SessionState:
    """The state of one session.

    Args:
        session_dir: Its directory.
        inactive_s: It ends after this long without a call, seconds; `None` for never.
        scheduler: The main thread's.
        code: The user's code.
        endpoint: Where debuggers reach it.
    """

    def __init__(
        self, session_dir: Path, inactive_s: float | None, code: SessionCode, endpoint: DebugEndpoint
    ) -> None:
        self.session_dir = session_dir
        self.inactivity = Inactivity(inactive_s)
        self.code = code
        self.scheduler: Scheduler
        self.models: dict[str, InstantiatedModel] = {}
        self.states: dict[str, Mapping[str, object]] = {}
        self.trainings: dict[str, Training] = {}
        self.failure: PostMortem | None = None
        self.endpoint = endpoint
        self.open_port_notice: str | None = None
        self.ready = False
        self.active_at = time.time()
        self.num_calls = 0
        self.in_flight = 0
        self.notices: list[str] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._version = 0
        self._woken_at = 0
        self._wakes = False

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use the loop that answers calls."""
        self._loop = loop

    def changed(self) -> None:
        """Say that something changed; from any thread.

        The loop is woken at most once in `NEWS_INTERVAL_S`, as every wake-up costs the thread that reports a metric.
        """
        self._version += 1
        if not self._wakes and self._loop is not None and not self._loop.is_closed():
            self._wakes = True
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        assert self._loop is not None
        self._woken_at = self._version
        self._changed.set()
        self._loop.call_later(NEWS_INTERVAL_S, self._sleep)

    def _sleep(self) -> None:
        self._wakes = False
        if self._version != self._woken_at:  # after that: whoever comes now sees `_wakes`
            self._wakes = True
            self._wake()

    def touch(self) -> None:
        """Say that somebody uses the session."""
        self.active_at = time.time()
        self.inactivity.touch()

    @property
    def is_busy(self) -> bool:
        """Whether a call, a training or a cell is under way."""
        return bool(self.in_flight) or self.scheduler.is_busy or self.is_training

    @property
    def is_training(self) -> bool:
        """Whether a training has the main thread, or gets it before whoever asks now."""
        return any(not one.is_over for one in self.trainings.values())

    def expires_at(self) -> float | None:
        """Return the Unix time at which it ends unless somebody calls; `None` while it is busy or for never."""
        left_s = None if self.is_busy else self.inactivity.left_s()
        return None if left_s is None else time.time() + left_s

    def add_training(self, training: Training) -> None:
        """Hold a training, and forget the oldest of those that are over."""
        self.trainings[training.id] = training
        over = [one.id for one in self.trainings.values() if one.is_over]
        for training_id in over[: max(0, len(over) - MAX_ENDED_TRAININGS)]:
            shutil.rmtree(self.trainings.pop(training_id).directory, ignore_errors=True)

    def fail(self, failure: PostMortem) -> None:
        """Keep an exception, in the place of the one before."""
        if self.failure is not None:
            self.failure.drop()
        self.failure = failure
        failure.publish()
        self.changed()

    def forget_failure(self, older_than_s: float = 0.0) -> None:
        """Let go of the last exception and all that its frames keep."""
        if self.failure is not None and self.failure.age_s >= older_than_s:
            self.failure.drop()
            self.failure = None
            self.changed()

    def tidy(self) -> None:
        """Let go of what was kept long enough."""
        self.forget_failure(KEEP_S)

    def describe(self) -> SessionReport:
        """Describe everything for clients."""
        current, failure = self.scheduler.current, self.failure
        return {
            "pid": os.getpid(),
            "ready": self.ready,
            "busy": None
            if current is None
            else {**current.describe(), "deaf": self._why_not_interruptible()},
            "cell_runs": self.scheduler.cell_runs,
            "queued": [job.describe() for job in list(self.scheduler.waiting)],
            "entry": self.code.describe(),
            "functions": self.code.functions(),
            "models": [model.describe() for model in list(self.models.values())],
            "trainings": [training.describe() for training in list(self.trainings.values())],
            "states": list(self.states),
            "failure": None
            if failure is None
            else {
                "op": failure.op,
                "at": failure.at,
                "type": failure.payload["type"],
                "message": failure.payload["message"],
                "num_frames": failure.num_frames,
                "selected": failure.selected,
            },
            "attached": self.endpoint.describe(),
            "active_at": self.active_at,
            "expires_at": self.expires_at(),
            "inactive_s": self.inactivity.inactive_s,
            "num_calls": self.num_calls,
            "notices": [*self.notices, *([self.open_port_notice] if self.open_port_notice else [])],
        }

    def _why_not_interruptible(self) -> str | None:
        current = self.scheduler.current
        return self.scheduler.why_not_interruptible() if current is not None and current.wanted else None

    async def news(self, known: int) -> int:
        """Wait until there is something new since a version; returns the version that there is then."""
        while self._version == known:
            self._changed.clear()
            if self._version == known:
                await self._changed.wait()
        await asyncio.sleep(NEWS_INTERVAL_S)
        return self._version
