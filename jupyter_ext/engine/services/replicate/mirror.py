"""What a service says of a training, written into the run's directory like what a run on this machine writes.

Rule: the log is the service's whole text each time; only what is new is appended, and nothing of it is kept in memory.
"""

from __future__ import annotations

import hashlib
import math
import time
from pathlib import Path
from typing import Any

from jupyter_ext.engine.services.replicate.clock import parse_time
from jupyter_ext.ipc.json_files import read_json, write_json
from jupyter_ext.protocol.log_metrics import read_line
from jupyter_ext.worker.sdk.journal_writer import JournalWriter

STATUSES = frozenset({"starting", "processing", "succeeded", "failed", "canceled", "aborted"})
_OVERLAP = 2000
"""So many last characters are looked for in a log that no longer begins as it did."""
_MAX_ERROR = 4000
_TURN_LINES, _TURN_S = 256, 0.001
"""After so many lines the interpreter is left to the engine's other threads, seconds: a log may have a million lines."""
_MAX_LINE = 8192
"""A line that goes on longer is looked at from its end."""


class Mirror:
    """Writes what a service says of one training. One caller at a time; blocks, as a log may be long."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._logs = run_dir / "logs.txt"
        seen = self._logs.read_bytes().decode("utf-8", "replace") if self._logs.exists() else ""
        self._num_seen, self._digest, self._tail = len(seen), _digest(seen), seen[-_OVERLAP:]
        self._line = seen.rpartition("\n")[2]
        self._created_at = float((read_json(run_dir / "spec.json") or {}).get("created_unix", 0.0))
        self._journal = JournalWriter(run_dir, "0")
        self._noticed: set[str] = set()

    def take(self, told: dict[str, Any], ahead_s: float = 0.0) -> bool:
        """Write what is new in the service's answer; tell whether anything was.

        Args:
            told: The training as the service gives it.
            ahead_s: How far the service's clock is ahead of ours, seconds.
        """
        status = told.get("status")
        if not isinstance(status, str) or status not in STATUSES:
            self.notice(
                f"The service says that the training is {str(status)[:40]!r}, which is no status known here; it is asked on."
            )
        elif status not in ("starting", "aborted") and not (self._run_dir / "started.json").exists():
            started_at = self._time(told.get("started_at"), ahead_s, self._created_at)
            write_json(self._run_dir / "started.json", {"time": started_at})
            self._journal.mark("started")
        text = told.get("logs")
        new = self._new_part(text) if isinstance(text, str) else ""
        if new:
            with open(self._logs, "a", encoding="utf-8", errors="replace", newline="") as file:
                file.write(new)
            self._read(new)
        return bool(new)

    def end(self, told: dict[str, Any], ahead_s: float = 0.0) -> None:
        """Write how it ended."""
        started = read_json(self._run_dir / "started.json") or {"time": self._created_at}
        content = {
            "status": told.get("status"),
            "kind": told.get("kind", "exception"),
            "error": _one_line(told.get("error")),
            "output": _sendable(told.get("output")),
            "metrics": _numbers(told.get("metrics")),
            "ended_at": self._time(told.get("completed_at"), ahead_s, started["time"]),
        }
        write_json(self._run_dir / "exit.json", content)

    def stopping(self) -> None:
        """Say that the service was asked to cancel."""
        write_json(self._run_dir / "stop", {"stage": "flag", "requested_at": time.time()})

    def notice(self, text: str) -> None:
        """Tell the user something, once."""
        if text not in self._noticed:
            self._noticed.add(text)
            self._journal.mark("notice", text=text)

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _time(self, text: Any, ahead_s: float, earliest: float) -> float:
        """Return a time of the service as one of ours, between `earliest` and now; now, if there is none."""
        now = time.time()
        told = parse_time(text)
        return now if told is None else min(now, max(earliest, told.timestamp() - ahead_s))

    def _new_part(self, text: str) -> str:
        """Return what a whole log says beyond what was seen; one that begins anew is searched for the last seen."""
        if len(text) >= self._num_seen and _digest(text[: self._num_seen]) == self._digest:
            new = text[self._num_seen :]
        else:
            place = text.rfind(self._tail) if self._tail else -1
            if place < 0 and len(text) <= self._num_seen:
                return ""  # a shorter text without anything known: the service is catching up with itself
            new = text[place + len(self._tail) :] if place >= 0 else text
        if new:
            self._num_seen, self._digest, self._tail = len(text), _digest(text), text[-_OVERLAP:]
        return new

    def _read(self, new: str) -> None:
        """Take metrics and progress out of whole lines, and progress out of the one that is being written."""
        *lines, last = (self._line + new).split("\n")
        self._line = last[-_MAX_LINE:]
        for number, line in enumerate([*lines, ""], 1):
            if number % _TURN_LINES == 0:
                time.sleep(_TURN_S)
            news = read_line(line)
            if news.metrics:
                self._journal.points(news.metrics, news.step)
            if news.progress is not None:
                self._journal.mark("progress", current=news.progress[0], total=news.progress[1])
        unfinished = read_line(self._line).progress
        if unfinished is not None:
            self._journal.mark("progress", current=unfinished[0], total=unfinished[1])


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _one_line(error: Any) -> str | None:
    """Return what a service says of an error as one line, whatever it is."""
    if error is None:
        return None
    if isinstance(error, dict):
        error = error.get("detail") or error.get("message") or error
    return " ".join(_sendable(str(error)).split())[:_MAX_ERROR] or None


def _sendable(value: Any) -> Any:
    """Return JSON in which every text can be written as UTF-8: half a surrogate pair cannot."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_sendable(item) for item in value]
    if isinstance(value, dict):
        return {_sendable(key): _sendable(item) for key, item in value.items()}
    return value


def _numbers(metrics: Any) -> dict[str, float]:
    """Return the numbers among a service's metrics."""
    found = metrics.items() if isinstance(metrics, dict) else ()
    return {
        name: float(value)
        for name, value in found
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and math.isfinite(value)
    }
