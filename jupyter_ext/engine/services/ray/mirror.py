"""A run's directory here, filled with what a job on a cluster sends of its own.

Rule: a line says where its bytes belong, so a log that is read from the start again, after a broken connection or a
restart of the engine, changes nothing.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from jupyter_ext.ipc.json_files import read_json, write_json
from jupyter_ext.ipc.relay_frames import LineReader, Part
from jupyter_ext.worker.sdk.journal_writer import JournalWriter

ENDED = "ended.json"
"""How the cluster says that the job ended, where the job itself could not say it."""


class Mirror:
    """Writes one run's files. One caller at a time.

    Args:
        run_dir: The run's directory here.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._reader = LineReader()
        self._journal: JournalWriter | None = None
        self._noticed: set[str] = set()

    @property
    def has_end(self) -> bool:
        """Whether the job has said how it ended."""
        return (self._run_dir / "exit.json").exists()

    def begin_again(self) -> None:
        """Expect the log from its start."""
        self._reader = LineReader()

    def take(self, text: str) -> None:
        """Write what a piece of the job's log carries."""
        for part in self._reader.feed(text):
            self._write(part)

    def end(self, status: str, message: str) -> None:
        """Write how the cluster says that it ended, and, where the training has printed nothing, what the job has."""
        log = self._run_dir / "logs.txt"
        if self._reader.other and not (log.exists() and log.stat().st_size):
            log.write_text("\n".join(self._reader.other) + "\n", encoding="utf-8")
        write_json(self._run_dir / ENDED, {"status": status, "message": message, "ended_at": time.time()})

    @property
    def last_words(self) -> str:
        """The last line that the job printed and no file carries, such as why it could not begin; none where it had begun."""
        if (self._run_dir / "worker_start.json").exists():
            return ""
        return next((line.strip()[:300] for line in reversed(self._reader.other) if line.strip()), "")

    def notice(self, text: str) -> None:
        """Tell the user something, once."""
        if text not in self._noticed:
            self._noticed.add(text)
            if self._journal is None:
                self._journal = JournalWriter(self._run_dir, "engine")
            self._journal.mark("notice", text=text)

    def close(self) -> None:
        """Close the journal of notices."""
        if self._journal is not None:
            self._journal.close()

    def _write(self, part: Part) -> None:
        path = self._run_dir / part.name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = path if part.is_whole is None else path.with_name(f".{path.name}.relayed")
        if part.is_whole is not None and path.exists() and part.name == "exit.json":
            return
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(file, part.data, part.offset)
            if part.is_whole:
                os.ftruncate(file, part.offset + len(part.data))
                os.replace(target, path)
        finally:
            os.close(file)

    @property
    def started_at(self) -> float | None:
        """Unix time at which the training began there."""
        told = read_json(self._run_dir / "worker_start.json")
        return float(told["time"]) if isinstance(told, dict) and "time" in told else None
