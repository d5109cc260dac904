"""How far a transfer is, as clients look at it: bytes that never go backwards, a speed that does not jump."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from jupyter_ext.engine.models.download.transfer import Sample
from jupyter_ext.protocol.models import Transfer, TransferPhase, TransferStatus

SMOOTHING_S = 3.0
"""Time constant of the moving average of the speed."""

_MIN_AGE_S = 0.3
_PHASES: dict[str, TransferPhase] = {
    "resolve": "resolve",
    "transfer": "transfer",
    "verify": "verify",
    "publish": "publish",
}


class Progress:
    """Makes the resource from samples.

    Args:
        bytes_total: Of all files.
        files_total: How many.
    """

    def __init__(self, bytes_total: int, files_total: int) -> None:
        self._clock = time.monotonic
        self._began: tuple[float, int] | None = None
        self._last: tuple[float, int] | None = None
        self._speed: float | None = None
        self.transfer = Transfer(
            status="running",
            phase="queued",
            bytes_total=bytes_total,
            files_total=files_total,
            started_at=_now(),
        )

    def update(self, sample: Sample) -> Transfer:
        """Take a sample, and give the picture after it."""
        self._measure(sample)
        total = self.transfer.bytes_total or 0
        left = max(0, total - sample.bytes_done)
        moving = sample.phase == "transfer" and self._speed is not None
        eta_s = left / self._speed if moving and self._speed else None
        self.transfer = self.transfer.model_copy(
            update={
                "phase": _PHASES[sample.phase],
                "bytes_done": sample.bytes_done,
                "bytes_per_s": self._speed if moving else None,
                "eta_s": eta_s,
                "files_done": sample.files_done,
                "file": sample.file,
                "resumed_bytes": sample.resumed_bytes,
                "hashed_bytes": sample.hashed_bytes,
                "num_connections": sample.num_connections,
            }
        )
        return self.transfer

    def end(self, status: TransferStatus, error: str | None = None) -> Transfer:
        """Return the last picture."""
        update: dict[str, object] = {
            "status": status, "ended_at": _now(), "error": error, "eta_s": None, "file": None,
        }  # fmt: skip
        if status == "completed":
            update |= {"bytes_done": self.transfer.bytes_total, "files_done": self.transfer.files_total}
        self.transfer = self.transfer.model_copy(update=update)
        return self.transfer

    def _measure(self, sample: Sample) -> None:
        now = self._clock()
        if sample.phase != "transfer":
            self._last = None
            return
        if self._began is None:
            self._began = (now, sample.bytes_done)
        if self._last is None:
            self._last = (now, sample.bytes_done)
            return
        seconds, num_bytes = now - self._last[0], sample.bytes_done - self._last[1]
        if seconds <= 0:
            return
        self._last = (now, sample.bytes_done)
        age = now - self._began[0]
        if age < _MIN_AGE_S:
            return
        # Young averages weigh the newest little, as there is nothing older to hold against it.
        weight = seconds / min(SMOOTHING_S, max(age, seconds))
        rate = num_bytes / seconds
        if self._speed is None:
            self._speed = (sample.bytes_done - self._began[1]) / age
        else:
            self._speed += min(1.0, weight) * (rate - self._speed)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
