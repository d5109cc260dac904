"""Send a run's files as lines of text, as they grow. Standard library only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.ipc.relay_frames import is_sent, lines_of
from jupyter_ext.ipc.run_files import STDERR_MARKS
from jupyter_ext.worker.sdk import checkpoint_storage
from jupyter_ext.worker.sdk.journal_writer import JournalWriter

MAX_WHOLE_BYTES = 16 << 20
"""Larger files stay where they are: the lines go through a log that people read."""
_READ_BYTES = 1 << 20
_GROWING = (".jnl", ".txt")
_FOLDERS = ("checkpoints", "media", "ranks")


class Relay:
    """Sends what is new in a run's directory each time that it is asked to.

    Args:
        run_dir: The run's directory on this machine.
        out: Where the lines go.
        storage: Where states of checkpoints go that are too large for lines: a path or URL that other machines reach.
    """

    def __init__(self, run_dir: Path, out: TextIO, storage: str | None = None) -> None:
        self._run_dir = run_dir
        self._storage = None if storage is None else f"{storage.rstrip('/')}/{run_dir.name}"
        self._stored: dict[Path, str] = {}
        self._out = out
        self._sent: dict[str, int] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._journal: JournalWriter | None = None

    def send_news(self) -> None:
        """Send what is new: what grows before what is written as a whole, and a checkpoint's state before its manifest."""
        whole = []
        for path in self._files():
            name = path.relative_to(self._run_dir).as_posix()
            if path.suffix in _GROWING or path.name == STDERR_MARKS:
                self._send_growth(name, path)
            else:
                whole.append((name, path))
        for name, path in sorted(whole, key=lambda one: (one[1].suffix == ".json", one[0])):
            self._send_whole(name, path)
        self._out.flush()

    def _files(self) -> Iterator[Path]:
        for folder in (self._run_dir, *(self._run_dir / name for name in _FOLDERS)):
            for path in folder.glob("*") if folder == self._run_dir else folder.rglob("*"):
                name = path.relative_to(self._run_dir).as_posix()
                if is_sent(name) and name != "exit.json" and path.is_file():
                    yield path

    def _send_growth(self, name: str, path: Path) -> None:
        sent = self._sent.get(name, 0)
        with open(path, "rb") as file:
            file.seek(sent)
            while data := file.read(_READ_BYTES):
                self._out.writelines(lines_of(name, data, sent, grows=True))
                sent += len(data)
        self._sent[name] = sent

    def _send_whole(self, name: str, path: Path) -> None:
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if self._seen.get(name) == stamp:
                return
            self._seen[name] = stamp
            if found.st_size > MAX_WHOLE_BYTES:
                self._store(name, path, found.st_size)
                return
            data = path.read_bytes()
        except FileNotFoundError:
            return  # an older checkpoint that was removed meanwhile
        self._out.writelines(lines_of(name, data, grows=False))

    def _store(self, name: str, path: Path, num_bytes: int) -> None:
        """Store a state and send where it is, or tell the user why it stays here."""
        if self._storage is None or not name.startswith("checkpoints/"):
            advice = "; --storage names where such files go" if name.startswith("checkpoints/") else ""
            self._tell(
                f"{name} ({format_bytes(num_bytes)}) is too large for the job's log and stays on the node{advice}."
            )
            return
        self._remove_pruned()
        place = f"{self._storage}/{name}"
        try:
            checkpoint_storage.put(path, place)
        except Exception as error:  # noqa: BLE001  stores fail in ways of their own, and none ends a training
            self._tell(f"{name} could not be stored at {place}: {type(error).__name__}: {error}")
            return
        self._stored[path] = place
        pointer = checkpoint_storage.pointer_of(Path(name)).as_posix()
        self._out.writelines(lines_of(pointer, place.encode(), grows=False))

    def _tell(self, text: str) -> None:
        if self._journal is None:
            self._journal = JournalWriter(self._run_dir, "relay")
        self._journal.mark("notice", text=text)

    def _remove_pruned(self) -> None:
        for path, place in [*self._stored.items()]:
            if not path.exists():
                del self._stored[path]
                with contextlib.suppress(Exception):  # one that stays costs room only
                    checkpoint_storage.remove(place)

    def send_end(self) -> None:
        """Send how the run ended, after everything else."""
        self.send_news()
        if self._journal is not None:
            self._journal.close()
            self.send_news()
        self._send_whole("exit.json", self._run_dir / "exit.json")
        self._out.flush()


def free_name(directory: Path) -> str:
    """Return a short path for a socket beside a directory."""
    return os.path.join(os.path.dirname(directory), "control.sock")
